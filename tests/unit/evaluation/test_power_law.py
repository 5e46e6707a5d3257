"""What twice the rows would add: a known power law is found, and the interval is wide where little is known."""

import numpy as np
import pytest

from textlab.errors import InputError
from textlab.evaluation import more_labels, plots

ROWS = 2000
TRUE = [0, 1] * (ROWS // 2)


def answers(errors, seed=0):
    """Return rows learned from -> answers with just so many errors, at places of their own."""
    dice = np.random.default_rng(seed)
    found = {}
    for size, wrong in errors.items():
        there = dice.permutation(ROWS)[:wrong]
        found[size] = [1 - label if i in set(there) else label for i, label in enumerate(TRUE)]
    return found


def test_errors_that_fall_as_a_power_of_the_rows_go_on_falling():
    table, told = more_labels(TRUE, answers({n: round(ROWS * 2 * n**-0.4) for n in (50, 100, 200, 400)}))
    wanted = 2 * 400**-0.4 - 2 * 800**-0.4
    assert told["gain"] == pytest.approx(wanted, abs=0.002)
    assert told["gain_ci95"][0] < wanted < told["gain_ci95"][1] and told["gain_ci95"][0] > 0.02
    assert table["rows"].tolist() == [50, 100, 200, 400, 800] and table["accuracy"].isna().tolist() == [False] * 4 + [
        True
    ]
    assert table["accuracy"][:4].tolist() == pytest.approx([1 - 2 * n**-0.4 for n in (50, 100, 200, 400)], abs=1e-3)
    assert (table["low"] <= table["fitted"]).all() and (table["fitted"] <= table["high"]).all()


def test_no_gain_is_promised_where_more_rows_gave_none():
    told = more_labels(TRUE, answers(dict.fromkeys((50, 100, 200, 400), 400)))[1]
    assert told["gain"] == pytest.approx(0, abs=1e-9) and told["gain_ci95"][0] < 0 < told["gain_ci95"][1]


def test_trainings_that_contradict_each_other_make_the_interval_wide():
    smooth = more_labels(TRUE, answers({50: 800, 100: 620, 200: 480, 400: 372}))[1]["gain_ci95"]
    rough = more_labels(TRUE, answers({50: 800, 100: 420, 200: 680, 400: 372}))[1]["gain_ci95"]
    assert rough[1] - rough[0] > 2 * (smooth[1] - smooth[0])


def test_models_without_an_error_and_a_few_rows_are_no_trouble():
    for errors in ({10: 0, 20: 0, 40: 0}, {1: 2000, 2: 0, 4: 0}):
        table, told = more_labels(TRUE, answers(errors))
        assert np.isfinite([told["gain"], *told["gain_ci95"]]).all() and table["fitted"].between(0, 1).all()
        plots.more_labels(table)


def test_two_sizes_say_nothing_of_chance():
    with pytest.raises(InputError, match="answers: got 2 sizes; accepted are three or more"):
        more_labels(TRUE, answers({100: 400, 200: 300}))
