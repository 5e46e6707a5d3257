"""Trainings on few rows: every row is answered by a model that has not seen it, and that can be repeated."""

import shutil

import numpy as np
import pytest
from test_record import CSV

from textlab import data, hub, settings, tracking, training, workflows
from textlab.settings import parameters
from textlab.tracking import store
from textlab.training import cross_validation
from textlab.workflows.receipt import REPRODUCED

CHOSEN = {
    "model": "tiny",
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "max_length": 16,
    "recipe_options": {"precision": "fp32"},
    "registered_model": "mine",
}


def bench_of(folder, folds):
    """Return a bench on the file `mine.csv` of a folder."""
    values = parameters.defaults("03_mlflow_tracking") | CHOSEN | {"dataset": str(folder / "mine.csv")}
    cfg = parameters.check("03_mlflow_tracking", values)
    return workflows.Workbench(cfg, folder, data.load(cfg.dataset, folds=folds))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "mine.csv").write_text(CSV)
    return bench_of(folder, 3)


def by_hand(bench, folder, recipe, part):
    """Return a model trained on a part."""
    tokens = data.tokenize(part, bench.tokenizer, 16)
    fresh = training.load_model(bench.source, bench.texts.labels, recipe, 1)
    return training.fit(fresh, bench.tokenizer, tokens, recipe, 1, training.Unsaved(folder))


def test_each_row_is_answered_by_the_model_of_its_fold_and_the_last_one_is_kept(bench, tmp_path, capsys):
    texts, recipe, folds = bench.texts, bench.base, bench.texts.folds
    tokens = data.tokenize(texts.splits, bench.tokenizer, 16)
    fitted, chances = training.train_and_answer(
        texts,
        tokens,
        bench.tokenizer,
        recipe,
        1,
        training.Unsaved(tmp_path),
        lambda: training.load_model(bench.source, texts.labels, recipe, 1),
    )
    told = capsys.readouterr().err
    assert [line for line in told.splitlines() if "trained" in line] == ["all rows: trained 2 epochs, 18 steps"]
    for fold in range(3):
        part = folds.training(texts.splits["test"], fold)
        alone = by_hand(bench, tmp_path, recipe, part)
        wanted = training.probabilities(alone.model, bench.tokenizer, part["validation"]["text"][:], 16)
        assert np.array_equal(chances["test"][folds.answered[fold]], wanted)
        if fold == 0:
            assert np.array_equal(chances["validation"], wanted)
            assert alone.history[["loss", "eval_loss"]].equals(fitted.history[["loss", "eval_loss"]])
    whole = by_hand(bench, tmp_path, recipe, folds.kept(texts.splits["test"]))
    assert training.weights_sha256(whole.model) == training.weights_sha256(fitted.model)
    assert fitted.seconds > whole.seconds


def test_an_interrupted_cross_validation_goes_on_with_its_finished_parts(bench, tmp_path, monkeypatch):
    texts, recipe = bench.texts, bench.base
    tokens = data.tokenize(texts.splits, bench.tokenizer, 16)
    learned, fit = [], cross_validation.fit

    def counted(model, tokenizer, part, *args):
        if len(learned) == stop:
            raise KeyboardInterrupt
        learned.append(part["train"]["label"])
        return fit(model, tokenizer, part, *args)

    def run(folder, resume=True, seed=1):
        return training.train_and_answer(
            texts,
            tokens,
            bench.tokenizer,
            recipe,
            seed,
            training.Resumable(folder, resume),
            lambda: training.load_model(bench.source, texts.labels, recipe, seed),
        )

    stop = None
    whole, wanted = run(tmp_path / "whole")
    monkeypatch.setattr(cross_validation, "fit", counted)
    stop = 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    stop = None
    again, found = run(tmp_path / "cut")
    assert len(learned) == 2 + 1 + 1  # two parts before, one part and all rows after
    assert all(np.array_equal(found[split], wanted[split]) for split in wanted)
    assert training.weights_sha256(again.model) == training.weights_sha256(whole.model)
    assert again.history["eval_loss"].equals(whole.history["eval_loss"])
    assert not list((tmp_path / "cut").glob("parts-*"))
    stop = len(learned) + 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    (part,) = (tmp_path / "cut").glob("parts-*/0.json")
    told = part.read_text()
    part.write_text(told.replace("0.4", "0.5", 1))
    assert part.read_text() != told
    stop, before = None, len(learned)
    assert np.array_equal(run(tmp_path / "cut")[1]["test"], wanted["test"])
    assert len(learned) == before + 3  # the first part again, which was altered
    for other in ({"resume": False}, {"seed": 2}):
        stop = len(learned) + 2
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut")
        stop, before = None, len(learned)
        run(tmp_path / "cut", **other)
        assert len(learned) == before + 4
        shutil.rmtree(tmp_path / "cut")


def test_labels_that_mean_nothing_are_not_told_better_than_by_chance(tmp_path):
    """A leak of rows into the training that answers them would show: such a model knows its rows by heart."""
    dice = np.random.default_rng(0)
    rows = [(f"{dice.integers(10**9)} some words {i}", dice.choice(["good", "bad"])) for i in range(60)]
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    texts, source = data.load(str(tmp_path / "a.csv"), folds=3), hub.resolve_model("packaged")
    recipe = settings.make_recipe("fast", epochs=12, batch_size=8, max_length=24, precision="fp32", average=0.0)
    tokenizer = training.load_tokenizer(source)
    fitted, chances = training.train_and_answer(
        texts,
        data.tokenize(texts.splits, tokenizer, 24),
        tokenizer,
        recipe,
        1,
        training.Unsaved(tmp_path),
        lambda: training.load_model(source, texts.labels, recipe, 1),
    )
    true = np.array(texts.splits["test"]["label"][:])
    learned = training.probabilities(fitted.model, tokenizer, texts.splits["test"]["text"][:], 24).argmax(1)
    assert (learned == true).mean() > 0.9 and (chances["test"].argmax(1) == true).mean() < 0.7


def test_a_registered_training_is_scored_over_all_rows_and_can_be_repeated(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path / "outputs"))
    uri = tracking.connect(store.store_uri(tmp_path / "mlflow"), "tests")
    with tracking.run("final") as active:
        trained = bench.train(active.info.run_id, bench.base, 1, final=True)
        bench.register(trained)
    final, sealed = active.info.run_id, tracking.recorded(active.info.run_id, uri)["record"]
    assert sealed["data"]["rows"] == {"train": 40, "validation": 20, "test": 60} and sealed["data"]["folds"] == 3
    assert len(tracking.predictions(final, "test")["predicted"]) == 60
    assert sealed["weights_sha256"] == training.weights_sha256(trained.fit.model)
    assert tracking.models(final).index.tolist() == ["model"]
    assert sealed["data"]["kept_rows"] == 60 and sealed["final"] and sealed["finished"]
    model = tracking.load_model("models:/mine/1")
    texts = bench.texts.splits["test"]["text"][:]
    answers = training.probabilities(trained.fit.model, bench.tokenizer, texts, 16).argmax(1)
    assert [one["label"] for one in model(texts)] == [bench.texts.labels[i] for i in answers]
    assert tracking.predictions(final, "test_kept")["predicted"] == answers.tolist()

    turned = bench.turned(1)
    with tracking.run("repeat") as active:
        turned.train(active.info.run_id, bench.base, 2)
    other = tracking.recorded(active.info.run_id, uri)["record"]
    assert other["turn"] == 1 and other["splits"]["validation"] != sealed["splits"]["validation"]
    assert turned.about() == bench.about()
    for run in (final, active.info.run_id):
        receipt = workflows.reproduce(run, tracking_uri=uri, out=tmp_path / run)
        assert receipt.verdict == REPRODUCED, receipt.text()
