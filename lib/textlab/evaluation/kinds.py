"""Whether two sets of texts are of one kind, from the mean and the covariance of their features."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

#: Number of rows, mean of the features, shape (features,), and their covariance, shape (features, features).
Moments = tuple[int, np.ndarray, np.ndarray]
#: Rows of another kind have more than this share told from those that are known, also at the lower end of its interval.
TOLD_APART = 0.75
#: A script is strange that has less than the first share of the letters that are known; it is another language where
#: strange scripts have the second share of the letters.
RARE, MOSTLY = 0.02, 0.5
#: Directions in which rows differ by less than this share of the largest spread say nothing.
FLAT = 1e-9


def told_apart(known: Moments, seen: Moments) -> tuple[float, float]:
    """Return which share of rows the best linear rule tells to be of one or of the other set, and at least which.

    The share follows from Mahalanobis' distance D between the means, as that of Fisher's discriminant does, which errs
    on a share of Phi(-D / 2). What D is too large by, since the rows are few, is taken off (Lachenbruch and Mickey
    1968). The second figure is the lower end of its 95 % interval: it grows with the distance and not, as a p-value
    falls, with the rows alone.

    Returns:
        The two shares, 0.5 for rows of one kind to 1; (0.5, 0.5) where there are no more rows than features.

    >>> one, other = (500, np.zeros(2), np.eye(2)), (500, np.array([2.0, 0]), np.eye(2))
    >>> [round(share, 2) for share in (*told_apart(one, other), *told_apart(one, one))]
    [0.84, 0.82, 0.5, 0.5]
    """
    (m, one, first), (n, other, second) = known, seen
    features, freedom, noise = len(one), m + n - 2, 1 / m + 1 / n
    if freedom <= features + 1:
        return 0.5, 0.5
    pooled = ((m - 1) * first + (n - 1) * second) / freedom
    apart = other - one
    raw = apart @ np.linalg.pinv(pooled, rcond=FLAT, hermitian=True) @ apart
    square = max(0.0, float(raw) * (freedom - features - 1) / freedom - features * noise)
    error = math.sqrt(2 * features * noise**2 + 4 * square * noise)
    return _share(square), _share(max(0.0, square - 2 * error))


def strange_scripts(known: Mapping[str, float], seen: Mapping[str, float]) -> dict[str, float]:
    """Return the scripts that are hardly known, each with its share; nothing unless most letters are of these.

    Args:
        known, seen: script -> share of the letters.

    >>> strange_scripts({"LATIN": 0.99, "GREEK": 0.01}, {"LATIN": 0.2, "GREEK": 0.8})
    {'GREEK': 0.8}
    >>> strange_scripts({"LATIN": 0.99, "GREEK": 0.01}, {"LATIN": 0.6, "GREEK": 0.4})
    {}
    """
    strange = {script: share for script, share in seen.items() if known.get(script, 0) < RARE}
    return strange if sum(strange.values()) >= MOSTLY else {}


def _share(square: float) -> float:
    """Return Phi(D / 2) of a squared distance."""
    return (1 + math.erf(math.sqrt(square) / 2 / math.sqrt(2))) / 2
