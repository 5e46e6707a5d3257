"""JSON that others may have written: parsed within limits, and compared with the form that it has to have.

A form is a type as pydantic reads it: a `TypedDict`, a mapping, a list, with bounds where they matter. Types are taken
strictly: text is no number, and true is none either. What a form does not name may be there and is not looked at.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from ..errors import InputError, first_line

#: The most bytes of a JSON file, and the largest whole number, which 64 bits hold.
LARGEST_FILE, LARGEST_NUMBER = 200_000_000, 2**63
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


def read_json(source: Path | bytes, form: Any, name: str) -> Any:
    """Return the content of a JSON file (or of the bytes of one) that has a form.

    Args:
        name: of the file, for messages.

    Raises:
        InputError: it cannot be read; it is no JSON, nested deeper than 200 levels, or holds a number beyond 64 bits
            (a whole one above 2**63, another one above 1.8e308), NaN, or a text that cannot be written; or it has not
            the form.

    >>> read_json(b'{"rows": 3}', dict[str, int], "a file")
    {'rows': 3}
    >>> read_json(b'{"rows": 1e999}', dict[str, int], "it")
    Traceback (most recent call last):
    textlab.errors.InputError: it is refused: a number in it is beyond 64 bits; take a whole copy, or make it anew
    >>> read_json(b'{"max_grad_norm": 1e20}', dict[str, float], "a file")
    {'max_grad_norm': 1e+20}
    """
    try:
        if isinstance(source, Path) and source.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE // 10**6} MB")
        value = from_json(source if isinstance(source, bytes) else source.read_bytes(), allow_inf_nan=False)
        _check_values(value)
    except (OSError, ValueError) as error:
        raise _refusal(name, f"{first_line(error)}") from None
    return check_form(value, form, name)


def check_form(value: Any, form: Any, name: str) -> Any:
    """Return `value` as it is if it has a form, which is a type.

    Raises:
        InputError: naming the first place that differs, what is there and what is accepted.

    >>> check_form({"rows": "3"}, dict[str, int], "a file")
    Traceback (most recent call last):
    textlab.errors.InputError: a file is refused: at rows: Input should be a valid integer, got '3'; \
take a whole copy, or make it anew
    """
    try:
        _adapter(form).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        got = "" if first["type"] == "missing" else f", got {first['input']!r}"
        raise _refusal(name, f"{f'at {place}: ' * bool(place)}{first['msg']}{got}") from None
    return value


@cache
def _adapter(form: Any) -> TypeAdapter:
    return TypeAdapter(form)


def _refusal(name: str, why: str) -> InputError:
    words = "".join(sign if sign.isprintable() else " " for sign in why)
    short = words if len(words) <= 240 else f"{words[:239]}…"
    return InputError(f"{name} is refused: {short}; take a whole copy, or make it anew")


def _check_values(value: Any) -> None:
    """Raise a ValueError for a number beyond 64 bits and for a text with a zero byte, which no file name may have."""
    if isinstance(value, dict):
        _check_values([*value, *value.values()])
    elif isinstance(value, list):
        for item in value:
            _check_values(item)
    elif isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text in it has a zero byte")
    elif value in (math.inf, -math.inf) or (isinstance(value, int) and abs(value) > LARGEST_NUMBER):
        raise ValueError("a number in it is beyond 64 bits")
