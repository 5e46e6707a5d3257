"""Would more labels help? What models of fewer rows got wrong, and how that goes on with twice the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from .answers import same


def more_labels(
    true: Sequence[int], answers: Mapping[int, Sequence[int]], seed: int = 0, resamples: int = 2000
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return accuracy by the number of rows learned from, and what twice the rows would add to it.

    The share of wrong answers is taken to fall as a power of the number of rows (Hestness et al. 2017), which is fitted
    to the logarithms. A bootstrap sample draws the answered rows and the trainings, both with repetition, so the
    interval covers that each size was trained once. It cannot cover that the power law may end.

    Args:
        true: class ids of the rows that were answered, or 0 and 1 for each label, shape (rows, labels); of several
            labels all must be right.
        answers: number of rows learned from -> what the model of so many rows answers; three sizes or more, since
            two lie on a line whatever came of the trainings.
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        A table with rows, accuracy and fitted (accuracy by the power law), its last line for twice the most rows, where
        accuracy is missing; low and high of its 95 % interval. And gain (in accuracy, of twice the rows), gain_ci95.

    Raises:
        InputError: there are fewer than three sizes.

    >>> true = [0, 1] * 500
    >>> wrong = {100: 320, 200: 226, 400: 160}  # falls by the root of two each time
    >>> answers = {n: [1 - i if k < w else i for k, i in enumerate(true)] for n, w in wrong.items()}
    >>> table, told = more_labels(true, answers)
    >>> round(told["gain"], 3), table["rows"].tolist()
    (0.047, [100, 200, 400, 800])
    """
    sizes = np.array(sorted(answers))
    if len(sizes) < 3:
        raise InputError(f"answers: got {len(sizes)} sizes; accepted are three or more")
    wrong = np.stack([~same(true, answers[size]) for size in sizes])
    kinds, counts = np.unique(wrong, axis=1, return_counts=True)  # rows of one kind are interchangeable
    dice, total = np.random.default_rng(seed), counts.sum()
    drawn = np.vstack([counts, dice.multinomial(total, counts / total, size=resamples)])
    errors = np.maximum(drawn @ kinds.T, 0.5) / total  # shape (1 + resamples, sizes); no power law reaches 0
    weights = np.vstack([np.ones(len(sizes)), _trainings(len(sizes), resamples, dice)])
    points = np.log([*sizes, 2 * sizes[-1]])
    fitted = 1 - np.exp(_lines(points[:-1], np.log(errors), weights, points))
    gains = fitted[:, -1] - fitted[:, -2]
    low, high = np.percentile(fitted[1:], [2.5, 97.5], axis=0)
    accuracy = [*(1 - wrong.mean(1)), np.nan]
    rows = {"rows": [*sizes.tolist(), 2 * int(sizes[-1])], "accuracy": accuracy, "fitted": fitted[0]}
    told = {"gain": float(gains[0]), "gain_ci95": np.percentile(gains[1:], [2.5, 97.5]).tolist()}
    return pd.DataFrame(rows | {"low": low, "high": high}), told


def _trainings(n: int, resamples: int, dice: np.random.Generator) -> np.ndarray:
    """Return how often each of n trainings is drawn, shape (resamples, n); two different ones or more each time."""
    drawn = dice.multinomial(n, np.full(n, 1 / n), size=resamples)
    while (lonely := (drawn > 0).sum(1) < 2).any():
        drawn[lonely] = dice.multinomial(n, np.full(n, 1 / n), size=int(lonely.sum()))
    return drawn


def _lines(x: np.ndarray, y: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the values at some points of the lines through weighted points, by least squares.

    Args:
        x: shape (n,). y, weights: shape (lines, n). at: shape (points,).

    Returns:
        Shape (lines, points).
    """
    share = weights / weights.sum(1, keepdims=True)
    middle, height = share @ x, (share * y).sum(1)
    away = x - middle[:, None]
    slope = (share * away * y).sum(1) / (share * away**2).sum(1)
    return height[:, None] + slope[:, None] * (at - middle[:, None])
