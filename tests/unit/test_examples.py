"""The examples in the docstrings of the library give what they say."""

import doctest
import importlib
import re
from pathlib import Path

import papermill  # noqa: F401  it loads textlab.machine.kernel itself, which therefore cannot come first
import pytest

from conftest import ROOT

LIBRARY = ROOT / "lib" / "textlab"
FILES = [file for file in sorted(LIBRARY.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]


def dotted(file: Path) -> str:
    """Return the name of a module within the library, such as data.readers."""
    return ".".join(file.relative_to(LIBRARY).with_suffix("").parts)


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_examples_are_true(file):
    outcome = doctest.testmod(importlib.import_module(f"textlab.{dotted(file)}"))
    assert outcome.failed == 0
    assert outcome.attempted == len(re.findall(r"^ +>>> ", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_modules_that_most_callers_meet_have_examples():
    assert set(map(dotted, FILES)) >= {
        "data.dataset",
        "data.readers",
        "evaluation.scores",
        "settings.rules",
        "settings.search_space",
        "workflows.record",
    }
