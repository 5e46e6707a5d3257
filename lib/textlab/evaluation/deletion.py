"""Do the words that are said to have decided mean something? What a model's answer loses without them says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def deletion_test(
    chosen: Sequence[float], at_random: np.ndarray, seed: int = 0, resamples: int = 2000
) -> dict[str, Any]:
    """Return by how much more an answer falls without its most important words than without as many random ones.

    The interval is a percentile bootstrap interval over texts (Efron 1979).

    Args:
        chosen: fall of the answer's probability for each text, without the words that weigh most.
        at_random: the same without as many random words, shape (draws, texts).
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        Keys chosen and at_random (mean falls), difference (the first minus the second) and difference_ci95 ([low,
        high]); an interval above 0 says that the words mean something.

    Raises:
        ValueError: the two differ in their number of texts.

    >>> found = deletion_test([0.5, 0.3], [[0.1, 0.1], [0.3, 0.1]])
    >>> round(found["difference"], 2), [round(bound, 2) for bound in found["difference_ci95"]]
    (0.25, [0.2, 0.3])
    """
    chosen, at_random = np.asarray(chosen, dtype=float), np.asarray(at_random, dtype=float)
    if at_random.shape[1:] != chosen.shape:
        raise ValueError(f"got falls of {len(chosen)} texts, and at random of shape {at_random.shape}")
    differences = chosen - at_random.mean(0)
    drawn = np.random.default_rng(seed).integers(len(differences), size=(resamples, len(differences)))
    return {
        "chosen": float(chosen.mean()),
        "at_random": float(at_random.mean()),
        "difference": float(differences.mean()),
        "difference_ci95": np.percentile(differences[drawn].mean(1), [2.5, 97.5]).tolist(),
    }
