"""Files that are written whole or not at all, their digests, and values as plain JSON."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Write a text file so that a reader finds the old content or the new, never a part."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a draft to write; it takes the place of `path` at the end, and vanishes if anything goes wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return a NumPy number or array or a path as a plain JSON value, for `json.dumps(default=...)`."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not belong in a results file")


def hash_files(path: Path) -> dict[str, str]:
    """Return file name (relative, with `/`) -> SHA-256 for a file, or for all files of a folder but hidden ones."""

    def digest(file: Path) -> str:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    if path.is_file():
        return {path.name: digest(path)}
    files = sorted(f for f in path.rglob("*") if f.is_file())
    names = {f.relative_to(path).as_posix(): f for f in files}
    return {name: digest(f) for name, f in names.items() if not any(part.startswith(".") for part in name.split("/"))}
