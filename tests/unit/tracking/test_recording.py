"""Runs in a private MLflow store: truthful status, curves, comparison, registry."""

import time

import mlflow
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from transformers import TrainerControl, TrainerState

from textlab import evaluation, tracking, workflows
from textlab.data import Data
from textlab.errors import InputError
from textlab.evaluation import plots, sweep_analysis
from textlab.tracking import store
from textlab.tracking.store import store_uri


@pytest.fixture
def connected(store):
    tracking.connect(store, "tests")
    yield store
    while mlflow.active_run():
        mlflow.end_run()


def finished(name="run", parent=None, params=(), metrics=(), tags=None):
    with tracking.run(name, parent, tags) as active:
        tracking.log_params({"data_sha256": "d1", "train_rows": 10} | dict(params))
        mlflow.log_metrics(dict(metrics))
    return active.info.run_id


def test_the_store_is_made_as_a_file_with_its_artifacts_beside_it(tmp_path):
    tracking.connect(store_uri(tmp_path / "mlflow"), "tests")
    assert (tmp_path / "mlflow" / "mlflow.db").is_file()
    assert mlflow.get_experiment_by_name("tests").artifact_location == (tmp_path / "mlflow" / "artifacts").as_uri()


def test_reading_a_missing_store_or_experiment_is_one_clear_sentence(store, tmp_path):
    with pytest.raises(InputError, match="there is no tracking store yet .* run notebook 03_mlflow_tracking first"):
        tracking.connect(store_uri(tmp_path / "nothing"), "tests", create=False)
    assert not (tmp_path / "nothing").exists()
    tracking.connect(store, "tests")
    with pytest.raises(InputError, match="the store has no 'test'; it has .*tests"):
        tracking.connect(store, "test", create=False)


def test_a_deleted_experiment_is_named(connected):
    MlflowClient().delete_experiment(mlflow.get_experiment_by_name("tests").experiment_id)
    with pytest.raises(InputError, match="'tests' is in the store's trash"):
        tracking.connect(connected, "tests")


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is not a database, but it is long enough to be taken for one " * 20)
    with pytest.raises(InputError, match="cannot be used") as error:
        tracking.connect(store_uri(tmp_path), "tests")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "error, status", [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "FAILED")]
)
def test_status_is_truthful(connected, error, status):
    try:
        with tracking.run("x") as active:
            if error:
                raise error()
    except (ValueError, KeyboardInterrupt, SystemExit) as raised:
        assert type(raised) is error
    ended = MlflowClient().get_run(active.info.run_id)
    assert ended.info.status == status and ended.data.tags.get("error") == (
        "ValueError" if error is ValueError else None
    )
    files = [file.path for file in MlflowClient().list_artifacts(active.info.run_id)]
    assert files == (["error.txt"] if error is ValueError else [])
    if files:
        assert "raise error()" in mlflow.artifacts.load_text(f"runs:/{active.info.run_id}/error.txt")


def test_why_a_run_failed_is_raised_also_when_the_server_is_down(connected, monkeypatch, capsys):
    def refuse(*_, **__):
        raise MlflowException("API request to http://there failed with exception refused")

    with pytest.raises(ValueError, match="the real reason"), monkeypatch.context() as patch:
        with tracking.run("x"):
            for name in ("set_tags", "end_run"):
                patch.setattr(mlflow, name, refuse)
            raise ValueError("the real reason")
    printed = capsys.readouterr().err
    for what in ("why the run failed", "how the run ended"):
        assert f"{what} could not be recorded" in printed


def test_the_machines_load_is_in_short_runs_too(connected):
    with tracking.run("x") as active:
        time.sleep(7)
    assert "system/cpu_utilization_percentage" in MlflowClient().get_run(active.info.run_id).data.metrics


def test_children_belong_to_their_parent_and_a_run_can_be_continued(connected):
    with tracking.run("sweep") as parent:
        child = finished("trial 1", parent.info.run_id)
    with tracking.run("trial 1", run_id=child):
        mlflow.log_metric("late", 1)
    table = tracking.runs("tests").set_index("run_id")
    assert table.loc[child, "parent"] == parent.info.run_id
    assert table.loc[child, "metrics.late"] == 1 and len(table) == 2


def test_a_run_without_a_name_is_called_by_its_id(connected):
    first, second = finished("first"), finished("second")
    named = {second: second, first: "first"}
    for run_id in (second, first):
        MlflowClient().delete_tag(run_id, "mlflow.runName")
        assert tracking.runs("tests").set_index("run_id")["name"].to_dict() == named
        named[first] = first


def test_logger_sends_every_point_once_under_names_of_its_own(connected):
    with tracking.run("x") as active:
        logger, state = tracking.RunLogger(active.info.run_id), TrainerState(epoch=0.5)
        for state.global_step, logs in (
            (1, {"loss": 2.0, "learning_rate": 0.1, "epoch": 0.1}),
            (2, {"loss": 1.0}),
            (2, {"eval_macro_f1": 0.5}),
        ):
            logger.on_log(None, state, TrainerControl(), logs=logs)
        logger.on_evaluate(None, state, TrainerControl())
        logger.on_log(None, state, TrainerControl(), logs={"train_runtime": 9.0})
        logger.on_train_end(None, state, TrainerControl())
    history = tracking.metric_history(active.info.run_id, "train_loss")
    assert history.values.tolist() == [[1, 2.0], [2, 1.0]]
    metrics = MlflowClient().get_run(active.info.run_id).data.metrics
    assert metrics == {"train_loss": 1.0, "train_learning_rate": 0.1, "eval_macro_f1": 0.5}


def test_scores_and_intervals_are_flat_metrics(connected):
    with tracking.run("x") as active:
        tracking.log_scores("test", {"accuracy": 0.9, "accuracy_ci95": [0.8, 0.95]})
    assert MlflowClient().get_run(active.info.run_id).data.metrics == {
        "test_accuracy": 0.9,
        "test_accuracy_ci95_low": 0.8,
        "test_accuracy_ci95_high": 0.95,
    }


def test_search_space_and_final_scores_come_back(connected):
    with tracking.run("sweep") as parent:
        tracking.log_table({"epochs": [1, 2]}, "search_space.json")
        finished(
            "trial",
            parent.info.run_id,
            metrics={
                "validation_macro_f1": 0.5,
                "test_accuracy": 0.8,
                "test_macro_f1": 0.7,
                "test_accuracy_ci95_low": 0.7,
                "test_accuracy_ci95_high": 0.9,
                "test_majority_accuracy": 0.3,
                "test_majority_macro_f1": 0.1,
            },
        )
    table = sweep_analysis.comparable(tracking.runs("tests", only_finished=False), "validation_macro_f1").table
    assert tracking.search_space(table) == {"epochs": {"choices": [1, 2]}}
    assert tracking.final_scores(table.iloc[0]) == (
        "test",
        {
            "most frequent class": {"accuracy": 0.3, "macro_f1": 0.1},
            "fine-tuned": {"accuracy": 0.8, "macro_f1": 0.7, "accuracy_ci95": [0.7, 0.9]},
        },
    )


@pytest.mark.parametrize(
    "more, found",
    [
        ({}, {}),
        ({"validation_accuracy": 0.6}, {"fine-tuned": {"accuracy": 0.6, "macro_f1": 0.5}}),
        ({"validation_majority_macro_f1": 0.1, "validation_accuracy_ci95_low": 0.5}, {}),
        (
            {"validation_accuracy": 0.6, "validation_macro_f1_ci95_low": 0.4, "validation_accuracy_ci95_low": 0.5}
            | {"validation_macro_f1_ci95_high": 0.7},
            {"fine-tuned": {"accuracy": 0.6, "macro_f1": 0.5, "macro_f1_ci95": [0.4, 0.7]}},
        ),
        (
            {"validation_accuracy": 0.3, "validation_micro_f1": 0.6}
            | {f"validation_micro_f1_ci95_{end}": value for end, value in (("low", 0.5), ("high", 0.7))},
            {"fine-tuned": {"accuracy": 0.3, "macro_f1": 0.5, "micro_f1": 0.6, "micro_f1_ci95": [0.5, 0.7]}},
        ),
    ],
)
def test_scores_of_other_programs_are_read_where_both_metrics_are_there(more, found):
    split, scores = tracking.final_scores({"validation_macro_f1": 0.5} | more)
    assert (split, scores) == ("validation", found)
    if found:
        assert ("exact match" in evaluation.score_table(scores)) == ("validation_micro_f1" in more)
        plots.intervals(scores).canvas.draw()


def test_a_store_that_does_not_answer_ends_no_training_and_loses_no_point(connected, monkeypatch, capsys):
    with tracking.run("x") as active:
        logger, state = tracking.RunLogger(active.info.run_id), TrainerState(epoch=0.5, global_step=1)
        send = MlflowClient.log_batch
        monkeypatch.setattr(MlflowClient, "log_batch", lambda *_, **__: 1 / 0)
        for state.global_step in (1, 2):
            logger.on_log(None, state, TrainerControl(), logs={"loss": 2.0})
            logger.on_evaluate(None, state, TrainerControl())
        logger.on_train_end(None, state, TrainerControl())
        assert capsys.readouterr().err == "tracking: 2 points of the curves could not be recorded: division by zero\n"
        monkeypatch.setattr(MlflowClient, "log_batch", send)
        logger.on_evaluate(None, state, TrainerControl())  # within a minute it is not asked again
        assert tracking.metric_history(active.info.run_id, "train_loss").empty
        logger.on_train_end(None, state, TrainerControl())
    assert tracking.metric_history(active.info.run_id, "train_loss")["step"].tolist() == [1, 2]


def test_a_server_that_is_not_there_is_one_line_and_soon(monkeypatch):
    began = time.monotonic()
    with pytest.raises(
        InputError, match="http://127.0.0.1:9 cannot be used: no answer within 5 seconds; start the server; without one"
    ):
        tracking.connect("http://127.0.0.1:9", "tests")
    assert time.monotonic() - began < 10


@pytest.fixture
def register(connected):
    """A function that registers one version of the model m for each list of answers to the same 20 rows."""
    labels = [0, 1] * 10
    rows = Dataset.from_dict(
        {"text": [str(i) for i in range(20)], "label": labels},
        Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])}),
    )
    rows = Data(DatasetDict(train=rows, validation=rows, test=rows), None, None, ())
    client = MlflowClient()
    client.create_registered_model("m")

    def versions(*right: int, validation: tuple[int, ...] = ()) -> None:
        for number, count in enumerate(right):
            with tracking.run("x") as active:
                for split, hits in [
                    ("test", count),
                    *[("validation", some) for some in validation[number : number + 1]],
                ]:
                    predicted = [*labels[:hits], *(1 - label for label in labels[hits:])]
                    tracking.log_predictions(workflows.record.predictions(rows, split, predicted), split)
            client.create_model_version("m", active.info.artifact_uri, active.info.run_id)
        assert workflows.promote("m", 1, "test") == (True, "Version 1 is the champion.")

    return versions


@pytest.mark.parametrize("old, new, promoted", [(10, 18, True), (10, 13, False), (18, 10, False), (15, 15, False)])
def test_a_champion_gives_way_only_to_a_better_one(register, old, new, promoted):
    register(old, new)
    changed, message = workflows.promote("m", 2, "test")
    assert changed is promoted and f"difference {(new - old) / 20:+.3f}, 95 % interval" in message
    assert tracking.model_versions("m")["aliases"].tolist() == (["", "champion"] if promoted else ["champion", ""])
    assert tracking.champion_of("m") == (2 if promoted else 1) and tracking.champion_of("other") is None
    assert workflows.promote("m", 2 if promoted else 1, "test")[1].endswith("is the champion already.")


@pytest.mark.parametrize("validation, promoted", [((15, 14), False), ((15, 15), True), ((15, 16), True)])
def test_a_model_that_is_worse_on_validation_is_not_promoted(register, validation, promoted):
    register(10, 18, validation=validation)
    changed, message = workflows.promote("m", 2, "test")
    assert changed is promoted and "accuracy difference +0.400, 95 % interval" in message and "p = 0.008" in message
    assert ("but worse on validation (accuracy difference -0.050" in message) != promoted


def test_a_model_scored_on_other_rows_is_not_promoted(register):
    register(10, 18)
    with tracking.run("x") as active:
        pass
    MlflowClient().create_model_version("m", active.info.artifact_uri, active.info.run_id)
    changed, message = workflows.promote("m", 3, "test")
    assert not changed and "were not scored on the same test rows" in message
    other, mine = active.info.run_id, tracking.model_versions("m").loc[[1, 2], "run_id"]
    assert [workflows.standing("m", run_id, "test") for run_id in (*mine, other)] == [
        {"name": "m", "version": 1},
        {"name": "m", "version": 1},
        None,
    ]
    assert workflows.standing("none", other, "test") is None


def test_tags_of_a_version_take_no_column_of_its_table(register):
    register(10, 18)
    before = tracking.model_versions("m")
    for key, value in (("version", "1"), ("run_id", before.loc[1, "run_id"]), ("aliases", "champion"), ("f1", "0.9")):
        MlflowClient().set_model_version_tag("m", "2", key, value)
    table = tracking.model_versions("m")
    assert table[["run_id", "aliases"]].equals(before) and table.loc[2, "f1"] == "0.9"
    assert [tracking.version_of("m", run_id) for run_id in before["run_id"]] == [1, 2]


@pytest.mark.parametrize(
    "tag, expected",
    [
        ("passed", []),
        ("It is bad.", ["It is bad."]),
        (None, ["This run has no registered model, so it was not checked."]),
    ],
)
def test_guards_of_a_run(tag, expected):
    assert tracking.guards_of(pd.Series({"tags.guards": tag})) == expected


def test_messages_hide_passwords():
    assert store.short("https://me:secret@host/x") == "https://***@host/x"
