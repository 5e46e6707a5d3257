"""The search space, the study, and the edge-of-range warning."""

import dataclasses

import pytest

from textlab import params, sweep, trainer, training

SPACE = {"learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}, "epochs": {"low": 1, "high": 4}, "batch_size": [8, 16]}


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


def test_the_rules_of_a_recipe_and_its_settings_are_the_same_with_the_same_types():
    defaults = {field.name: field.default for field in dataclasses.fields(training.Recipe)}
    assert {name: type(value) for name, value in defaults.items()} == {name: rule.type for name, rule in params.RECIPE.items()}


def test_a_diverging_trial_is_one_failed_trial():
    def run_trial(number, settings):
        if number == 1:
            raise trainer.TrainingError("loss became nan")
        return float(number)

    study = sweep.search(run_trial, SPACE, n_trials=3, seed=1)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_sweep_without_any_result_fails():
    def run_trial(number, settings):
        raise trainer.TrainingError("loss became nan")

    with pytest.raises(trainer.TrainingError, match="none of the 2 trials"):
        sweep.search(run_trial, SPACE, n_trials=2, seed=1)
