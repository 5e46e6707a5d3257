"""Where a next sweep should look: ranges that hold the best values, and that notebook 3 takes."""

import pandas as pd
import pytest

from textlab.evaluation import next_sweep, sweep_analysis
from textlab.settings import search_space

METRIC = "validation_macro_f1"


def runs_of(name, values):
    """Return runs with these values of a setting, the best first."""
    rows = [{"run_id": f"r{i}", "name": f"trial {i}", name: value, METRIC: -i} for i, value in enumerate(values)]
    return sweep_analysis.Runs(METRIC, pd.DataFrame(rows), [name], pd.DataFrame(), 0, "")


def found(name, spec, *values):
    """Return the space that follows for a setting, as notebook 4 offers it and notebook 3 reads it."""
    following = next_sweep.next_space({name: spec}, runs_of(name, values))
    return search_space.check_space(search_space.clip_space(following))[name]


@pytest.mark.parametrize(
    "name, low, high, values, expected",
    [
        ("frozen_share", 0.5, 1.0, [1.0, 0.95, 0.6], (0.9, 1.0)),
        ("frozen_share", 0.0, 0.5, [0.0, 0.1, 0.4], (0.0, 0.15)),
        ("average", 0.9, 0.999, [0.999, 0.985, 0.9], (0.975, 0.99999)),
        ("average", 0.9, 0.999, [0.95, 0.951, 0.9], (0.94, 0.961)),
        ("layer_lr_decay", 0.2, 1.0, [0.2, 0.45, 0.9], (0.12, 0.53)),
        ("layer_lr_decay", 0.1, 1.0, [0.1, 0.13, 0.9], (0.01, 0.22)),
        ("layer_lr_decay", 0.05, 1.0, [0.05, 0.064, 0.9], (0.05, 0.16)),
        ("label_names", 0, 10, [0, 1, 9], (0, 2)),
        ("epochs", 1, 4, [1, 2, 4], (1, 3)),
        ("batch_size", 3000, 4096, [4096, 4000, 3000], (3890, 4096)),
        ("max_grad_norm", 1.0, 9.0, [9.0, 8.0, 1.0], (7.2, 9.8)),
    ],
)
def test_a_next_range_has_a_margin_and_holds_only_what_the_setting_accepts(name, low, high, values, expected):
    spec = found(name, {"low": low, "high": high}, *values)
    assert (spec["low"], spec["high"]) == expected and type(spec["low"]) is type(low)


@pytest.mark.parametrize(
    "name, low, high, step, values, expected",
    [
        ("batch_size", 8, 64, 8, [32, 40, 8], (24, 48)),
        ("batch_size", 8, 64, 8, [8, 16, 64], (8, 24)),
        ("label_smoothing", 0.0, 0.3, 0.05, [0.15, 0.2, 0.0], (0.1, 0.25)),
    ],
)
def test_a_range_with_a_step_goes_on_with_the_values_that_were_searched(name, low, high, step, values, expected):
    spec = found(name, {"low": low, "high": high, "step": step}, *values)
    assert (spec["low"], spec["high"], spec["step"]) == (*expected, step)


def test_a_logarithmic_range_has_two_digits_or_those_of_its_width():
    wide = found("learning_rate", {"low": 1e-5, "high": 1e-2, "log": True}, 2e-4, 1e-3, 1e-5)
    assert wide == {"low": 1e-4, "high": 0.002, "log": True}
    narrow = found("average", {"low": 0.9, "high": 0.999, "log": True}, 0.95, 0.951, 0.9)
    assert narrow == {"low": 0.94, "high": 0.961, "log": True}


@pytest.mark.parametrize("stray", [0.0, 1.0])
def test_values_of_another_sweep_count_for_no_range(stray):
    spec = {"low": 1e-5, "high": 1e-2, "log": True}
    assert next_sweep.on_edge({"learning_rate": spec}, {"learning_rate": stray}) == []
    assert found("learning_rate", spec, stray, 1e-4, 1e-3) == spec
    assert found("learning_rate", spec, stray, 2e-4, 1e-3, *(n * 1e-5 for n in range(1, 5)))["high"] == 0.002


def test_choices_of_another_sweep_leave_those_that_were_searched():
    assert found("batch_size", {"choices": [32, 64]}, 8, 16) == {"choices": [32, 64]}


def test_a_value_near_its_bound_is_told_with_its_digits():
    (sentence,) = next_sweep.on_edge({"average": {"low": 0.9, "high": 0.9999}}, {"average": 0.9996})
    assert sentence.startswith("The best average (0.9996) lies at the edge of the range searched (0.9999)")


@pytest.mark.parametrize(
    "best, told", [(1.0, "no value beyond it is accepted."), (0.5, "a lower value may be better still.")]
)
def test_nothing_is_advised_beyond_what_a_setting_accepts(best, told):
    space = {"frozen_share": {"low": 0.5, "high": 1.0}}
    (advice,) = next_sweep.on_edge(space, {"frozen_share": best}, accepted=search_space.accepted())
    assert advice.partition(": ")[2] == told


def test_a_setting_that_is_not_known_stays():
    space = {"of an older version": {"low": 1, "high": 2}}
    assert search_space.clip_space(space) == space
