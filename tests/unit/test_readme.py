"""README keeps its word: its commands would be accepted, what it names is there, its messages and links are real."""

import argparse
import ast
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import readme
from conftest import NOTEBOOKS, ROOT
from textlab import __main__
from textlab.errors import InputError
from textlab.notebooks import address
from textlab.settings import parameters
from textlab.settings.rules import convert

MODULES = {file.stem for file in (ROOT / "lib" / "textlab").rglob("*.py")} - {"__init__"}
YAML = readme.blocks("yaml")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS)]


@pytest.fixture
def parser_of(monkeypatch):
    """Return a function that gives the argument parser that a `main` makes; main goes no further."""

    def parser_of(main):
        def found(self, *_):
            raise StopIteration(self)

        with monkeypatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", found)
            with pytest.raises(StopIteration) as stopped:
                main()
        return stopped.value.value

    return parser_of


def verbs(parser):
    return next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices


def pinned():
    """Return the names of the packages in requirements.txt."""
    return set(re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))


def check_textlab(words, parser):
    chosen = parser.parse_args(words)
    if chosen.verb in ("run", "sweep"):
        notebook = chosen.notebook if chosen.verb == "run" else "03"
        names = NOTEBOOKS if notebook == "all" else [parameters.notebook_name(notebook)]
        overrides = __main__._overrides(chosen, names)
        for name in names:
            parameters.gather(
                name,
                [chosen.params or parameters.profile_file(chosen.profile, name)],
                {key: value for key, value in overrides.items() if key in parameters.NOTEBOOKS[name]},
            )


def check_papermill(words):
    from papermill.cli import papermill

    assert "papermill" in pinned()
    chosen = papermill.make_context("papermill", list(words)).params
    parameters.gather(
        parameters.notebook_name(str(ROOT / chosen["notebook_path"])),
        [Path(file) for file in chosen["parameters_file"]],
        dict(chosen["parameters"]),
    )


def check_pip(words):
    assert words[:2] == ["install", "-e"]
    assert (
        re.fullmatch(r"\.\[(\w+)\]", words[2])[1]
        in (ROOT / "pyproject.toml").read_text().partition("optional-dependencies]")[2]
    )


def check(words, parser_of):
    program, *words = words
    program = program.removeprefix(".venv/bin/")
    if program == "python" and words[0] != "-m":
        program, *words = words
    if program == "textlab" or words[:2] == ["-m", "textlab"]:
        check_textlab(words[0 if program == "textlab" else 2 :], parser_of(lambda: __main__.main([])))
    elif words[:2] == ["-m", "textlab.notebooks.address"]:
        parser_of(lambda: address.main([])).parse_args(words[2:])
    elif program.startswith("tests/benchmarks/"):
        out = [] if {"-o", "--out"} & set(words) else ["-o", "x.json"]  # the text leaves out where the file goes
        parser_of(runpy.run_path(str(ROOT / program))["main"]).parse_args(words + out)
    elif program == "papermill":
        check_papermill(words)
    elif program == "pip":
        check_pip(words)
    elif program == "export":
        assert words[0].partition("=")[0] in "".join(
            file.read_text() for file in (ROOT / "lib" / "textlab").rglob("*.py")
        )
    else:
        assert program in ("cd", "./run_all.sh", "tests/run.sh"), f"nobody knows what {program} is"


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A working directory with what README's commands expect there: its own params file, and the project's folders."""
    (tmp_path / "my_sweep.yaml").write_text(YAML[0], encoding="utf-8")
    for name in ("params", "notebooks"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "tests" / "benchmarks")])


@pytest.mark.parametrize("command", readme.commands())
def test_a_command_would_be_accepted(command, parser_of, at_home):
    for words in readme.simple(command):
        check(words, parser_of)


@pytest.mark.parametrize(
    "command, fault",
    [
        (".venv/bin/python -m textlab run 02 -p epoch 3", InputError),
        (".venv/bin/python -m textlab run 05", InputError),
        (".venv/bin/python -m textlab train 02", SystemExit),
        ("textlab predict outputs/mine", SystemExit),
        (
            ".venv/bin/papermill notebooks/02_fine_tuning.ipynb out.ipynb"
            " -f params/demo/02_fine_tuning.yaml -p epochs many",
            InputError,
        ),
        (
            "sbatch --array=1-4 --wrap '.venv/bin/papermill notebooks/03_mlflow_tracking.ipynb out.ipynb -f mine.yaml'",
            InputError,
        ),
        ("tests/benchmarks/sweep.py --trails 3", SystemExit),
        (".venv/bin/pip install -e '.[clusters]'", AssertionError),
        ("export HF_ENDPINT=x", AssertionError),
        ("make test", AssertionError),
    ],
)
def test_a_wrong_command_would_be_seen(command, fault, parser_of, at_home):
    with pytest.raises(fault):
        test_a_command_would_be_accepted(command, parser_of, at_home)


def test_blocks_are_commands_or_yaml_that_notebook_3_accepts(tmp_path):
    languages = {
        token.get("attrs", {}).get("info", "") for token in readme.tokens(readme.TEXT) if token["type"] == "block_code"
    }
    assert languages == {"", "yaml"} and len(YAML) >= 2
    for block in YAML:
        (tmp_path / "my.yaml").write_text(block, encoding="utf-8")
        assert parameters.gather("03_mlflow_tracking", [tmp_path / "my.yaml"], {})


def test_options_named_in_the_text_are_there(parser_of):
    known = {
        option
        for verb in verbs(parser_of(lambda: __main__.main([]))).values()
        for option in verb._option_string_actions
    }
    rules = {name: rule for notebook in parameters.NOTEBOOKS.values() for name, rule in notebook.items()}
    pairs, options = [], []
    for words in map(shlex.split, (span for span in readme.spans() if span.startswith("-"))):
        pairs += zip(words[1::3], words[2::3]) if words[0] == "-p" else []
        options += words[:1] if words[0].startswith("--") else []
    assert len(pairs) > 5 and len(options) > 5
    for name, value in pairs:
        convert(name, value, rules[name])
    assert set(options) <= known


def test_files_and_names_in_the_text_are_there():
    code = readme.spans() + readme.blocks("")
    named = {
        path
        for text in code
        for path in re.findall(r"(?<![\w./])(?:tests|notebooks|params|lib)/[\w./<> -]*?(?=[\s'\"]|$)", text)
    }
    assert len(named) > 30
    for path in named:
        assert list(ROOT.glob(re.sub("<.*?>", "*", path))), path
    for name in {span for span in code if re.fullmatch(r"\w+\.(py|mplstyle|sh)", span)} - {
        "run_classification.py"
    }:  # of transformers
        assert (ROOT / "lib" / "textlab" / name).exists() or (ROOT / "tests" / name).exists(), name
    pairs = re.findall(r"((?:`\w+`, )*`\w+`) (?:in|of) `(?:lib/textlab/|tests/)?(\w+)\.py`", readme.TEXT)
    assert len(pairs) > 4
    for names, module in pairs:
        home = importlib.import_module(f"textlab.{module}" if module in MODULES else module)
        assert all(hasattr(home, name) for name in re.findall(r"\w+", names)), (names, module)


def table(heading):
    """Return the lines of README's table whose first heading is this one, each as its cells."""
    lines = re.search(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", readme.TEXT, re.MULTILINE)[1].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_table_of_modules_has_all_of_them_and_no_other():
    named = [name for cells in table("module") for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(named) == sorted(MODULES)


def test_every_verb_is_explained(parser_of):
    known = verbs(parser_of(lambda: __main__.main([])))
    assert len(known) > 5 and [verb for verb in known if not re.search(rf"textlab {verb}\b", readme.TEXT)] == []


def messages():
    """Return every text in the sources, with … where a value is put in."""
    found = (ROOT / "run_all.sh").read_text().splitlines()
    for file in (ROOT / "lib" / "textlab").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        part.value if isinstance(part, ast.Constant) else value_of(part, file.stem)
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def value_of(part, module):
    constant = isinstance(part.value, ast.Name) and part.value.id.isupper()
    return str(getattr(importlib.import_module(f"textlab.{module}"), part.value.id)) if constant else "…"


def said(message, sources):
    """Return whether the fixed pieces of a message stand, in order, in one source.

    They may also stand in two sources that meet at a colon or semicolon.
    """
    pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
    if pieces and any(re.search(".*".join(pieces), source, re.DOTALL) for source in sources):
        return True
    joints = [joint.span() for joint in re.finditer("[:;] ", message)]
    return any(said(message[:start], sources) and said(message[end:], sources) for start, end in joints)


def test_the_messages_in_the_table_of_troubles_are_those_of_the_sources():
    sources = messages()
    shown = [message for cells in table("message") for message in re.findall(r"`(.+?)`", cells[0])]
    assert len(shown) > 20
    for wrong in ("… is gatet", "… cannot be used: no answer within 7 seconds", "… has … is gated"):
        assert not said(wrong, sources)
    assert [message for message in shown if not said(message, sources)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in readme.links(page):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            assert (
                parts.scheme == "https"
                and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc)
                and not re.search(r"[\s<>\[\]]", link)
            ), link
        else:
            target = (page.parent / parts.path).resolve() if parts.path else page
            assert target.exists() and target.is_relative_to(ROOT), link
            assert not parts.fragment or parts.fragment in readme.anchors(target), link
    leftover = [
        token["raw"]
        for token in readme.tokens(readme.markdown(page))
        if token["type"] == "text" and "](" in token["raw"]
    ]
    assert leftover == []  # a link that is none
