"""How far answers are off where labels have an order, such as stars: their ids are their places in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def score(true: Sequence[int], ids: Sequence[int], seed: int = 0, resamples: int = 2000) -> dict[str, float | list]:
    """Return the mean distance of answers from their labels, and how far both agree beyond chance.

    The intervals are percentile bootstrap intervals over rows.

    Args:
        true, ids: class ids, one a row: the labels, and the answers.
        seed, resamples: of the intervals.

    Returns:
        mean_absolute_error, in steps from one label to the next; quadratic_weighted_kappa, Cohen's kappa (1968) with
        squared distances as weights: 1 for full agreement, 0 for chance, and also where all labels and answers are the
        same one; each with its 95 % interval (`..._ci95`: [low, high]).

    Raises:
        ValueError: the two differ in number, or texts have several labels, which have no order.

    >>> found = score([0, 1, 2, 2], [0, 1, 2, 0])
    >>> found["mean_absolute_error"], round(found["quadratic_weighted_kappa"], 3)
    (0.5, 0.385)
    """
    true, ids = np.asarray(true), np.asarray(ids)
    if true.ndim != 1 or true.shape != ids.shape:
        raise ValueError(
            f"ordered labels are one class id a row: got labels of shape {true.shape}, answers {ids.shape}"
        )
    kinds, counts = np.unique(np.stack([true, ids]), axis=1, return_counts=True)  # rows of a kind are interchangeable
    drawn = np.random.default_rng(seed).multinomial(len(true), counts / len(true), size=resamples)
    draws = np.vstack([counts, drawn])
    values = {
        "mean_absolute_error": draws @ np.abs(kinds[0] - kinds[1]) / len(true),
        "quadratic_weighted_kappa": _kappa(draws, *kinds),
    }
    figures = {name: float(column[0]) for name, column in values.items()}
    bounds = {f"{name}_ci95": np.percentile(column[1:], [2.5, 97.5]).tolist() for name, column in values.items()}
    return figures | bounds


def _kappa(draws: np.ndarray, true: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the kappa of samples: 1 less the squared distances as a share of those of independent answers.

    Args:
        draws: how many rows of each kind a sample has, shape (samples, kinds).
        true, ids: label and answer of each kind.
    """
    rows = draws.sum(1)
    found = rows * (draws @ (true - ids) ** 2)  # whole numbers, so that 0 is 0
    by_chance = rows * (draws @ (true**2 + ids**2)) - 2 * (draws @ true) * (draws @ ids)
    return np.where(by_chance > 0, 1 - found / np.maximum(by_chance, 1), 0.0)


def sentence(scores: Mapping[str, float | list]) -> str:
    """Return in a sentence what `score` found."""
    (low, high), (least, most) = scores["mean_absolute_error_ci95"], scores["quadratic_weighted_kappa_ci95"]
    return (
        f"Answers are {scores['mean_absolute_error']:.2f} steps off on average ({low:.2f} to {high:.2f}); their "
        f"quadratic weighted kappa is {scores['quadratic_weighted_kappa']:.3f} ({least:.3f} to {most:.3f})."
    )
