"""Single cells of the notebooks: what they say with other data and parameters than those of the committed outputs."""

from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from conftest import ROOT
from textlab import data, evaluation, notebooks, training
from textlab.evaluation import plots


def run(name, words, **known):
    """Run the only code cell of a notebook that has these words, and return the variables."""
    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    [source] = [cell.source for cell in book.cells if cell.cell_type == "code" and words in cell.source]
    exec(source, known)
    return known


@pytest.mark.parametrize(
    "several, likely, told",
    [(False, 0.4, "0.33: True"), (False, 0.6, "0.33: False"), (True, 0.6, "0.50: True"), (True, 0.2, "0.50: False")],
)
def test_before_training_all_labels_are_about_as_likely(capsys, several, likely, told):
    texts = SimpleNamespace(several=several, labels=["joy", "anger", "fear"])
    run("01_hub_exploration", "abs(guesses", texts=texts, guesses=np.array([[likely, 0.35, 0.35]]))
    assert capsys.readouterr().out == f"All probabilities are within 0.2 of {told}\n"


@pytest.mark.parametrize("chosen, padded", [(64, 128), (256, 256)])
def test_no_text_is_longer_than_what_all_are_padded_to(chosen, padded):
    rows = Dataset.from_dict({"input_ids": [[1] * 30, [1] * chosen]})
    known = {"data": SimpleNamespace(tokenize=lambda *_: {"train": rows}), "training": training, "plots": plots}
    known |= {"chosen": SimpleNamespace(max_length=chosen, batch_size=2), "cfg": SimpleNamespace(seed=1)}
    known = run("02_fine_tuning", "padded_tokens", texts=SimpleNamespace(splits=None), tokenizer=None, **known)
    assert f"all padded to {padded}" in known["computed"].index and known["computed"]["padding"].min() >= 0


def test_a_recipe_that_leaves_nothing_open_says_so(capsys):
    run("02_fine_tuning", "in reasons.values()", reasons={})
    assert capsys.readouterr().out == "Nothing was left open.\n"


def test_with_seeds_the_guards_judge_the_model_that_is_saved():
    single = {"accuracy": 0.6, "macro_f1": 0.6}
    compared = {name: {"macro_f1": score} for name, score in (("majority", 0.2), ("linear_probe", 0.65))}
    known = {
        "training": SimpleNamespace(probabilities=lambda *_: None, answers_of=lambda *_: [0, 1] * 30),
        "fitted": SimpleNamespace(model=None, history=None),
        "texts": SimpleNamespace(splits={"test": {"text": []}}, parts=[], labels=["sad", "glad"]),
        "compared": compared | {"fine-tuned": {"accuracy": 0.7, "macro_f1": 0.7}},  # the mean of the seeds
        "single": {"test": [single, {"accuracy": 0.8, "macro_f1": 0.8}]},
        "predicted": np.array([0, 1] * 30),
        "chosen": SimpleNamespace(max_length=8),
    }
    known |= dict.fromkeys(("tokenizer", "true", "reading"))
    known = run("02_fine_tuning", ".guards(", split="test", evaluation=evaluation, notebooks=notebooks, **known)
    assert any("0.600 does not beat a linear probe" in reason for reason in known["guards"])
    assert known["judged"]["fine-tuned"] is single


@pytest.mark.parametrize(
    "answers, told",
    [
        ([[0, 1], [1, 1], [0, 0]], ["anger 0.30", "joy 0.60, anger 0.40", "none"]),
        ([0, 1, 0], ["joy 0.60", "anger 0.40", "joy 0.20"]),
    ],
)
def test_each_label_of_an_own_sentence_stands_beside_its_own_probability(capsys, answers, told):
    shares = np.array([[0.6, 0.3], [0.6, 0.4], [0.2, 0.1]])
    known = {
        "training": SimpleNamespace(probabilities=lambda *_: shares, answers_of=lambda *_: answers),
        "plots": SimpleNamespace(probabilities=lambda *_: None),
        "cfg": SimpleNamespace(sentences=["a", "b", "c"]),
        "texts": SimpleNamespace(labels=["joy", "anger"]),
        "fitted": SimpleNamespace(model=None),
        "chosen": SimpleNamespace(max_length=8),
    }
    run("02_fine_tuning", "in zip(cfg.sentences", evaluation=evaluation, tokenizer=None, **known)
    assert capsys.readouterr().out.splitlines() == [f"{name}: {words}" for name, words in zip("abc", told)]


@pytest.mark.parametrize("several", [False, True])
def test_with_several_labels_exact_match_is_not_called_accuracy(capsys, several):
    answers = [[0, 1], [1, 0]] * 10 if several else [0, 1] * 10
    recorded = {"true": answers, "predicted": answers, "labels": ["joy", "anger"]}
    known = {name: {"run_id": name} for name in ("first", "picked")}
    known |= {"tracking": SimpleNamespace(predictions=lambda *_: recorded), "cfg": SimpleNamespace(seed=1)}
    run("03_mlflow_tracking", "McNemar", texts=SimpleNamespace(several=several), evaluation=evaluation, **known)
    told = capsys.readouterr().out
    assert told.count("exact match") == (2 if several else 0) and told.count("accuracy") == (0 if several else 2)


@pytest.mark.parametrize("facts, title", [({"folds": 5}, "all rows, cross-validated"), ({}, "the test split")])
def test_the_winners_picture_says_what_it_was_scored_on(facts, title):
    scores = {"fine-tuned": {"accuracy": 0.8, "macro_f1": 0.7}}
    known = {"plots": SimpleNamespace(intervals=lambda _, title: titles.append(title)), "compared": scores}
    titles = []
    run("04_sweep_analysis", "plots.intervals", data=data, split="test", record={"data": facts}, **known)
    assert titles == [f"On {title}, with 95 % intervals"]


@pytest.mark.parametrize("guards, asked", [("passed", ["one"]), (None, []), (float("nan"), [])])
def test_no_record_is_asked_for_of_a_run_of_another_program(guards, asked):
    found = []
    find = SimpleNamespace(find=lambda run_id, uri: found.append(run_id) or SimpleNamespace(record={}))
    known = {"workflows": SimpleNamespace(recorded_run=find), "evaluation": evaluation, "pd": pd, "uri": ""}
    known |= {"winner": {"run_id": "one", "tags.guards": guards}}
    run("04_sweep_analysis", "final_scores", tracking=SimpleNamespace(final_scores=lambda _: ("test", {})), **known)
    assert found == asked


@pytest.mark.parametrize(
    "version, guards, kept",
    [(3, [], "champion"), (2, [], "stays"), (None, [], "stays"), (3, ["single_class"], "stays")],
)
def test_the_results_name_the_champion_whoever_made_it(version, guards, kept):
    written = {}
    known = {
        "results": SimpleNamespace(write=lambda *_, **content: written.update(content), records=lambda *_: []),
        "workflows": SimpleNamespace(standing=lambda name, *_: {"name": name, "version": 3}),
        "environment": SimpleNamespace(fingerprint=dict),
        "cfg": SimpleNamespace(experiment="mine", seed=1, registered_model="mine", metric="f1"),
        "runs": SimpleNamespace(table=pd.DataFrame({"run_id": []}), states=None),
        "winner": {"run_id": "one", "name": "trial 1", "f1": 0.5},
        "shares": pd.Series(dtype=float),
    }
    known |= {name: [] for name in ("shown", "edges")} | dict.fromkeys(("conclusion", "promotion", "split"), "")
    known |= {name: {} for name in ("compared", "record", "following")} | {"over_seeds": None, "tests": None}
    run("04_sweep_analysis", "results.write", out=None, version=version, guards=guards, **known)
    assert {name: written[name] for name in ("champion", "stays") if written[name]} == {
        kept: {"name": "mine", "version": 3}
    }
