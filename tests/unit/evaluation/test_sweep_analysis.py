"""What the runs of an experiment say: ours, and those that other programs recorded."""

import math

import mlflow
import numpy as np
import pandas as pd
import pytest

from textlab import evaluation, tracking
from textlab.evaluation import plots, sweep_analysis

METRIC = "validation_macro_f1"


@pytest.fixture
def connected(store):
    tracking.connect(store, "tests")
    yield
    mlflow.end_run()


def record(name, params=None, metrics=None, parent=None, tags=None, predictions=None):
    with tracking.run(name, parent, tags) as active:
        mlflow.log_params(params or {})
        mlflow.log_metrics(metrics or {})
        for file, answers in (predictions or {}).items():
            tracking.log_table(
                {"rows_sha256": "r", "labels": ["a", "b"], "true": [0, 1] * 20, "predicted": answers},
                f"predictions/{file}.json",
            )
    return active.info.run_id


def comparable(metric):
    return sweep_analysis.comparable(tracking.runs("tests", only_finished=False), metric)


def runs_of(rows, settings, states=None):
    table = pd.DataFrame(rows)
    return sweep_analysis.Runs(METRIC, table, settings, pd.DataFrame(states or {}), 0, "")


def grid(n=16, seed=0):
    """Return trials whose score depends on the learning rate alone."""
    dice = np.random.default_rng(seed)
    rates, sizes = 10 ** dice.uniform(-5, -2, n), dice.choice([8, 16, 32], n)
    return runs_of(
        [
            {
                "run_id": f"r{i}",
                "name": f"trial {i}",
                "minutes": 2.0,
                "learning_rate": rate,
                "batch_size": int(size),
                METRIC: 1 - abs(math.log10(rate) + 3) / 3,
            }
            for i, (rate, size) in enumerate(zip(rates, sizes))
        ],
        ["learning_rate", "batch_size"],
    )


def test_only_fair_comparisons_are_made(connected):
    old = record("other data", {"data_sha256": "d0"}, {METRIC: 0.99})
    with tracking.run("sweep") as parent:
        mlflow.log_metric(METRIC, 1.0)  # a parent is no trial
    first = record("first", {"learning_rate": "0.1", "dropout": False, "seed": 1}, {METRIC: 0.5}, parent.info.run_id)
    second = record("second", {"learning_rate": "0.2", "dropout": False, "seed": 1}, {METRIC: 0.6}, parent.info.run_id)
    record("no metric")
    with pytest.raises(ValueError), tracking.run("failed"):
        mlflow.log_metric(METRIC, 1.0)
        raise ValueError
    runs = comparable(METRIC)
    assert runs.table["run_id"].tolist() == [first, second] and runs.left_out == 1 and not runs.note
    assert old not in set(runs.table["run_id"]) and runs.settings == ["learning_rate"]
    assert runs.table["learning_rate"].tolist() == [0.1, 0.2]
    assert runs.states["runs"].to_dict() == {"completed": 3, "failed": 1, f"finished without {METRIC}": 1}


def test_other_validation_rows_are_no_fair_comparison(connected):
    record("old", {"validation_sha256": "v1"}, {METRIC: 0.9})
    new = record("new", {"validation_sha256": "v2"}, {METRIC: 0.5})
    runs = comparable(METRIC)
    assert runs.table["run_id"].tolist() == [new] and runs.left_out == 1


def test_a_pruned_trial_counts_with_its_last_validation(connected):
    whole = record("whole", {"x": 1}, {METRIC: 0.6})
    with (
        pytest.raises(KeyError),
        tracking.run("pruned", tags={"trial_state": "pruned"}, killed_by=(KeyError,)) as pruned,
    ):
        mlflow.log_params({"x": 2})
        mlflow.log_metrics({"eval_macro_f1": 0.2})
        raise KeyError
    runs = comparable(METRIC)
    assert runs.table["run_id"].tolist() == [whole] and runs.pruned["run_id"].tolist() == [pruned.info.run_id]
    assert (
        runs.settings == ["x"]
        and runs.trials[METRIC].tolist() == [0.6, 0.2]
        and runs.trials["pruned"].tolist() == [False, True]
    )
    assert runs.states["runs"].to_dict() == {"completed": 1, "pruned": 1} and runs.left_out == 0
    assert sweep_analysis.budget_curve(runs)["expected"].tolist() == pytest.approx([0.4, 0.6])
    assert sweep_analysis.winner(runs)["run_id"] == whole and len(sweep_analysis.by_settings(runs)) == 1
    crosses = [
        line.get_ydata().tolist()
        for line in plots.effects(runs.trials, ["x"], METRIC).axes[0].lines
        if line.get_marker() == "x"
    ]
    assert crosses == [[0.2]]


def test_nothing_is_said_in_a_sentence(connected):
    runs = comparable(METRIC)
    assert (
        runs.note
        == (
            "The experiment has 0 runs, but no completed one with the metric validation_macro_f1: notebook 3 makes "
            "some."
        )
        and runs.table.empty
        and runs.states.empty
    )
    record("x", {"lr": 0.1}, {"acc": 0.5})
    runs = comparable(METRIC)
    assert runs.note.endswith("no completed one with the metric validation_macro_f1; there are acc.")
    assert (
        sweep_analysis.importance(runs).empty
        and sweep_analysis.by_settings(runs).empty
        and sweep_analysis.budget_curve(runs).empty
    )


def test_runs_of_other_programs_are_read_as_they_are(connected):
    """A parameter and a metric of one name, a parameter that some runs lack, words, and no seed."""
    for i in range(8):
        record(
            f"run {i}",
            {"lr": 10 ** -(i % 4 + 1), "optimizer": "adam" if i % 2 else "sgd"} | ({"depth": i} if i < 6 else {}),
            {"val/acc": 0.5 + i / 100, "lr": 0.0},
        )
    runs = comparable("val/acc")
    assert runs.settings == ["depth", "lr", "optimizer"] and len(runs.trials) == 8
    assert runs.table["lr"].max() == 0.1  # the parameter, not the metric
    assert sweep_analysis.winner(runs)["name"] == "run 7"
    assert set(sweep_analysis.importance(runs).index) <= {"lr", "optimizer", "depth"}
    assert sweep_analysis.by_settings(runs)["seeds"].tolist() == [1] * 8
    assert sweep_analysis.against(runs, sweep_analysis.winner(runs), tracking.predictions).empty
    for figure in (
        plots.effects(runs.trials, runs.settings, "val/acc"),
        plots.parallel_coordinates(runs.trials, runs.settings, "val/acc"),
        plots.contour(runs.trials, "lr", "optimizer", "val/acc"),
        plots.contour(runs.trials, "lr", "depth", "val/acc"),
    ):
        figure.canvas.draw()


def test_a_parameter_of_the_metrics_name_does_not_take_its_place(connected):
    for value in (0.4, 0.6):
        record("x", {"acc": 1 - value, "lr": value}, {"acc": value})
    runs = comparable("acc")
    assert runs.table["acc"].tolist() == [0.4, 0.6] and runs.settings == ["lr"]


def test_the_setting_that_matters_is_the_important_one():
    shares = sweep_analysis.importance(grid())
    assert shares.index[0] == "learning_rate" and shares.sum() == pytest.approx(1) and shares.iloc[0] > 0.7
    assert sweep_analysis.importance(runs_of(grid().table.head(5), ["learning_rate"])).empty


def test_budget_curve_is_the_expected_best_of_a_draw():
    rows = [{"name": str(i), "minutes": 3.0, METRIC: score, "x": i} for i, score in enumerate([0.2, 0.8, 0.5])]
    curve = sweep_analysis.budget_curve(runs_of(rows, ["x"]))
    assert curve["expected"].tolist() == pytest.approx([0.5, (0.8 * 2 + 0.5) / 3, 0.8])  # pairs: 28 25 85
    assert curve["minutes"].tolist() == [3, 6, 9]


def test_seeds_are_counted_once_and_give_an_interval():
    rows = [
        {"name": n, "x": x, "seed": s, METRIC: v}
        for n, x, s, v in [("a", 1, 1, 0.5), ("b", 2, 1, 0.9), ("a again", 1, 2, 0.7), ("a once more", 1, 2, 0.7)]
    ]
    table = sweep_analysis.by_settings(runs_of(rows, ["x"]))
    assert table.index.tolist() == ["b", "a"] and table["seeds"].tolist() == [1, 2]
    a = table.loc["a"]
    assert a["mean"] == pytest.approx(0.6) and a["high"] - a["mean"] == pytest.approx(
        12.706 * 0.1414 / math.sqrt(2), rel=1e-3
    )
    assert math.isnan(table.loc["b", "low"])
    assert sweep_analysis.headline(runs_of(rows, ["x"]), pd.Series(rows[0])).endswith(
        "a with validation_macro_f1 0.500; over 2 seeds its settings have a mean of 0.600 (sd 0.141, 0.500 to 0.700)."
    )


def test_the_next_space_lies_around_the_best_and_grows_where_the_best_is_at_an_edge():
    space = {
        "learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "batch_size": {"choices": [8, 16, 32]},
        "epochs": {"low": 1, "high": 3},
    }
    found = sweep_analysis.next_space(space, grid())
    assert 1e-5 < found["learning_rate"]["low"] < 1e-3 < found["learning_rate"]["high"] < 1e-2
    assert set(found["batch_size"]["choices"]) <= {8, 16, 32} and found["epochs"] == space["epochs"]
    beyond = sweep_analysis.next_space({"learning_rate": {"low": 1e-5, "high": 1.1e-3, "log": True}}, grid())
    assert beyond["learning_rate"]["high"] > 1.1e-3


def test_the_winner_is_compared_with_the_runner_up_and_the_baselines_on_the_same_rows(connected):
    good, poor, one = [0, 1] * 20, [0, 1] * 12 + [1, 0] * 8, [0] * 40
    record("second", {"x": 1}, {METRIC: 0.6}, predictions={"validation": poor})
    record("third", {"x": 3}, {METRIC: 0.1}, predictions={"validation": one})
    won = record(
        "first", {"x": 2}, {METRIC: 0.9}, predictions={"validation": good, "test": good, "test_tfidf_svm": poor}
    )
    runs = comparable(METRIC)
    tests = sweep_analysis.against(runs, sweep_analysis.winner(runs), tracking.predictions)
    assert sweep_analysis.winner(runs)["run_id"] == won
    assert tests.index.tolist() == ["runner-up (second)", "TF-IDF + linear SVM"] and tests["split"].tolist() == [
        "validation",
        "test",
    ]
    expected = evaluation.compare(good, good, poor)
    assert tests["difference"].tolist() == [expected["difference"]] * 2 == [0.4] * 2
    assert tests["p_value"].tolist() == [expected["p_value"]] * 2


def test_a_sweeps_own_choice_wins_over_the_luckiest_run(connected):
    record("lucky", {"x": 1}, {METRIC: 0.9})
    chosen = record("winner", {"x": 2}, {METRIC: 0.8}, tags={tracking.ROLE_TAG: "winner"})
    assert sweep_analysis.winner(comparable(METRIC))["run_id"] == chosen


def test_of_a_sweep_whose_trials_had_fewer_rows_the_better_final_training_wins(connected):
    good, poor = [0, 1] * 20, [0, 1] * 12 + [1, 0] * 8
    with tracking.run("sweep") as parent:
        pass
    parent = parent.info.run_id
    few, all_rows = {"train_rows": 10}, {"train_rows": 40}
    for number, score in ((1, 0.95), (2, 0.5)):
        record(f"trial {number}", few | {"x": number}, {METRIC: score}, parent, {tracking.ROLE_TAG: "trial"})
    first = record("baseline", all_rows | {"x": 3}, {METRIC: 0.9}, parent, {tracking.ROLE_TAG: "first"}, {"test": good})
    record("chosen", all_rows | {"x": 1}, {METRIC: 0.8}, parent, {tracking.ROLE_TAG: "winner"}, {"test": poor})
    runs = comparable(METRIC)
    best = sweep_analysis.winner(runs)
    assert runs.table["name"].tolist() == ["trial 1", "trial 2"] and runs.left_out == 0 and runs.settings == ["x"]
    assert best["run_id"] == first and "first run and winner: baseline with" in sweep_analysis.headline(runs, best)
    record("trial on other data", few | {"x": 2, "data_sha256": "d"}, {METRIC: 0.1}, tags={tracking.ROLE_TAG: "trial"})
    assert comparable(METRIC).finals.empty and sweep_analysis.winner(comparable(METRIC))["x"] == 2
    tests = sweep_analysis.against(runs, best, tracking.predictions)
    assert tests.index.tolist() == ["chosen"] and tests.loc["chosen", ["split", "difference"]].tolist() == ["test", 0.4]
