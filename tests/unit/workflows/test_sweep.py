"""The search space, the points of a study, its queue, its stages, and the edge-of-range warning."""

import dataclasses
import math
import os
import re
import signal
import threading
import time

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from sweep_bench import SPACE, Bench, outcome, study
from textlab import tracking
from textlab.errors import InputError, TrainingError
from textlab.evaluation import next_sweep, sweep_analysis, sweep_comparison
from textlab.settings import SweepOptions, search_space
from textlab.tracking.store import OWNER_TAG
from textlab.workflows.sweep.job_queue import JobQueue, check_storage
from textlab.workflows.sweep.suggest import REPORTS, Suggester, count, default_point, suggest

CONDITIONAL = {
    "class_weights": [True, False],
    "label_smoothing": {"low": 0.01, "high": 0.2, "when": {"class_weights": False}},
    "epochs": {"low": 1, "high": 4},
}


ELSEWHERE = SPACE | {"batch_size": {"choices": [8, 16]}}  # without the default settings


def suggester(space=SPACE, sampler="tpe", seed=42, default=None, **options):
    return Suggester(space, SweepOptions(sampler=sampler, **options), seed, default)


def draw(suggester, n, score=lambda point: 0.0):
    """Return the points of a study whose trials all complete."""
    done, found = [], []
    for number in range(n):
        drawn = suggester.point(number, done[: suggester.group(number)])
        found.append(drawn.params)
        done.append(
            optuna.trial.create_trial(params=drawn.params, distributions=drawn.distributions, value=score(drawn.params))
        )
    return found


# The space


def test_settings_have_the_types_of_the_recipe_and_lie_in_range():
    seen = draw(suggester(SPACE | {"epochs": {"low": 1, "high": 4}}, seed=1), 12)
    assert all(isinstance(s["epochs"], int) and 1 <= s["epochs"] <= 4 for s in seen)
    assert all(1e-5 <= s["learning_rate"] <= 1e-2 for s in seen) and {s["batch_size"] for s in seen} == {8, 16, 32}
    assert min(s["learning_rate"] for s in seen) < 1e-4  # drawn on a logarithmic scale


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_a_conditional_setting_is_searched_only_under_its_condition(sampler):
    seen = draw(suggester(search_space.check_space(CONDITIONAL), sampler, seed=1), 12)
    assert {s["class_weights"] for s in seen} == {True, False}
    assert all(("label_smoothing" in s) == (not s["class_weights"]) for s in seen)


@pytest.mark.parametrize(
    "space, words",
    [
        ({}, "is empty"),
        ({"learning_rat": [1]}, "did you mean 'learning_rate'"),
        ({"epochs": []}, "list of choices"),
        ({"epochs": [2, 2]}, "given twice"),
        ({"epochs": {"low": 3, "high": 1}}, "low must be below high"),
        ({"learning_rate": {"low": 0.1, "high": 1, "log": True, "step": 0.1}}, "no step"),
        ({"learning_rate": {"low": 0.1, "high": 1, "step": 0}}, "step: got 0"),
        ({"dropout": {"low": 0, "high": 1}}, "list of choices"),
        ({"batch_size": ["many"]}, "whole number"),
        ({"epochs": {"low": 1, "high": 2, "when": {"dropout": True}}}, "which the search space has not"),
        (
            {
                "dropout": {"choices": [True], "when": {"epochs": 1}},
                "epochs": {"choices": [1], "when": {"dropout": True}},
            },
            "epochs -> dropout -> epochs: these conditions wait|dropout -> epochs -> dropout: these conditions wait",
        ),
        ({"dropout": [True], "epochs": {"low": 1, "high": 2, "when": {"dropout": []}}}, "when is {'dropout': \\[\\]}"),
        ({"learning_rate": {"low": 1e-4, "high": 1e-2, "log": "maybe"}}, "log: .*true or false"),
        ({"dropout": [True], "epochs": {"low": 1, "high": 2, "when": {"dropout": "maybe"}}}, "true or false"),
        ({"dropout": [True], "epochs": {"low": 1, "high": 2, "when": True}}, "when is True"),
    ],
)
def test_a_wrong_space_is_refused_before_anything_starts(space, words):
    with pytest.raises(InputError, match=words):
        search_space.check_space(space)


def test_the_order_in_which_a_space_is_written_changes_no_point():
    # a parameter file with sorted keys is the same study
    for space in (CONDITIONAL, {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch_size": [8, 16]}):
        there, back = (search_space.check_space(dict(sorted(space.items(), reverse=r))) for r in (False, True))
        assert list(there) == list(back)
        assert draw(suggester(there), 8) == draw(suggester(back), 8)


def test_a_grid_needs_countable_points():
    with pytest.raises(InputError, match="a step"):
        search_space.check_space(SPACE, "grid")
    with pytest.raises(InputError, match="when"):
        search_space.check_space(
            {"dropout": [True, False], "epochs": {"choices": [1, 2], "when": {"dropout": True}}}, "grid"
        )
    space = search_space.check_space({"epochs": {"low": 1, "high": 3}, "dropout": [True, False]}, "grid")
    assert count(space) == 6 and count(SPACE) is None
    assert len({tuple(p.values()) for p in draw(suggester(space, "grid"), 6)}) == 6


@pytest.mark.parametrize(
    "best, words",
    [
        ({"learning_rate": 9e-3}, ["learning_rate", "0.01", "higher"]),
        ({"learning_rate": 1.1e-5}, ["1e-05", "lower"]),
        ({"learning_rate": 3e-4, "epochs": 2, "batch_size": 8}, []),
        ({"epochs": 4}, ["epochs", "higher"]),
        ({}, []),
    ],
)
def test_a_best_value_at_the_edge_is_reported(best, words):
    found = next_sweep.on_edge(SPACE | {"epochs": {"low": 1, "high": 4}, "dropout": {"choices": [True]}}, best)
    assert len(found) == bool(words)
    assert all(word in found[0] for word in words)


# Points


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_points_depend_on_the_seed_alone_and_none_comes_twice(sampler):
    first, again, other = (
        draw(suggester(SPACE, sampler, seed=seed), 14, lambda p: p["learning_rate"]) for seed in (3, 3, 4)
    )
    assert first == again != other
    assert len({tuple(point.values()) for point in first}) == 14


@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_a_space_with_few_points_is_tried_whole(parallel):
    space = {"batch_size": {"choices": [16, 32]}, "epochs": {"low": 2, "high": 5}}
    for seed in range(4):
        points = draw(suggester(space, seed=seed, parallel=parallel), 8, lambda point: point["epochs"])
        assert len({tuple(point.values()) for point in points}) == 8


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_a_conditional_space_that_was_tried_whole_is_soon_drawn_from_again(sampler):
    space = {
        "dropout": [True, False],
        "batch_size": {"choices": [16, 32], "when": {"dropout": True}},
    }
    plan, started = suggester(search_space.check_space(space), sampler), time.monotonic()
    assert len({tuple(point.values()) for point in draw(plan, 6)}) == 3 and time.monotonic() - started < 10


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random", "grid"])
def test_the_default_settings_are_tried_first(sampler):
    base = {"learning_rate": 3e-4, "batch_size": 32}
    space = {"learning_rate": {"low": 1e-4, "high": 5e-4, "step": 1e-4}, "batch_size": {"choices": [16, 32]}}
    for parallel in (1, 4):
        plan = suggester(space, sampler, default=default_point(base, space), parallel=parallel)
        points = draw(plan, 10)
        assert points[0] == plan.default == pytest.approx(base)
        assert len({tuple(point.values()) for point in points}) == 10


def test_the_default_point_is_one_of_the_space_or_none():
    base = {"learning_rate": 3e-4, "batch_size": 32, "epochs": 3, "dropout": False, "label_smoothing": 0.1}
    conditional = {"dropout": {"choices": [True, False]}, "label_smoothing": {"low": 0.2, "high": 0.3}}
    assert default_point(base, SPACE) == {"learning_rate": 3e-4, "batch_size": 32}
    assert default_point(base, ELSEWHERE) is None
    assert default_point(base, {"epochs": {"low": 1, "high": 5, "step": 2}}) == {"epochs": 3}
    assert default_point(base, {"epochs": {"low": 2, "high": 5, "step": 2}}) is None
    assert default_point(base, {"epochs": {"low": 4, "high": 5}}) is None
    assert default_point(base, conditional) is None
    conditional["label_smoothing"]["when"] = {"dropout": [True]}
    assert default_point(base, conditional) == {"dropout": False}


def test_tpe_learns_from_results():
    away = [
        abs(math.log10(p["learning_rate"]) + 2.5)
        for p in draw(suggester(SPACE, seed=1), 25, lambda p: -abs(math.log10(p["learning_rate"]) + 2.5))
    ]
    assert sum(away[-10:]) / 10 < 0.5 * sum(away[:5]) / 5


def test_a_group_of_parallel_trials_does_not_know_of_each_others_results():
    plan = suggester(SPACE, parallel=4, seed=2)
    assert draw(plan, 8, lambda p: 0.0)[:4] == draw(plan, 8, lambda p: p["learning_rate"])[:4]
    assert len({tuple(p.values()) for p in draw(plan, 8)}) == 8


# The queue


def queue(folder, name="s", **identity):
    return JobQueue(f"sqlite:///{folder / 'studies.db'}", name, identity or {"a": 1})


def test_a_job_is_given_to_one_worker_only(tmp_path):
    one, two = queue(tmp_path), queue(tmp_path)
    claimed = [job.number for worker in (one, two, one) if (job := worker.claim(3))]
    assert claimed == [0, 1, 2] and two.claim(3) is None


def test_groups_are_done_one_after_another(tmp_path):
    jobs_of = queue(tmp_path)
    jobs = [jobs_of.claim(4, lambda n: n // 2 * 2) for _ in range(3)]
    assert [job and job.number for job in jobs] == [0, 1, None]
    jobs_of.finish(jobs[1], TrialState.COMPLETE, 1.0)
    assert jobs_of.claim(4, lambda n: n // 2 * 2) is None
    jobs_of.finish(jobs[0], TrialState.COMPLETE, 1.0)
    assert jobs_of.claim(4, lambda n: n // 2 * 2).number == 2


def test_a_dead_workers_job_is_given_again_with_the_same_point(tmp_path):
    path = tmp_path / "claimed"
    child = os.fork()
    if child == 0:
        job = queue(tmp_path).claim(2)
        path.write_text(repr(suggest(job, SPACE)))
        os._exit(0)
    os.waitpid(child, 0)
    jobs_of = queue(tmp_path)
    job = jobs_of.claim(2)
    assert job.number == 0 and repr(suggest(job, SPACE)) == path.read_text()
    assert jobs_of.claim(2).number == 1 and jobs_of.claim(2) is None  # a living worker's job is left to it


def test_a_worker_elsewhere_counts_as_dead_after_silence(tmp_path, monkeypatch):
    jobs_of = queue(tmp_path)
    job = jobs_of.claim(1)
    job.set_user_attr("owner", "elsewhere 1 0.00")
    assert jobs_of.claim(1) is None
    monkeypatch.setattr(jobs_of._storage, "grace_period", 0)
    time.sleep(1.1)
    assert jobs_of.claim(1).number == 0


def test_a_list_begun_with_other_settings_is_refused_naming_them(tmp_path):
    queue(tmp_path, rows=10, seed=1)
    with pytest.raises(InputError, match=r"another rows \(10, now 20\)"):
        queue(tmp_path, rows=20, seed=1)


@pytest.mark.parametrize("address", ["mysql://x", "http://x", "studies.db"])
def test_other_databases_are_refused(address):
    with pytest.raises(InputError, match="accepted are sqlite"):
        check_storage(address)


def test_a_database_that_does_not_answer_is_one_line():
    with pytest.raises(InputError, match="sweep_options: storage") as caught:
        JobQueue("postgresql://nobody:secret@127.0.0.1:9/none", "s", {})
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


# The study


def test_all_stages_and_nothing_is_done_twice(store, tmp_path):
    bench = Bench(tmp_path)
    first = study(store, tmp_path, bench)
    assert first.first()["validation"]["macro_f1"] == pytest.approx(0.84, abs=0.05)
    table, confirmed = first.search(), first.confirm()
    winner = first.final(confirmed.index[0])
    assert len(table) == 12 and set(table["state"]) == {"COMPLETE", "PRUNED"}
    assert confirmed["seeds"].tolist() == [2, 2, 2] and set(confirmed.index) <= set(table.index)
    trained = list(bench.trained)
    names = [name for name, *_ in trained]
    assert len(names) == 1 + 12 + 6 + 1 == len(set(names))
    again = study(store, tmp_path, bench)
    assert again.first()["run_id"] != winner["run_id"] == again.final(again.confirm().index[0])["run_id"]
    assert outcome(again.search()) == outcome(table) and bench.trained == trained
    runs = tracking.runs("sweeps", only_finished=False).set_index("name")
    assert not (runs["status"] == "RUNNING").any() and runs["parent"].dropna().nunique() == 1
    pruned = runs[runs["tags.trial_state"] == "pruned"]
    assert set(pruned["status"]) == {"KILLED"} and len(pruned) == (table["state"] == "PRUNED").sum()
    shares = table.loc[table["state"] == "PRUNED", "trained"].sort_index()
    assert pruned["metrics.train_share"].sort_index(key=lambda names: names.str[6:].astype(int)).tolist() == [*shares]
    picked = tracking.runs("sweeps").set_index("run_id").loc[winner["run_id"], "name"]
    assert picked == f"the sweep's pick, trial {confirmed.index[0]}"


def test_trials_and_repeats_may_have_fewer_rows_and_epochs_than_what_is_registered(store, tmp_path):
    bench = Bench(tmp_path)
    chosen = {"n_trials": 2, "trial_rows": 3, "trial_texts": 3, "pruner": "none", "search_space": ELSEWHERE}
    small = study(store, tmp_path, bench, **chosen)
    first, table = small.first(), small.search()
    last = small.final(small.confirm().index[0])
    registered = [name for name, size in bench.sizes.items() if size == (9, 2)]
    assert registered == [first["weights_sha256"], last["weights_sha256"]] and len(bench.sizes) == 2 + 2 + 4
    assert {size for name, size in bench.sizes.items() if name not in registered} == {(3, 1)}
    assert small.name != study(store, tmp_path, bench, trial_rows=4).name and len(table) == 2


@pytest.mark.parametrize("other", [{"registered_model": "mine"}, {"strict": True}])
def test_another_place_in_the_registry_or_strictness_begins_another_sweep(store, tmp_path, other):
    assert study(store, tmp_path).name == study(store, tmp_path).name != study(store, tmp_path, **other).name


def test_settings_whose_repeats_diverged_are_no_pick(store, tmp_path):
    lost = {}  # learning rate -> the seed that it diverges with
    bench = Bench(tmp_path, fails=lambda recipe: bench.trained[-1][2] == lost.get(recipe.learning_rate))
    begun = study(store, tmp_path, bench, n_trials=4, confirm_top=2, pruner="none", sampler="random")
    begun.search()
    lost[begun.best(1)[0].params["learning_rate"]] = 3
    confirmed = begun.confirm()
    assert confirmed["seeds"].tolist() == [2, 1] and confirmed["mean"].idxmax() == confirmed.index[1]


@pytest.mark.parametrize("rate, picked", [(3.001e-4, 3e-4), (6e-4, 6e-4)])
def test_the_default_settings_stay_the_pick_unless_others_are_clearly_better(store, tmp_path, rate, picked):
    space = {"learning_rate": {"choices": [rate, 3e-4]}}
    begun = study(store, tmp_path, n_trials=2, pruner="none", search_space=space)
    begun.search()
    confirmed = begun.confirm()
    assert confirmed["learning_rate"].iloc[0] == picked
    assert confirmed["mean"].idxmax() == confirmed.index[confirmed["learning_rate"] == rate][0]


def test_the_default_settings_are_repeated_wherever_they_stand_among_the_trials(store, tmp_path):
    space = {"learning_rate": {"choices": [3e-4, 5e-4, 8e-4, 1e-3]}}
    begun = study(store, tmp_path, n_trials=4, pruner="none", search_space=space)
    begun.search()
    assert [trial.params["learning_rate"] for trial in begun.best(4)][-1] == 3e-4
    assert sorted(begun.confirm()["learning_rate"]) == [3e-4, 8e-4, 1e-3]


@pytest.mark.parametrize("name", search_space.NOT_SEARCHED)
def test_what_changes_nothing_in_a_trial_is_not_searched(name):
    with pytest.raises(InputError, match=f"search_space: {name} cannot be searched: a trial ends with its last epoch"):
        search_space.check_space({name: [1, 2]})


def test_only_what_is_registered_may_keep_its_best_epoch(store, tmp_path):
    bench = Bench(tmp_path)
    bench.base = dataclasses.replace(bench.base, keep="best")
    begun = study(store, tmp_path, bench, n_trials=1, confirm_seeds=1, search_space=ELSEWHERE)
    begun.search()
    begun.final(begun.confirm().index[0])
    assert bench.kept == {"trial 1": "last", "trial 1, seed 2": "last", "the sweep's pick, trial 1": "best"}


def test_more_trials_extend_a_study(store, tmp_path):
    bench = Bench(tmp_path)
    short = outcome(study(store, tmp_path, bench, n_trials=5).search())
    long = outcome(study(store, tmp_path, bench, n_trials=8).search())
    assert len(bench.trained) == 8 and {k: long[k] for k in short} == short


@pytest.mark.parametrize("space", [SPACE, ELSEWHERE])
def test_a_pick_that_a_sweep_goes_back_to_is_its_pick_again(store, tmp_path, space):
    bench = Bench(tmp_path)
    begun = study(store, tmp_path, bench, n_trials=2, pruner="none", search_space=space)
    first = begun.first()["run_id"]
    begun.search()
    for trial in (1, 2, 1):
        run_id = begun.final(trial)["run_id"]
        recorded = sweep_analysis.comparable(tracking.runs("sweeps"), tracking.SELECTION_METRIC)
        assert sweep_analysis.pick(recorded)["run_id"] == run_id
        assert set(recorded.finals["run_id"]) == {first, run_id}
        said = sweep_comparison.conclusion(recorded, lambda run_id, split: None)
        assert ("they are its pick" in said) == (run_id == first)
    default_is_in_it = space is SPACE
    assert (first == run_id) == default_is_in_it and len(bench.trained) == 1 + 2 + 2 - default_is_in_it


def test_a_sweep_that_is_run_again_takes_nothing_from_a_newer_one(store, tmp_path):
    picks = {}
    for rows in (3, 4, 3):  # the last one has been done
        begun = study(store, tmp_path, n_trials=2, trial_rows=rows, search_space=ELSEWHERE)
        begun.first(), begun.search()
        picks[rows] = begun.final(begun.confirm().index[0])["run_id"]
    recorded = sweep_analysis.comparable(tracking.runs("sweeps"), tracking.SELECTION_METRIC)
    assert sweep_analysis.pick(recorded)["run_id"] == picks[4]


@pytest.mark.parametrize("pruner", ["halving", "median", "hyperband"])
def test_bad_trials_are_given_up_early_and_good_ones_are_not(store, tmp_path, pruner):
    bench = Bench(tmp_path)
    table = study(store, tmp_path, bench, n_trials=14, sampler="random", pruner=pruner).search()
    whole = study(store, tmp_path, n_trials=14, sampler="random", pruner="none").search()
    pruned = table["state"] == "PRUNED"
    assert 4 <= pruned.sum() <= 12 and table.loc[pruned, "trained"].isin([3 / 8, 6 / 8]).all()
    assert whole.loc[pruned, "value"].mean() < whole.loc[~pruned, "value"].mean() - 0.1
    assert (table.loc[~pruned, "value"] == whole.loc[~pruned, "value"]).all() and (
        table.loc[~pruned, "trained"] == 1
    ).all()


def test_a_diverging_trial_is_one_failed_trial(store, tmp_path):
    table = study(store, tmp_path, Bench(tmp_path, fails=lambda s: s.learning_rate > 3e-3), n_trials=8).search()
    failed = table[table["state"] == "FAIL"]
    assert 0 < len(failed) < 8 and set(failed["reason"]) == {"the loss became nan"}
    runs = tracking.runs("sweeps", only_finished=False)
    assert (runs["status"] == "FAILED").sum() == len(failed)


def test_a_failed_trial_sets_no_bar_for_others():
    """One that leads early and then diverges, as with a high learning rate."""

    def trial(state, values):
        return optuna.trial.create_trial(
            state=state,
            value=0.5 if state == TrialState.COMPLETE else None,
            intermediate_values=dict(zip(REPORTS, values)),
        )

    plan = suggester(SPACE, "random")
    for earlier, given_up in (
        ([trial(TrialState.FAIL, [0.5])], False),
        ([trial(TrialState.COMPLETE, [0.5, 0.6])], True),
    ):
        reporter = plan.reporter(earlier)
        reporter.report(0.1, REPORTS[0])
        assert reporter.should_prune() == given_up


def test_a_tie_ends_no_trial():
    """As of models that still give one answer to every text, whose macro F1 is the same."""
    plan, step = suggester(SPACE, "random"), REPORTS[0]
    earlier = [
        optuna.trial.create_trial(state=TrialState.PRUNED, intermediate_values={step: score})
        for score in (0.2, 0.2, 0.2)
    ]
    for score, ended in ((0.2, False), (0.19, True)):
        reporter = plan.reporter(earlier)
        reporter.report(score, step)
        assert reporter.should_prune() == ended


@pytest.mark.parametrize(
    "pruner, words",
    [("halving", "only while .* the better half"), ("median", "below the median"), ("none", "No trial")],
)
def test_it_is_said_when_and_on_what_a_trial_is_pruned(store, tmp_path, pruner, words):
    said = study(store, tmp_path, pruner=pruner).pruning()
    assert re.search(words, said) and "all 9 rows" in said
    assert ("After 3/8 and 6/8" in said and "macro F1 on 6 of the 9 rows" in said) == (pruner != "none")


def test_a_sweep_without_any_result_fails(store, tmp_path):
    with pytest.raises(TrainingError, match="none of the 3 trials"):
        study(store, tmp_path, Bench(tmp_path, fails=lambda s: True), n_trials=3).search()


def test_the_first_interrupt_ends_after_the_step_and_the_trial_is_run_again(store, tmp_path):
    bench = Bench(tmp_path, seconds=0.3)
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        study(store, tmp_path, bench, n_trials=4).search()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    bench.seconds = 0
    table = outcome(study(store, tmp_path, bench, n_trials=4).search())
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert table == outcome(study(store, fresh, n_trials=4, experiment="sweeps").search())


def test_a_result_that_the_queue_was_not_told_of_is_taken_over(store, tmp_path, monkeypatch):
    """As when a worker dies after it has ended the run and before it has noted that the trial is done."""
    bench = Bench(tmp_path)
    first = study(store, tmp_path, bench, n_trials=2, pruner="none")

    def die(*arguments, **attributes):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(JobQueue, "finish", die)
        first.search()
    assert len(bench.trained) == 1
    table = study(store, tmp_path, bench, n_trials=2, pruner="none").search()
    assert len(bench.trained) == 2 and table["value"].notna().all()
    assert (tracking.runs("sweeps")["name"] == "trial 1").sum() == 1


def test_the_run_of_a_worker_that_died_on_another_machine_is_closed(store, tmp_path, monkeypatch):
    sweep, elsewhere = study(store, tmp_path, n_trials=1), "elsewhere 1 0.00"
    experiment = MlflowClient().get_experiment_by_name("sweeps").experiment_id
    left = (
        MlflowClient()
        .create_run(experiment, tags={OWNER_TAG: elsewhere, "mlflow.parentRunId": sweep.parent}, run_name="trial 1")
        .info.run_id
    )
    MlflowClient().log_metric(left, "loss", 1.0, timestamp=5_000)
    job = sweep.queue.claim(1)
    for name, value in {"owner": elsewhere, "run_id": left}.items():
        job.set_user_attr(name, value)
    monkeypatch.setattr(sweep.queue._storage, "grace_period", 0)
    time.sleep(1.1)
    table = sweep.search()
    found = MlflowClient().get_run(left).info
    assert table.loc[1, "state"] == "COMPLETE" and table.loc[1, "run_id"] != left
    assert (found.status, found.end_time) == ("KILLED", 5_000)


def test_time_is_a_budget_too(store, tmp_path):
    table = study(store, tmp_path, Bench(tmp_path, seconds=0.3), n_trials=50, max_minutes=0.03, pruner="none").search()
    assert 1 <= len(table) < 10
    assert len(study(store, tmp_path, n_trials=12, pruner="none").search()) == 12


def test_a_study_whose_runs_are_elsewhere_is_refused(store, tmp_path, empty_store):
    study(store, tmp_path, n_trials=1).search()
    MlflowClient(store).delete_run(study(store, tmp_path, n_trials=1).parent)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mlflow.db").write_bytes(empty_store.read_bytes())
    with pytest.raises(InputError, match="not in this tracking store"):
        study(f"sqlite:///{other / 'mlflow.db'}", tmp_path, n_trials=1)


def test_a_study_of_which_a_run_or_a_version_was_deleted_is_refused(store, tmp_path):
    begun, client = study(store, tmp_path, n_trials=1), MlflowClient(store)
    first = begun.first()
    client.delete_model_version("sweeps", first["version"])
    with pytest.raises(InputError, match="version 1 of sweeps, which it registered, was deleted; choose another name"):
        begun.first()
    client.delete_run(first["run_id"])
    with pytest.raises(InputError, match="its run 'default settings' was deleted; restore it"):
        begun.first()
    client.delete_run(begun.parent)
    with pytest.raises(InputError, match=f"its run '{begun.name}' was deleted; restore it"):
        study(store, tmp_path, n_trials=1)


def test_a_cluster_needs_stores_that_several_machines_can_use(store, tmp_path):
    with pytest.raises(InputError, match="an SQLite file is for one machine"):
        study(store, tmp_path, engine="ray")
