"""The READMEs keep their word: commands would be accepted, what they name is there, messages and links are real."""

import argparse
import ast
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest

import readme
from conftest import NOTEBOOKS, ROOT
from house import LIBRARY, ORDER
from textlab import __main__
from textlab.errors import InputError
from textlab.notebooks import address
from textlab.settings import parameters
from textlab.settings.rules import convert

YAML = readme.blocks("yaml")
TOP = ("notebooks", "params", "tests", "lib")
#: Folder of a part of the project -> its README.
PARTS = {page.parent.relative_to(ROOT).as_posix(): page for page in readme.PAGES}
LINKED = [*readme.PAGES, ROOT / "CHANGELOG.md", *(ROOT / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS)]
#: Rooms with a README of their own.
OWN = {page.parent.name for page in readme.PAGES if page.parent.parent == LIBRARY}


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


def check_ruff(verb, folder):
    assert f"ruff {verb} " in (ROOT / "tests" / "run.sh").read_text() and (ROOT / folder).is_dir()


def check_git(words):
    if words[0] == "config":
        assert words[1] == "blame.ignoreRevsFile" and (ROOT / words[2]).is_file()
    else:  # the set-up cell of a notebook asks for the same
        assert " ".join(["git", *words]) in (LIBRARY / "notebooks" / "templates" / "set_up_from_zip.txt").read_text()


def check(words, parser_of):
    program, *words = words
    program = program.removeprefix(".venv/bin/")
    if program == "python" and words[0] != "-m":
        program, *words = words
    if program == "textlab" or words[:2] == ["-m", "textlab"]:
        check_textlab(words[0 if program == "textlab" else 2 :], parser_of(lambda: __main__.main([])))
    elif words[:2] == ["-m", "textlab.notebooks.address"]:
        parser_of(lambda: address.main([])).parse_args(words[2:])
    elif program == "tests/house.py":
        assert (ROOT / program).is_file() and not words
    elif program.startswith("tests/benchmarks/"):
        out = [] if {"-o", "--out"} & set(words) else ["-o", "x.json"]  # the text leaves out where the file goes
        parser_of(runpy.run_path(str(ROOT / program))["main"]).parse_args(words + out)
    elif program == "papermill":
        check_papermill(words)
    elif program == "pip":
        check_pip(words)
    elif program == "ruff":
        check_ruff(*words)
    elif program == "git":
        check_git(words)
    elif program == "export":
        assert words[0].partition("=")[0] in "".join(file.read_text() for file in LIBRARY.rglob("*.py"))
    else:
        assert program in ("cd", "./run_all.sh", "tests/run.sh"), f"nobody knows what {program} is"


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A working directory with what the commands expect there: its own params file, and the project's folders."""
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
        (".venv/bin/python -m textlab.notebooks.address --to x", SystemExit),
        (".venv/bin/ruff tidy lib", AssertionError),
        ("git archive --prefix=x/ -o textlab.zip HEAD", AssertionError),
        ("export HF_ENDPINT=x", AssertionError),
        ("make test", AssertionError),
    ],
)
def test_a_wrong_command_would_be_seen(command, fault, parser_of, at_home):
    with pytest.raises(fault):
        test_a_command_would_be_accepted(command, parser_of, at_home)


def test_no_readme_is_left_out():
    there = [ROOT / "README.md", *(page for folder in TOP for page in (ROOT / folder).rglob("README.md"))]
    assert sorted(readme.PAGES) == sorted(there)


def test_blocks_are_commands_or_yaml_that_notebook_3_accepts(tmp_path):
    languages = {
        token.get("attrs", {}).get("info", "") for token in readme.tokens(readme.TEXT) if token["type"] == "block_code"
    }
    assert languages == {"", "yaml", "text"} and len(YAML) >= 2 and len(readme.blocks("text")) == 1  # the tree
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
        pairs += zip(words[1::3], words[2::3], strict=True) if words[0] == "-p" else []
        options += words[:1] if words[0].startswith("--") else []
    assert len(pairs) > 5 and len(options) > 5
    for name, value in pairs:
        convert(name, value, rules[name])
    assert set(options) <= known


def places(page, name):
    """Return the files that a README means by a name: seen from its folder, the library, the project or the tests."""
    bases = (page.parent, LIBRARY, ROOT, ROOT / "tests")
    return [path for base in bases for path in base.glob(re.sub("<.*?>", "*", name))]


def files_named(page):
    """Return the files and folders that a README names: paths that begin with a folder of the project, and files."""
    text = page.read_text(encoding="utf-8")
    code = readme.spans(text) + readme.blocks("", text)
    folders = {*TOP, *ORDER, *(path.name for path in page.parent.iterdir() if path.is_dir())} - {"outputs"}
    path = re.compile(rf"(?<![\w./=-])(?:{'|'.join(sorted(folders))})/[\w./<> -]*?(?=[\s'\"]|$)")
    bare = {span for span in code if re.fullmatch(r"[\w.]+\.(py|mplstyle|sh|toml|md)|requirements\.txt", span)}
    return {name for text in code for name in path.findall(text)} | bare - {"run_classification.py"}  # of transformers


@pytest.mark.parametrize("page", readme.PAGES, ids=PARTS)
def test_files_in_the_text_are_there(page):
    assert len(files_named(page)) > 2
    assert [name for name in files_named(page) if not places(page, name)] == []


def test_a_file_that_is_not_there_would_be_seen(tmp_path):
    (tmp_path / "README.md").write_text("`hub/source.py`, `lib/textlab/hub/sources.py`, `test.sh`, `unit/<room>/`")
    (tmp_path / "unit").mkdir()
    named = files_named(tmp_path / "README.md")
    assert len(named) == 4
    assert {name for name in named if not places(tmp_path / "README.md", name)} == {"hub/source.py", "test.sh"}


def module(page, name):
    """Return the module that a README means by the name of a file."""
    file = places(page, name)[0]
    if not file.is_relative_to(LIBRARY):
        return importlib.import_module(file.stem)
    return importlib.import_module(".".join(file.relative_to(LIBRARY.parent).with_suffix("").parts))


def names_in_files(page):
    """Yield (name, file) for each name that a README places in a file, in a sentence or in a table of files."""
    text = page.read_text(encoding="utf-8")
    sentences = r"((?:`\w+`(?:, | and | or ))*`\w+`) (?:in|of) `([\w/]+\.py)`"
    for names, file in re.findall(sentences, " ".join(text.split())):
        yield from ((name, file) for name in re.findall(r"\w+(?=`)", names))
    for file, job in readme.table("file", text):
        if re.fullmatch(r"`[\w/]+\.py`", file):
            yield from ((name, file.strip("`")) for name in re.findall(r"`(\w+)`", job))


def test_names_in_the_text_are_in_their_files():
    pairs = [(page, name, file) for page in readme.PAGES for name, file in names_in_files(page)]
    assert len(pairs) > 25
    assert [(name, file) for page, name, file in pairs if not hasattr(module(page, file), name)] == []


def tree():
    """Return path -> comment of the lines of README's tree."""
    above, lines = {}, {}
    for line in readme.blocks("text")[0].splitlines()[1:]:
        indent, name, comment = re.fullmatch(r"([│ ]*)[├└]── (\S+) +# (.+)", line).groups()
        depth = len(indent) // 4
        above[depth] = f"{above[depth - 1]}{name}" if depth else name
        lines[above[depth]] = comment
    return lines


def test_the_tree_is_the_house():
    lines, ignored = tree(), (ROOT / ".gitignore").read_text().split()
    assert [path for path in lines if path not in ignored and not (ROOT / path).exists()] == []
    rooms = [path.removeprefix("lib/textlab/").rstrip("/") for path in lines if path.startswith("lib/textlab/")][1:]
    assert [room.removesuffix(".py") for room in rooms] == ORDER
    assert {room.removesuffix(".py") for room in rooms} == {
        path.stem for path in LIBRARY.iterdir() if path.name not in ("__init__.py", "__pycache__", "README.md")
    }
    marked = {path.rstrip("/") for path, comment in lines.items() if comment.endswith("(README)")}
    assert marked == set(PARTS) - {"."}


def test_the_library_shows_its_rooms_in_their_order_and_what_they_hand_on():
    page = LIBRARY / "README.md"
    text = page.read_text(encoding="utf-8")
    assert f"`{' < '.join(ORDER)}`" in text
    rows = [(re.search(r"`(\w+)(?:/|\.py)`", room)[1], given) for room, _, given in readme.table("room", text)]
    assert [room for room, _ in rows] == ORDER
    pairs = [(room, name) for room, given in rows for name in re.findall(r"`(\w+)`", given)]
    assert len(pairs) > 8
    for room, name in pairs:
        assert hasattr(importlib.import_module(f"textlab.{room}"), name), (room, name)


def files_of(room):
    """Return the files of a room that a README has to list, named from the library."""
    folder = LIBRARY / room
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else [LIBRARY / f"{room}.py"]
    left_out = {"__init__.py", "README.md"}
    return {
        file.relative_to(LIBRARY).as_posix()
        for file in files
        if file.name not in left_out and "__pycache__" not in file.parts
    }


def files_listed(part):
    """Return the files in the table of files of a README, and in the folders there, named from the library."""
    listed = set()
    for file, _ in readme.table("file", (LIBRARY / part / "README.md").read_text(encoding="utf-8")):
        for name in re.findall(r"`([^`]+)`", file):
            path = LIBRARY / part / name
            files = path.iterdir() if name.endswith("/") else [path]
            listed |= {one.relative_to(LIBRARY).as_posix() for one in files}
    return listed


@pytest.mark.parametrize("part", sorted(OWN) + [""])
def test_every_file_of_a_room_has_its_job_in_a_table_and_no_other_file(part):
    rooms = [part] if part else [room for room in ORDER if room not in OWN]
    assert files_listed(part) == set().union(*map(files_of, rooms))


def test_what_to_change_where_is_said_for_every_room():
    rows = readme.table("room", PARTS["."].read_text(encoding="utf-8"))
    rooms = {room.replace("\\", "") for room, *_ in rows} - {"none"}
    assert rooms == {*ORDER} - {"errors", "machine"}
    for room, _, edit, test in rows:
        named = [name for name in re.findall(r"`([^`]+)`", edit) if "/" in name or name.endswith((".py", ".txt"))]
        assert named or room == "notebooks", edit
        assert test.startswith("`tests/run.sh tests/"), test


def test_every_tag_of_a_cell_is_explained():
    books = [nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4) for name in NOTEBOOKS]
    tags = {tag for book in books for cell in book.cells for tag in cell.metadata.get("tags", [])}
    rows = readme.table("tag of a cell", PARTS["notebooks"].read_text(encoding="utf-8"))
    assert {tag for cell, _ in rows for tag in re.findall(r"`([^`]+)`", cell)} == tags


def test_every_verb_is_explained(parser_of):
    known = verbs(parser_of(lambda: __main__.main([])))
    assert len(known) > 5 and [verb for verb in known if not re.search(rf"textlab {verb}\b", readme.TEXT)] == []


def sources(part):
    """Return the files whose messages the README of a part explains."""
    if part.startswith("lib/textlab/"):
        return list((ROOT / part).rglob("*.py"))
    if part == "lib/textlab":
        return [file for file in LIBRARY.rglob("*.py") if file.relative_to(LIBRARY).parts[0] not in OWN]
    return {
        ".": [ROOT / "run_all.sh"],
        "notebooks": [
            *LIBRARY.glob("notebooks/*.py"),
            *LIBRARY.glob("notebooks/templates/*.txt"),
            LIBRARY / "machine" / "colab.py",
        ],
        "params": list(LIBRARY.glob("settings/*.py")),
        "tests": [ROOT / "tests" / "run.sh", Path(__file__)],
    }[part]


def messages(files):
    """Return every text in files, with … where a value is put in; of Python no docstrings."""
    texts = []
    for file in files:
        if file.suffix != ".py":
            texts += file.read_text(encoding="utf-8").splitlines()
            continue
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else value_of(part, file) for part in node.values]
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                texts.append(node.value)
    return texts


def value_of(part, file):
    """Return the value of a constant in an f-string, … for all else."""
    if not (isinstance(part.value, ast.Name) and part.value.id.isupper()):
        return "…"
    dotted = ".".join(file.relative_to(LIBRARY.parent).with_suffix("").parts)
    return str(getattr(importlib.import_module(dotted), part.value.id))


def is_said(message, texts):
    """Return whether the fixed pieces of a message stand, in order, in one text.

    They may also stand in two texts that meet at a colon or semicolon.
    """
    pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
    if pieces and any(re.search(".*".join(pieces), text, re.DOTALL) for text in texts):
        return True
    joints = [joint.span() for joint in re.finditer("[:;] ", message)]
    return any(is_said(message[:start], texts) and is_said(message[end:], texts) for start, end in joints)


@pytest.mark.parametrize("part", PARTS)
def test_the_messages_in_a_table_are_those_of_its_part(part):
    rows = readme.table("message", PARTS[part].read_text(encoding="utf-8"))
    shown = [message for message, _ in rows for message in re.findall(r"`(.+?)`", message)]
    assert len(shown) >= 2
    texts = messages(sources(part))
    assert [message for message in shown if not is_said(message, texts)] == []


def test_a_wrong_message_would_be_seen():
    hub, tracking = (messages(sources(f"lib/textlab/{room}")) for room in ("hub", "tracking"))
    assert is_said("… is gated", hub) and is_said("… cannot be used: no answer within 5 seconds", tracking)
    for wrong in ("… is gatet", "… has … is gated"):
        assert not is_said(wrong, hub)
    assert not is_said("… is gated", tracking) and not is_said("… cannot be used: no answer within 7 seconds", tracking)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
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


def test_every_readme_can_be_reached_from_the_first_one():
    reached, open_ends = set(), [PARTS["."]]
    while open_ends:
        page = open_ends.pop()
        reached.add(page)
        targets = ((page.parent / urlsplit(link).path).resolve() for link in readme.links(page))
        open_ends += [target for target in targets if target in readme.PAGES and target not in reached]
    assert reached == set(readme.PAGES)


@pytest.mark.parametrize("page", readme.PAGES, ids=PARTS)
def test_lines_are_at_most_120_columns_long(page):
    """Lines of tables and of commands may be longer."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []
