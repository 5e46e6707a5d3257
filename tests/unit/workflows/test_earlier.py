"""Notebook 3 takes notebook 2's training over if it is exactly its own first one, and records it like its own."""

import dataclasses
import json
import shutil
from types import SimpleNamespace
from unittest import mock

import mlflow
import pytest
from test_cross_validated import CHOSEN, bench_of
from test_record import CSV

from textlab import data, evaluation, machine, tracking, training, workflows
from textlab.machine import environment
from textlab.notebooks import results
from textlab.settings import parameters
from textlab.workflows import record
from textlab.workflows.earlier import find_training


@pytest.fixture(scope="module", params=[0, 3], ids=["splits", "folds"])
def made(request, tmp_path_factory):
    """A bench, and what notebook 2's cells leave in a folder after the same training."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "mine.csv").write_text(CSV)
    bench, out = bench_of(folder, request.param), folder / "two"
    texts, source, seed = bench.texts, bench.source, bench.cfg.seed
    values = parameters.defaults("02_fine_tuning") | CHOSEN | {"dataset": bench.cfg.dataset}
    values.pop("registered_model")
    cfg = parameters.check("02_fine_tuning", values)
    fitted, chances = training.train_and_answer(
        texts,
        data.tokenize(texts.splits, bench.tokenizer, 16),
        bench.tokenizer,
        bench.base,
        seed,
        training.Resumable(out),
        lambda: training.load_model(source, texts.labels, bench.base, seed),
    )
    digest = training.save(fitted, out / "model", ["a guard"])
    scores = {split: evaluation.score(texts.splits[split], p.argmax(1), seed) for split, p in chances.items()}
    told = {split: record.predictions(texts, split, p.argmax(1)) for split, p in chances.items()}
    record.write_predictions(out, told)
    machine.write_text(out / "history.csv", fitted.history.to_csv(index=False))
    more = {"history": machine.sha256(out / "history.csv"), "saved": record.saved_files(out / "model")}
    known = texts, source, fitted, digest, told, scores
    kept = record.make("02_fine_tuning", cfg, *known, **more, steps=fitted.steps)
    measured = {name: getattr(fitted, name) for name in ("seconds", "epochs", "samples_per_second")}
    results.write(out, "02_fine_tuning", **record.for_results(kept), baselines={}, train=measured)
    return SimpleNamespace(bench=bench, out=out)


def find(made, folder=None, **other):
    bench = made.bench
    known = {
        "texts": bench.texts,
        "source": bench.source,
        "recipe": bench.base,
        "seed": bench.cfg.seed,
        "strict": False,
    }
    return find_training(folder or made.out, **known | other)


def test_a_training_that_was_taken_over_is_recorded_like_one_that_was_done_here(made, store):
    tracking.connect(store, "tests")
    runs, trained = {}, {}
    for way in ("taken", "trained"):
        with tracking.run(way) as active:
            runs[way], bench = active.info.run_id, bench_of(made.bench.out, len(made.bench.texts.folds or ()))
            args = active.info.run_id, bench.base, bench.cfg.seed
            trained[way] = (
                bench.take_over(active.info.run_id, made.out) if way == "taken" else bench.train(*args, final=True)
            )
            bench.register(trained[way])
    minutes = tracking.runs("tests").set_index("run_id")["minutes"][runs["taken"]]
    assert minutes >= trained["taken"].fit.seconds / 60  # and not the moment that it took to read
    taken, done = (tracking.recorded(runs[way], store)["record"] for way in ("taken", "trained"))
    assert taken == done
    assert trained["taken"].fit.notes == () and trained["taken"].fit.steps == trained["trained"].fit.steps
    for metric in ("train_loss", "train_learning_rate", "eval_loss", "eval_macro_f1"):
        here, there = (tracking.metric_history(runs[way], metric)[["step", "value"]] for way in ("taken", "trained"))
        assert len(here) > 1 and here.equals(there)
    models = [tracking.models(runs[way]).iloc[-1].drop("model_id", errors="ignore") for way in ("taken", "trained")]
    assert models[0].equals(models[1])
    assert tracking.load_model("models:/mine/1").model.config.guards == trained["taken"].fit.model.config.guards

    long = [" ".join(["awful"] * 30 + ["lovely"] * 30)] * 2  # beyond 16 tokens
    served = [mlflow.pyfunc.load_model(f"models:/mine/{version}").predict(long) for version in (1, 2)]
    assert served[0].equals(served[1])
    for version in (1, 2):
        assert tracking.load_model(f"models:/mine/{version}").tokenizer.model_max_length == 16


@pytest.mark.filterwarnings("ignore:.* did not pass its checks")
def test_the_kind_of_its_texts_comes_along(made, store):
    texts, fitted = made.bench.texts, find(made)[0]
    assert fitted.kind.texts == (texts.folds.kept_rows("last") if texts.folds else texts.rows()["train"])
    assert fitted.kind.text() == (made.out / "model" / training.text_kind.FILE).read_text()
    tracking.connect(store, "tests")
    with tracking.run("taken") as active:
        bench = bench_of(made.bench.out, len(texts.folds or ()))
        bench.register(bench.take_over(active.info.run_id, made.out))
    assert workflows.load("models:/mine/1", store).kind.text() == fitted.kind.text()


def test_a_sweep_takes_it_over_as_its_first_run(made, store, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path))
    bench = bench_of(made.bench.out, len(made.bench.texts.folds or ()))
    tracking.connect(store, bench.cfg.experiment)
    with mock.patch.object(training, "train_and_answer", side_effect=AssertionError("it was trained")):
        first = workflows.Sweep(bench.cfg, bench).first(made.out)
    told = results.read(made.out, "02_fine_tuning")
    assert first["taken_over"] and first["weights_sha256"] == told["weights_sha256"]


def test_a_model_that_learned_from_fewer_rows_is_not_taken_over(made):
    texts = made.bench.texts
    if texts.folds:  # the first fold has 40 rows to learn from either way, and the model that is kept 60 or 45
        fewer = dataclasses.replace(texts, folds=dataclasses.replace(texts.folds, most=45))
        assert fewer.digests == texts.digests and find(made, texts=fewer) is None
    else:
        assert find(made, texts=texts.fewer(20, 1)) is None


def test_nothing_is_taken_over_from_where_nothing_is(made, tmp_path):
    assert find(made) is not None
    assert find(made, tmp_path) is find(made, tmp_path / "nowhere") is None
    assert made.bench.take_over("no run is needed", tmp_path) is None


@pytest.mark.parametrize("what", ["recipe", "seed", "strict", "texts", "machine", "code"])
def test_another_training_is_not_taken_over(made, what, tmp_path, monkeypatch):
    other = {}
    if what == "recipe":
        other = {"recipe": dataclasses.replace(made.bench.base, learning_rate=2e-3)}
    elif what == "seed":
        other = {"seed": 7}
    elif what == "strict":
        other = {"strict": True}
    elif what == "texts":
        (tmp_path / "mine.csv").write_text(CSV.replace("thing number 7,", "thing number 700,"))
        other = {"texts": bench_of(tmp_path, 3 if made.bench.texts.folds else 0).texts}
    elif what == "machine":
        facts = environment.fingerprint() | {"threads": 64}
        monkeypatch.setattr(environment, "fingerprint", lambda: facts)
    else:
        code = record.code("02_fine_tuning") | {"training/trainer.py": "0" * 64}
        monkeypatch.setattr(record, "code", lambda notebook: code)
    assert find(made, **other) is None


@pytest.mark.parametrize(
    "file",
    [
        "history.csv",
        "predictions/test.json",
        "model/model.safetensors",
        "model/config.json",
        "results/02_fine_tuning.json",
    ],
)
def test_what_was_altered_is_not_taken_over(made, file, tmp_path):
    shutil.copytree(made.out, tmp_path / "two")
    path = tmp_path / "two" / file
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        content = content[:-1] + bytes([content[-1] ^ 1])
    elif path.suffix == ".csv":
        content = content.replace(b"0.", b"1.", 1)
    else:
        values = json.loads(content)
        if "train" in values:
            values["record"]["steps"] += 1
        else:
            values |= (
                {"hidden_act": "relu"} if "id2label" in values else {"predicted": [1 - i for i in values["predicted"]]}
            )
        content = json.dumps(values).encode()
    assert content != path.read_bytes()
    path.write_bytes(content)
    assert find(made, tmp_path / "two") is None
    path.unlink()
    assert find(made, tmp_path / "two") is None
