"""Which unlabelled rows would teach a model most: rows that it doubts, each standing for others like it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

#: Of how many rows, drawn by their doubt, one is chosen; but of all rows at most this share is drawn.
DRAWN, SHARE = 10, 0.5
#: What is taken for doubt where a model is wholly sure.
LEAST_DOUBT = 1e-6


def doubts(probabilities: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
    """Return how much a model doubts its answers: 1 where two classes are as likely, near 0 where one is certain.

    It is 1 less the margin of the two likeliest classes (Scheffer et al. 2001). Where texts have several labels, that
    of the label which is nearest to its threshold: 1 there, near 0 where each label is certain, or certainly not there.

    Args:
        probabilities: of each class or label for each row, shape (rows, classes); two classes or more.
        thresholds: of each label, from 0 to 1; None: a text has one label.

    >>> doubts(np.array([[0.5, 0.5, 0.0], [0.1, 0.1, 0.8]])).round(1).tolist()
    [1.0, 0.3]
    >>> doubts(np.array([[0.9, 0.3], [0.9, 0.1]]), thresholds=[0.5, 0.2]).round(2).tolist()
    [0.88, 0.5]
    """
    if thresholds is not None:
        return doubts_of_labels(probabilities, thresholds).max(1)
    second, first = np.partition(probabilities, (-2, -1), axis=1)[:, -2:].T
    return np.clip(1 - (first - second), LEAST_DOUBT, 1)


def doubts_of_labels(probabilities: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Return the doubt about each label of each row, shape (rows, labels); see `doubts`."""
    limits = np.clip(thresholds, LEAST_DOUBT, 1 - LEAST_DOUBT)
    away = np.where(probabilities < limits, 1 - probabilities / limits, (probabilities - limits) / (1 - limits))
    return np.clip(1 - away, LEAST_DOUBT, 1)


def lots(doubt: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the lots of rows: those with the highest are a sample in which a row's weight is its doubt.

    So a stream of any length is sampled by keeping the best (Efraimidis and Spirakis 2006).

    Args:
        doubt: of each row, see `doubts`.
        uniform: for each row a random number above 0 and below 1.
    """
    return np.log(uniform) / doubt


def drawn(lot: np.ndarray, rows: int, n: int) -> np.ndarray:
    """Return which rows are drawn to choose n of them, those with the highest lots first.

    Args:
        lot: of rows, see `lots`; those with the highest of all are among them, DRAWN * n or more if there are as many.
        rows: how many there are in all.
        n: rows that will be chosen.
    """
    most = min(DRAWN * n, max(n, int(SHARE * rows)))
    return np.argsort(-np.asarray(lot), kind="stable")[:most]


def to_label(doubt: np.ndarray, states: np.ndarray, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows to label, those first that stand for the most doubt.

    Rows are put into n clusters by the direction of their states (k-means), so that no two are alike. Of each cluster
    the row next to its centre is taken, as it stands for the others.

    Args:
        doubt: of each row that is drawn, see `doubts`.
        states: what the model makes of each row, shape (rows, hidden size).
        n: rows to choose, at most as many as there are.
        seed: of the clusters.

    Returns:
        Row numbers, fewer than n if fewer states are different; and the number of rows in the cluster of each.
    """
    directions = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different states than clusters
        clusters = KMeans(n, n_init=1, random_state=seed).fit(directions)
    away = np.linalg.norm(directions - clusters.cluster_centers_[clusters.labels_], axis=1)
    order = np.lexsort((away, clusters.labels_))
    names, start, sizes = np.unique(clusters.labels_[order], return_index=True, return_counts=True)
    best = np.argsort(-np.bincount(clusters.labels_, weights=doubt)[names], kind="stable")
    return order[start][best], sizes[best]
