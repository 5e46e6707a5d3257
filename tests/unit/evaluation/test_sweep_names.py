"""Runs of an experiment by any name: several of one name, parameters that are called as columns of the table are."""

import pandas as pd
import pytest

from textlab.evaluation import plots, sweep_analysis, sweep_comparison

METRIC = "validation_macro_f1"
GOOD, FAIR, POOR = [0, 1] * 20, [0, 1] * 16 + [1, 0] * 4, [0, 1] * 12 + [1, 0] * 8


def runs_of(*rows, finals=()):
    """Return runs of (name, x, score), whose ids are r0, r1 and so on; the ids of finals are f0, f1 and so on."""
    columns = ["run_id", "name", "x", METRIC]
    table, last = (
        pd.DataFrame([(f"{kind}{i}", *row) for i, row in enumerate(some)], columns=columns)
        for kind, some in (("r", rows), ("f", finals))
    )
    return sweep_analysis.Runs(METRIC, table, ["x"], pd.DataFrame(), 0, "", finals=last)


def of_runs(**answers):
    """Return what gives the answers to validation of each run."""

    def give(run_id, file):
        rows = {"rows_sha256": "r", "labels": ["a", "b"], "true": GOOD}
        return rows | {"predicted": answers[run_id]} if file == "validation" else None

    return give


def test_trials_of_two_sweeps_with_one_name_are_all_in_the_table():
    runs = runs_of(("trial 1", 1, 0.9), ("trial 2", 2, 0.5), ("trial 1", 3, 0.4), ("trial 2", 4, 0.8))
    table = sweep_analysis.by_settings(runs)
    assert table["run_id"].to_list() == ["r0", "r3", "r1", "r2"] and table["mean"].tolist() == [0.9, 0.8, 0.5, 0.4]
    assert table.index.tolist() == ["trial 1", "trial 2", "trial 2", "trial 1"]
    best = sweep_analysis.winner(runs)
    assert sweep_analysis.headline(runs, best) == f"Best of 4 settings: trial 1 with {METRIC} 0.900."
    told = [label.get_text() for label in plots.seeds(table, METRIC).axes[0].get_yticklabels()]
    assert told == [f"trial {name}, x {x}, 1 seeds" for name, x in ((1, 3), (2, 2), (2, 4), (1, 1))]
    tests = sweep_comparison.against(runs, best, of_runs(r0=GOOD, r1=POOR, r2=POOR, r3=FAIR))
    assert tests.index.tolist() == ["runner-up (trial 2)"] and tests["difference"].tolist() == pytest.approx([0.2])


def test_a_single_choice_of_settings_is_the_best_of_nothing():
    runs = runs_of(("trial 1", 1, 0.9))
    told = sweep_analysis.headline(runs, sweep_analysis.winner(runs))
    assert told == f"The only settings: trial 1 with {METRIC} 0.900."


def test_a_run_is_compared_with_each_final_training_of_one_name():
    runs = runs_of(finals=[("pick", 1, 0.9), ("pick", 2, 0.8), ("pick", 3, 0.7)])
    tests = sweep_comparison.against(runs, sweep_analysis.winner(runs), of_runs(f0=GOOD, f1=FAIR, f2=POOR))
    assert tests.index.tolist() == ["pick", "pick"] and tests["difference"].tolist() == pytest.approx([0.2, 0.4])


OWN = ["name", "state", "status", "parent", "run_id", "started", "minutes", "pruned", "mean", "scores", "tags.role"]


def recorded(**columns):
    """Return three runs as `tracking.runs` does, named 3, 2 and 1, newest first."""
    own = {"run_id": ["c", "b", "a"], "name": ["3", "2", "1"], "status": "FINISHED", "parent": None, "minutes": 1.0}
    scores = {f"metrics.{METRIC}": [0.5, 0.9, 0.7]}
    return pd.DataFrame(own | scores | columns).assign(started=pd.Timestamp(0), **{"tags.role": "trial"})


@pytest.mark.parametrize("name", OWN)
def test_a_parameter_or_a_metric_takes_no_column_of_the_table(name):
    both = {f"params.{name}": ["x", "y", "z"], f"metrics.{name}": 7.0}
    runs = sweep_analysis.comparable(recorded(**both), METRIC)
    best, settings = sweep_analysis.winner(runs), sweep_analysis.by_settings(runs)
    assert runs.settings == [f"params.{name}"] and runs.trials[f"params.{name}"].tolist() == ["z", "y", "x"]
    assert best["run_id"] == "b" and best["minutes"] == 1 and best[f"metrics.{name}"] == 7
    assert settings.index.tolist() == ["2", "1", "3"] and settings["mean"].tolist() == [0.9, 0.7, 0.5]
    assert sweep_analysis.headline(runs, best) == f"Best of 3 settings: 2 with {METRIC} 0.900."
    plots.effects(runs.trials, runs.settings, METRIC).canvas.draw()
    plots.seeds(settings, METRIC).canvas.draw()
