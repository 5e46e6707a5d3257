"""The search space, the study, and the edge-of-range warning."""

import pytest

from textlab import InputError, sweep

SPACE = {"learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}, "epochs": {"low": 1, "high": 4}, "batch_size": [8, 16]}


@pytest.mark.parametrize("space, message", [
    ({}, "is empty"), ({"lr": [1]}, "'lr' cannot be searched; accepted are learning_rate"), ({"epochs": []}, "empty list"),
    ({"epochs": 3}, "accepted is a list of choices or {low"), ({"epochs": {"low": 1}}, "accepted is a list"),
    ({"epochs": {"low": 4, "high": 1}}, "low must be below high"), ({"epochs": {"low": "a", "high": 1}}, "accepted is a list"),
    ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "above 0 with log"),
    ({"epochs": {"low": 1, "high": 2, "lg": True}}, "accepted is a list"),
])
def test_a_wrong_space_is_refused_before_anything_starts(space, message):
    with pytest.raises(InputError, match="search_space: ") as error:
        sweep.check_space(space)
    assert message in str(error.value)


def test_settings_have_the_types_of_the_recipe_and_lie_in_range():
    seen = []
    study = sweep.search(lambda number, settings: seen.append(settings) or float(number), SPACE, n_trials=12, seed=1)
    assert len(study.trials) == 12 and study.best_trial.number == 11
    assert all(isinstance(s["epochs"], int) and 1 <= s["epochs"] <= 4 for s in seen)
    assert all(1e-5 <= s["learning_rate"] <= 1e-2 for s in seen)
    assert {s["batch_size"] for s in seen} == {8, 16}
    assert min(s["learning_rate"] for s in seen) < 1e-4  # drawn on a logarithmic scale


def test_the_same_seed_proposes_the_same_settings():
    def settings(seed):
        return [t.params for t in sweep.search(lambda number, s: s["learning_rate"], SPACE, 5, seed).trials]

    assert settings(3) == settings(3) != settings(4)


@pytest.mark.parametrize("best, words", [
    ({"learning_rate": 9e-3}, ["learning_rate", "0.01", "higher"]), ({"learning_rate": 1.1e-5}, ["1e-05", "lower"]),
    ({"learning_rate": 3e-4, "epochs": 2, "batch_size": 8}, []), ({"epochs": 4}, ["epochs", "higher"]), ({}, [])])
def test_a_best_value_at_the_edge_is_reported(best, words):
    found = sweep.on_edge(SPACE, best)
    assert len(found) == bool(words)
    assert all(word in found[0] for word in words)
