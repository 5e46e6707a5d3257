"""A training as a recorded run: each epoch's model is kept with its metrics, which changes nothing in the training."""

import json
import threading
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.metrics import f1_score, log_loss
from test_record import CSV
from transformers import TrainerCallback

from mlflow_stores import Server, content
from textlab import data, tracking, training, workflows
from textlab.settings import parameters
from textlab.tracking import sync
from textlab.tracking.store import store_uri

CHOSEN = {
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "max_length": 16,
    "max_train_rows": None,
    "model": "tiny",
    "recipe_options": {"frozen_share": 0.0, "precision": "fp32"},
    "registered_model": "mine",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "mine.csv").write_text(CSV)
    cfg = parameters.check(
        "03_mlflow_tracking", parameters.defaults("03_mlflow_tracking") | CHOSEN | {"dataset": str(folder / "mine.csv")}
    )
    return workflows.Workbench(cfg, folder, data.load(cfg.dataset))


def test_trials_of_fewer_rows_learn_in_the_same_way_as_what_is_registered(tmp_path):
    words = "red blue green black white grey pink brown".split()
    rows = [
        f"a {words[i % 8]} and a {words[i // 8 % 8]} thing number {i},{'good' if i % 2 else 'bad'}" for i in range(2600)
    ]
    (tmp_path / "many.csv").write_text("\n".join(["text,label", *rows]))
    chosen = {"dataset": str(tmp_path / "many.csv"), "model": "tiny"}
    cfg = parameters.check("03_mlflow_tracking", parameters.defaults("03_mlflow_tracking") | chosen)
    bench = workflows.Workbench(cfg, tmp_path)
    few = bench.smaller(100, 200)
    assert (bench.base.epochs, bench.base.contrastive, bench.base.label_names) == (5, 0, 0)
    assert (few.base.epochs, few.base.contrastive, few.base.label_names) == (2, 0, 0)
    alone = workflows.Workbench(parameters.check("03_mlflow_tracking", vars(cfg) | {"max_train_rows": 100}), tmp_path)
    assert alone.base.contrastive > 0 and alone.base.label_names > 0  # what as few rows have on their own


def train(bench, **options):
    with tracking.run("a training") as active:
        trained = bench.train(active.info.run_id, bench.base, 1, **options)
        if options:
            bench.register(trained)
    return active.info.run_id, training.weights_sha256(trained.fit.model)


def test_the_model_of_each_epoch_is_kept_with_its_own_metrics_and_can_be_used(bench, store, tmp_path):
    tracking.connect(store, "tests")
    run, weights = train(bench, final=True)
    kept, steps = tracking.models(run), tracking.metric_history(run, "eval_macro_f1")["step"].tolist()
    assert (
        kept.index.tolist() == [f"checkpoint-{steps[0]}", f"checkpoint-{steps[1]}", "model"]
        and kept["step"].tolist() == steps
    )
    rows = bench.texts.splits["validation"]
    for name, scores in kept.iterrows():  # what is kept is what was validated: the averaged weights of that epoch
        answers = workflows.predict(f"runs:/{run}/{name}", rows["text"][:], tracking_uri=store)
        chances = answers[[f"p_{label}" for label in bench.texts.labels]].to_numpy()
        assert log_loss(rows["label"], chances, labels=range(len(bench.texts.labels))) == pytest.approx(
            scores["eval_loss"], rel=1e-5
        )
        assert f1_score(rows["label"], chances.argmax(1), average="macro") == pytest.approx(scores["eval_macro_f1"])
    for name in ("eval_loss", "eval_macro_f1"):
        assert kept[name].tolist() == tracking.metric_history(run, name)["value"].tolist()
    assert kept["validation_macro_f1"].notna().tolist() == [False, False, True]
    card = Path(mlflow.artifacts.download_artifacts(f"runs:/{run}/model")) / "model_card.md"
    for fact in (
        f"SHA-256 of the weights: {weights}",
        f"| this model | {kept['validation_accuracy'].iloc[-1]:.3f} (",
        "learning_rate: 0.003",
    ):
        assert fact in card.read_text(), fact
    assert not card.with_name("LICENSE.txt").exists()
    (model,) = MlflowClient().search_logged_models([mlflow.get_run(run).info.experiment_id], "name = 'model'")
    assert json.loads(model.tags["mlflow.modelVersions"]) == [
        {"name": "mine", "version": 1}
    ]  # what MLflow's page of the model shows
    assert train(bench)[1] == weights  # keeping them has not changed the training
    copy = store_uri(tmp_path / "copy")
    sync.carry(store, copy)
    assert content(copy) == content(store)


def test_runs_of_a_bench_have_as_many_rows_whichever_fold_comes_first(tmp_path):
    rows = [f"thing {'abcdefghijklmnopqrstuvwxyz'[i % 26]} number {i},{'good' if i % 2 else 'bad'}" for i in range(202)]
    (tmp_path / "few.csv").write_text("\n".join(["text,label", *rows]))
    chosen = {"dataset": str(tmp_path / "few.csv"), "model": "tiny", "recipe_options": {"keep": "best"}}
    cfg = parameters.check("03_mlflow_tracking", parameters.defaults("03_mlflow_tracking") | chosen)
    bench = workflows.Workbench(cfg, tmp_path, data.load(cfg.dataset, folds=5))
    assert len({len(part) for part in bench.texts.folds.answered}) == 2  # the folds differ
    assert len({bench.turned(by).about()["train_rows"] for by in range(5)}) == 1


def test_a_checkpoint_that_cannot_be_kept_is_told_and_ends_no_training(bench, store, monkeypatch, capsys):
    tracking.connect(store, "tests")

    def full(model, path, **_):
        path.mkdir(parents=True)
        (path / "half").write_text("of a model")
        raise OSError("no space left")

    monkeypatch.setattr(mlflow.transformers, "save_model", full)
    with tracking.run("a training") as active:
        bench.train(active.info.run_id, bench.base, 1, final=True)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tracking:")]
    assert len(told) == 2 and all(line.endswith("could not be recorded: no space left") for line in told)
    assert (
        tracking.models(active.info.run_id).empty and len(tracking.metric_history(active.info.run_id, "eval_loss")) == 3
    )
    kept = MlflowClient().search_logged_models([active.info.experiment_id])
    assert [str(model.status) for model in kept] == ["FAILED", "FAILED"]
    assert not any(Path(model.artifact_location.removeprefix("file://")).exists() for model in kept)


@pytest.mark.slow
def test_a_training_outlives_the_server_that_it_records_into(bench, store, tmp_path, capsys):
    server = Server(tmp_path / "server")
    tracking.connect(store, "tests")
    calm, weights = train(bench)
    tracking.connect(server.uri, "tests")

    class Kill(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 2:
                server.kill()

    revival = threading.Timer(40, server.start)
    revival.start()
    with tracking.run("a training") as active:
        trained = bench.train(active.info.run_id, bench.base, 1, callbacks=[Kill()], final=True)
        bench.register(trained)
    told = capsys.readouterr().err
    assert "the store does not answer; what is to be recorded waits for it" in told
    found = MlflowClient().get_run(active.info.run_id)
    assert found.info.status == "FINISHED" and training.weights_sha256(trained.fit.model) == weights
    assert tracking.models(active.info.run_id).index.tolist()[-1] == "model"
    curve = tracking.metric_history(active.info.run_id, "eval_loss")
    tracking.connect(store, "tests")
    assert curve.equals(tracking.metric_history(calm, "eval_loss"))
    server.stop()
