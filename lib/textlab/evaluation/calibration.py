"""Whether the probabilities of a model can be believed, and what a temperature changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from .answers import as_array


def reliability(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return how often the model is right, by how sure it is (DeGroot and Fienberg 1983).

    Where texts have several labels, each label of each text is a forecast of its own: its probability is held against
    how often it is there.

    Args:
        true: class ids, one a row; or 0 and 1 for each label, shape (rows, labels).
        probabilities: of each class or label for each row, shape (rows, classes).
        bins: number of equally wide bins of confidence.

    Returns:
        A row for each bin that has rows: confidence (its mean), accuracy (share of what is right, or of labels that are
        there), rows (of forecasts).
    """
    confidence, right = (values.ravel() for values in _forecasts(true, probabilities))
    groups = pd.DataFrame({"bin": _bins(confidence, bins), "confidence": confidence, "accuracy": right}).groupby("bin")
    return groups.agg(confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), rows=("bin", "size"))


def calibration_error(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy (Naeini et al. 2015).

    The bins are those of `reliability`, weighted by their rows.
    """
    return float(_error(*_forecasts(true, probabilities), bins))


def temperature(true: Sequence[int], probabilities: np.ndarray) -> float:
    """Return the temperature that makes the labels most likely (Guo et al. 2017); above 1 the model is too sure.

    Fit it on rows that are not scored afterwards.

    Args:
        true, probabilities: as for `reliability`.
    """
    true = as_array(true)
    several = true.ndim == 2
    logits, rows = _logits(probabilities, several), np.arange(len(probabilities))

    def loss(log_temperature: float) -> float:
        if several:
            return np.logaddexp(0, (1 - 2.0 * true) * logits / np.exp(log_temperature)).mean()
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, true].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def rescale(probabilities: np.ndarray, temperature: float, several: bool = False) -> np.ndarray:
    """Return probabilities at another temperature; which class is the likeliest stays the same.

    Args:
        probabilities: of each class or label for each row, shape (rows, classes).
        temperature: above 1 the model gets less sure.
        several: whether a text may have several labels; each label is then rescaled for itself. Thresholds that are
            rescaled in the same way give the same answers.
    """
    logits = _logits(probabilities, several) / temperature
    return expit(logits) if several else softmax(logits, axis=1)


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
        true: class ids, one a row; or 0 and 1 for each label, shape (rows, labels).
        first, second: probabilities of each class or label for each row, shape (rows, classes).
        bins: as for `calibration_error`.
        seed, resamples: of the intervals.

    Returns:
        first, second and difference (second minus first: below 0, the second ones are more to be believed), each with
        its 95 % interval (`..._ci95`: [low, high]): of two paired bootstraps over rows, percentile and basic, each end
        that is further out, since an error comes out too large, and too large once more in each resample. That of an
        error begins at 0 where a model whose probabilities are true would have as large a one in 5 of 100 draws of
        labels (Bröcker and Smith 2007).
    """
    dice = np.random.default_rng(seed)
    values, perfect = np.zeros((1 + resamples, 2)), np.zeros((resamples, 2))
    sides = [_forecasts(true, probabilities) for probabilities in (first, second)]
    for number in range(1 + resamples):
        rows = dice.integers(len(true), size=len(true)) if number else np.arange(len(true))
        values[number] = [_error(confidence[rows], right[rows], bins) for confidence, right in sides]
    for number in range(resamples):
        perfect[number] = [_error(sure, dice.random(sure.shape) < sure, bins) for sure, _ in sides]
    values = np.column_stack([values, values[:, 1] - values[:, 0]])
    percentiles = np.percentile(values[1:], [2.5, 97.5], axis=0)
    basic = 2 * values[0] - percentiles[::-1]
    low, high = np.minimum(percentiles[0], basic[0]), np.maximum(percentiles[1], basic[1])
    low[:2] = np.where(values[0, :2] <= np.percentile(perfect, 95, axis=0), 0, low[:2].clip(0))
    found = {}
    for name, *three in zip(("first", "second", "difference"), values[0], low, high):
        value, *interval = map(float, three)
        found |= {name: value, f"{name}_ci95": interval}
    return found


def _error(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Return the expected calibration error of forecasts, as `_forecasts` returns them."""
    bin_of = _bins(confidence.ravel(), bins)
    return np.abs(np.bincount(bin_of, (confidence - right).ravel(), minlength=bins)).sum() / confidence.size


def _forecasts(true: Sequence[int], probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure a model is, and whether it is right, 1 or 0.

    Returns:
        Of each row's likeliest class, shape (rows,); of several labels a text each label's probability, and whether the
        text has it, shape (rows, labels).
    """
    true = as_array(true)
    if true.ndim == 2:
        return probabilities, true
    return probabilities.max(1), probabilities.argmax(1) == true


def _bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((confidence * bins).astype(int), bins - 1)


def _logits(probabilities: np.ndarray, several: bool) -> np.ndarray:
    """Return what a softmax over classes, or a sigmoid of each label, makes these probabilities of."""
    return logit(np.clip(probabilities, 1e-12, 1 - 1e-12)) if several else np.log(np.clip(probabilities, 1e-12, 1))
