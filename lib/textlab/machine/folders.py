"""The project's folder, and where runs write."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import InputError, first_line, show


def project_root() -> Path:
    """Return the project folder, wherever the working directory is.

    Raises:
        InputError: the package was installed without its project folder.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / "notebooks").is_dir():
        raise InputError(
            f"textlab is installed apart from its project (in {Path(__file__).parent}); "
            "run `pip install -r requirements.txt` in the project folder"
        )
    return root


def outputs_root() -> Path:
    """Return the folder for everything that runs write: `outputs/`, or what TEXTLAB_OUTPUTS says."""
    return expanded(os.environ.get("TEXTLAB_OUTPUTS") or project_root() / "outputs").absolute()


def expanded(path: str | os.PathLike) -> Path:
    """Return a path with `~` and `~user` replaced by the home folder.

    Raises:
        InputError: there is no such user, or no system has such a path.
    """
    try:
        found = Path(path).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found.lstat()
    except (RuntimeError, ValueError, OSError) as error:  # no such user; a NUL in it; longer than the system's limit
        raise InputError(f"{show(str(path))} cannot be a path here: {first_line(error)[:200]}") from None
    return found


def make_folder(folder: Path) -> Path:
    """Return a folder for what a run writes, which is made if it is missing, with those above it.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # such as a file of that name
        raise InputError(f"the output folder {folder} cannot be made ({error.strerror}); name another") from None
    return folder


def output_dir(chosen: str, notebook: str) -> Path:
    """Return (and make) the output folder of a notebook run; an empty choice means `outputs/<notebook>`."""
    return make_folder(expanded(chosen).absolute() if chosen else outputs_root() / notebook)
