"""What a parameter accepts, and its value as the notebook gets it."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, show
from .strict_yaml import from_text


@dataclass(frozen=True)
class Rule:
    """The accepted values of one parameter: its type, bounds (low < or <= value <= high) and choices."""

    type: type
    low: float | None = None
    high: float | None = None
    above: bool = False  # True: low itself is not accepted
    choices: tuple[str, ...] = ()
    optional: bool = False  # True: None is accepted
    pattern: tuple[str, str] = ("", "")  # a regular expression for the whole text, and the same in words
    items: type = object  # of a list
    keys: Mapping[str, Rule] | None = None  # of a mapping

    def accepted(self) -> str:
        """Return the accepted values in words."""
        words = {
            str: "text",
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            list: "a list",
            dict: "a mapping",
        }[self.type]
        if self.pattern[0]:
            words += f" {self.pattern[1]}"
        if self.items is not object:
            words += " of texts" if self.items is str else " of whole numbers"
        if self.keys:
            words += f" with {', '.join(self.keys)}"
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        if self.low is not None:
            words += f" {'above' if self.above else 'from'} {_bound(self.low)}"
        if self.high is not None:
            words += f" {'and at most' if self.above or self.low is None else 'to'} {_bound(self.high)}"
        return words + (", or null" if self.optional else "")


#: The most letters of a name or an address, and the largest whole number, which every reader of JSON keeps as it is.
LONGEST_NAME, LARGEST_INT = 2000, 2**53
#: The address of a store or a database.
ADDRESS = Rule(
    str,
    pattern=(
        r"(?!\s*\w[\w+.-]*://[^/?#]*:(?!\d+[/?#]).*@)(?!.*[?&#;][^=]*(?i:pass|pwd|token|secret|api.?key|signature)[^=]*=).*",
        "without a password or token (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, "
        "or PGPASSWORD, keep it out of files)",
    ),
)


def setting(default: Any, *bounds: float | None, **more: Any) -> Any:
    """Return a dataclass field with its default and what `Rule` says of its values, whose type is the field's own."""
    return dataclasses.field(default=default, metadata={"rule": functools.partial(Rule, **more), "bounds": bounds})


def rules_of(settings: type) -> dict[str, Rule]:
    """Return field name -> rule of a dataclass whose fields are made by `setting`; one that may be None is optional."""
    found = {}
    for name, hint in typing.get_type_hints(settings).items():
        kinds = typing.get_args(hint) or (hint,)
        kind = next(kind for kind in kinds if kind is not types.NoneType)
        metadata = settings.__dataclass_fields__[name].metadata
        found[name] = metadata["rule"](kind, *metadata["bounds"], optional=types.NoneType in kinds)
    return found


def convert(name: str, value: Any, rule: Rule) -> Any:
    """Return `value` as the rule's type.

    Numbers written as text count as numbers: YAML reads `2e-5` as text, and so does a command line.

    Raises:
        InputError: naming the parameter, what came and what is accepted.

    >>> convert("learning_rate", "2e-4", Rule(float, 0, 100, above=True))
    0.0002
    >>> convert("epochs", "3.5", Rule(int, 1, 1000))
    Traceback (most recent call last):
    textlab.errors.InputError: epochs: got '3.5'; accepted is a whole number from 1 to 1000
    """
    got = "'***'" if rule.pattern == ADDRESS.pattern and isinstance(value, str) else show(value)
    refuse = InputError(f"{name}: got {got}; accepted is {rule.accepted()}")
    if value is None or (rule.optional and value in ("null", "None")):
        if rule.optional:
            return None
        raise refuse
    if isinstance(value, str) and rule.type is not str:
        value = from_text(value)
    if not _is_writable(value):
        raise InputError(f"{refuse}, without NUL and lone surrogates, which no file of text holds")
    if rule.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) <= sys.float_info.max else math.inf
    if rule.type is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, rule.type) or (isinstance(value, bool) and rule.type is not bool):
        raise refuse
    if rule.pattern[0] and (len(value) > LONGEST_NAME or not re.fullmatch(rule.pattern[0], value)):
        raise refuse
    if rule.type is int and abs(value) > LARGEST_INT:
        raise InputError(f"{refuse}, of at most {LARGEST_INT:,}")
    if rule.type is list and not all(isinstance(item, rule.items) and not isinstance(item, bool) for item in value):
        raise refuse
    if rule.type is list and rule.low is not None and not all(rule.low <= item <= rule.high for item in value):
        raise refuse
    if rule.keys:
        if unknown := [key for key in value if key not in rule.keys]:
            raise InputError(
                f"{name}: there is no {show(unknown[0])}; accepted is {rule.accepted()}"
                f"{did_you_mean(unknown[0], rule.keys)}"
            )
        return {key: convert(f"{name}: {key}", item, rule.keys[key]) for key, item in value.items()}
    if rule.choices and value not in rule.choices:
        raise InputError(f"{refuse}{did_you_mean(value, rule.choices)}")
    if rule.type in (int, float):
        too_low = rule.low is not None and (value <= rule.low if rule.above else value < rule.low)
        if (
            (rule.type is float and not math.isfinite(value))
            or too_low
            or (rule.high is not None and value > rule.high)
        ):
            raise refuse
    return value


def _bound(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _is_writable(value: Any) -> bool:
    """Tell whether the texts in a value can stand in a file: in that of the notebook, of its log, of its results."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_writable, value))
    return not isinstance(value, str) or "\0" not in value and value == value.encode(errors="replace").decode()


def did_you_mean(word: str, known: Any) -> str:
    """Return a suggestion to end a message with: the nearest of the known words; empty when none is near."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
