"""The examples in the docstrings of the library give what they say."""

import doctest
import importlib
import re

import papermill  # noqa: F401  it loads textlab.kernel itself, which therefore cannot come first
import pytest

from conftest import ROOT

FILES = sorted((ROOT / "lib" / "textlab").rglob("*.py"))


@pytest.mark.parametrize("file", [file for file in FILES if ">>> " in file.read_text()], ids=lambda file: file.stem)
def test_examples_are_true(file):
    module = importlib.import_module(f"textlab.{file.stem}")
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted == len(re.findall(r"^ +>>> ", file.read_text(), re.MULTILINE))


def test_the_modules_that_most_callers_meet_have_examples():
    assert {file.stem for file in FILES if ">>> " in file.read_text()} >= {
        "data",
        "evaluation",
        "files",
        "params",
        "record",
    }
