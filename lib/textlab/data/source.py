"""What a source of texts is, by how it is named, and what can be said of it before anything is loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .. import hub
from ..errors import InputError
from . import formats, ratings, readers


def check(source: str, text_column: str = "", label_column: str = "", labels: str = "auto") -> None:
    """Raise the InputError that `load` would raise for the files, formats, columns or first rows of a source.

    Of a Hub id or an address only the spelling is checked.
    """
    if form_of(source) == "path":
        for split, files in files_of(source).items():
            readers.probe_files(files, text_column, label_column, labels, split)


def form_of(source: str) -> str:
    """Return what a source is: `packaged`, `address`, `path` or `hub`."""
    if re.match("packaged(:|$)", source):
        ratings.part_of(source)
        return "packaged"
    if hub.is_address(source):
        return "address"
    if source.strip() and os.path.exists(os.path.expanduser(source)):
        return "path"
    words = source.split()
    if len(words) > 1 and all(os.path.exists(os.path.expanduser(word)) for word in words):
        raise InputError(
            f"dataset: got {len(words)} paths, {source!r}; accepted is one: put the files into one folder, as "
            "train.csv, train_2.csv and so on, and give the folder"
        )
    looks_like_path = source.startswith(("/", ".", "~")) or source.split("@")[0].count("/") > 1
    if looks_like_path or Path(source).suffix.lower() in formats.FORMATS:
        raise InputError(
            f"dataset: the file or folder {source!r} does not exist; check the path (a relative one starts at "
            "the working directory), or use packaged or owner/name[@revision]"
        )
    if not hub.split_id(source):
        raise InputError(
            f"dataset: got {source!r}; accepted are packaged, an existing file or folder, an https address, "
            "or owner/name[@revision]; use one of these"
        )
    return "hub"


def files_of(source: str) -> dict[str, list[Path]]:
    """Return split -> its files, of a file or folder."""
    path = Path(source).expanduser()
    return readers.split_files(path) if path.is_dir() else {"all": [path]}
