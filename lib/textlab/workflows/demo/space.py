"""The page of a model as a Space: a folder that runs wherever its requirements are installed, and its way to the Hub.

The model and the library lie in it: a private model could not be loaded without a token, and textlab is no package of
the package index.
"""

from __future__ import annotations

import platform
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from huggingface_hub import SpaceCardData, constants

from ... import machine
from ...hub import card, download, push
from .. import demo  # whose parts are imported when they are used: torch takes too long for a line about a token

if TYPE_CHECKING:
    from .start import Known

#: Packages of requirements.txt that the page needs. Others come with these and with Gradio, pydantic at a version that
#: Gradio's extras on a Space accept.
NEEDED = {"torch", "transformers", "huggingface_hub", "httpx2", "pandas", "numpy", "pyarrow"}
NEEDED |= {"psutil", "PyYAML", "lazy-loader"}
_APP = '''"""The page of `python -m textlab demo` as a Space: the model lies in model/, the library in textlab/."""

from pathlib import Path

from textlab.workflows import serve_space

serve_space(Path(__file__).with_name("model"), {name!r})
'''
_README = """---
{settings}
---

# {title}

{labels} {figures}

{warnings}[The model's card](model/README.md) says what it was trained and measured on. The folder `textlab` holds the
library that shows the page. Elsewhere than in a Space it runs with Python {python} by

    pip install -r requirements.txt gradio=={gradio}
    python app.py
"""


def push_space(folder: Path, repo: str, public: bool, agree: Callable[[str], bool]) -> str:
    """Upload the page of a model to the Hub as a Space, with the model in it, and return its address.

    Args:
        folder: see `push.model_folder`.
        repo, public, agree: see `push.push_model`.

    Raises:
        InputError: as `push.push_model`; or the model cannot be used.
    """
    folder = push.model_folder(folder)
    there = push.allowed(repo, "space", agree)
    known = demo.learn(folder, repo)
    with TemporaryDirectory() as scratch:
        write_space(Path(scratch), folder, known)
        push.upload(Path(scratch), repo, "space", public, there)
    return f"{constants.ENDPOINT}/spaces/{repo}"


def write_space(target: Path, folder: Path, known: Known) -> None:
    """Write the files of a Space into an empty folder.

    Args:
        folder: of the model.
        known: what is known of it; its name is that of the Space.
    """
    root, library = machine.project_root(), Path(__file__).parents[2]
    _copy(folder, download.FILES["model"], target / "model")
    _copy(library, ["**/*.py", "**/*.css"], target / "textlab")
    shutil.copy(root / "LICENSE", target / "textlab")
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = [line.partition(" ")[0] for line in lines if line.partition("=")[0] in NEEDED]
    machine.write_text(target / "requirements.txt", "\n".join(needed) + "\n")
    machine.write_text(target / "app.py", _APP.format(name=known.name))
    machine.write_text(target / "README.md", _readme(known))


def _copy(source: Path, patterns: list[str], target: Path) -> None:
    """Copy the files of a folder that match a pattern, and the folders that they lie in."""
    for file in {file for pattern in patterns for file in source.glob(pattern)}:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def _readme(known: Known) -> str:
    """Return the first page of a Space, which begins with its settings."""
    python, gradio, title = platform.python_version().rpartition(".")[0], _gradio(), known.name.partition("/")[2]
    settings = SpaceCardData(
        title=title, sdk="gradio", sdk_version=gradio, python_version=python, app_file="app.py", pinned=False
    )
    return _README.format(
        settings=settings.to_yaml(),
        title=title,
        labels=card.about_labels(known.classifier.labels, known.classifier.thresholds is not None),
        figures=known.figures,
        warnings="".join(f"**{warning}**\n\n" for warning in known.warnings),
        python=python,
        gradio=gradio,
    )


def _gradio() -> str:
    """Return the version of Gradio that the page was made with."""
    project = tomllib.loads((machine.project_root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return re.fullmatch(r"gradio==(.+)", project["optional-dependencies"]["demo"][0])[1]
