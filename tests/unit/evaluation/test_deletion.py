"""Do words mean something? The fall of an answer without them, against that without random ones."""

import numpy as np
import pytest

from textlab import evaluation


def test_words_that_mean_nothing_are_no_better_than_chance():
    dice = np.random.default_rng(1)
    found = evaluation.deletion_test(dice.normal(0.1, 0.1, 400), dice.normal(0.1, 0.1, (5, 400)))
    low, high = found["difference_ci95"]
    assert low < 0 < high and high - low == pytest.approx(2 * 1.96 * 0.1 * 1.2**0.5 / 20, rel=0.15)


def test_words_that_mean_something_are_seen():
    found = evaluation.deletion_test([0.4, 0.6, 0.5], np.full((2, 3), 0.1))
    assert found["chosen"] == pytest.approx(0.5) and found["at_random"] == pytest.approx(0.1)
    assert found["difference"] == pytest.approx(0.4) and found["difference_ci95"][0] >= 0.3 - 1e-9


def test_other_texts_are_refused():
    with pytest.raises(ValueError, match="falls of 3 texts, and at random of shape"):
        evaluation.deletion_test([0.1] * 3, np.zeros((2, 4)))
