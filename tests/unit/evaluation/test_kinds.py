"""Texts of one kind or of two: the share that a linear rule tells, and how sure that is."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from textlab.evaluation import kinds


def moments(rows):
    return len(rows), rows.mean(0), np.cov(rows.T)


def drawn(rows, features, seed, shift=0.0):
    """Return rows of a skew distribution whose features hang together, moved along the first."""
    dice = np.random.default_rng(seed)
    found = dice.exponential(size=(rows, features)) @ np.random.default_rng(1).normal(size=(features, features))
    return found + shift * np.eye(features)[0]


def test_the_share_is_that_of_fishers_discriminant_on_new_rows():
    known, seen = drawn(4000, 5, 2), drawn(4000, 5, 3, shift=0.8)
    share, least = kinds.told_apart(moments(known), moments(seen))
    rule = LinearDiscriminantAnalysis().fit(np.vstack([known, seen]), [0] * 4000 + [1] * 4000)
    new = np.vstack([drawn(4000, 5, 4), drawn(4000, 5, 5, shift=0.8)])
    assert share == pytest.approx(rule.score(new, [0] * 4000 + [1] * 4000), abs=0.03) and 0.6 < least < share < 0.95


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_rows_of_one_kind_are_not_told_apart_however_few_they_are(rows):
    known = moments(drawn(2000, 40, 0))
    found = [kinds.told_apart(known, moments(drawn(rows, 40, seed))) for seed in range(1, 41)]
    assert max(least for _, least in found) < 0.65 and np.median([share for share, _ in found]) < 0.65


def test_a_small_difference_stays_a_small_one_in_many_rows():
    known, seen = drawn(50_000, 5, 2), drawn(50_000, 5, 3, shift=0.1)
    share, least = kinds.told_apart(moments(known), moments(seen))
    assert 0.5 < least < share < 0.6


def test_more_rows_make_it_surer():
    known = moments(drawn(2000, 10, 0))
    least = [kinds.told_apart(known, moments(drawn(rows, 10, 5, shift=1)))[1] for rows in (20, 100, 1000)]
    assert 0.5 < least[0] < least[1] < least[2] < 1


def test_what_never_varies_says_nothing_and_what_cannot_be_is_no_trouble():
    known, seen = drawn(200, 3, 0), drawn(100, 3, 1)
    flat = [np.hstack([rows, np.full((len(rows), 1), place)]) for rows, place in ((known, 5), (seen, 7))]
    assert kinds.told_apart(*map(moments, flat)) == pytest.approx(
        kinds.told_apart(moments(known), moments(seen)), abs=0.01
    )
    assert kinds.told_apart(moments(known[:2]), moments(seen[:2])) == (0.5, 0.5)
    odd = (200, np.zeros(3), -np.eye(3))  # no rows have such a covariance
    assert all(0.5 <= share <= 1 for share in kinds.told_apart(odd, moments(seen)))


def test_scripts_that_are_known_are_not_strange():
    both = {"LATIN": 0.9, "CYRILLIC": 0.1}
    assert kinds.strange_scripts(both, {"CYRILLIC": 1.0}) == {}
    assert kinds.strange_scripts({"LATIN": 1.0}, {"HIRAGANA": 0.4, "CJK": 0.4, "LATIN": 0.2}) == {
        "HIRAGANA": 0.4,
        "CJK": 0.4,
    }
    assert kinds.strange_scripts({}, {}) == {}
