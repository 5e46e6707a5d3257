"""Whether the probabilities of a model can be believed, and what a temperature changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


def reliability(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return how often the model is right, by how sure it is (DeGroot and Fienberg 1983).

    Args:
        true: class ids, one a row.
        probabilities: of each class for each row, shape (rows, classes).
        bins: number of equally wide bins of confidence.

    Returns:
        A row for each bin that has rows: confidence (its mean), accuracy, rows.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == np.asarray(true)
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    groups = pd.DataFrame({"bin": number, "confidence": confidence, "accuracy": right}).groupby("bin")
    return groups.agg(confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), rows=("bin", "size"))


def calibration_error(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy (Naeini et al. 2015).

    The bins are those of `reliability`, weighted by their rows.
    """
    table = reliability(true, probabilities, bins)
    return float(((table["confidence"] - table["accuracy"]).abs() * table["rows"]).sum() / table["rows"].sum())


def temperature(true: Sequence[int], probabilities: np.ndarray) -> float:
    """Return the temperature that makes the labels most likely (Guo et al. 2017); above 1 the model is too sure.

    Fit it on rows that are not scored afterwards.

    Args:
        true: class ids, one a row.
        probabilities: of each class for each row, shape (rows, classes).
    """
    logits, rows = np.log(np.clip(probabilities, 1e-12, 1)), np.arange(len(probabilities))

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, true].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def rescale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities at another temperature; which class is the likeliest stays the same."""
    return softmax(np.log(np.clip(probabilities, 1e-12, 1)) / temperature, axis=1)


def compare_calibration(
    true: Sequence[int],
    first: np.ndarray,
    second: np.ndarray,
    bins: int = 10,
    seed: int = 0,
    resamples: int = 2000,
) -> dict:
    """Return the calibration errors of two sets of probabilities for the same rows, and how they differ.

    Args:
        true: class ids, one a row.
        first, second: probabilities of each class for each row, shape (rows, classes).
        bins: as for `calibration_error`.
        seed, resamples: of the intervals, paired percentile bootstraps over rows.

    Returns:
        first, second and difference (second minus first: below 0, the second ones are more to be believed), each with
        its 95 % interval (`..._ci95`: [low, high]).
    """
    true, dice = np.asarray(true), np.random.default_rng(seed)
    values = np.zeros((1 + resamples, 2))
    parts = [_gaps(true, probabilities, bins) for probabilities in (first, second)]
    for number in range(1 + resamples):
        rows = dice.integers(len(true), size=len(true)) if number else np.arange(len(true))
        values[number] = [
            np.abs(np.bincount(bin_of[rows], gap[rows], minlength=bins)).sum() / len(true) for bin_of, gap in parts
        ]
    values = np.column_stack([values, values[:, 1] - values[:, 0]])
    found = {}
    for name, column in zip(("first", "second", "difference"), values.T):
        found |= {name: float(column[0]), f"{name}_ci95": np.percentile(column[1:], [2.5, 97.5]).tolist()}
    return found


def _gaps(true: np.ndarray, probabilities: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each row, and its confidence minus 1 where it is right, minus 0 where it is wrong."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    return np.minimum((confidence * bins).astype(int), bins - 1), confidence - right
