"""Labels as names: what a value stands for, and the order of the names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import pandas as pd

from ..errors import InputError

#: The label names of the course's `emotion` data, in the order of their ids there.
EMOTIONS = ["sadness", "joy", "love", "anger", "fear", "surprise"]
#: Characters of a label's name.
LONGEST_NAME = 200

_WHOLE = re.compile(r"-?\d{1,18}")
_OF_FLOAT = re.compile(r"\.0$")


def name(value: object, source: str) -> str | None:
    """Return the name that a value stands for, None for a blank one; whole numbers become names such as "0".

    Args:
        source: the data set's name, for messages.

    Raises:
        InputError: it is a number that is not whole, or too long.
    """
    if isinstance(value, (float, np.floating, Decimal)):
        if not float(value).is_integer():
            raise InputError(
                f"dataset: the label column of {source} holds numbers such as {value}; accepted are names "
                "and whole numbers; set label_column to another"
            )
        value = int(value)
    text = str(value).strip()
    if len(text) > LONGEST_NAME:
        raise InputError(
            f"dataset: the label column of {source} holds {text[:40] + '...'!r} of {len(text)} characters; "
            f"accepted are names of at most {LONGEST_NAME}; set label_column to another"
        )
    return text or None


def names(column: pd.Series, source: str) -> pd.Series:
    """Return the names in a column, missing where there is none; see `name`."""
    if column.dtype == object:  # True equals 1
        column = column.map(lambda value: str(value) if isinstance(value, (bool, np.bool_)) else value)
    try:
        codes, values = pd.factorize(column)
    except TypeError:
        raise InputError(
            f"dataset: the label column of {source} holds lists or objects; accepted is one label per text; set "
            "label_column to another, or labels to several"
        ) from None
    found = [name(value, source) for value in values]
    return pd.Series(np.array([*found, None], dtype=object)[codes], dtype="str")  # code -1 is the last: None


def whole(columns: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """Return names, split by split; where all are whole numbers, one that a csv holds as 5.0 is called 5, too."""
    found = {one for column in columns.values() for one in column.dropna().unique()}
    if not any(map(_OF_FLOAT.search, found)) or not are_numbers(_OF_FLOAT.sub("", one) for one in found):
        return columns
    return {split: column.str.replace(_OF_FLOAT, "", regex=True) for split, column in columns.items()}


def in_order(found: Iterable[str]) -> list[str]:
    """Return names in the order of their ids: as in the emotion data, else by number or alphabet."""
    found = list(found)
    if set(found) == set(EMOTIONS):
        return list(EMOTIONS)
    return sorted(found, key=int if are_numbers(found) else None)


def are_numbers(found: Iterable[str]) -> bool:
    """Tell whether all names are whole numbers."""
    return all(_WHOLE.fullmatch(one) for one in found)
