"""Sources that come from elsewhere than the Hub, kept beside its cache: each a folder, with a manifest of digests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import constants

from .. import machine
from ..errors import InputError
from .connection import reason
from .download import MANIFEST, locked, read_manifest
from .sources import Source, verify


def root() -> Path:
    """Return the folder of these sources, which all projects of a user share."""
    return Path(constants.HF_HOME) / "textlab"


def keep(
    name: str,
    spec: str,
    revision: str | None,
    bring: Callable[[Path], Mapping[str, object]],
    pinned: Mapping[str, str] | None = None,
) -> Source:
    """Return a data set that is kept: as it is here, its digests compared, or brought whole or not at all.

    Args:
        name: of its folder.
        spec: what it is called.
        bring: writes the files into an empty folder, and returns what else the manifest is to hold; it is called by one
            process at a time, if the data is not here.
        pinned: file name -> SHA-256 that it has to have, whatever its manifest says.

    Raises:
        InputError: a file was altered since it came, or cannot be written; and what `bring` raises.
    """
    folder = root() / name
    try:
        if not folder.is_dir():
            with locked(name):
                if not folder.is_dir():  # another process may have brought it meanwhile
                    _bring(folder, spec, revision, bring)
        files = machine.hash_files(folder)
    except OSError as error:
        raise InputError(
            f"{spec} cannot be kept in {folder} ({reason(error)}); make room, or set HF_HOME to another folder"
        ) from None
    expected = read_manifest(folder) | (pinned or {})
    verify(spec, folder, files, expected, f"delete the folder {folder} and run again")
    return Source(spec, "dataset", revision, folder, {file: files[file] for file in expected})


def _bring(folder: Path, spec: str, revision: str | None, bring: Callable[[Path], Mapping[str, object]]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".draft-") as place:
        draft = Path(place) / folder.name
        draft.mkdir()
        more = {"fetched": datetime.now(UTC).isoformat(timespec="seconds"), **bring(draft)}
        files = machine.hash_files(draft)
        content = {"id": spec, "kind": "dataset", "revision": revision, "files": files, **more}
        machine.write_text(draft / MANIFEST, json.dumps(content, indent=1) + "\n")
        draft.rename(folder)
