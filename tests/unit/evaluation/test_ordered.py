"""Labels with an order: how far answers are off, against figures computed by hand or in another way."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from textlab.evaluation import ordered


def test_by_hand():
    # squared distances: 0, 1, 0, 4; those of all pairs of a label with an answer: 0 1 4 4, 1 0 1 1, 1 0 1 1, 9 4 1 1
    found = ordered.score([0, 1, 1, 3], [0, 2, 1, 1], seed=1)
    pairs = sum((a - b) ** 2 for a in (0, 1, 1, 3) for b in (0, 2, 1, 1))
    assert found["mean_absolute_error"] == 0.75
    assert found["quadratic_weighted_kappa"] == pytest.approx(1 - 4 * 5 / pairs)


def stars(rows=400):
    dice = np.random.default_rng(2)
    true = dice.integers(0, 5, rows)
    return true, np.clip(true + dice.integers(-1, 2, rows) * (dice.random(rows) < 0.6), 0, 4)


def test_figures_and_intervals_equal_those_of_a_bootstrap_over_rows():
    true, ids = stars()
    found = ordered.score(true, ids, resamples=4000)
    assert found["mean_absolute_error"] == pytest.approx(mean_absolute_error(true, ids))
    assert found["quadratic_weighted_kappa"] == pytest.approx(cohen_kappa_score(true, ids, weights="quadratic"))
    rows = np.random.default_rng(3).integers(0, 400, (400, 400))
    kappas = [cohen_kappa_score(true[r], ids[r], weights="quadratic") for r in rows]
    assert found["quadratic_weighted_kappa_ci95"] == pytest.approx(np.percentile(kappas, [2.5, 97.5]), abs=0.01)
    errors = np.abs(true - ids)[rows].mean(1)
    assert found["mean_absolute_error_ci95"] == pytest.approx(np.percentile(errors, [2.5, 97.5]), abs=0.02)
    assert found == ordered.score(true.tolist(), ids.astype(np.int8), resamples=4000)


def test_a_constant_answer_is_worth_nothing_and_a_far_error_costs_more_than_a_near_one():
    true, ids = stars()
    assert ordered.score(true, np.full(400, 2))["quadratic_weighted_kappa"] == pytest.approx(0)
    near, far = true.copy(), true.copy()
    zero = np.flatnonzero(true == 0)[:20]
    near[zero], far[zero] = 1, 4
    near, far = ordered.score(true, near), ordered.score(true, far)
    assert near["quadratic_weighted_kappa"] > far["quadratic_weighted_kappa"]
    assert near["mean_absolute_error"] == pytest.approx(20 / 400) and far["mean_absolute_error"] == pytest.approx(0.2)


def test_where_all_is_one_class_there_is_no_agreement_beyond_chance():
    found = ordered.score([1, 1, 1], [1, 1, 1])
    assert found["mean_absolute_error"] == 0 and found["quadratic_weighted_kappa_ci95"] == [0, 0]


def test_several_labels_have_no_order():
    with pytest.raises(ValueError, match=r"one class id a row: got labels of shape \(2, 2\), answers \(2,\)"):
        ordered.score([[0, 1], [1, 0]], [0, 1])


def test_the_sentence_says_both_with_their_intervals():
    figures = {"mean_absolute_error": 0.42, "mean_absolute_error_ci95": [0.4, 0.45]}
    figures |= {"quadratic_weighted_kappa": 0.7, "quadratic_weighted_kappa_ci95": [0.65, 0.75]}
    assert ordered.sentence(figures) == (
        "Answers are 0.42 steps off on average (0.40 to 0.45); "
        "their quadratic weighted kappa is 0.700 (0.650 to 0.750)."
    )
