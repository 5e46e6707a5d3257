"""Tests of textlab.card: a card that says what was measured, and pushing to a stand-in Hub."""

import os
import subprocess
import sys

import pytest
from huggingface_hub import ModelCard

from conftest import error, serve
from standin_hub import repository
from textlab import __main__, evaluation, hub
from textlab.hub import candidates, card

SCORES = {
    "accuracy": 0.93,
    "macro_f1": 0.88,
    "weighted_f1": 0.929,
    "accuracy_ci95": [0.91, 0.95],
    "macro_f1_ci95": [0.85, 0.91],
}
MEASURED = {
    "data": {
        "source": "dair-ai/emotion",
        "revision": "ab" * 20,
        "sha256": "cd" * 32,
        "rows": {"train": 60, "validation": 12, "test": 12},
    },
    "model": {"source": "owner/tiny", "revision": "ef" * 20, "sha256": "12" * 32, "parameters": 1000},
    "seed": 42,
    "params": {"dataset": "dair-ai/emotion", "output_dir": "/secret/place", "resolved": {"learning_rate": 4e-4}},
    "environment": {"torch": "2.13.0", "device": "cpu"},
    "weights_sha256": "34" * 32,
    "baselines": {"majority": {"accuracy": 0.33, "macro_f1": 0.08}, "tfidf_svm": {"accuracy": 0.82, "macro_f1": 0.79}},
    "validation": SCORES,
    "test": SCORES | {"accuracy": 0.9275},
    "train": {"seconds": 9.5, "epochs": 2.0},
    "guards": ["The model predicts a single class."],
    "notes": ["No test split came with the data."],
}


@pytest.fixture(autouse=True)
def no_cache(hub_at):
    """Let every test begin with an empty cache and a Hub that refuses."""


@pytest.fixture
def model(tmp_path):
    """A folder as training.save makes it, with a card."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in {
        "config.json": b"{}",
        "model.safetensors": b"weights",
        "training_args.bin": b"pickle",
    }.items():
        (folder / name).write_bytes(content)
    card.write_card(folder, MEASURED, ["sad", "glad"], evaluation.headline_rows(MEASURED))
    return folder


def test_the_card_says_what_was_measured(model):
    written = ModelCard.load(model / "README.md")
    stated = {(r.dataset_split, r.metric_name): r.metric_value for r in written.data.eval_results}
    assert stated["test", "Accuracy"] == 0.9275 and stated["validation", "Macro F1"] == 0.88 and len(stated) == 6
    assert written.data.datasets == ["dair-ai/emotion"] and written.data.base_model == "owner/tiny"
    for fact in (
        "ab" * 20,
        "34" * 32,
        "| TF-IDF + linear SVM | 0.820 | 0.790 |",
        "0.927 (0.910 to 0.950)",
        "learning_rate: 0.0004",
        "predicts a single class",
        "No test split came",
        "torch: 2.13.0",
        "sad, glad",
        "## Results on test",
        "60 train",
    ):
        assert fact in written.text, fact
    assert candidates.card(hub.Source("x", "model", None, model, {}), 1) == "Puts a text under one of: sad, glad."


def test_a_cross_validation_is_not_called_a_test_split(tmp_path):
    rows = {"train": 48, "validation": 12, "test": 60}
    measured = MEASURED | {"data": MEASURED["data"] | {"rows": rows, "folds": 5, "kept_rows": 60}}
    card.write_card(tmp_path, measured, ["sad", "glad"], evaluation.headline_rows(measured))
    written = ModelCard.load(tmp_path / "README.md")
    assert {result.dataset_split for result in written.data.eval_results} == {"5-fold cross-validation"}
    assert "## Results by 5-fold cross-validation\n" in written.text and "- folds: 5\n" in written.text


def test_what_was_not_measured_is_absent_and_paths_stay_here(tmp_path):
    own = {
        "data": {"source": "/somewhere/mine.csv", "sha256": "1", "rows": {"train": 3}},
        "model": {"source": "/models/m", "sha256": "2"},
    }
    written = card.write_card(tmp_path, own, ["a", "b"], evaluation.headline_rows(own)).read_text()
    assert "mine.csv" in written and "/somewhere" not in written and "/models" not in written
    assert "None" not in written and "model-index" not in written and "datasets:" not in written


def test_only_a_data_set_of_the_hub_is_named_as_one(tmp_path):
    packaged = MEASURED | {"data": MEASURED["data"] | {"source": "packaged", "revision": "vaderSentiment 2.5"}}
    written = card.text(packaged, ["a", "b"], [])
    assert "\ndatasets:" not in written and "- source: packaged\n- revision: vaderSentiment 2.5\n" in written


@pytest.fixture
def token(standin, monkeypatch):
    standin.token = "hf_marker"
    monkeypatch.setenv("HF_TOKEN", "hf_marker")
    return standin


def test_a_push_makes_a_private_repository(token, model):
    address = card.push(model, "owner/mine", public=False, agree=lambda question: False)
    made = token.repositories[-1]
    assert address.startswith(f"{token.address}/owner/mine/commit/") and made["private"] is True
    assert sorted(made["files"]) == ["README.md", "config.json", "model.safetensors"]
    assert made["files"]["README.md"] == (model / "README.md").read_bytes()


def test_a_public_one_only_when_asked(token, model):
    card.push(model, "owner/mine", public=True, agree=lambda question: False)
    assert not token.repositories[-1]["private"]


def test_it_asks_before_it_overwrites(token, model):
    old = serve(token, repository("model", "owner/mine", {"config.json": b"old"}))
    asked = []
    message = error(card.push, model, "owner/mine", public=False, agree=lambda question: asked.append(question))
    assert "nothing was uploaded" in message and "--yes" in message and old["files"] == {"config.json": b"old"}
    assert asked == ["owner/mine is there already. Overwrite the model in it?"]
    card.push(model, "owner/mine", public=False, agree=lambda question: True)
    assert old["files"]["config.json"] == b"{}"


def test_what_a_push_needs(standin, model, monkeypatch, tmp_path):
    assert "put it into HF_TOKEN" in error(card.push, model, "owner/mine", False, None) and standin.requests == []
    assert "accepted is owner/name" in error(card.push, model, "mine", False, None)
    assert "has no config.json, model.safetensors, README.md" in error(card.push, tmp_path, "owner/mine", False, None)
    monkeypatch.setenv("HF_TOKEN", "hf_marker")  # one that the Hub does not know
    message = error(card.push, model, "owner/mine", False, None)
    assert "refuses owner/mine" in message and "hf_marker" not in message


def test_a_card_is_read_back(model, tmp_path):
    told, text = card.read(model)
    assert told == "By its card, on test of dair-ai/emotion: Accuracy 0.9275, Macro F1 0.88, Weighted F1 0.929."
    assert text.startswith("# owner/tiny, fine-tuned on dair-ai/emotion") or text.startswith("\n# owner/tiny")
    assert card.read(tmp_path) == (
        "On what this model was trained and how well it works is not known: it has no card.",
        "",
    )


@pytest.mark.parametrize(
    "content, told",
    [
        (b"Only words.", "its card has no figures"),
        (b"", "its card has no figures"),
        (b"---\nmodel-index: [{results: 3}]\n---\nx", "its card has no figures"),
        (b"---\n- a list\n---\nx", "its card cannot be read"),
        (b"---\na: [\n---\nx", "its card cannot be read"),
        (b"\xff\xfe", "its card has no figures"),
    ],
)
def test_a_card_of_another_hand_is_no_error(tmp_path, content, told):
    (tmp_path / "README.md").write_bytes(content)
    assert told in card.read(tmp_path)[0]


def test_the_verb(token, model, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    assert __main__.main(["push", str(model), "owner/mine"]) == 0
    assert __main__.main(["push", str(model), "owner/mine"]) == 2  # nobody there to ask
    assert __main__.main(["push", str(model), "owner/mine", "--yes"]) == 0
    shown = capsys.readouterr()
    assert (
        shown.out.count("/owner/mine/commit/") == 2
        and "give --yes" in shown.err
        and "hf_marker" not in shown.out + shown.err
    )


def test_without_a_hub_nothing_hangs(model):
    done = subprocess.run(
        [sys.executable, "-m", "textlab", "push", model, "owner/mine"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"HF_TOKEN": "hf_marker"},
    )
    assert done.returncode == 2 and "nothing was uploaded" in done.stderr and "hf_marker" not in done.stderr
