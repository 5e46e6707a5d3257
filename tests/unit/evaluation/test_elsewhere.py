"""What a model is worth on kinds of text that it has not learned from, by hand."""

import pytest

from textlab.evaluation import compare, elsewhere

KINDS = ["b", "a", "b", "b", "a", "b"] * 20
TRUE = [0, 1, 0, 1, 0, 1] * 20
ANSWERS = {
    "always": [0] * 120,
    "good on b": [0, 0, 0, 1, 1, 1] * 20,
    "own": [0, 1, 1, 1, 0, 0] * 20,
}


def test_each_kind_is_held_against_the_best_of_the_others_there():
    found = elsewhere.beside_best(KINDS, TRUE, ANSWERS, "own")
    assert found["kind"].tolist() == ["b", "a"] and found["texts"].tolist() == [80, 40]
    assert found["accuracy"].tolist() == [0.5, 1] and found["best"].tolist() == ["good on b", "always"]
    assert found["best_accuracy"].tolist() == [1, 0.5] and found["difference"].tolist() == [-0.5, 0.5]
    here = [i for i, kind in enumerate(KINDS) if kind == "b"]
    test = compare(*([some[i] for i in here] for some in (TRUE, ANSWERS["own"], ANSWERS["good on b"])))
    assert found.loc[0, ["low", "high"]].tolist() == test["difference_ci95"]


def test_the_sentences_say_which_is_better():
    table = elsewhere.beside_best(KINDS, TRUE, ANSWERS, "own")
    first, second = elsewhere.sentences(table)
    assert first.startswith("Outside of its own data, on b: 0.500, worse than good on b (1.000; difference -0.500, -0.")
    assert "on a: 1.000, better than always (0.500; difference +0.500, +0." in second
    (told,) = elsewhere.sentences(table[:1].assign(low=-0.01, high=0.02))
    assert "not to be told from good on b" in told


@pytest.mark.parametrize("low, high, words", [(0, 1, "not to be told from"), (-1, 0, "not to be told from")])
def test_an_interval_that_ends_at_zero_shows_nothing(low, high, words):
    assert elsewhere.versus(low, high) == words
