"""How well a label's probability tells its texts from others: average precision, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .answers import as_array

#: Numbers that a bootstrap holds at a time, for each of a few tables: 32 MB.
AT_ONCE = 2**22


def average_precision(
    true: Sequence[Sequence[int]], chances: np.ndarray, seed: int = 0, resamples: int = 1000
) -> dict[str, float | list]:
    """Return the average precision of each label and their mean, in which no threshold has a part.

    Each text with a label is asked which share of the texts that are as likely to have it, or likelier, do have it. The
    average precision is the mean of these shares. The intervals are percentile bootstrap intervals over rows.

    Args:
        true: 0 and 1 for each label, shape (rows, labels); a label that no row has does not count into the mean.
        chances: probability of each label, shape (rows, labels).
        seed, resamples: of the intervals.

    Returns:
        mean_average_precision, and its interval mean_average_precision_ci95, [low, high]; average_precision and
        average_precision_ci95, lists in the order of the labels, with None for a label that no row has.

    Raises:
        ValueError: the two differ in shape, texts have one label each, or no row has any label.

    >>> found = average_precision([[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> [None if value is None else round(value, 3) for value in found["average_precision"]]  # (1 + 2/3) / 2
    [0.833, None]
    """
    true, chances = as_array(true), np.asarray(chances)
    if true.ndim != 2 or true.shape != chances.shape or not true.any():
        raise ValueError(
            "average precision needs 0 and 1 for each label, a 1 among them, and as many probabilities: got shapes "
            f"{true.shape} and {chances.shape}, and {np.count_nonzero(true)} labels that are not 0"
        )
    values = np.full((1 + resamples, true.shape[1]), np.nan)
    for start, weights in _draws(len(true), seed, resamples):
        for label in np.flatnonzero(true.any(0)):
            values[start : start + weights.shape[1], label] = _of_label(true[:, label], chances[:, label], weights)
    counted = (~np.isnan(values)).sum(1)
    means = np.divide(np.nansum(values, axis=1), counted, out=np.full(len(values), np.nan), where=counted > 0)
    return {
        "mean_average_precision": float(means[0]),
        "mean_average_precision_ci95": _interval(means),
        "average_precision": [None if np.isnan(value) else float(value) for value in values[0]],
        "average_precision_ci95": [None if np.isnan(column[0]) else _interval(column) for column in values.T],
    }


def _draws(rows: int, seed: int, resamples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of a first sample, and how often each row is in it and the next ones, shape (rows, samples)."""
    dice, at_once = np.random.default_rng(seed), max(1, AT_ONCE // rows)
    yield 0, np.ones((rows, 1), dtype=np.int64)
    for done in range(0, resamples, at_once):
        size = min(at_once, resamples - done)
        yield 1 + done, np.ascontiguousarray(dice.multinomial(rows, np.full(rows, 1 / rows), size=size).T)


def _of_label(true: np.ndarray, chances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average precision of a label in each sample, shape (samples,); nan where none of its texts is in it.

    Rows are sorted once for all samples, and counted up to each text that has the label: only there shares are taken.
    """
    order = np.argsort(-chances, kind="stable")
    ranked, places = weights[order], np.flatnonzero(true[order])
    ends = np.searchsorted(-chances[order], -chances[order[places]], side="right")  # of those that are as likely
    bounds, group = np.unique(ends, return_inverse=True)
    above = np.add.reduceat(ranked[: bounds[-1]], [0, *bounds[:-1]], axis=0).cumsum(axis=0)
    mine = ranked[places]
    found = mine.cumsum(axis=0)[np.searchsorted(places, bounds) - 1]
    precision, total = found / np.maximum(above, 1), mine.sum(axis=0)
    return np.divide((mine * precision[group]).sum(0), total, out=np.full(len(total), np.nan), where=total > 0)


def _interval(samples: np.ndarray) -> list[float]:
    """Return the 95 % interval of all samples but the first, which are the rows themselves."""
    return np.nanpercentile(samples[1:], [2.5, 97.5]).tolist()
