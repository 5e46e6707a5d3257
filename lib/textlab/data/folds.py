"""Cross-validation of few rows: each is answered once, by a model that learned from the others (Stone 1974)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict

from ..errors import InputError
from .splits import drawn_by_class
from .variants import bare

#: Below so many rows they are not split once and for all; and into how many parts they are dealt instead.
FEW_ROWS, FOLDS = 2000, 5


@dataclass(frozen=True)
class Folds:
    """Which rows of a data set's split test, which holds all of them, are learned from and answered together."""

    answered: tuple[np.ndarray, ...]  # fold -> row numbers; each row is in one fold
    most: int  # rows that a model learns from at most
    seed: int  # of which ones these are, drawn class by class
    turn: int = 0  # see `turned`

    def __len__(self) -> int:
        return len(self.answered)

    def kept_rows(self, keep: str) -> int:
        """Return the number of rows that the model that is kept learns from, by the recipe's `keep`."""
        left_out = len(self.answered[0]) if keep == "best" else 0
        return min(self.most, sum(map(len, self.answered)) - left_out)

    def training(self, rows: Dataset, fold: int, chooses: bool = False) -> DatasetDict:
        """Return what a fold's model learns from as train, and the rows that it answers as validation.

        Args:
            rows: of the split test, as texts or as tokens, with the column label.
            chooses: whether validation chooses something; then it is the next fold, which is not learned from.
        """
        validation = self.answered[(fold + 1) % len(self) if chooses else fold]
        return self._part(rows, validation, np.concatenate([self.answered[fold], validation]))

    def kept(self, rows: Dataset, chooses: bool = False) -> DatasetDict:
        """Return the same for the model that is kept.

        It learns from its validation too, which only watches it, unless validation `chooses` something.
        """
        validation = self.answered[0]
        return self._part(rows, validation, validation if chooses else validation[:0])

    def _part(self, rows: Dataset, validation: np.ndarray, left_out: np.ndarray) -> DatasetDict:
        numbers = np.setdiff1d(np.arange(len(rows)), left_out)
        if self.most < len(numbers):
            numbers = numbers[drawn_by_class(rows.select(numbers)["label"][:], self.most, self.seed)]
        return DatasetDict(train=rows.select(numbers), validation=rows.select(validation))

    def collect(self, parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the answers for all rows as those of test, and those for the first fold as those of validation.

        Args:
            parts: for each fold what its model answers for its rows, one entry a row.
        """
        order = np.argsort(np.concatenate(self.answered))
        return {"validation": parts[0], "test": np.concatenate(parts)[order]}

    def turned(self, by: int) -> Folds:
        """Return the same folds, each as many places further to the front; those in front go to the back."""
        answered = self.answered[by % len(self) :] + self.answered[: by % len(self)]
        return replace(self, answered=answered, turn=self.turn + by)


def dealt(table: pd.DataFrame, folds: int | None, seed: int, source: str) -> pd.Series | None:
    """Return the fold of each row, or None where the data is not to be cross-validated.

    Texts are dealt like cards, class by class, so the folds differ by one text of a class at most. Equal texts are in
    one fold, and so are variants of them (`variants.bare`).

    Args:
        table: columns text, stratum (as for `splits.complete`) and split; data with one split only counts as unsplit.
        folds: number of folds; 0 or 1 for none, None for `FOLDS` where rows are few and came without any split.
        seed: decides which text is in which fold.
        source: the data set's name, for messages.

    Raises:
        InputError: folds are asked for, and the data has splits of its own or too few texts.
    """
    asked, unsplit = folds, table["split"].nunique() == 1
    if folds is None:
        folds = FOLDS if unsplit and len(table) < FEW_ROWS else 0
    if folds < 2:
        return None
    table = table.assign(bare=table["text"].map(bare))
    texts = table.drop_duplicates("bare").sample(frac=1, random_state=seed).sort_values("stratum", kind="stable")
    second = texts["stratum"].value_counts().iloc[1:].max()
    if unsplit and second >= folds:
        return table["bare"].map(dict(zip(texts["bare"], np.arange(len(texts)) % folds, strict=True)))
    if asked is None:
        return None
    few = f"has not two classes with {folds} different texts each"
    fault = few if unsplit else "comes with splits of its own"
    raise InputError(f"folds: got {folds}, but {source} {fault}; take 0")


def in_folds(rows: pd.DataFrame, fold: np.ndarray, max_train_rows: int | None, seed: int) -> tuple[Folds, list[str]]:
    """Return the folds of rows, and notes on what they mean.

    Args:
        rows: all of them, with the columns text and stratum.
        fold: of each row.
        max_train_rows: a model learns from at most so many rows, drawn class by class with the seed.
    """
    k = int(fold.max()) + 1
    found = Folds(tuple(np.flatnonzero(fold == i) for i in range(k)), max_train_rows or len(rows), seed)
    notes = [
        f"No split came with the data, and {len(rows):,} rows are too few to give some away. So the test figures are "
        f"those of a {k}-fold cross-validation: each row is answered once, by a model that has not learned from its "
        f"part, one of {k}, dealt class by class with seed {seed}. The model that is kept learns from all parts (but "
        "one, with keep: best). Train and validation are those of the first part."
    ]
    if found.most < len(rows):
        notes.append(f"Each training uses at most {max_train_rows} rows, drawn class by class with seed {seed}.")
    texts = rows.assign(text=rows["text"].map(bare)).drop_duplicates(["text", "stratum"])
    counts = texts["stratum"].value_counts().sort_index()
    if rare := [f"{name or 'none'} ({n})" for name, n in counts.items() if n < k]:
        notes.append(f"Classes with too few different texts to be in every part: {', '.join(rare)}.")
    return found, notes
