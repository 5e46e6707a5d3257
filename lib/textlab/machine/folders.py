"""The project's folder, and where runs write."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InputError


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
    return Path(os.environ.get("TEXTLAB_OUTPUTS") or project_root() / "outputs").expanduser().absolute()


def output_dir(chosen: str, notebook: str) -> Path:
    """Return (and make) the output folder of a notebook run; an empty choice means `outputs/<notebook>`."""
    folder = Path(chosen).expanduser().absolute() if chosen else outputs_root() / notebook
    folder.mkdir(parents=True, exist_ok=True)
    return folder
