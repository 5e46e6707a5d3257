"""From probabilities to answers: the likeliest class, or every label whose probability reaches its threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .answers import as_array

#: A label with fewer texts than this gets the threshold that suits all labels together: its own would be chance. In
#: simulated data of 200 to 3,000 rows, own thresholds of labels with 3 to 9 texts raise macro F1 by 2 to 6 points and
#: cost up to 1 point of micro F1; those of labels with 1 or 2 texts cost up to 6.
FEW = 3
#: The least threshold, as a share of that of all labels together. The highest F1 of a label that is not told apart is
#: that of giving it to every text. Without a floor, `relief` of GoEmotions went to 680 of 5,427 texts and was right on
#: 3; with it, micro F1 is 0.538 and not 0.499, exact match 0.378 and not 0.309, macro F1 0.365 and not 0.375.
LEAST = 0.5
#: Into so many parts validation is dealt, each answered by thresholds chosen on the others.
PARTS = 5


def choose(true: Sequence[Sequence[int]], chances: np.ndarray) -> np.ndarray:
    """Return the thresholds that give each label its highest F1 on these rows (Lipton et al. 2014).

    A label that fewer than `FEW` of the rows have gets the one threshold that is best for all labels together, by their
    micro F1; none gets less than `LEAST` of that. Choose on rows that are not scored afterwards.

    Args:
        true: 0 and 1 for each label, shape (rows, labels).
        chances: probability of each label, shape (rows, labels).

    Returns:
        Shape (labels,), between 0 and 1; all 0.5 if no row has a label, since then no threshold is better.

    >>> choose([[1], [1], [0]] * 10, np.array([[0.9], [0.3], [0.1]] * 10)).round(3).tolist()
    [0.2]
    """
    true, chances = as_array(true), np.asarray(chances, dtype=float)
    if true.ndim != 2 or true.shape != chances.shape:
        raise ValueError(
            f"labels and probabilities must be of one shape (rows, labels): got {true.shape}, {chances.shape}"
        )
    shared = _best(true.ravel(), chances.ravel())
    thresholds = np.full(true.shape[1], shared)
    for label in np.flatnonzero(true.sum(0) >= FEW):
        thresholds[label] = max(_best(true[:, label], chances[:, label]), LEAST * shared)
    return thresholds


def decide(chances: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
    """Return the answers that probabilities come to.

    Args:
        chances: probability of each class or label, shape (rows, labels).
        thresholds: of each label; None: a text has one label, the likeliest.

    Returns:
        Class ids, shape (rows,); with thresholds 0 and 1 for each label, shape (rows, labels), int8.
    """
    chances = np.asarray(chances)
    return chances.argmax(1) if thresholds is None else (chances >= np.asarray(thresholds)).astype(np.int8)


def decisions(
    true: Mapping[str, Sequence], chances: Mapping[str, np.ndarray], parts: Sequence[Sequence[int]] = ()
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return the answers for all splits, and the thresholds of the model that is kept.

    With several labels a text, thresholds are chosen on validation, for test and for the model that is kept. A part of
    validation itself is answered by thresholds chosen on the other parts, so that no text has part in its own answer.
    In a cross-validation the same goes for each fold of test, the kept model gets thresholds chosen on all of test, and
    validation, whose rows are those of the first fold, is answered as these.

    Args:
        true: split -> what `answers.truth` returns.
        chances: split -> probability of each class or label, shape (rows, labels).
        parts: of a cross-validation, the row numbers of each fold in test; they cover it.

    Returns:
        Split -> answers, as `decide` returns them; thresholds, shape (labels,), or None with one label a text.
    """
    if as_array(next(iter(true.values()))).ndim == 1:
        return {split: decide(some) for split, some in chances.items()}, None
    chooses = "test" if len(parts) else "validation"
    known, said = as_array(true[chooses]), chances[chooses]
    thresholds = choose(known, said)
    answers = {split: decide(some, thresholds) for split, some in chances.items()}
    for rows in parts if len(parts) else _dealt(len(known)):
        others = np.setdiff1d(np.arange(len(known)), rows)
        answers[chooses][rows] = decide(said[rows], choose(known[others], said[others]))
    if len(parts) and "validation" in chances:
        answers["validation"] = answers["test"][parts[0]]
    return answers, thresholds


def _dealt(rows: int) -> list[np.ndarray]:
    """Return the row numbers of the parts of validation, the same each time; one row alone is in none."""
    return np.array_split(np.random.default_rng(0).permutation(rows), min(PARTS, rows)) if rows > 1 else []


def _best(true: np.ndarray, chances: np.ndarray) -> float:
    """Return the threshold of the highest F1: the middle between the last probability that passes and the next one."""
    values, number = np.unique(chances, return_inverse=True)
    counts, found = np.bincount(number), np.bincount(number, weights=true)
    passing, hits = counts[::-1].cumsum()[::-1], found[::-1].cumsum()[::-1]
    if not true.any():
        return 0.5
    last = int((2 * hits / (passing + true.sum())).argmax())
    below = values[last - 1] if last else 0.0
    middle = (values[last] + below) / 2
    return float(middle if middle > below else values[last])  # neighbours of the last bit have no middle
