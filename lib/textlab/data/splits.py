"""The splits of a data set: those that are missing are drawn from train, and train is cut if that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError
from .label_sets import strata, written
from .readers import SPLITS
from .variants import bare

#: Share of the training texts for each split that has to be made.
SHARE = 0.1


def complete(table: pd.DataFrame, seed: int, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with the missing splits drawn from train, and notes.

    Equal texts and variants of them (`variants.bare`) stay in one split, and those under several labels stay in train,
    so that no leak is made.

    Args:
        table: columns text, label, stratum and split, where data without splits are the split `all`. The stratum is
            the label, or with several labels a text `label_sets.strata`.
        seed: decides which texts are drawn.
        source: the data set's name, for messages.

    Raises:
        InputError: a class has too few different texts to draw from.
    """
    came = table["split"].unique()
    table = table.assign(split=table["split"].replace("all", "train"))
    make = [] if "validation" in came else ["validation"] if "test" in came else ["validation", "test"]
    texts = table["text"].map(bare) if make else table["text"]
    size = max(1, round(SHARE * texts[table["split"] == "train"].nunique()))
    for split in make:
        left = table.assign(text=texts)[table["split"] == "train"]
        clear = left.drop_duplicates(["text", "label"]).drop_duplicates("text", keep=False)
        drawn = _draw(clear.set_index("text")["stratum"], size, seed)
        table.loc[(table["split"] == "train") & texts.isin(drawn), "split"] = split
    counts = table.groupby(["stratum", "split"]).size().unstack(fill_value=0).reindex(columns=SPLITS, fill_value=0)
    if counts.loc[counts["train"] == 0, make].any(axis=None) or not counts[make].any().all():
        raise InputError(
            f"dataset: {source} has too few different texts in a class to make a {' and a '.join(make)} split "
            "from; add some, or files named val and test"
        )
    notes = []
    if make:
        each = "each" if len(make) > 1 else "it"
        notes.append(
            f"No {' or '.join(make)} split came with the data: {each} was made of {SHARE:.0%} of the texts, "
            f"drawn class by class with seed {seed}."
        )
    if rare := [f"{name or 'none'} ({row.sum()})" for name, row in counts.iterrows() if make and row[make].min() == 0]:
        notes.append(f"Classes with too few rows to be in every split: {', '.join(rare)}.")
    if not counts["test"].any():
        notes.append("No labelled test split came with the data, so there are no test figures.")
    return table, notes


def _draw(labels: pd.Series, size: int, seed: int, at_least_one: bool = False) -> pd.Index:
    """Return the index of `size` labels, drawn in proportion to the classes, from each class at random.

    Shuffled labels are taken by their place in their class, from 0 to 1. So no class is ever too small: one whose
    share is less than half a row gives none, or one row with `at_least_one`.
    """
    labels = labels.sample(frac=1, random_state=seed)
    classes = labels.groupby(labels)
    place = (classes.cumcount() + (0 if at_least_one else 0.5)) / classes.transform("size")
    return place.sort_values(kind="stable").index[:size]


def cut(table: pd.DataFrame, max_train_rows: int | None, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with at most `max_train_rows` train rows, and a note if others were left out."""
    train = table["split"] == "train"
    if max_train_rows is None or max_train_rows >= train.sum():
        return table, []
    kept = table.index.isin(_draw(table.loc[train, "stratum"], max_train_rows, seed, at_least_one=True))
    note = f"Training uses {max_train_rows} of {train.sum()} rows, drawn class by class with seed {seed}."
    return table[kept | ~train], [note]


def drawn_by_class(ids: Sequence[int] | Sequence[Sequence[int]], rows: int, seed: int) -> np.ndarray:
    """Return which rows, at most so many, are drawn in proportion to the classes, and of each at least one, in order.

    Args:
        ids: the class of each row, or its several labels, of which the rarest counts (`label_sets.strata`).

    >>> drawn_by_class([0, 0, 0, 0, 0, 0, 1, 1, 1], rows=3, seed=1).size
    3
    """
    if rows >= len(ids):
        return np.arange(len(ids))
    if isinstance(ids[0], (list, np.ndarray)):
        ids = strata(pd.Series([written(map(str, some)) for some in ids]))
    return np.sort(_draw(pd.Series(ids), rows, seed, at_least_one=True).to_numpy())
