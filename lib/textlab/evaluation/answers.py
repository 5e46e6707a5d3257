"""Labels and answers as arrays: a class id a text, or a 0/1 matrix where a text may have several labels, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # a prediction needs no datasets
    from datasets import Dataset


def names(split: Dataset) -> list[str]:
    """Return the names of the labels, in the order of their ids."""
    feature = split.features["label"]
    return list(getattr(feature, "feature", feature).names)


def truth(split: Dataset) -> np.ndarray:
    """Return the labels of a split.

    Args:
        split: its `label` column holds a class id a text (`ClassLabel`), or a list of them (`List(ClassLabel)`).

    Returns:
        Class ids, shape (rows,); or where texts have lists of them, 0 and 1 for each label, shape (rows, labels), int8.
    """
    labels = split["label"][:]
    if not hasattr(split.features["label"], "feature"):  # that of a list is what is in it
        return np.array(labels)
    matrix = np.zeros((len(labels), len(names(split))), dtype=np.int8)
    for row, ids in enumerate(labels):
        matrix[row, ids] = 1
    return matrix


def as_array(answers: Sequence) -> np.ndarray:
    """Return labels or answers as `truth` does: class ids as they are, a matrix of 0 and 1 as int8.

    Args:
        answers: class ids, shape (rows,), or 0 and 1 for each label, shape (rows, labels); lists of them, too.

    Raises:
        ValueError: a matrix holds something else, such as probabilities.
    """
    array = np.asarray(answers)
    if array.ndim < 2:
        return array
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"several labels a text are 0 or 1 for each label; got {array[~np.isin(array, (0, 1))][0]}")
    return array.astype(np.int8)


def accuracy_name(several: bool) -> str:
    """Return what the share of right answers is called; where a text may have several labels, all have to be right."""
    return "exact match" if several else "accuracy"


def same(true: Sequence, predicted: Sequence) -> np.ndarray:
    """Return for each row whether the answer is right: the class, or exactly the labels that the text has.

    Args:
        true, predicted: class ids, shape (rows,), or 0 and 1 for each label, shape (rows, labels).

    Returns:
        Shape (rows,), bool.

    Raises:
        ValueError: the two differ in shape.

    >>> same([[1, 0], [1, 1]], [[1, 0], [1, 0]]).tolist()
    [True, False]
    """
    true, predicted = as_array(true), as_array(predicted)
    if true.shape != predicted.shape:
        raise ValueError(f"labels and answers must be of one shape: got {true.shape} and {predicted.shape}")
    return true == predicted if true.ndim == 1 else (true == predicted).all(1)


def words(answer: int | Sequence[int], names: Sequence[str]) -> str:
    """Return an answer for reading.

    Args:
        answer: class id, or 0 and 1 for each label: a row of what `truth` returns.
        names: of the labels.

    >>> words(1, ["joy", "anger"]), words([1, 1], ["joy", "anger"]), words([0, 0], ["joy", "anger"])
    ('anger', 'joy, anger', 'none')
    """
    if np.ndim(answer) == 0:
        return names[answer]
    return ", ".join(names[label] for label in np.flatnonzero(answer)) or "none"
