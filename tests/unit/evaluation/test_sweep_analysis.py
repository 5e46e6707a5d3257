"""What the runs of an experiment say: ours, and those that other programs recorded."""

import math
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest

from textlab import evaluation, tracking
from textlab.evaluation import next_sweep, plots, sweep_analysis, sweep_comparison

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


def runs_of(rows, settings, **more):
    return sweep_analysis.Runs(METRIC, pd.DataFrame(rows), settings, pd.DataFrame(), 0, "", **more)


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
    assert sweep_comparison.against(runs, sweep_analysis.winner(runs), tracking.predictions).empty
    assert sweep_comparison.conclusion(runs, tracking.predictions) == ""
    assert sweep_analysis.pick(runs)["name"] == "run 7" and sweep_analysis.default(runs) is None
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


def test_pruned_trials_are_not_counted_among_those_that_an_importance_needs():
    few = runs_of(grid().table.head(5), ["learning_rate"], pruned=grid().table.tail(11))
    assert len(few.trials) == 16 and sweep_analysis.importance(few).empty
    enough = runs_of(grid().table.head(6), ["learning_rate"], pruned=grid().table.tail(10))
    assert sweep_analysis.importance(enough).tolist() == [1]


def trials_of(*scores):
    return [
        {"name": str(i), "minutes": 3.0, METRIC: score, "x": i, "tags.role": "trial"} for i, score in enumerate(scores)
    ]


def test_budget_curve_is_the_expected_best_of_a_draw():
    rows = [*trials_of(0.2, 0.8, 0.5), {"name": "first", "minutes": 9.0, METRIC: 0.9, "x": 9, "tags.role": "first"}]
    curve = sweep_analysis.budget_curve(runs_of(rows, ["x"], samplers=("random",)))
    assert curve["expected"].tolist() == pytest.approx([0.5, (0.8 * 2 + 0.5) / 3, 0.8])  # pairs: 28 25 85
    assert curve["minutes"].tolist() == [3, 6, 9]
    default = {"name": "default", "minutes": 3.0, METRIC: 0.7, "x": 8, "tags.role": "trial", "tags.point": "default"}
    again = sweep_analysis.budget_curve(runs_of([default, *rows], ["x"], samplers=("random",)))
    pd.testing.assert_frame_equal(again, curve)


def test_budget_curve_of_any_number_of_trials():
    runs = runs_of(trials_of(*np.arange(1100) / 1100), ["x"], samplers=("random",))
    expected = sweep_analysis.budget_curve(runs)["expected"]
    k = np.arange(1, 1101)
    assert expected.to_numpy() == pytest.approx(k / (k + 1) * 1101 / 1100 - 1 / 1100)  # the highest of k numbers drawn


@pytest.mark.parametrize(
    "scores, pruned, samplers, words",
    [
        (
            [0.2, 0.8, 0.5],
            [0.1],
            ("random",),
            "No curve: 1 of 4 trials were pruned, and have no final score. It takes 3",
        ),
        ([0.2, 0.8, 0.5], [], ("random", "tpe"), "No curve: the sampler (tpe) may choose"),
        ([0.2, 0.8, 0.5], [], ("",), "the sampler (unknown) may choose"),
        ([0.2, 0.8], [], ("grid",), "No curve: 2 is too few. "),
        ([], [], (), "no trial of a sweep came to its end"),
    ],
)
def test_there_is_no_budget_curve_of_trials_that_were_pruned_or_depend_on_each_other(scores, pruned, samplers, words):
    runs = runs_of(trials_of(*scores), ["x"], pruned=pd.DataFrame(trials_of(*pruned)), samplers=samplers)
    assert words in sweep_analysis.no_budget_curve(runs) and sweep_analysis.budget_curve(runs).empty


def test_the_sampler_of_a_sweep_is_read_from_its_parent(connected):
    for sampler in ("tpe", "random"):
        with tracking.run("sweep") as parent:
            mlflow.log_params({"sampler": sampler})
        for x in (1, 2):
            tags = {tracking.ROLE_TAG: "trial"}
            record("trial", {"data_sha256": sampler, "x": x}, {METRIC: 0.5}, parent.info.run_id, tags)
    assert comparable(METRIC).samplers == ("random",)  # those of the sweep before saw other data
    record("trial of nobody", {"data_sha256": "random", "x": 3}, {METRIC: 0.5}, tags={tracking.ROLE_TAG: "trial"})
    assert comparable(METRIC).samplers == ("", "random")


def test_a_curve_is_placed_over_the_share_of_its_training():
    curve = pd.DataFrame({"step": [14, 28], "value": [0.1, 0.2]})
    assert sweep_analysis.as_shares(curve, {"tags.trial_state": "complete"})["share"].tolist() == [0.5, 1]
    pruned = {"tags.trial_state": "pruned", "train_share": 0.75}
    assert sweep_analysis.as_shares(curve, pruned)["share"].tolist() == [0.375, 0.75]
    assert sweep_analysis.as_shares(curve, {"tags.trial_state": "pruned"}).empty


def test_the_trial_that_settings_were_chosen_for_is_not_among_their_repeats():
    rows = [
        {"run_id": n, "name": n, "x": x, "seed": s, METRIC: v, "tags.role": role}
        for n, x, s, v, role in [
            ("trial 1", 1, 1, 0.9, "trial"),
            ("trial 1, seed 2", 1, 2, 0.6, "repeat"),
            ("trial 1, seed 3", 1, 3, 0.8, "repeat"),
            ("trial 2", 2, 1, 0.5, "trial"),
        ]
    ]
    table = sweep_analysis.by_settings(runs_of(rows, ["x"]))
    assert table["scores"].to_dict() == {"trial 1": [0.6, 0.8], "trial 2": [0.5]}
    assert table["mean"].tolist() == pytest.approx([0.7, 0.5]) and table["seeds"].tolist() == [2, 1]
    words = sweep_analysis.headline(runs_of(rows, ["x"]), pd.Series(rows[0]))
    assert "over 2 fresh seeds its settings have a mean of 0.700" in words


def test_seeds_are_counted_once_and_give_an_interval():
    rows = [
        {"run_id": n, "name": n, "x": x, "seed": s, METRIC: v}
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
    found = next_sweep.next_space(space, grid())
    assert 1e-5 < found["learning_rate"]["low"] < 1e-3 < found["learning_rate"]["high"] < 1e-2
    assert set(found["batch_size"]["choices"]) <= {8, 16, 32} and found["epochs"] == space["epochs"]
    lucky = pd.DataFrame([{"learning_rate": 9e-3, "batch_size": 8, METRIC: 2.0}])
    assert next_sweep.next_space(space, replace(grid(), pruned=lucky)) == found  # its score is of a part only
    beyond = next_sweep.next_space({"learning_rate": {"low": 1e-5, "high": 1.1e-3, "log": True}}, grid())
    assert beyond["learning_rate"]["high"] > 1.1e-3


def test_the_winner_is_compared_with_the_runner_up_and_the_baselines_on_the_same_rows(connected):
    good, poor, one = [0, 1] * 20, [0, 1] * 12 + [1, 0] * 8, [0] * 40
    record("second", {"x": 1}, {METRIC: 0.6}, predictions={"validation": poor})
    record("third", {"x": 3}, {METRIC: 0.1}, predictions={"validation": one})
    won = record(
        "first", {"x": 2}, {METRIC: 0.9}, predictions={"validation": good, "test": good, "test_tfidf_svm": poor}
    )
    runs = comparable(METRIC)
    tests = sweep_comparison.against(runs, sweep_analysis.winner(runs), tracking.predictions, seed=7)
    assert sweep_analysis.winner(runs)["run_id"] == won
    assert tests.index.tolist() == ["runner-up (second)", "TF-IDF + linear SVM"] and tests["split"].tolist() == [
        "validation",
        "test",
    ]
    expected = evaluation.compare(good, good, poor, seed=7)
    assert tests["difference"].tolist() == [expected["difference"]] * 2 == [0.4] * 2
    assert tests["p_value"].tolist() == [expected["p_value"]] * 2
    assert tests[["low", "high"]].iloc[0].tolist() == expected["difference_ci95"]
    low, high = tests[["macro_f1_low", "macro_f1_high"]].iloc[0]
    assert [low, high] == expected["macro_f1_difference_ci95"]
    shown = sweep_comparison.comparison_table(tests).iloc[0]
    assert shown["macro F1 difference"] == f"{expected['macro_f1_difference']:+.3f}  ({low:+.3f} to {high:+.3f})"
    assert shown["accuracy difference"].startswith("+0.400  (+") and shown["p (McNemar, accuracy)"] == "< 0.001"


def test_a_sweeps_own_choice_wins_over_the_luckiest_run(connected):
    record("lucky", {"x": 1}, {METRIC: 0.9})
    chosen = record("winner", {"x": 2}, {METRIC: 0.8}, tags={tracking.ROLE_TAG: "winner"})
    assert sweep_analysis.winner(comparable(METRIC))["run_id"] == chosen


def test_a_pick_that_an_extended_sweep_has_dropped_does_not_win(connected):
    with tracking.run("sweep") as parent:
        pass
    for x, role, score in ((1, "first", 0.5), (2, "winner", 0.9), (3, "winner", 0.8)):
        record(f"{role} {x}", {"x": x}, {METRIC: score}, parent.info.run_id, {tracking.ROLE_TAG: role})
    runs = comparable(METRIC)
    assert runs.finals["x"].tolist() == [1, 3]
    assert sweep_analysis.winner(runs)["x"] == sweep_analysis.pick(runs)["x"] == 3


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
    assert best[
        "run_id"
    ] == first and "default settings and the sweep's pick: baseline with" in sweep_analysis.headline(runs, best)
    record("trial on other data", few | {"x": 2, "data_sha256": "d"}, {METRIC: 0.1}, tags={tracking.ROLE_TAG: "trial"})
    assert comparable(METRIC).finals.empty and sweep_analysis.winner(comparable(METRIC))["x"] == 2
    tests = sweep_comparison.against(runs, best, tracking.predictions)
    assert tests.index.tolist() == ["chosen"] and tests.loc["chosen", ["split", "difference"]].tolist() == ["test", 0.4]


def test_trials_of_fewer_epochs_are_compared_among_themselves(connected):
    with tracking.run("sweep") as parent:
        pass
    short, long = {"train_rows": 40, "epochs": 6}, {"train_rows": 40, "epochs": 30}
    for role, name, more, score in (
        ("first", "default", long | {"x": 3, "seed": 1}, 0.9),
        ("trial", "trial 1", short | {"x": 1, "seed": 1}, 0.5),
        ("trial", "trial 2", short | {"x": 2, "seed": 1}, 0.4),
        ("repeat", "trial 1, seed 2", short | {"x": 1, "seed": 2}, 0.45),
        ("repeat", "trial 1, seed 3", short | {"x": 1, "seed": 3}, 0.55),
        ("winner", "chosen", long | {"x": 1, "seed": 1}, 0.95),
    ):
        record(name, more, {METRIC: score}, parent.info.run_id, {tracking.ROLE_TAG: role})
    runs = comparable(METRIC)
    assert runs.table["name"].tolist() == ["trial 1", "trial 2", "trial 1, seed 2", "trial 1, seed 3"]
    assert runs.settings == ["x"] and runs.finals["name"].tolist() == ["default", "chosen"] and runs.left_out == 0
    words = sweep_analysis.headline(runs, sweep_analysis.winner(runs))
    assert words.endswith(f"chosen with {METRIC} 0.950.")  # and no mean of shorter trainings


GOOD, POOR = [0, 1] * 20, [0, 1] * 12 + [1, 0] * 8


@pytest.mark.parametrize(
    "first, picked, words",
    [
        (
            (0.9, GOOD),
            (0.6, POOR),
            "found nothing better than the default settings (validation macro F1 0.900 against 0.6",
        ),
        (
            (0.6, POOR),
            (0.9, GOOD),
            "found better settings than the default ones (validation macro F1 0.900 against 0.600",
        ),
        ((0.6, POOR), (0.9, GOOD), "which is hardly chance)."),
        (
            (0.6, POOR),
            (0.6, POOR),
            "found nothing better than the default settings (validation macro F1 0.600 against 0.6",
        ),
        ((0.6, POOR), (0.6, POOR), "which may be chance)."),
        ((0.6, POOR), (0.9, None), "which was not tested)."),
    ],
)
def test_the_conclusion_says_whether_the_sweep_found_better_settings(connected, first, picked, words):
    with tracking.run("sweep") as parent:
        pass
    for x, role, (score, answers) in ((1, "first", first), (2, "winner", picked)):
        files = {"validation": answers} if answers else {}
        record(role, {"x": x}, {METRIC: score}, parent.info.run_id, {tracking.ROLE_TAG: role}, files)
    runs = comparable(METRIC)
    assert words in sweep_comparison.conclusion(runs, tracking.predictions)
    assert sweep_analysis.pick(runs)["x"] == 2 and sweep_analysis.default(runs)["x"] == 1


def test_runs_with_several_labels_a_text_are_compared_by_exact_match_and_micro_f1_too():
    true, poor = [[1, 0], [0, 0], [1, 1]] * 20, [[1, 0], [0, 1], [1, 0]] * 20
    runs = grid()
    best = sweep_analysis.winner(runs)

    def answers(run_id, file):
        said = true if run_id == best["run_id"] and file in ("validation", "test") else poor
        return {"rows_sha256": "r", "labels": ["a", "b"], "true": true, "predicted": said}

    tests = sweep_comparison.against(runs, best, answers, seed=7)
    expected = evaluation.compare(true, true, poor, seed=7)
    assert tests["micro_f1_difference"].unique().tolist() == [expected["micro_f1_difference"]]
    assert tests[["micro_f1_low", "micro_f1_high"]].iloc[0].tolist() == expected["micro_f1_difference_ci95"]
    shown = sweep_comparison.comparison_table(tests)
    assert list(shown) == [
        "split", "exact match difference", "macro F1 difference", "micro F1 difference", "p (McNemar, exact match)"
    ]  # fmt: skip
    assert shown["exact match difference"].iloc[0].startswith("+0.667  (+")
