"""Several labels a text: how they are written in files, and what stands for them while rows are read and dealt.

Inside the room, a text's labels are one string: a JSON list of the names in alphabetical order, `[]` for none.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import combinations, permutations

import numpy as np
import pandas as pd

from ..errors import InputError, show

#: What may stand between the labels in a cell.
SEPARATORS = (",", ";", "|", "#")
#: What a column of a label holds.
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
#: Pairs of labels that a note names.
PAIRS = 3

#: How Python, NumPy, JSON and Postgres write a list, tuple, set or array; a name may stand in (), too.
_LIST = re.compile(
    r"""\[(.*)\]|\{(.*)\}|\(((?:['"].*|[^()]*,[^()]*)?)\)|(?:frozen)?set\(()\)"""
    r"""|(?:array|frozenset)\(\s*[\[{](.*)[\]}]\s*(?:,\s*dtype=\S+)?\)""",
    re.DOTALL,
)
_BEGINNINGS = ("[", "{", "('", '("')
#: Quotes around a label that stands in no list.
_MARKS = re.compile(r"""^\s*(['"])([^'"]*)\1\s*$""")
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
#: A label in a list: a word or a number, or anything between quotes.
_ITEM = rf"(?:{_QUOTED}|[\w.-]+)"
#: A list of texts as NumPy prints it, without commas; to Python these would be one text.
_PRINTED = re.compile(rf"\[\s*(?:{_QUOTED})(?:\s+(?:{_QUOTED}))+\s*\]")


def are_several(parts: Mapping[str, pd.DataFrame], labels: str) -> bool:
    """Tell whether a data set's texts have several labels each: as the parameter says, or where cells are lists.

    Args:
        parts: split -> table with the column label.
        labels: one of `parameters.LABELS`.
    """
    if labels != "auto":
        return labels == "several"
    kinds = set().union(*(_kinds(part["label"]) for part in parts.values())) - {None}
    return kinds == {True}


def _kinds(column: pd.Series) -> set[bool | None]:
    try:
        cells = column.unique()
    except TypeError:  # lists
        cells = column
    return {is_list(cell) for cell in cells}


def is_list(cell: object) -> bool | None:
    """Tell whether a cell is a list, or written as one; None for an empty cell."""
    if isinstance(cell, (list, tuple, np.ndarray)):
        return True
    if pd.isna(cell) or (isinstance(cell, str) and not cell.strip()):
        return None
    return isinstance(cell, str) and inner(cell) is not None


def inner(cell: str) -> str | None:
    """Return what stands in a cell that is written as a list, without what is around it; None if it is not.

    >>> [inner(cell) for cell in ("['joy']", "('joy',)", "{joy}", "array(['joy'], dtype=object)", "(other)")]
    ["'joy'", "'joy',", 'joy', "'joy'", None]
    """
    found = _LIST.fullmatch(cell.strip())
    return found and found[found.lastindex]


def read(
    parts: Mapping[str, pd.DataFrame], source: str, name: Callable[[object], str | None]
) -> tuple[dict[str, pd.Series], list[str]]:
    """Return split -> the labels of each row, None where the cell is empty, and notes.

    Args:
        parts: split -> table with the column label: lists, texts that are written as lists, or names with one of
            `SEPARATORS` between them, the one that most cells have.
        source: the data set's name, for messages.
        name: returns the label that a value stands for, None for none.

    Raises:
        InputError: a cell cannot be read.
    """
    cells = pd.concat([part["label"] for part in parts.values()], ignore_index=True)
    plain = [cell for cell in cells if isinstance(cell, str) and is_list(cell) is False]
    separator = _separator(plain)

    def names(cell: object) -> list[str] | None:
        kind = is_list(cell)
        if kind is None:
            return None
        if isinstance(cell, str):
            is_listed = kind or cell.lstrip().startswith(_BEGINNINGS)  # the end may be lost
            values = _listed(cell, source) if is_listed else _apart(cell, separator)
        else:
            values = list(cell) if kind else [cell]
        if wrong := [value for value in values if not pd.api.types.is_scalar(value)]:
            raise InputError(
                f"dataset: the label column of {source} holds {show(wrong[0])} as a label; accepted are names and "
                "whole numbers"
            )
        return [found for value in values if not pd.isna(value) and (found := name(value))]

    sets = {split: part["label"].astype(object).map(names) for split, part in parts.items()}
    _check_named([some for column in sets.values() for some in column if some is not None], source)
    notes = []
    if separator:
        example = next(cell for cell in plain if _separates(separator, cell))
        notes.append(f"Labels in one cell are taken apart at each {separator!r}, as in {example!r}.")
    return {split: column.map(written, na_action="ignore").astype("str") for split, column in sets.items()}, notes


def _check_named(lists: Sequence[Sequence[str]], source: str) -> None:
    """Raise an InputError if lists hold 0 and 1 and no names: one in each row, or one for each label, so that some
    come twice, and all lists are of one length.
    """
    values, lengths = {value.lower() for some in lists for value in some}, {*map(len, lists)}
    if not values <= {*_YES, *_NO} or len(lengths) != 1:
        return
    if lengths == {1}:
        raise InputError(
            f"dataset: the label column of {source} holds one 0 or 1 in each row; set labels to single, or "
            "label_column to a column of 0 and 1 for each label, with commas between them"
        )
    if any(len({*some}) < len(some) for some in lists):
        raise InputError(
            f"dataset: the label column of {source} holds a 0 or 1 for each label, as in {show(lists[0])}, but not the "
            "names of the labels; accepted are lists of names, or a column of 0 and 1 for each label"
        )


def _separator(cells: Sequence[str]) -> str | None:
    """Return what stands between the labels of most cells; of several such, what leaves the fewest different names."""

    def rank(separator: str) -> tuple[int, int]:
        names = {name.strip() for cell in cells for name in cell.split(separator)}
        return sum(_separates(separator, cell) for cell in cells), -len(names)

    there = [separator for separator in SEPARATORS if any(_separates(separator, cell) for cell in cells)]
    return max(there, key=rank, default=None)


def _separates(separator: str, cell: str) -> bool:
    """Tell whether a separator stands between names; `#` may be at the end or the beginning of one."""
    return bool(re.search(rf"[^,;|\s]\s*{re.escape(separator)}\s*[^,;|\s]", cell))


def _apart(cell: str, separator: str | None) -> list[str]:
    """Return the labels in a cell without quotes around them; without a separator, it holds one."""
    return [_MARKS.sub(r"\2", name) for name in (cell.split(separator) if separator else [cell.strip(" ,;|")])]


def _listed(cell: str, source: str) -> Sequence[object]:
    """Return the values in a cell such as `["joy", "anger"]`."""
    held = inner(cell)
    values = None if held is None else _values(f"[{held}]")
    if values is None:
        raise InputError(
            f"dataset: the label column of {source} holds {show(cell)}, which is no list of labels; accepted are "
            '["joy", "anger"], or names with one of , ; | # between them'
        )
    return values


def _values(written: str) -> Sequence[object] | None:
    """Return the values of a list, as JSON, Python or NumPy writes it, or without quotes; None if it is none."""
    for read_as in (_items,) if _PRINTED.fullmatch(written) else (json.loads, ast.literal_eval, _items):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return read_as(written)
    return None


def _items(written: str) -> list[object]:
    """Return the words, numbers and quoted names of a list, with commas or spaces between them."""
    if not re.fullmatch(rf"\[\s*{_ITEM}(?:(?:\s*,\s*{_ITEM})*|(?:\s+{_ITEM})*)\s*\]", written):
        raise ValueError(written)
    return [
        ast.literal_eval(item) if item[0] in "'\"" or re.fullmatch(r"-?\d+\.\d*", item) else item
        for item in re.findall(_ITEM, written)
    ]


def from_columns(
    table: pd.DataFrame, columns: Sequence[str], asked: bool, where: str
) -> tuple[pd.Series, tuple[list[str], list[str]]]:
    """Return the labels of each row of a table with one column of 0 and 1 for each label, as lists of names.

    And these columns, and those that have two other values and are not read.

    Args:
        table: of one split.
        columns: that may be labels.
        asked: whether each of them has to be one; else those that mostly hold other values are no labels.
        where: the table's name, for messages.

    Raises:
        InputError: there are fewer than two such columns, or one of them holds something else, too.
    """
    texts = {column: table[column].map(lambda cell: str(cell).strip().lower()) for column in columns}
    fits = {column: values.isin((*_YES, *_NO)) for column, values in texts.items()}
    filled = {column: table[column].map(is_list).notna() for column in columns}
    found = [column for column in columns if asked or fits[column].sum() > filled[column].sum() / 2]
    if other := next((column for column in found if not fits[column].all()), None):
        place = fits[other].idxmin()
        advice = "" if asked else "; if that is no label, set label_column to those that are, with commas between them"
        raise InputError(
            f"{where}, {table.index.name} {place}: the label column {other!r} holds {show(texts[other][place])}; "
            f"accepted are 0 and 1{advice}"
        )
    if len(found) < 2:
        raise InputError(
            f"{where}: none of the usual label columns, and not two columns of 0 and 1 only; set label_column to the "
            "column with the labels, or to the columns of 0 and 1, with commas between them"
        )
    ones = np.stack([texts[column].isin(_YES) for column in found], axis=1)
    others = [column for column in columns if column not in found and texts[column].nunique() == 2]
    labels = pd.Series([[found[i] for i in np.flatnonzero(row)] for row in ones], table.index, dtype=object)
    return labels, (found, others)


def check_columns(columns: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> list[str]:
    """Return a note on columns that are nearly labels, if there are some.

    Args:
        columns: name of a file -> its columns of 0 and 1 and the others, as `from_columns` returns them.

    Raises:
        InputError: one file has a column of 0 and 1 that another one lacks.
    """
    for first, second in permutations(columns, 2):
        if lacking := [column for column in columns[first][0] if column not in columns[second][0]]:
            raise InputError(
                f"dataset: {second} has no column of 0 and 1 for the label {lacking[0]!r}, but {first} has one; add "
                "it, or set label_column to the labels that all files have, with commas between them"
            )
    labels, others = ([*dict.fromkeys(name for each in columns.values() for name in each[i])] for i in (0, 1))
    told = f"Labels are the columns {', '.join(labels)}; not read, since they hold other values than 0 and 1: "
    return [f"{told}{', '.join(others)}."] * bool(others)


def written(names: Iterable[str]) -> str:
    """Return labels as the room keeps them, and as they are written into files.

    >>> written(["joy", "anger", "joy"]), written([])
    ('["anger", "joy"]', '[]')
    """
    return json.dumps(sorted({*names}), ensure_ascii=False)


def single(labels: pd.Series) -> pd.Series:
    """Return each label of each row, one an entry, under the index of its row.

    Args:
        labels: as `read` gives them.
    """
    return labels.map(json.loads).explode().dropna()


def strata(labels: pd.Series) -> pd.Series:
    """Return of each row the rarest of its labels, empty where it has none.

    Rows that are drawn in proportion to these give each split its share of the rare labels too. (Iterative
    stratification, Sechidis et al. 2011, deals the rarest label first, as well.)

    >>> strata(pd.Series(['["joy"]', '["anger", "joy"]', '["joy"]', '[]'])).tolist()
    ['joy', 'anger', 'joy', '']
    """
    counts = single(labels).value_counts()
    rarest = {text: min(json.loads(text), key=lambda one: (counts[one], one), default="") for text in labels.unique()}
    return labels.map(rarest)


def about(labels: pd.Series) -> str:
    """Return a sentence on how many labels the texts have, and which ones occur together.

    Args:
        labels: as `read` gives them.
    """
    sets = labels.map(json.loads)
    sizes, pairs = sets.str.len(), Counter(pair for some in sets for pair in combinations(some, 2))
    told = f"{sizes.mean():.2f} labels a text: {(sizes > 1).mean():.0%} of {len(sizes):,} texts have several"
    told += f", {none:,} have none" if (none := int((sizes == 0).sum())) else ", each has one at least"
    most = ", ".join(f"{one} with {other} ({n:,})" for (one, other), n in pairs.most_common(PAIRS))
    return told + (f". Most often together: {most}." if most else ".")
