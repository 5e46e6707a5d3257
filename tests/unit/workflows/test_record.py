"""The record of a run: complete, the same in every file that holds it, and no edit goes unseen."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from conftest import ROOT
from textlab import data, hub, machine, settings, training
from textlab.machine import environment
from textlab.notebooks import results
from textlab.workflows import record

CSV = "text,label\n" + "".join(
    f"{word} thing number {i},{label}\n" for i in range(30) for word, label in (("lovely", "good"), ("awful", "bad"))
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A record of a training that was never done, with its predictions."""
    file = tmp_path_factory.mktemp("data") / "mine.csv"
    file.write_text(CSV)
    texts, source = data.load(str(file)), hub.resolve_model("tiny")
    chosen = {"dataset": str(file), "model": "tiny", "seed": 3, "output_dir": "/somewhere"}
    cfg = settings.parameters.check("02_fine_tuning", settings.parameters.defaults("02_fine_tuning") | chosen)
    cfg.seed, cfg.tracking_uri = np.int64(3), "http://host"
    told = {
        "test": record.predictions(
            texts, "test", np.zeros(texts.rows()["test"], dtype=int), {5: np.ones(texts.rows()["test"], dtype=int)}
        )
    }
    model = SimpleNamespace(num_parameters=lambda: 7)
    fitted = SimpleNamespace(recipe=settings.RECIPES["short_text"], seed=3, model=model)
    return (
        record.make(
            "02_fine_tuning",
            cfg,
            texts,
            source,
            fitted,
            "0" * 64,
            told,
            {"test": {"accuracy": np.float64(0.1) + 0.2, "macro_f1": 0.5, "weighted_f1": 0.5}},
        ),
        told,
        texts,
    )


def test_it_holds_all_that_decides_and_nothing_about_places(made):
    found, _, texts = made
    names = {*settings.parameters.NOTEBOOKS["02_fine_tuning"]} - {"output_dir"}
    assert found["params"].keys() == names | {"resolved"}
    assert found["params"]["resolved"]["learning_rate"] == 3e-4
    assert found["environment"].keys() >= {
        *environment.PACKAGES,
        "python",
        "threads",
        "device",
        "cpu_features",
        "capped_by",
        "deterministic",
    }
    lines = "\n".join(
        f"{text}\t{texts.labels[label]}"
        for text, label in zip(texts.splits["test"]["text"], texts.splits["test"]["label"])
    )
    assert (
        found["splits"]["test"] == hashlib.sha256(lines.encode()).hexdigest()
        and len(set(found["splits"].values())) == 3
    )
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= found["model_files"].keys()
    assert {"training/trainer.py", "02_fine_tuning.ipynb"} <= found["code"].keys()
    assert "somewhere" not in json.dumps(found) and record.fault(found) == record.form_fault(found) == ""


def test_the_same_record_comes_out_of_a_results_file(made, tmp_path):
    found, *_ = made
    results.write(tmp_path, "02_fine_tuning", **record.for_results(found), baselines={})
    content = results.read(tmp_path, "02_fine_tuning")
    assert record.from_results(content) == found
    assert not content["record"].keys() & content.keys()  # nothing stands there twice
    assert record.fault(record.from_results({})).startswith("it has no record")


@pytest.mark.parametrize(
    "where",
    [
        ("seed",),
        ("params", "resolved", "learning_rate"),
        ("test", "accuracy"),
        ("environment", "torch"),
        ("splits", "train"),
        ("weights_sha256",),
        ("predictions", "test"),
        ("data", "rows", "train"),
    ],
)
def test_an_edit_anywhere_is_seen(made, where):
    found = json.loads(json.dumps(made[0]))
    inner = found
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = 12 if isinstance(inner[where[-1]], int | float) else "x"
    assert "was altered" in record.fault(found)


def test_predictions_keep_the_order_of_rows_and_all_seeds(made, tmp_path):
    _, told, texts = made
    assert told["test"]["true"] == texts.splits["test"]["label"][:] and set(told["test"]["other_seeds"]["5"]) == {1}
    record.write_predictions(tmp_path, told)
    assert json.loads((tmp_path / "predictions" / "test.json").read_text()) == told["test"]


def test_code_is_the_library_and_the_code_cells(tmp_path, monkeypatch):
    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "x: int = 1"},
            {"cell_type": "code", "metadata": {}, "source": ["print(x)"], "outputs": []},
        ]
    }
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "lib" / "textlab").mkdir(parents=True)
    source, book = tmp_path / "lib" / "textlab" / "a.py", tmp_path / "notebooks" / "n.ipynb"
    source.write_text("one = 1\n")
    book.write_text(json.dumps(notebook))
    monkeypatch.setattr(machine, "project_root", lambda: tmp_path)
    before = record.code("n")
    notebook["cells"][0]["source"] = "x: int = 2"  # a parameter, which the record holds as it was
    notebook["cells"][1]["outputs"] = [{"text": "1"}]
    book.write_text(json.dumps(notebook))
    source.write_bytes(b"one = 1\r\n")  # as git checks it out on Windows
    assert record.code("n") == before
    source.write_text("one = 2\n")
    notebook["cells"][1]["source"] = ["print(x + 1)"]
    book.write_text(json.dumps(notebook))
    assert not set(record.code("n").values()) & set(before.values())


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra", "mixed"])
def test_the_digest_of_weights_is_that_of_the_saved_file(tmp_path, kind):
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "vocab_size": 50,
    }
    if kind == "distilbert":
        sizes = {"dim": 16, "hidden_dim": 24, "n_heads": 2, "n_layers": 2, "vocab_size": 50}
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model("bert" if kind == "mixed" else kind, **sizes)
    )
    if kind == "mixed":
        model.classifier.to(torch.bfloat16)
        model.register_buffer("count", torch.arange(3))
    model.save_pretrained(tmp_path)
    assert training.weights_sha256(model) == machine.hash_files(tmp_path / "model.safetensors")["model.safetensors"]
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    again.save_pretrained(tmp_path / "again")
    assert (
        training.weights_sha256(again)
        == machine.hash_files(tmp_path / "again" / "model.safetensors")["model.safetensors"]
    )


def test_code_of_the_project_covers_every_module():
    library = ROOT / "lib" / "textlab"
    assert {path.relative_to(library).as_posix() for path in library.rglob("*.py")} < record.code(
        "03_mlflow_tracking"
    ).keys()
