"""YAML as people read it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError, show
from ..machine import expanded

#: The longest text that is read, in characters, the most levels and the most values: more is something else.
LONGEST, DEEPEST, MOST = 200_000, 50, 200_000
#: The longest number, in characters.
LONGEST_NUMBER = 300
_CORE = ("str", "int", "float", "bool", "null", "map", "seq")


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a params file, read strictly.

    Plain data only (tags are refused, since papermill would run some of them as code), each key once and a text,
    `2e-5` a number, `042` forty-two, `1:30` a text, and only true and false are booleans.

    Raises:
        InputError: the file is missing, or not such a mapping.
    """
    path = expanded(path)
    try:
        if not path.exists():
            raise InputError(f"params file {path} does not exist")
        if not path.is_file() and path != Path(os.devnull):  # a pipe or a device may never end
            raise InputError(f"params file {path} is not a file of text; accepted are lines of the form `name: value`")
        with path.open(encoding="utf-8-sig") as stream:
            loaded = _load(stream.read(LONGEST + 1))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"params file {path} cannot be read: {error}") from None
    except _Refused as error:
        raise InputError(f"params file {path}{error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"params file {path}: accepted are lines of the form `name: value`")
    return loaded


def from_text(text: str) -> Any:
    """Return the YAML value that a text spells, or the text itself."""
    try:
        return _load(text)
    except _Refused:
        return text


class _Refused(ValueError):
    """Why a text is not accepted, after the line where that is."""

    def __init__(self, why: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(f"{f' line {mark.line + 1}' if mark else ''}: {why}")


class _StrictLoader(yaml.SafeLoader):
    """YAML as people read it; see `read_yaml`."""

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in pairs
            if tag.rpartition(":")[2] not in ("bool", "int", "float", "timestamp")
        ]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        self._level += 1
        if self._level > DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels of lists and mappings", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _Refused("accepted are lines of the form `name: value`", key_node.start_mark)
            if key in seen:
                raise _Refused(f"{show(key)} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        kind = node.tag.rpartition(":")[2]
        if kind not in _CORE:
            raise _Refused(f"the tag {node.tag} is not accepted", node.start_mark)
        if kind in ("int", "float") and len(node.value) > LONGEST_NUMBER:
            raise _Refused(f"a number of more than {LONGEST_NUMBER} characters", node.start_mark)
        try:
            value = super().construct_object(node, deep)
            # The two halves of a character outside the first plane, as JSON escapes it, are one character.
            return value.encode("utf-16", "surrogatepass").decode("utf-16") if isinstance(value, str) else value
        except (ValueError, LookupError):  # what was tagged, or looks like, a number and is none; half a character
            word = show(node.value) if isinstance(node, yaml.ScalarNode) else f"a {node.id}"
            hint = "it has half a character" if kind == "str" else "quote it if it is a text"
            raise _Refused(f"{word} is no {kind}: {hint}", node.start_mark) from None


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"([-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z", re.ASCII),
    list("-+.0123456789"),
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(0b[01_]+|0x[\da-fA-F_]+|\d[\d_]*)\Z", re.ASCII), list("-+0123456789")
)


def _whole_number(loader: _StrictLoader, node: yaml.ScalarNode) -> int:
    """Return a whole number; YAML's own reader takes a leading 0 for base 8, and colons for base 60."""
    digits = loader.construct_scalar(node).replace("_", "")
    return int(digits, 0 if {*digits} & {*"bx"} else 10)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def _load(text: str) -> Any:
    if len(text) > LONGEST:
        raise _Refused(f"it is longer than {LONGEST:,} characters")
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refused(f"line {line} has the character {chr(error.character)!a}, which YAML does not accept") from None
    except yaml.MarkedYAMLError as error:
        raise _Refused(", ".join(filter(None, (error.context, error.problem))), error.problem_mark) from None
    except _Refused:
        raise
    except (ValueError, OverflowError):  # "\UFFFFFFFF"
        raise _Refused("an escape such as \\U names a character that does not exist") from None
    todo, found = [value], 1  # aliases can make a short text hold more values than any memory, or itself
    while todo:
        item = todo.pop()
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        found += len(inner)
        if found > MOST:
            raise _Refused(f"aliases make it hold more than {MOST:,} values")
        todo += inner
    return value
