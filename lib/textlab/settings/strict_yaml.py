"""YAML as people read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a params file, read strictly.

    Plain data only (tags are refused, since papermill would run some of them as code), each key once, `2e-5` a
    number, and only true and false are booleans.

    Raises:
        InputError: the file is missing, or not such a mapping.
    """
    try:
        loaded = yaml.load(Path(path).read_text(encoding="utf-8-sig"), Loader=_StrictLoader)
    except FileNotFoundError:
        raise InputError(f"params file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"params file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"params file {path}{where}: {getattr(error, 'problem', None) or error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise InputError(f"params file {path}: accepted are lines of the form `name: value`")
    return loaded


class _StrictLoader(yaml.SafeLoader):
    """YAML as people read it; see `read_yaml`."""

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in pairs
            if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
        ]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag.rpartition(":")[2] not in ("str", "int", "float", "bool", "null", "map", "seq"):
            raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} is not accepted", node.start_mark)
        return super().construct_object(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    list("-+.0123456789"),
)


def from_text(text: str) -> Any:
    """Return the YAML value that a text spells, or the text itself."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError:
        return text
