"""Several labels a text, all the way: trained, registered, loaded by plain transformers, predicted, promoted."""

import dataclasses
import json
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from conftest import error
from textlab import data, evaluation, hub, settings, tracking, training, workflows
from textlab.settings import parameters
from textlab.training import fitting
from textlab.workflows import demo, promotion, record, reproduction
from textlab.workflows.demo import answers

WORDS = {"lovely": "joy", "awful": "anger", "dark": "fear"}
ROWS = [
    (" and ".join([*words, f"thing {i}"]), [WORDS[word] for word in words])
    for i in range(24)
    for words in (["lovely"], ["awful"], ["lovely", "awful"], ["dark", "awful"], [])
]
CHOSEN = {
    "epochs": 60,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "max_length": 16,
    "model": "tiny",
    "recipe_options": {"precision": "fp32"},
    "registered_model": "mine",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    pd.DataFrame({"text": [text for text, _ in ROWS], "labels": [json.dumps(some) for _, some in ROWS]}).to_csv(
        folder / "mine.csv", index=False
    )
    values = parameters.defaults("03_mlflow_tracking") | CHOSEN | {"dataset": str(folder / "mine.csv")}
    cfg = parameters.check("03_mlflow_tracking", values)
    return workflows.Workbench(cfg, folder, data.load(cfg.dataset))


@pytest.fixture
def registered(bench, store):
    """A training of the bench in a store of its own, registered: run id, training, version."""
    tracking.connect(store, "tests")
    with tracking.run("a training") as active:
        trained = bench.train(active.info.run_id, bench.base, 1, final=True)
        version, _ = bench.register(trained)
    return active.info.run_id, trained, version


@pytest.fixture(scope="module")
def saved(bench, tmp_path_factory):
    """The folder of a saved model, the training, and its probabilities for test."""
    place, recipe, texts = tmp_path_factory.mktemp("model"), bench.base, bench.texts
    tokens = data.tokenize(texts.splits, bench.tokenizer, recipe.max_length)
    fitted, chances = training.train_and_answer(
        texts, tokens, bench.tokenizer, recipe, 1, training.Unsaved(place / "scratch"),
        lambda: training.load_model(bench.source, texts.labels, recipe, 1, several=True),
    )  # fmt: skip
    training.save(fitted, place / "model", thresholds=training.decided(texts, chances)[1])
    return place / "model", fitted, chances["test"]


def test_plain_transformers_gives_the_same_probabilities_and_thresholds_the_labels(bench, saved):
    folder, _, chances = saved
    rows = bench.texts.splits["test"]
    tokenizer, model = (kind.from_pretrained(folder) for kind in (AutoTokenizer, AutoModelForSequenceClassification))
    with torch.no_grad():
        plain = model(**tokenizer(rows["text"][:], padding=True, return_tensors="pt")).logits.sigmoid().numpy()
    assert plain == pytest.approx(chances, abs=1e-5)
    whole = pipeline("text-classification", model=str(folder), top_k=None)(rows["text"][:])
    found = [{one["label"]: one["score"] for one in answer} for answer in whole]
    assert np.array([[one[name] for name in bench.texts.labels] for one in found]) == pytest.approx(chances, abs=1e-5)
    table = workflows.predict(str(folder), rows["text"][:])
    wanted = evaluation.decide(chances, model.config.thresholds)
    assert table["label"].tolist() == [
        data.written(bench.texts.labels[i] for i in np.flatnonzero(row)) for row in wanted
    ]
    assert evaluation.score(rows, wanted)["accuracy"] > 0.6


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_predictions_read_back_as_they_were_written(bench, saved, tmp_path, form):
    source = tmp_path / "new.csv"
    pd.DataFrame({"text": [*(text for text, _ in ROWS), "  "]}).to_csv(source, index=False)
    workflows.predict_file(str(saved[0]), source, tmp_path / f"out.{form}")
    found = data.load(str(tmp_path / f"out.{form}"), label_column="label")
    assert found.several and found.labels == bench.texts.labels and sum(found.rows().values()) == len(ROWS)
    table = workflows.predict(str(saved[0]), [text for text, _ in ROWS])
    again = {
        text: label for split in found.splits.values() for text, label in zip(split["text"], data.label_words(split))
    }
    assert again == dict(zip(table["text"], table["label"]))
    blank = workflows.predict(str(saved[0]), ["", None])
    assert blank.drop(columns="text").isna().all(axis=None)


def test_without_test_the_registered_model_gives_its_own_recorded_answers(bench, store, tmp_path):
    cells = [(text, json.dumps(some)) for text, some in ROWS]
    for name, part in (("train", cells[:90]), ("val", cells[90:])):
        pd.DataFrame(part, columns=["text", "labels"]).to_csv(tmp_path / f"{name}.csv", index=False)
    cfg = parameters.check("03_mlflow_tracking", vars(bench.cfg) | {"dataset": str(tmp_path), "epochs": 2})
    own = workflows.Workbench(cfg, tmp_path)
    tracking.connect(store, "tests")
    with tracking.run("a training") as active:
        trained = own.train(active.info.run_id, own.base, 1, final=True)
        version, _ = own.register(trained)
    run = active.info.run_id
    kept, scored = (np.array(tracking.predictions(run, f)["predicted"]) for f in ("validation_kept", "validation"))
    assert (kept != scored).any()  # else the next line could not tell
    model = tracking.load_model(f"models:/mine/{version}")
    assert workflows.answers_again(run, store, model) == "same labels as recorded for 30 of 30 validation texts"


def test_the_answers_of_the_registry_are_the_recorded_ones_and_mlflow_serves_all_labels(registered, bench, store):
    run, trained, version = registered
    model = tracking.load_model(f"models:/mine/{version}")
    assert workflows.answers_again(run, store, model) == "same labels as recorded for 12 of 12 test texts"
    recorded = tracking.predictions(run, "test")
    assert np.array(recorded["true"]).shape == (12, 3) and recorded["labels"] == bench.texts.labels
    assert np.array_equal(recorded["predicted"], trained.answers["test"])
    assert not record.prediction_fault("test", recorded, tracking.recorded(run, store)["record"])
    served = mlflow.pyfunc.load_model(f"models:/mine/{version}").predict(bench.texts.splits["test"][:2]["text"])
    chances = workflows.predict(f"models:/mine/{version}", bench.texts.splits["test"][:2]["text"], store)
    for row in range(2):
        given = {one["label"]: one["score"] for one in served.iloc[row]}
        assert given == pytest.approx({name: chances[f"p_{name}"][row] for name in bench.texts.labels}, abs=1e-5)


def test_a_repeat_from_the_record_gives_the_same(registered, store, tmp_path):
    receipt = reproduction.reproduce(registered[0], tracking_uri=store, out=tmp_path / "again")
    assert receipt.verdict == "REPRODUCED", receipt


def test_a_better_version_is_promoted_by_macro_f1_and_not_by_whole_answers(registered, store, monkeypatch):
    run, trained, version = registered
    assert workflows.promote("mine", int(version), "test")[0]
    with tracking.run("another") as active:
        other = tracking.log_model(trained.fit.model, AutoTokenizer.from_pretrained(hub.resolve_model("tiny").path),
                                   ["a"], "mine", {}, [], 1)  # fmt: skip
    true = np.tile([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], (30, 1))
    half = true.copy()
    half[::4, 1] = 1  # not one whole answer of a kind is right, yet each label is there
    none = np.where(true[:, [0]] == 1, true, 0)  # finds the first label alone
    told = {run: half, active.info.run_id: none}

    def recorded(run_id, split):
        return {"rows_sha256": split, "labels": ["a", "b", "c"], "true": true, "predicted": told[run_id]}

    monkeypatch.setattr(promotion, "predictions", recorded)
    promoted, words = workflows.promote("mine", int(other), "test")
    assert not promoted and "macro F1 difference -" in words
    tracking.set_alias("mine", "champion", int(other))
    promoted, words = workflows.promote("mine", int(version), "test")
    assert promoted and "macro F1 difference +0." in words and "p " not in words.partition("(")[2]


def test_a_model_without_thresholds_answers_from_a_half_on_and_odd_ones_are_refused(saved, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    config = json.loads((folder / "config.json").read_text())
    assert len(config["thresholds"]) == 3 and config["problem_type"] == "multi_label_classification"
    texts = [text for text, _ in ROWS[:5]]

    def change(value):
        (folder / "config.json").write_text(json.dumps({k: v for k, v in (config | value).items() if v is not None}))

    change({"thresholds": None})
    found = workflows.predict(str(folder), texts)
    for row, label in enumerate(found["label"]):
        assert {*json.loads(label)} == {name for name in WORDS.values() if found[f"p_{name}"][row] >= 0.5}
    for odd in ([0.5], [0.5, 0.5, 2], "x", [None, 0.5, 0.5]):
        change({"thresholds": odd})
        assert "thresholds in its config.json that are no list" in error(workflows.predict, str(folder), texts)


def test_a_new_head_begins_at_the_share_of_each_label(bench):
    model = training.load_model(bench.source, bench.texts.labels, bench.base, 1, several=True)
    true = evaluation.truth(bench.texts.splits["train"])
    fitting.begin_at_frequencies(model, true)
    chances = training.probabilities(model, bench.tokenizer, [text for text, _ in ROWS], 16)
    assert chances.mean(0) == pytest.approx(true.mean(0), abs=0.05) and np.ptp(true.mean(0)) > 0.1


def test_no_part_below_the_head_is_taken_for_it():
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    config = AutoConfig.for_model("qwen2", **sizes, intermediate_size=16, vocab_size=50, num_labels=32)
    model = AutoModelForSequenceClassification.from_config(config)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    fitting.begin_at_frequencies(model, np.eye(32))
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_the_model_of_an_epoch_answers_from_the_thresholds_of_that_epoch(bench, store):
    tracking.connect(store, "tests")
    with tracking.run("two epochs") as active:
        bench.train(active.info.run_id, dataclasses.replace(bench.base, epochs=2), 1, final=True)
    ((name, scores),) = tracking.models(active.info.run_id).iterrows()  # that of the last one is registered
    rows = bench.texts.splits["validation"]
    table = workflows.predict(f"runs:/{active.info.run_id}/{name}", rows["text"][:], tracking_uri=store)
    chances = table[[f"p_{label}" for label in bench.texts.labels]].to_numpy()
    given = np.array([[label in labels for label in bench.texts.labels] for labels in table["label"]])
    true = evaluation.truth(rows)
    assert np.array_equal(given, evaluation.decide(chances, evaluation.choose(true, chances)))
    assert not np.array_equal(given, chances >= 0.5)  # or the thresholds would show nothing
    assert f1_score(true, given, average="macro", zero_division=0) == pytest.approx(scores["eval_macro_f1"])


def test_what_is_made_for_one_label_is_left_out_and_said_or_refused(bench):
    train = bench.texts.splits["train"]
    recipe, why = training.suit(settings.make_recipe("short_text"), train, bench.tokenizer, bench.source)
    assert (recipe.label_smoothing, recipe.contrastive) == (0.0, 0.0) and "is for one label a text" in why[
        "contrastive"
    ]
    assert "not smoothed" in why["label_smoothing"]
    weighed = settings.make_recipe("short_text", class_weights=True)
    assert "class_weights: got true" in error(training.suit, weighed, train, bench.tokenizer, bench.source)
    searched = {"label_smoothing": {}, "epochs": {}, "contrastive": {}}
    assert "search_space: label_smoothing and contrastive: for one label a text" in error(bench.check, searched)


def test_a_run_has_the_settings_that_its_training_had(bench, store):
    tracking.connect(store, "tests")
    asked = dataclasses.replace(bench.base, label_smoothing=0.3, epochs=1)
    with tracking.run("a training") as active:
        trained = bench.train(active.info.run_id, asked, 1)
    had = tracking.runs("tests").set_index("run_id").loc[active.info.run_id]
    assert float(had["params.label_smoothing"]) == trained.fit.recipe.label_smoothing == 0.0


def test_the_probe_tells_labels_apart_and_chooses_its_thresholds_on_train(bench):
    source = hub.resolve_model("packaged")
    probe = training.Probe(source, bench.texts.labels, training.load_tokenizer(source), 16, 1)
    answers = probe(bench.texts.splits)["linear_probe"]
    assert {*answers} == {"validation", "test"} and answers["test"].shape == (12, 3)
    score = evaluation.score(bench.texts.splits["test"], answers["test"])
    constant = evaluation.baselines(bench.texts.splits, 1)["majority"]["test"]
    assert score["macro_f1"] > evaluation.score(bench.texts.splits["test"], constant)["macro_f1"] + 0.3


def test_folds_answer_each_row_by_thresholds_of_the_others(bench, tmp_path):
    texts = data.load(bench.cfg.dataset, folds=3)
    recipe = settings.make_recipe("short_text", epochs=4, batch_size=8, learning_rate=1e-2, max_length=16)
    tokens = data.tokenize(texts.splits, bench.tokenizer, 16)
    _, chances = training.train_and_answer(
        texts, tokens, bench.tokenizer, recipe, 1, training.Unsaved(tmp_path),
        lambda: training.load_model(bench.source, texts.labels, recipe, 1, several=True),
    )  # fmt: skip
    answers, thresholds = training.decided(texts, chances)
    true, rows = evaluation.truth(texts.splits["test"]), texts.parts[1]
    others = np.setdiff1d(np.arange(len(true)), rows)
    assert chances["test"].shape == true.shape and thresholds.shape == (3,)
    own = evaluation.choose(true[others], chances["test"][others])
    assert np.array_equal(answers["test"][rows], evaluation.decide(chances["test"][rows], own))


def test_the_page_tells_which_labels_a_text_gets(saved):
    known = demo.learn(saved[0], "mine")
    told, chances, parts = answers.answer(known, "lovely and awful thing")
    table = workflows.predict(str(saved[0]), ["lovely and awful thing"])
    assert chances == pytest.approx({name: table[f"p_{name}"][0] for name in known.classifier.labels}, abs=1e-6)
    assert all(f"{name} ({chances[name]:.2f})" in told for name in json.loads(table["label"][0]))
    assert "".join(part for part, _ in parts) == "lovely and awful thing"


def test_the_rows_to_label_next_come_with_lists_as_guesses(saved, tmp_path):
    pd.DataFrame({"text": [f"{text}, so" for text, _ in ROWS]}).to_csv(tmp_path / "new.csv", index=False)
    workflows.suggest_file(str(saved[0]), tmp_path / "new.csv", tmp_path / "to_label.csv", 5)
    found = pd.read_csv(tmp_path / "to_label.csv")
    assert len(found) == 5 and all({*json.loads(guess)} <= {*WORDS.values()} for guess in found["guess"])
    assert found["reason"].str.contains("given from 0.").all()
