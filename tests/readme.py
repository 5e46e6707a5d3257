"""The READMEs and the notebooks read as Markdown: headings, links, code, and the commands among the code."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import mistune
import nbformat

from conftest import ROOT

#: All READMEs, in an order in which their commands can be run: what one command makes, later ones use.
PAGES = [
    ROOT / folder / "README.md"
    for folder in (
        "",
        "notebooks",
        "params",
        "lib/textlab/training",
        "lib/textlab/tracking",
        "lib/textlab/workflows",
        "lib/textlab/hub",
        "lib/textlab",
        "tests",
    )
]
TEXT = "\n\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMAND = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:(?:\.venv/bin/)?(?:python|papermill|jupyter|pip|ruff) |textlab \w|\./run_all\.sh"
    r"|tests/run\.sh|tests/benchmarks/\w+\.py |export |git (?:archive|config) )"
)
_parse = mistune.create_markdown(renderer=None, plugins=["table"])


def tokens(text: str) -> Iterator[dict]:
    """Yield all tokens of a Markdown text, outer ones first."""

    def walk(some):
        for token in some:
            yield token
            yield from walk(token.get("children") or [])

    yield from walk(_parse(text))


def blocks(language: str, text: str = TEXT) -> list[str]:
    """Return the fenced blocks of a language: `yaml`, `text`, or `` for commands."""
    return [
        token["raw"]
        for token in tokens(text)
        if token["type"] == "block_code" and token.get("attrs", {}).get("info", "") == language
    ]


def spans(text: str = TEXT) -> list[str]:
    """Return the code that stands within lines."""
    return [token["raw"] for token in tokens(text) if token["type"] == "codespan"]


def commands() -> list[str]:
    """Return the READMEs' commands in order, those in lines of text too, each once and without its comment."""
    lines = []
    for token in tokens(TEXT):
        if token["type"] == "block_code" and not token.get("attrs"):
            lines += [re.sub(r"\s+# .*", "", line) for line in token["raw"].splitlines() if line.strip()]
        elif token["type"] == "codespan" and COMMAND.match(token["raw"]):
            lines.append(token["raw"])
    return list(dict.fromkeys(lines))


def table(heading: str, text: str) -> list[list[str]]:
    """Return the lines of the tables whose first heading is this one, each as its cells."""
    tables = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n?)+)", text, re.MULTILINE)
    lines = "".join(tables).splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def simple(command: str) -> list[list[str]]:
    """Return the words of the simple commands that a command runs, without what wraps them and without variables."""
    if command.startswith("BashOperator("):
        (command,) = [
            word.value.value for word in ast.parse(command).body[0].value.keywords if word.arg == "bash_command"
        ]
    words = shlex.split(command)
    if words[0] == "sbatch":
        return simple(words[words.index("--wrap") + 1])
    if words[0] == "kubectl":
        return [words[words.index("--") + 1 :]]
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            parts.append([])
        elif parts[-1] or not re.match(r"[A-Z_]+=", word):
            parts[-1].append(word)
    return parts


def markdown(path: Path) -> str:
    """Return the Markdown of a file, or of a notebook's cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a file's headings, as GitHub makes them."""
    slugs: list[str] = []
    for token in tokens(markdown(path)):
        if token["type"] == "heading":
            slug = re.sub(r"[^\w\- ]", "", _words(token).lower()).replace(" ", "-")
            slugs.append(f"{slug}-{slugs.count(slug)}" if slug in slugs else slug)
    return set(slugs)


def _words(token: dict) -> str:
    return token.get("raw") or "".join(map(_words, token.get("children") or []))


def links(path: Path) -> list[str]:
    """Return where a file's links and pictures lead, those in HTML too."""
    targets = []
    for token in tokens(markdown(path)):
        if token["type"] in ("link", "image"):
            targets.append(token["attrs"]["url"])
        elif token["type"] in ("inline_html", "block_html"):
            targets += re.findall(r"""(?:href|src)\s*=\s*["']?([^"'>\s]*)""", token["raw"])
    return targets
