"""Checkpoints that survive: written aside, sealed with a manifest of digests, and only then put in their place."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from .. import machine
from ..errors import InputError
from ..machine import hash_files

#: The file that seals a checkpoint: SHA-256 of each of its files. It is written last.
MANIFEST = "manifest.json"


def publish(draft: Path, place: Path) -> None:
    """Seal a checkpoint folder with its manifest and move it to its place, where no half-written one ever is."""
    for file in draft.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    machine.write_text(draft / MANIFEST, json.dumps({"files": hash_files(draft)}, indent=1))
    if place.exists():
        shutil.rmtree(place)
    draft.rename(place)


def fault(folder: Path) -> str:
    """Return what is wrong with a checkpoint, in words; empty when each file has the digest in its manifest."""
    try:
        wanted = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return "it has no manifest, so it was not written to its end"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest cannot be read ({error})"
    found = hash_files(folder)
    found.pop(MANIFEST)
    changed = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return f"{', '.join(changed)} differ from the manifest" if changed else ""


def newest_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the checkpoint to resume from, or None, and a sentence for each newer one that cannot be used.

    A checkpoint also needs the best one that it refers to: without that, training would end with another model.
    """
    skipped = []
    for candidate in reversed(in_order(folder)):
        problem = fault(candidate)
        if not problem and (best := best_of(candidate)) not in (None, candidate) and (flaw := fault(best)):
            problem = f"the best one so far, {best.name}, is damaged: {flaw}"
        if not problem:
            return candidate, skipped
        skipped.append(f"{candidate.name} was skipped: {problem}.")
    return None, skipped


def in_order(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def best_of(checkpoint: Path) -> Path | None:
    """Return the best checkpoint up to this one, as its Trainer state names it."""
    step = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["best_global_step"]
    return checkpoint.with_name(f"checkpoint-{step}") if step else None


def prune(folder: Path, best: Path | None, keep: int = 2) -> None:
    """Delete all checkpoints but the best and the newest; a second newest stays in case a file of the newest decays."""
    for old in in_order(folder)[:-keep]:
        if old != best:
            shutil.rmtree(old)


def need_space(folder: Path, size: int) -> None:
    """Check that a disk has room for so many bytes and a tenth more.

    Raises:
        InputError: it has not; nothing was written.
    """
    free = shutil.disk_usage(folder).free
    if free < 1.1 * size:
        raise InputError(
            f"a checkpoint takes {size / 1e6:,.0f} MB and {folder} has {free / 1e6:,.0f} MB left; free some space "
            "or choose another output_dir; earlier checkpoints are kept, and the same command goes on from there"
        )
