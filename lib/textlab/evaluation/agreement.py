"""How far people agree on texts that many rated, and whether a model is sure where they are.

Ratings are an array for each text, a number for each person. A number below -cut is a vote for the class negative
(id 0), one above cut for positive (2), and one between for neutral (1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from .scores import all_or_none

#: What a rating has to be beyond to be negative or positive.
CUT = 0.5


def agreement(ratings: Sequence[np.ndarray], cut: float = CUT, seed: int = 0, resamples: int = 2000) -> dict:
    """Return how often one person's class is that of the mean of all others who rated the same text.

    That is what a person reaches, and so a line that a model can be held against.

    Args:
        ratings: of each text, two or more.
        seed, resamples: of the interval, a percentile bootstrap over texts.

    Returns:
        agreement: share of all single ratings, from 0 to 1; agreement_ci95: [low, high]; number of texts and ratings.

    Raises:
        ValueError: there is no text, or one has less than two ratings.

    >>> agreement([[2, 2, 0], [-1, -1]])["agreement"]  # only the 0 is not of the class of the others
    0.8
    """
    agreed, counts = _agreed(ratings, cut)

    def share(rows: np.ndarray) -> float:
        return agreed[rows].sum() / counts[rows].sum()

    found = _figure("agreement", share, [len(counts)], seed, resamples)
    return found | {"texts": len(counts), "ratings": int(counts.sum())}


def against_person(
    right: np.ndarray, ratings: Sequence[np.ndarray], cut: float = CUT, seed: int = 0, resamples: int = 2000
) -> dict:
    """Return how much more often a model is right than one person is, on the same texts.

    Args:
        right: whether the model of each seed is right, shape (seeds, texts).
        ratings: of each text, two or more.
        seed, resamples: of the interval, a paired percentile bootstrap over texts, and over seeds as in `score_seeds`.

    Returns:
        difference: the mean accuracy minus the `agreement` of one person; difference_ci95: [low, high].

    Raises:
        ValueError: as `agreement` does, or the texts differ in number.
    """
    agreed, counts = _agreed(ratings, cut)
    right = np.asarray(right)
    if (texts := right.shape[1]) != len(counts):
        raise ValueError(f"both must be of the same texts: got {texts} answers and ratings of {len(counts)} texts")

    def gap(rows: np.ndarray, seeds: np.ndarray) -> float:
        return right[np.ix_(seeds, rows)].mean() - agreed[rows].sum() / counts[rows].sum()

    return _figure("difference", gap, [texts, len(right)], seed, resamples)


def split_half(
    ratings: Sequence[np.ndarray], cut: float = CUT, halves: int = 50, seed: int = 0, resamples: int = 2000
) -> dict:
    """Return how often one half of the people gives a text the class that the other half gives it.

    That is how sure the label is if half as many people make it; that of all of them is surer still. The people of each
    text are divided at random, `halves` times.

    Args:
        ratings: of each text, two or more; of an odd number one half has one more.
        seed, resamples: of the division, and of the interval, a percentile bootstrap over texts.

    Returns:
        split_half: share of texts, from 0 to 1, mean over the divisions; split_half_ci95: [low, high].

    Raises:
        ValueError: there is no text, or one has less than two ratings.

    >>> split_half([[2, 2], [-1, 1]])["split_half"]
    0.5
    """
    people, text, counts = _flat(ratings)
    _check(counts)
    dice, place = np.random.default_rng(seed), np.arange(len(text)) - (np.cumsum(counts) - counts)[text]
    is_first, same = place < counts[text] // 2, np.zeros(len(counts))
    for _ in range(halves):
        shuffled = people[np.lexsort((dice.random(len(people)), text))]
        first, second = (
            _classes(np.bincount(text, shuffled * part) / np.bincount(text, part), cut)
            for part in (is_first, ~is_first)
        )
        same += first == second
    return _figure("split_half", lambda rows: same[rows].mean() / halves, [len(counts)], seed, resamples)


def shares(ratings: Sequence[np.ndarray], cut: float = CUT) -> np.ndarray:
    """Return the share of people who hold a text for negative, neutral and positive, shape (texts, 3).

    >>> shares([[1, 2, 0, -4]]).tolist()
    [[0.25, 0.25, 0.5]]
    """
    people, text, counts = _flat(ratings)
    votes = np.bincount(3 * text + _classes(people, cut), minlength=3 * len(counts))
    return votes.reshape(-1, 3) / counts[:, None]


def disagreement(ratings: Sequence[np.ndarray], cut: float = CUT) -> np.ndarray:
    """Return for each text the share of people whose class is not that of the mean rating, which is its label.

    >>> disagreement([[1, 2, 0, -1], [0, 0]]).tolist()  # the mean of the first is 0.5, neutral
    [0.75, 0.0]
    """
    people, text, counts = _flat(ratings)
    labels = _classes(np.bincount(text, people) / counts, cut)
    return 1 - shares(ratings, cut)[np.arange(len(counts)), labels]


def against_spread(
    probabilities: np.ndarray,
    ratings: Sequence[np.ndarray],
    bins: int = 10,
    cut: float = CUT,
    seed: int = 0,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Return how many people give a model's answer, by how sure it is of it.

    Args:
        probabilities: of negative, neutral and positive for each text, shape (texts, 3).
        bins: number of equally wide bins of the highest probability.
        seed, resamples: of the interval, a percentile bootstrap over texts.

    Returns:
        A row for each bin that has texts: confidence (mean of the highest probability), people (mean share of those who
        give the model's answer), texts. `attrs` has spearman, the rank correlation of the two over the texts, and
        spearman_ci95, [low, high]; both are nan where one of the two is the same for all texts.
    """
    confidence, answers = probabilities.max(1), probabilities.argmax(1)
    people = shares(ratings, cut)[np.arange(len(answers)), answers]
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    groups = pd.DataFrame({"bin": number, "confidence": confidence, "people": people}).groupby("bin")
    table = groups.agg(confidence=("confidence", "mean"), people=("people", "mean"), texts=("bin", "size"))

    def correlation(rows: np.ndarray) -> float:
        ranks = rankdata(confidence[rows]), rankdata(people[rows])
        return np.corrcoef(*ranks)[0, 1] if min(map(np.ptp, ranks)) > 0 else np.nan

    table.attrs |= _figure("spearman", correlation, [len(people)], seed, resamples)
    return table


def suspects_disagree(
    suspects: Sequence[int],
    others: Sequence[int],
    ratings: Sequence[np.ndarray],
    cut: float = CUT,
    seed: int = 0,
    resamples: int = 2000,
) -> dict:
    """Return whether people disagree more on texts whose labels are suspected to be wrong than on others.

    A model errs where people disagree, so suspects that it answered wrongly are to be held against its other errors.

    Args:
        suspects: row numbers of the suspected texts.
        others: row numbers of the texts to compare them with; those that are suspects, too, are left out.
        ratings: of all texts.
        seed, resamples: of the interval, a percentile bootstrap over the texts of either group.

    Returns:
        suspected and others: mean of `disagreement`, from 0 to 1; difference: the first minus the second, with
        difference_ci95, [low, high]; texts and other_texts: numbers of either. Empty if there are none of either.
    """
    spread = disagreement(ratings, cut)
    ours, theirs = spread[np.unique(suspects).astype(int)], spread[np.setdiff1d(others, suspects).astype(int)]
    if not (len(ours) and len(theirs)):
        return {}
    dice = np.random.default_rng(seed)
    gaps = [dice.choice(ours, len(ours)).mean() - dice.choice(theirs, len(theirs)).mean() for _ in range(resamples)]
    return {
        "suspected": float(ours.mean()),
        "others": float(theirs.mean()),
        "difference": float(ours.mean() - theirs.mean()),
        "difference_ci95": np.percentile(gaps, [2.5, 97.5]).tolist(),
        "texts": len(ours),
        "other_texts": len(theirs),
    }


def by_kind(
    kinds: Sequence[str],
    ratings: Sequence[np.ndarray],
    true: Sequence[int],
    answers: Mapping[str, Sequence[int]],
    seed: int = 0,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Return how often models and one person are right, by kind of text.

    Args:
        kinds, ratings, true: of each text: its kind, the ratings, its class id.
        answers: name of a model -> class ids, one a text.
        seed, resamples: of the intervals, percentile bootstraps over texts; of a model that is right on all texts of a
            kind, or on none, the interval is exact.

    Returns:
        Columns kind, who (a model's name, and "one person" for `agreement`), accuracy, low, high and texts; the kinds
        are in the order in which they come first.
    """
    kinds, true, rows = np.asarray(kinds), np.asarray(true), []
    right = {name: np.asarray(ids) == true for name, ids in answers.items()}
    for kind in dict.fromkeys(kinds.tolist()):
        here = np.flatnonzero(kinds == kind)
        found = {
            name: _figure("accuracy", lambda rows, hits=hits[here]: hits[rows].mean(), [len(here)], seed, resamples)
            for name, hits in right.items()
        }
        found["one person"] = agreement([ratings[row] for row in here], CUT, seed, resamples)
        for who, figures in found.items():
            accuracy, (low, high) = list(figures.values())[:2]
            if who in right and accuracy in (0, 1):
                low, high = all_or_none(accuracy, len(here))
            rows.append((kind, who, accuracy, low, high, len(here)))
    return pd.DataFrame(rows, columns=["kind", "who", "accuracy", "low", "high", "texts"])


def _flat(ratings: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all ratings in a row, the number of the text of each, and how many each text has."""
    counts = np.array([len(some) for some in ratings], dtype=int)
    return np.concatenate([[], *ratings]), np.arange(len(counts)).repeat(counts), counts


def _check(counts: np.ndarray) -> None:
    if counts.min(initial=2) < 2 or not len(counts):
        raise ValueError("every text needs two ratings or more, and there must be a text")


def _agreed(ratings: Sequence[np.ndarray], cut: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for each text how many people give the class of the mean of all others, and how many rated it."""
    people, text, counts = _flat(ratings)
    _check(counts)
    others = (np.bincount(text, people)[text] - people) / (counts[text] - 1)
    return np.bincount(text, _classes(people, cut) == _classes(others, cut)), counts


def _classes(values: np.ndarray, cut: float) -> np.ndarray:
    return 1 + (values > cut).astype(int) - (values < -cut)


def _figure(
    name: str, measure: Callable[..., float], sizes: Sequence[int], seed: int, resamples: int
) -> dict[str, float | list[float]]:
    """Return what is measured on all texts, given as row numbers, and its bootstrap interval.

    Args:
        measure: takes row numbers of what is drawn: of texts, perhaps also of seeds.
        sizes: how many there are of each.
    """
    dice = np.random.default_rng(seed)
    values = [measure(*(dice.integers(size, size=size) for size in sizes)) for _ in range(resamples)]
    return {
        name: float(measure(*map(np.arange, sizes))),
        f"{name}_ci95": np.percentile(values, [2.5, 97.5]).tolist(),
    }
