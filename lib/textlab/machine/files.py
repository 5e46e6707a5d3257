"""Files that are written whole or not at all, their digests, and values as plain JSON."""

from __future__ import annotations

import hashlib
import os
import threading
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
    """Yield the path of a draft to write; it replaces `path` at the end, and is deleted if anything goes wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
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


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(path: Path) -> dict[str, str]:
    """Return file name (relative, with `/`) -> SHA-256 for a file, or for all files of a folder but hidden ones."""
    if path.is_file():
        return {path.name: sha256(path)}
    files = {file.relative_to(path): file for file in sorted(path.rglob("*")) if file.is_file()}
    return {
        name.as_posix(): sha256(file)
        for name, file in files.items()
        if not any(part.startswith(".") for part in name.parts)
    }
