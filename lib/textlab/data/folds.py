"""Cross-validation of few rows: each is answered once, by a model that learned from the others (Stone 1974)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict

from ..errors import InputError
from .splits import drawn_by_class

#: Below so many rows they are not split once and for all; and into how many parts they are dealt instead.
FEW_ROWS, FOLDS = 2000, 5


@dataclass(frozen=True)
class Folds:
    """Which rows of a data set's split test, which holds all of them, are learned from and answered together."""

    answered: tuple[np.ndarray, ...]  # fold -> row numbers; each row is in one fold
    learned: tuple[np.ndarray, ...]  # fold -> row numbers of other folds, as many as `max_train_rows` allows
    whole: np.ndarray  # row numbers that the model that is kept learns from
    turn: int = 0  # see `turned`

    def __len__(self) -> int:
        return len(self.answered)

    def training(self, rows: Dataset, fold: int, chooses: bool = False) -> DatasetDict:
        """Return what a fold's model learns from as train, and the rows that it answers as validation.

        Args:
            rows: of the split test, as texts or as tokens.
            chooses: whether validation chooses something; then it is the next fold, which is not learned from.
        """
        validation = self.answered[(fold + 1) % len(self) if chooses else fold]
        train = np.setdiff1d(self.learned[fold], validation)
        return DatasetDict(train=rows.select(train), validation=rows.select(validation))

    def kept(self, rows: Dataset, chooses: bool = False) -> DatasetDict:
        """Return the same for the model that is kept.

        It learns from its validation too, which only watches it, unless validation `chooses` something.
        """
        validation = self.answered[0]
        train = np.setdiff1d(self.whole, validation) if chooses else self.whole
        return DatasetDict(train=rows.select(train), validation=rows.select(validation))

    def collect(self, parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the answers for all rows as those of test, and those for the first fold as those of validation.

        Args:
            parts: for each fold what its model answers for its rows, one entry a row.
        """
        order = np.argsort(np.concatenate(self.answered))
        return {"validation": parts[0], "test": np.concatenate(parts)[order]}

    def fewer(self, rows: Dataset, most: int, seed: int) -> Folds:
        """Return the same folds with at most so many rows to learn from, drawn class by class.

        Args:
            rows: all of them, with the column label.
        """
        ids = np.array(rows["label"][:])

        def drawn(numbers: np.ndarray) -> np.ndarray:
            return numbers[drawn_by_class(ids[numbers], most, seed)]

        return replace(self, learned=tuple(map(drawn, self.learned)), whole=drawn(self.whole))

    def turned(self, by: int) -> Folds:
        """Return the same folds, each as many places further to the front; those in front go to the back."""

        def turn(parts: tuple) -> tuple:
            return parts[by % len(self) :] + parts[: by % len(self)]

        return replace(self, answered=turn(self.answered), learned=turn(self.learned), turn=self.turn + by)


def dealt(table: pd.DataFrame, folds: int | None, seed: int, source: str) -> pd.Series | None:
    """Return the fold of each row, or None where the data is not to be cross-validated.

    Texts are dealt like cards, class by class, so the folds differ by one text of a class at most. Equal texts are in
    one fold.

    Args:
        table: columns text, label and split, where data without splits are the split `all`.
        folds: number of folds; 0 or 1 for none, None for `FOLDS` where rows are few and came without any split.
        seed: decides which text is in which fold.
        source: the data set's name, for messages.

    Raises:
        InputError: folds are asked for, and the data has splits of its own or too few texts.
    """
    asked, unsplit = folds, bool((table["split"] == "all").all())
    if folds is None:
        folds = FOLDS if unsplit and len(table) < FEW_ROWS else 0
    if folds < 2:
        return None
    texts = table.drop_duplicates("text").sample(frac=1, random_state=seed).sort_values("label", kind="stable")
    second = texts["label"].value_counts().iloc[1:].max()
    if unsplit and second >= folds:
        return table["text"].map(dict(zip(texts["text"], np.arange(len(texts)) % folds, strict=True)))
    if asked is None:
        return None
    fault = "comes with splits of its own"
    if unsplit:
        fault = f"has not two classes with {folds} different texts each"
    raise InputError(f"folds: got {folds}, but {source} {fault}; take 0")


def in_folds(rows: Dataset, fold: np.ndarray, max_train_rows: int | None, seed: int) -> tuple[Folds, list[str]]:
    """Return the folds of rows, and notes on what they mean.

    Args:
        rows: all of them, with the column label.
        fold: of each row.
        max_train_rows: a model learns from at most so many rows, drawn class by class with the seed.
    """
    ids, k = np.array(rows["label"][:]), int(fold.max()) + 1
    answered, learned = (tuple(np.flatnonzero((fold == i) == held) for i in range(k)) for held in (True, False))
    found = Folds(answered, learned, np.arange(len(ids))).fewer(rows, max_train_rows or len(ids), seed)
    notes = [
        f"No split came with the data, and {len(ids):,} rows are too few to give some away. So the test figures are "
        f"those of a {k}-fold cross-validation: each row is answered once, by a model that learned from the other "
        f"{k - 1} of {k} parts, dealt class by class with seed {seed}. The model that is kept learns from all rows. "
        "Train and validation are those of the first part."
    ]
    if len(found.whole) < len(ids):
        notes.append(f"Each training uses at most {max_train_rows} rows, drawn class by class with seed {seed}.")
    counts = pd.Series(ids).value_counts()
    names = rows.features["label"].names
    if rare := [f"{names[i]} ({n})" for i, n in counts.sort_index().items() if n < k]:
        notes.append(f"Classes with too few rows to be in every part: {', '.join(rare)}.")
    return found, notes
