"""The house keeps its plan: one order of rooms, no circle, and of another room only what it hands on."""

import ast
import re

import pytest

import readme
from conftest import ROOT
from house import LIBRARY, ORDER, House

#: Rooms that take arrays and tables only.
ALONE = {"evaluation": {"errors"}}


def upward(house):
    """Return the arrows that do not lead to an earlier room, or to a room that is not allowed."""
    return sorted(
        (one, other)
        for one, other in house.arrows()
        if ORDER.index(other) >= ORDER.index(one) or other not in ALONE.get(one, ORDER)
    )


def handed_on(house, room):
    """Return the names that a room hands on: what its `__init__` imports, and the modules that its docstring names."""
    tree = house.trees.get(f"{room}/__init__.py") or house.trees[f"{room}.py"]
    defined = (node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)))
    own = {name for name in defined if not name.startswith("_")}
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    calls = (node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call))
    lazy = {name for call in calls for name in _lazy_names(call)}
    return own | imported | lazy | set(re.findall(r"`(\w+)`", ast.get_docstring(tree) or ""))


def _lazy_names(call):
    """Return the names in `lazy_loader.attach(__name__, [modules], {module: [names]})`."""
    if ast.unparse(call.func) != "lazy_loader.attach":
        return set()
    modules, names = map(ast.literal_eval, call.args[1:])
    return {*modules, *(name for group in names.values() for name in group)}


def taken(house):
    """Yield (file, room, name) for each name that a file takes from another room."""
    for one in house.imports:
        room, _, inner = one.target.partition(".")
        if one.target == "":  # the room itself: what is taken of it stands behind a dot
            if one.name in ORDER:
                tree = house.trees[one.file]
                dotted = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
                of_room = (node for node in dotted if isinstance(node.value, ast.Name) and node.value.id == one.name)
                yield from ((one.file, one.name, node.attr) for node in of_room)
        elif room != house.box(one.file):
            yield one.file, room, f"{inner}.{one.name}" if inner else one.name


def foreign(house):
    """Return what files take from another room although it is private, or stands deeper than the room's own names."""
    return sorted({(file, room, name) for file, room, name in taken(house) if name not in handed_on(house, room)})


def private_attributes(house):
    """Return the private names that a file reads from a module of the library that it has imported."""
    found = []
    for file, tree in house.trees.items():
        modules = {
            one.name for one in house.imports if one.file == file and house.file(one.target, one.name) != "__init__.py"
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                private = node.attr.startswith("_") and not node.attr.endswith("__")
                found += [(file, f"{node.value.id}.{node.attr}")] if private else []
    return found


@pytest.fixture(scope="module")
def house():
    return House(LIBRARY)


def test_every_import_leads_to_an_earlier_room(house):
    assert {house.box(file) for file in house.trees} == {*ORDER, "__init__"}
    assert upward(house) == []


def test_no_files_import_each_other_in_a_circle(house):
    assert house.circles() == []


def test_of_another_room_only_what_it_hands_on_is_used(house):
    assert foreign(house) == []
    assert private_attributes(house) == []
    assert [one for one in house.imports if one.name.startswith("_")] == []


def test_what_a_room_hands_on_is_used_outside(house):
    """By another room, a notebook, a benchmark, or the code in a README."""
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("notebooks/*.ipynb")]
    texts += readme.spans() + readme.blocks("")
    texts += [path.read_text(encoding="utf-8") for path in ROOT.glob("tests/benchmarks/*.py")]
    used = {(room, name) for _, room, name in taken(house)}
    for room in ORDER[1:-1]:
        names = handed_on(house, room) - {name for other, name in used if other == room}
        assert [name for name in sorted(names) if not any(re.search(rf"\b{name}\b", text) for text in texts)] == [], (
            room
        )


def test_imports_inside_functions_are_few_and_have_a_reason(house):
    """`__main__` gives its reason once, at its top."""
    places = house.inside_functions()
    assert len(places) < 20
    for file, line in places:
        lines = (house.root / file).read_text(encoding="utf-8").splitlines()
        assert file == "__main__.py" or "#" in lines[line - 1] or lines[line - 2].strip().startswith("#"), (file, line)


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return House(folder)


def test_a_crooked_house_would_be_seen(tmp_path):
    crooked = write(
        tmp_path,
        {
            "__init__.py": "",
            "errors.py": "class InputError(ValueError): ...\nclass _Hidden: ...\n",
            "machine/__init__.py": "import lazy_loader\n\n"
            "__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ['folders'], {'files': ['write']})\n",
            "machine/files.py": "from ..settings import rules\nfrom . import folders\n\ndef write(): ...\n",
            "machine/folders.py": "from .files import write\n",
            "settings/__init__.py": "from . import rules\n",
            "settings/rules.py": "from ..errors import _Hidden\nfrom ..machine.files import write\n"
            "from .. import machine\n\nmachine.secret()\n\ndef f():\n    from ..machine import write\n",
            "evaluation/__init__.py": "from ..machine import write\n",
        },
    )
    assert upward(crooked) == [("evaluation", "machine"), ("machine", "settings")]
    assert ["machine/files.py", "machine/folders.py"] in [
        [file for file in circle if file.startswith("machine/f")] for circle in crooked.circles()
    ]
    assert foreign(crooked) == [
        ("settings/rules.py", "errors", "_Hidden"),
        ("settings/rules.py", "machine", "files.write"),
        ("settings/rules.py", "machine", "secret"),
    ]
    assert [file for file, _ in crooked.inside_functions()] == ["settings/rules.py"]
    assert crooked.floors() >= 3
