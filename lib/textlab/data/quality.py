"""What is wrong with the texts and labels of a data set, row by row."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pandas as pd

from ..errors import InputError
from .label_sets import inner, single, written
from .readers import SPLITS
from .variants import bare

#: So many cells that look like several labels are no slip.
MANY = 5
#: Words that programs write for a missing value.
_MISSING = ("None", "none", "NaN", "nan", "NAN", "NULL", "null", "Null", "NA", "N/A", "n/a", "<NA>", "#N/A")
_NUMBER = re.compile(r"[-+]?\d{1,18}(\.\d{1,18})?")


def quality(table: pd.DataFrame, dropped: list[dict], several: bool = False) -> pd.DataFrame:
    """Return the problems of a data set, one line for each problem and split in which it occurs.

    Args:
        table: columns text, label, split, row.
        dropped: the lines for rows that were dropped before.
        several: whether a row has several labels, as `label_sets.written` writes them.

    Returns:
        problem; split; texts: how many different texts have it; rows: how many rows of the split they take;
        where: the first of these rows (line numbers of a text file, else counted from 1); action: dropped or kept.
        Labels that are spelt in several ways or look like several, and words such as "nan", have lines of their own.
        A line "..., labels differ" counts those texts of the line above it that stand under another label there.
        A line "nearly the same text also in ..." counts texts that do not stand in that split themselves, but a variant
        of them does, with the same letters and digits (`variants.bare`).
    """
    report, table = _odd(table, several), table.assign(bare=table["text"].map(bare))
    present = [split for split in SPLITS if (table["split"] == split).any()]
    for position, split in enumerate(present):
        part = table[table["split"] == split]
        repeated = part[part.duplicated("text", keep=False)]
        differ = repeated.groupby("text")["label"].transform("nunique") > 1
        report += findings("repeated text", repeated) + findings("repeated text, labels differ", repeated[differ])
        for earlier in present[:position]:
            known = table[(table["split"] == earlier) & table["bare"].isin(part["bare"])]
            is_known = part["text"].isin(known["text"])
            leaked, variants = part[is_known], part[~is_known & part["bare"].isin(known["bare"])]
            agree = _pairs(leaked).isin(_pairs(known))
            report += findings(f"text also in {earlier}", leaked)
            report += findings(f"text also in {earlier}, labels differ", leaked[~agree])
            report += findings(f"nearly the same text also in {earlier}", variants)
    return pd.DataFrame(dropped + report, columns=["problem", "split", "texts", "rows", "where", "action"])


def _pairs(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[["text", "label"]])


def _odd(table: pd.DataFrame, several: bool) -> list[dict]:
    """Return the lines about labels and texts that are read as they stand, but are hardly meant so."""
    report = []
    if several:
        report += findings("no label at all", table[table["label"] == written([])])
        each = single(table["label"])
        table = table.loc[each.index].assign(label=each)
    for column in ("text", "label"):
        odd = table[table[column].str.strip().isin(_MISSING)]
        report += findings(f"{column} is a word for a missing value", odd[~odd.index.duplicated()])
    names = table["label"].unique()
    spellings: dict[str, list[str]] = {}
    for name in table["label"].value_counts().index:  # the usual spelling comes first
        spellings.setdefault(_plain(name), []).append(name)
    for usual, *others in spellings.values():
        for other in others:
            report += findings(f"label {other!r} beside {usual!r}", table[table["label"] == other])
    joined = [name for name in names if (parts := _parts(name)) and set(parts) <= set(names)]
    joined = table[table["label"].isin(joined)]
    return report + findings("several labels in one cell", joined[~joined.index.duplicated()])


def check_single(table: pd.DataFrame, source: str, labels: str = "auto") -> None:
    """Raise an InputError if rows seem to have several labels, unless the parameter `labels` says that they have one.

    That is so if most labels are lists, or if one label in a hundred, and `MANY` or more, have parts that all occur in
    other labels as well.
    """
    if labels != "auto":
        return
    counts = table["label"].value_counts()
    parts = {name: _parts(name) for name in counts.index}
    shared = Counter(part for name, some in parts.items() for part in set(some) or {name})
    lists = [name for name in parts if inner(name) is not None]
    places: dict[str, set[int]] = {}
    for some in parts.values():
        for place, part in enumerate(some):
            places.setdefault(part, set()).add(place)
    # Names of two levels, such as "Sports, Men", and numbers with a comma share parts, too, but each at one place.
    free = {part for part in places if part in parts or len(places[part]) > 1}
    several = [
        name
        for name, some in parts.items()
        if all(shared[part] > 1 for part in some)
        and not free.isdisjoint(some)
        and (not re.fullmatch(r"[-+]?\d+,\d+", name) or set(some) <= set(parts))
    ]
    for group, enough in ((lists, len(table) / 2), (several, max(MANY, len(table) / 100))):
        example = next((name for name in group if parts[name]), None)
        if example is not None and counts[group].sum() >= enough:
            raise InputError(
                f"dataset: the label column of {source} holds several labels in one cell, such as {example!r}; set "
                "labels to several if a text may have more than one, to single if each such cell is one label of its "
                "own, or label_column to another"
            )


def likely_headers(files: dict[str, list[Path]], parts: dict[str, pd.DataFrame]) -> list[str]:
    """Return a sentence for each first line of a txt file that may name the columns: no other row has its label.

    Args:
        files: split -> its files.
        parts: split -> text and label, as `readers.read_files` returns them.
    """
    labels, known = {}, set()
    for split, group in files.items():
        names = [file.name for file in group if file.suffix.lower() == ".txt"]
        places = {f"{name}:1" if len(group) > 1 else 1: name for name in names}
        cells = parts[split]["label"].map(str).str.strip()
        is_first = cells.index.isin(list(places))
        known.update(*(_parts(cell) or [cell] for cell in cells[~is_first].unique()))
        labels |= {places[place]: cell for place, cell in cells[is_first].items() if cell}
    return [
        f"Line 1 of {name} was read as a text, but no other has the label {label!r}: if it names the columns, write "
        "text;label instead."
        for name, label in labels.items()
        if known.isdisjoint(_parts(label) or [label])
    ]


def _parts(name: str) -> list[str]:
    """Return the labels in one cell if they look like several, else none."""
    held = inner(name)
    parts = [part.strip().strip("\"'") for part in re.split("[,;|#]", name if held is None else held)]
    return parts if len(parts) > 1 and all(parts) else []


def _plain(name: str) -> str:
    """Return what spellings of a label have in common: no case, marks of layout or quotes around, numbers by value."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
    plain = " ".join(plain.casefold().strip('" ').split())
    return str(Decimal(plain).normalize()) if _NUMBER.fullmatch(plain) else plain


def findings(problem: str, table: pd.DataFrame, action: str = "kept") -> list[dict]:
    """Return the lines of the report for the rows of `table`, which all have this problem."""
    return [
        {
            "problem": problem,
            "split": split,
            "texts": part["text"].nunique(),
            "rows": len(part),
            "where": ", ".join(map(str, part["row"][:3])) + (", ..." if len(part) > 3 else ""),
            "action": action,
        }
        for split, part in table.groupby("split", sort=False)
    ]
