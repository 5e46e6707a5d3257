"""Tests of textlab.card: a card that says what was measured, and its way back."""

import pytest
from huggingface_hub import ModelCard

from textlab import evaluation, hub
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


@pytest.fixture
def model(tmp_path):
    """A folder as training.save makes it, with a card."""
    folder = tmp_path / "model"
    folder.mkdir()
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
