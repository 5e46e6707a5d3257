"""Snapshots of the Hub's repositories in its cache on this machine: found, or downloaded and checked by digest."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import WeakFileLock, filter_repo_objects
from huggingface_hub.utils.sha import git_hash
from typing_extensions import TypedDict

from .. import machine
from ..errors import InputError
from ..settings import strict_json
from . import connection

#: Only what training needs is downloaded: safetensors weights and plain data, never pickles or code.
FILES = {
    "model": [
        "config.json",
        "model*.safetensors*",
        "tokenizer*.json",
        "special_tokens_map.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "*.model",
        "training_texts.json",
        "README.md",
    ],
    "dataset": ["*.parquet", "*.csv", "*.jsonl", "*.tsv", "*.txt", "README.md"],
}

#: Lists the SHA-256 of each file of a snapshot, in its folder; written last, so that one with it is whole.
MANIFEST = ".manifest.json"
#: Holds what has come of files that are not whole; it is in the folder of a snapshot as long as files are missing.
PARTS = ".parts"
#: A full revision.
SHA = re.compile(r"[0-9a-f]{40}")


class Manifest(TypedDict):
    """What a manifest holds."""

    files: dict[str, strict_json.Sha256]


class WeightsIndex(TypedDict):
    """What an index of weights holds: name of a weight -> the file of the same folder that it stands in."""

    weight_map: dict[str, str]


# A snapshot lies where huggingface_hub looks for it too, in its cache. It is downloaded here for two reasons.
# `snapshot_download` (huggingface_hub 2.4.0) deletes its temporary files on failure, so nothing is resumed after an
# interruption. And it compares sizes instead of digests.


def snapshot_folder(repo: str, kind: str, revision: str) -> Path:
    """Return the folder in the Hub's cache for a revision (40 digits) of a repository."""
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type=kind) / "snapshots" / revision


def read_manifest(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of a snapshot, as it was downloaded or unpacked; empty when that is not known."""
    file = folder / MANIFEST
    return strict_json.read_json(file, Manifest, f"the manifest {file}")["files"] if file.is_file() else {}


def write_manifest(folder: Path, repo: str, kind: str, files: dict[str, str], refs: Iterable[str]) -> None:
    """Declare a snapshot whole: write its manifest, and its revision as that of these branches or tags."""
    content = {"id": repo, "kind": kind, "revision": folder.name, "files": files}
    machine.write_text(folder / MANIFEST, json.dumps(content, indent=1) + "\n")
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    for ref in refs:
        if not SHA.fullmatch(ref):
            machine.write_text(folder.parents[1] / "refs" / ref, folder.name)


def allowed(names: Iterable[str], kind: str) -> list[str]:
    """Return the names that may be taken from a repository: data and safetensors, nothing hidden, no `..`."""
    plain = [name for name in names if all(part and not part.startswith(".") for part in name.split("/"))]
    return list(
        filter_repo_objects([name for name in plain if not set(name) & set("\\:\0\n")], allow_patterns=FILES[kind])
    )


def snapshot(repo: str, revision: str | None, kind: str) -> tuple[str, Path]:
    """Return (40-digit revision, folder) of a repository.

    A full revision that is in the cache needs no connection.

    Raises:
        ConnectionError: the Hub cannot be reached, and the cache has no whole snapshot.
        ValueError: the Hub does not answer as a Hub would; InputError: see `_download`.
    """
    if SHA.fullmatch(revision or "") and _whole(folder := snapshot_folder(repo, kind, revision)):
        return revision, folder
    if why := connection.unreachable(constants.ENDPOINT):
        try:  # what other programs cached may be a part
            folder = Path(
                huggingface_hub.snapshot_download(
                    repo, repo_type=kind, revision=revision, local_files_only=True, allow_patterns=FILES[kind]
                )
            )
        except IncompleteSnapshotError:
            raise ConnectionError(f"{why}; its copy here lacks files") from None
        except LocalEntryNotFoundError:
            raise ConnectionError(why) from None
        if lacking := _lacking(folder, kind):
            raise ConnectionError(f"{why}; its copy here lacks {lacking}")
        return folder.name, folder
    connection.bound_calls()
    sha = huggingface_hub.HfApi().repo_info(repo, revision=revision, repo_type=kind).sha or ""
    if not SHA.fullmatch(sha):
        raise ValueError(f"it gives {sha!r} as a revision")
    folder = snapshot_folder(repo, kind, sha)
    with locked(sha):
        files = read_manifest(folder) if _whole(folder) else _download(repo, kind, folder)
        write_manifest(folder, repo, kind, files, [revision or "main"])
    return sha, folder


def locked(revision: str) -> AbstractContextManager:
    """Return a lock that one process at a time holds to write a snapshot: another may be bringing the same."""
    lock = Path(constants.HF_HUB_CACHE) / ".locks" / f"{revision}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    return WeakFileLock(lock)


def has_newest(repo: str, kind: str) -> bool:
    """Tell whether the revision that counts as a repository's newest is known here, and nothing of it is missing."""
    ref = snapshot_folder(repo, kind, "main").parents[1] / "refs" / "main"
    folder = snapshot_folder(repo, kind, ref.read_text(encoding="utf-8").strip()) if ref.is_file() else None
    return folder is not None and folder.is_dir() and not _lacking(folder, kind)


def _whole(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and not _lacking(folder, "")


def _lacking(folder: Path, kind: str) -> str:
    """Return the first thing that a snapshot is known to lack, in words; empty if nothing is.

    What other programs brought has no manifest. There, a link may lead nowhere, and a model needs weights.
    """
    try:
        files = read_manifest(folder)
    except InputError:
        return "a list of its files that can be read"
    if files:
        return next((name for name in files if not (folder / name).is_file()), "")
    if (folder / PARTS).exists():
        return "files that were not yet downloaded"
    if kind == "model" and not list(folder.glob("*.safetensors")):
        return "its weights"
    astray = (file for file in sorted(folder.rglob("*")) if file.is_symlink() and not file.exists())
    return next((file.relative_to(folder).as_posix() for file in astray), "")


def check_indexes(indexes: Mapping[str, Path | bytes], name: str) -> None:
    """Raise an InputError if an index of weights names anything but files of its own folder and kind.

    Args:
        indexes: files of a model -> where they are, or what they hold; only indexes are looked at.
        name: of the model, for messages.
    """
    for file, content in indexes.items():
        if kind := re.search(r"\.(safetensors|bin)\.index(\.\w+)?\.json$", file):
            index = strict_json.read_json(content, WeightsIndex, f"{name}: {file}")
            for target in index["weight_map"].values():
                if not re.fullmatch(rf"[^/\\:]+\.{kind[1]}", target):
                    raise InputError(
                        f"{name}: {file} names {target[:100]!r}, which is no {kind[1]} file of its own folder; "
                        "take a whole copy of the model"
                    )


def _download(repo: str, kind: str, folder: Path) -> dict[str, str]:
    """Download a revision into `folder`, each file going on where it was interrupted, and return name -> SHA-256.

    Raises:
        InputError: what came is not the file whose digest the Hub lists.
    """
    tree = huggingface_hub.HfApi().list_repo_tree(repo, recursive=True, revision=folder.name, repo_type=kind)
    entries = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    entries = {name: entries[name] for name in allowed(entries, kind)}
    line, total, done = machine.ProgressLine(), sum(entry.size for entry in entries.values()) / 1e6, 0

    def show(size: int) -> None:
        line.show(f"{repo}: {(done + size) / 1e6:,.0f} of {total:,.0f} MB")

    parts = folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    for name, entry in entries.items():
        listed = entry.lfs.sha256 if entry.lfs else entry.blob_id
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", listed):
            raise ValueError(f"it lists {listed!r} as a digest")
        if not (folder / name).is_file() or _digest_like(listed, folder / name) != listed:
            url = huggingface_hub.hf_hub_url(repo, name, repo_type=kind, revision=folder.name)
            part = parts / listed
            connection.fetch(url, part, entry.size, show)
            if (digest := _digest_like(listed, part)) != listed:
                part.unlink()
                raise InputError(
                    f"{repo}: what came as {name} has digest {digest}, but the Hub lists {listed}; it was dropped: "
                    "run again, or set HF_ENDPOINT to another mirror"
                )
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            part.replace(folder / name)
        done += entry.size
    line.show(f"{repo}: {total:,.1f} MB are here", final=True)
    return {name: machine.sha256(folder / name) for name in entries}


def _digest_like(listed: str, file: Path) -> str:
    """Return a file's digest of the kind that the Hub lists for it: SHA-256 of large files, git's of small ones."""
    return machine.sha256(file) if len(listed) == 64 else git_hash(file.read_bytes())
