"""What is different on a hosted machine such as Colab: many packages are installed there already."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys

from ..errors import InputError
from . import folders

#: Packages that a hosted machine ships and its other packages rely on: whatever version is there stays.
KEPT = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "matplotlib",
    "ipykernel",
    "ipywidgets",
    "psutil",
    "PyYAML",
    "Jinja2",
)
#: Packages that are of no use on a hosted machine.
LEFT_OUT = ("jupyterlab", "nbval")


def install() -> None:
    """Install the project and what the machine lacks, and print what that is; newer packages stay as they are.

    Raises:
        InputError: pip could not, or a package was replaced that this session has loaded already.
    """
    wanted = needed((folders.project_root() / "requirements.txt").read_text(encoding="utf-8"))
    print(
        f"Installing what is missing here, a minute or two: {', '.join(wanted)}"
        if wanted
        else "All packages are here.",
        flush=True,
    )
    if wanted:
        _pip_install(*wanted)
    try:
        importlib.metadata.version("textlab")
    except importlib.metadata.PackageNotFoundError:  # the processes that notebooks start need it
        _pip_install("--no-deps", "-e", str(folders.project_root()))
    if loaded := [
        name for name in (re.split(r"[\[=]", one)[0] for one in wanted) if name.lower().replace("-", "_") in sys.modules
    ]:
        raise InputError(
            f"{', '.join(loaded)} was replaced, but this session has loaded the old one; restart the session and run "
            "all cells again"
        )


def _pip_install(*what: str) -> None:
    try:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *what], check=True)
    except subprocess.CalledProcessError:  # pip has said why
        names = ", ".join(one for one in what if not one.startswith("-"))
        raise InputError(
            f"pip could not install {names}, see above; in Kaggle switch Internet on, then run this cell again"
        ) from None


def needed(requirements: str) -> list[str]:
    """Return the requirements, lines of `name==version`, that are missing here, or older and not one of `KEPT`."""
    from packaging.requirements import Requirement  # pip brings it: nothing else need be there
    from packaging.version import Version  # likewise

    lacking = []
    for line in (text.partition("#")[0].strip() for text in requirements.splitlines()):
        if not line or line.startswith("-") or (wanted := Requirement(line)).name in LEFT_OUT:
            continue
        try:
            here = Version(importlib.metadata.version(wanted.name))
        except importlib.metadata.PackageNotFoundError:
            here = None
        (pin,) = wanted.specifier
        if here is None or (here < Version(pin.version) and wanted.name not in KEPT):
            lacking.append(line)
    return lacking


def inside() -> bool:
    """Tell whether this runs in Colab."""
    return "google.colab" in sys.modules
