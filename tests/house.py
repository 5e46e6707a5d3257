"""The plan of the library, read from its sources: `python tests/house.py [lib/textlab]` prints it.

A box is a room: a sub-package, or a module beside them. An arrow is an import from one box of another. The floors are
the boxes on the longest way down. A circle is a group of files that import each other.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1] / "lib" / "textlab"
#: The rooms; each imports only from those before it.
ORDER = [
    "errors",
    "machine",
    "settings",
    "hub",
    "data",
    "evaluation",
    "training",
    "tracking",
    "notebooks",
    "workflows",
    "__main__",
]


@dataclass(frozen=True)
class Import:
    """A name that a file imports from the library."""

    file: str  # that imports, such as hub/sources.py
    line: int
    target: str  # dotted module within the library that it is imported from, such as machine or machine.files
    name: str
    inside: bool  # a function


@dataclass
class House:
    """The files of a library and what they import from each other."""

    root: Path
    trees: dict[str, ast.Module] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in sorted(self.root.rglob("*.py")):
            file = path.relative_to(self.root).as_posix()
            self.trees[file] = ast.parse(path.read_text(encoding="utf-8"))
        for file, tree in self.trees.items():
            self.imports += _imports(file, tree)

    def box(self, module: str) -> str:
        """Return the room of a file or dotted module."""
        return module.replace(".py", "").replace("/", ".").partition(".")[0]

    def file(self, module: str, name: str = "") -> str:
        """Return the file that a name imported from a dotted module comes from."""
        for candidate in (f"{module}.{name}" if module else name, module):
            path = candidate.replace(".", "/")
            for file in (f"{path}.py", f"{path}/__init__.py"):
                if file in self.trees:
                    return file
        return "__init__.py"

    def arrows(self) -> set[tuple[str, str]]:
        """Return the pairs (room that imports, room that is imported); the package root is no room."""
        pairs = {(self.box(one.file), self.box(self.file(one.target, one.name))) for one in self.imports}
        return {(a, b) for a, b in pairs if a != b and "__init__" not in (a, b)}

    def floors(self) -> int:
        """Return the number of rooms on the longest way down; on a circle, that way ends."""
        below = defaultdict(set)
        for one, other in self.arrows():
            below[one].add(other)

        def height(box: str, above: tuple[str, ...]) -> int:
            return 1 + max((height(other, (*above, box)) for other in below[box] if other not in above), default=0)

        return max(height(box, ()) for box in {self.box(file) for file in self.trees})

    def circles(self) -> list[list[str]]:
        """Return the groups of files that import each other when they are loaded."""
        leads = defaultdict(set)
        for one in self.imports:
            if not one.inside:
                leads[one.file].add(self.file(one.target, one.name))
        reached = {file: _reach(file, leads) for file in self.trees}
        groups = {
            frozenset({file, *(other for other in reached[file] if file in reached[other])}) for file in self.trees
        }
        return sorted(sorted(group) for group in groups if len(group) > 1)

    def inside_functions(self) -> list[tuple[str, int]]:
        """Return file and line of every import within a function, of other packages too, each line once."""
        places = set()
        for file, tree in self.trees.items():
            for function in ast.walk(tree):
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    lines = (
                        node.lineno for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom))
                    )
                    places |= {(file, line) for line in lines}
        return sorted(places)

    def code_lines(self) -> int:
        """Return the lines of code: without blank lines, comments and docstrings."""
        return sum(len(_code_lines(self.root / file, tree)) for file, tree in self.trees.items())


def _imports(file: str, tree: ast.Module) -> Iterator[Import]:
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    package = file.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                yield Import(file, node.lineno, target, alias.name, id(node) in inside)


def _reach(file: str, leads: dict[str, set[str]]) -> set[str]:
    reached, open_ends = set(), [file]
    while open_ends:
        for other in leads[open_ends.pop()] - reached:
            reached.add(other)
            open_ends.append(other)
    return reached


def _code_lines(path: Path, tree: ast.Module) -> set[int]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            texts |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = path.read_text(encoding="utf-8").splitlines()
    return {
        number
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.strip().startswith("#") and number not in texts
    }


def main() -> None:
    house = House(Path(sys.argv[1]) if len(sys.argv) > 1 else LIBRARY)
    boxes = {house.box(file) for file in house.trees} - {"__init__"}
    print(f"boxes {len(boxes)}, floors {house.floors()}, arrows {len(house.arrows())}", end=", ")
    print(f"circles of files {len(house.circles())}, imports inside functions {len(house.inside_functions())}")
    print(f"files {len(house.trees)}, lines of code {house.code_lines()}")
    for circle in house.circles():
        print("circle:", *circle)
    for name, lines, parameters in sorted(_functions(house), key=lambda row: -row[1]):
        if lines > 60 or parameters > 8:
            print(f"{name}: {lines} lines, {parameters} parameters")
    for file in house.trees:
        if (length := len((house.root / file).read_text(encoding="utf-8").splitlines())) > 400:
            print(f"{file}: {length} lines")


def _functions(house: House) -> Iterator[tuple[str, int, int]]:
    for file, tree in house.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                own = [one.arg for one in arguments if one.arg not in ("self", "cls")]
                yield f"{file}:{node.name}", node.end_lineno - node.lineno + 1, len(own)


if __name__ == "__main__":
    main()
