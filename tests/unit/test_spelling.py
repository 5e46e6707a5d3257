"""Spelling: no known misspelling in what people read, and one kind of English, the British."""

import re
import subprocess
import sys
from pathlib import Path

import codespell_lib
import pytest

import readme
from conftest import NOTEBOOKS, ROOT

#: Words that codespell takes for others: one of `to and fro`, and half of an escaped `café` in tests of file formats.
WANTED = "fro,caf"
#: Nouns that the two kinds of English spell differently, and that codespell's list of verbs and adjectives has not.
AMERICAN = {
    "license": "licence",
    "modeling": "modelling",
    "labeling": "labelling",
    "labeled": "labelled",
    "canceled": "cancelled",
    "gray": "grey",
    "color": "colour",
    "behavior": "behaviour",
    "neighbor": "neighbour",
    "favor": "favour",
    "honor": "honour",
}
#: What the libraries call it, and a noun that looks like the American verb.
NAMES = {
    "artifact",
    "artifacts",
    "optimizer",
    "optimizers",
    "practice",
    "catalog",
    "tokenizer",
    "tokenizers",
    "tokenize",
    "tokenized",
    "tokenizes",
    "tokenizing",
}


def american():
    """Return American word -> British word, from codespell's dictionary and `AMERICAN`."""
    lines = (Path(codespell_lib.__file__).parent / "data" / "dictionary_en-GB_to_en-US.txt").read_text().splitlines()
    pairs = [line.split("->") for line in lines if "," not in line]
    both = {american.strip(): british for british, american in pairs} | AMERICAN
    return {
        word: other
        for word, other in both.items()
        if word not in NAMES and word not in {british for british, _ in pairs}
    }


def cells(name):
    """Return what people read of a notebook: its Markdown, and the comments of its code."""
    import nbformat

    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    return "\n".join(cell.source if cell.cell_type == "markdown" else comments(cell.source) for cell in book.cells)


def comments(code):
    return "\n".join(re.findall(r"(?:^|\s)#+:? (.*)", code))


def prose():
    """Return where -> its prose: pages without code and links, docstrings and comments of the library."""
    found = {name: cells(name) for name in NOTEBOOKS}
    for page in [*readme.PAGES, ROOT / "CHANGELOG.md"]:
        found[str(page.relative_to(ROOT))] = page.read_text(encoding="utf-8")
    for file in [*(ROOT / "lib").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        found[str(file.relative_to(ROOT))] = "\n".join(re.findall(r'"""(.*?)"""', text, re.DOTALL)) + comments(text)
    for file in (ROOT / "params").rglob("*.yaml"):
        found[str(file.relative_to(ROOT))] = comments(file.read_text(encoding="utf-8"))
    return {
        where: re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+", " ", text, flags=re.DOTALL)
        for where, text in found.items()
    }


def misspelt(*paths):
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "-L", WANTED, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert not done.stderr
    return done.stdout.splitlines()


def foreign(text, words):
    """Return the words of a text that only the other English has; a word with a capital inside a sentence is a name."""
    return [
        word
        for word in re.findall(r"(?<![\w./=-])[A-Za-z]+(?![\w(=/]|\.\w)", text)
        if word.lower() in words and word != "LICENSE"
    ]


def test_nothing_is_misspelt(tmp_path):
    for name in NOTEBOOKS:
        (tmp_path / f"{name}.md").write_text(cells(name), encoding="utf-8")
    assert misspelt(*readme.PAGES, "CHANGELOG.md", "lib", "params", "tests", "run_all.sh", tmp_path) == []


def test_a_misspelling_would_be_seen(tmp_path):
    (tmp_path / "a.md").write_text("It is t{}h same.\n".format("e"))
    assert len(misspelt(tmp_path)) == 1


def test_prose_is_british():
    words = american()
    assert len(words) > 300 and {"behavior", "normalize", "license", "recognized"} <= set(words)
    assert {where: found for where, text in prose().items() if (found := foreign(text, words))} == {}


@pytest.mark.parametrize(
    "text, found",
    [
        ("its behavior", ["behavior"]),
        ("We normalize.", ["normalize"]),
        ("its `behavior`", []),
        ("a tokenizer", []),
        ("color=grey", []),
    ],
)
def test_the_check_above_would_see_it(text, found):
    assert foreign(re.sub("`.*?`", "", text), american()) == found
