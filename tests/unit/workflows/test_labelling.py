"""Rows to label next: the best of a file in a csv to fill in, which is then read as further rows to train on."""

import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest

from textlab import data, hub, settings, training, workflows
from textlab.__main__ import main
from textlab.workflows import labelling

LABELS = ["bad", "good"]


class Doubting:
    """Stand for a model by one that takes the number in a text for its doubt, and its first letter for meaning."""

    labels, thresholds = LABELS, None
    asked = 0

    def table(self, texts):
        self.asked += len(texts)
        good = np.array([1 - float(re.search(r"\s(0\.\d+)", text)[1]) / 2 for text in texts])
        return pd.DataFrame({"text": texts, "label": "good", "p_bad": 1 - good, "p_good": good})

    def states(self, texts):
        return np.stack([np.eye(26)[ord(text.strip().lower()[0]) - ord("a")] for text in texts])


@pytest.fixture
def model(monkeypatch):
    model = Doubting()
    monkeypatch.setattr(labelling, "load", lambda *_: model)
    monkeypatch.setattr(labelling, "CHUNK", 3)
    return model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return main(["suggest", "unused", *map(str, arguments)])


def write(path, rows, columns=("text",)):
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def read(path):
    return pd.read_csv(path, keep_default_na=False, encoding="utf-8-sig")


def test_a_row_of_each_kind_is_written_with_guess_reason_and_the_further_columns(model, folder, capsys):
    rows = [(i, f"{kind}{i} 0.{9 - i % 3}", "x") for i, kind in enumerate("aaabbcaa" * 10)]
    write(folder / "in.csv", rows, ("id", "Sentence", "class"))
    assert run("in.csv", "-n", 3, "-o", "out.csv") == 0
    table = read(folder / "out.csv")
    assert list(table) == ["Sentence", "label", "guess", "reason", "id", "class"]
    assert sorted(text[0] for text in table["Sentence"]) == ["a", "b", "c"] and table["Sentence"][0].startswith("a")
    assert (table["label"] == "").all() and (table["guess"] == "good").all() and (table["class"] == "x").all()
    assert [rows[i][1] for i in table["id"]] == table["Sentence"].tolist()
    like = [int(re.fullmatch(r"good 0\.\d\d or bad 0\.\d\d; (\d+) like it", reason)[1]) for reason in table["reason"]]
    assert like[0] > like[1] > like[2] > 0 and sum(like) + 3 == 30  # ten times as many are drawn
    printed = capsys.readouterr()
    assert printed.out == "out.csv\n" and printed.err.endswith("3 of 80 rows to label\n")
    assert sorted(path.name for path in folder.iterdir()) == ["in.csv", "out.csv"]


def test_the_file_in_which_labels_are_filled_in_is_read_as_further_rows_to_train_on(model, folder):
    (folder / "mine").mkdir()
    write(folder / "mine" / "train.csv", [(f"text {i}", LABELS[i % 2]) for i in range(12)], ("content", "emotion"))
    write(
        folder / "in.csv",
        [(f'{kind} 0.5, "quoted" é\nand more', i) for i, kind in enumerate("abc")],
        ("text", "target"),
    )
    assert run("in.csv", "-n", 5, "-o", "mine/train_2.csv") == 0
    table = read(folder / "mine" / "train_2.csv")
    table["label"] = ["bad", "", "good"]
    table.to_csv(folder / "mine" / "train_2.csv", index=False)
    found = data.load("mine", folds=5)
    assert found.labels == LABELS and len(found.splits["test"]) == 14
    assert found.splits["test"]["text"][12:] == [table["text"][0], table["text"][2]]
    assert found.splits["test"]["label"][12:] == [0, 1]
    line = found.quality.set_index("problem").loc["missing label"]
    assert line["rows"] == 1 and line["where"].startswith("train_2.csv:") and line["action"] == "dropped"


def test_keys_that_begin_late_in_a_jsonl_file_are_columns(model, folder, capsys):
    rows = [{"text": f"{kind} 0.5"} for kind in "abcd"] + [{"text": "e 0.9", "label": "good", "from": "mail"}]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("in.jsonl", "-n", 5, "-o", "out.csv") == 0
    assert capsys.readouterr().err.endswith("; left out: 1 labelled already\n")
    table = read("out.csv")
    assert "from" in table and sorted(table["text"]) == [f"{kind} 0.5" for kind in "abcd"]


def test_empty_labelled_and_equal_texts_are_left_out(model, folder, capsys):
    write(folder / "old.csv", [("d 0.5", "bad"), ("e 0.5", "")], ("text", "label"))
    rows = [("a 0.5", ""), (" A  0.5", ""), ("", ""), ("b 0.9", "good"), ("D 0.5", ""), ("e 0.5", " "), ("a 0.5", "")]
    write(folder / "in.csv", rows, ("text", "Label"))
    assert run("in.csv", "-n", 9, "-o", "out.csv", "--labelled", "old.csv") == 0
    table = read(folder / "out.csv")
    assert list(table) == ["text", "label", "guess", "reason"] and sorted(table["text"]) == ["a 0.5", "e 0.5"]
    assert capsys.readouterr().err.endswith(
        "2 of 7 rows to label, which are all; 9 were asked for; left out: 1 without a text and 2 labelled already\n"
    )


def test_few_rows_are_all_there_the_most_doubted_first(model, folder):
    (folder / "in.txt").write_text("a 0.2\nb 0.9\n\nc 0.5\n")
    assert run("in.txt", "-n", 3, "-o", "out.csv") == 0
    assert read(folder / "out.csv")["text"].tolist() == ["b 0.9", "c 0.5", "a 0.2"]


def test_columns_of_other_names(model, folder):
    write(folder / "in.csv", [("a 0.5", "no 1", "glad"), ("b 0.5", "no 2", "")], ("body", "text", "mood"))
    names = ["--text-column", "body", "--label-column", "mood"]
    assert run("in.csv", "-o", "out.csv", *names, "--labelled", "in.csv") == 0
    table = read(folder / "out.csv")
    assert list(table) == ["body", "mood", "guess", "reason", "text"]
    assert table["body"].tolist() == ["b 0.5"] and table["mood"].tolist() == [""]


def test_an_earlier_suggestion_goes_in_again_and_its_guesses_are_made_anew(model, folder):
    write(folder / "in.csv", [("a 0.5", "", "bad", "old", 7)], ("text", "label", "guess", "Reason", "id"))
    assert run("in.csv", "-o", "out.csv") == 0
    table = read(folder / "out.csv")
    assert list(table) == ["text", "label", "guess", "reason", "id"] and table["guess"].tolist() == ["good"]


def test_a_carriage_return_in_a_text_ends_no_row_to_label(model, folder):
    pd.DataFrame({"text": ["a 0.5\rmore", "b 0.4"], "id": [1, 2]}).to_parquet("in.parquet")
    assert run("in.parquet", "-o", "out.csv") == 0
    table = read(folder / "out.csv")
    assert table["text"].tolist() == ["a 0.5\rmore", "b 0.4"] and table["id"].tolist() == [1, 2]


def test_a_carriage_return_in_a_name_ends_no_row_to_label_either(model, folder):
    pd.DataFrame({"text": ["a 0.5"], "a\rb": [1]}).to_parquet("in.parquet")
    assert run("in.parquet", "-o", "out.csv") == 0
    assert read(folder / "out.csv")["a\rb"].tolist() == [1]


def test_bytes_beside_the_texts_to_label_are_no_text(model, folder):
    pd.DataFrame({"text": ["a 0.5", "b 0.4"], "thumb": [b"\xff\xd8", b"ok"]}).to_parquet("in.parquet")
    assert run("in.parquet", "-o", "out.csv") == 0
    assert read(folder / "out.csv")["thumb"].tolist() == [r"b'\xff\xd8'", "b'ok'"]


def test_labelled_texts_of_a_model_of_several_labels_may_have_a_column_for_each(model, folder, capsys):
    model.thresholds = np.array([0.5, 0.5])
    write(folder / "old.csv", [("a0 0.5", 1, 0), ("b1 0.5", 0, 0)], ("text", "bad", "good"))
    write(folder / "in.csv", [(f"{kind} 0.5",) for kind in ("a0", "b1", "c2", "d3")])
    assert run("in.csv", "-n", 2, "-o", "out.csv", "--labelled", "old.csv") == 0
    assert capsys.readouterr().err.endswith("2 of 4 rows to label; left out: 2 labelled already\n")


def test_the_reason_names_the_label_whose_doubt_counts(model, folder):
    model.thresholds = np.array([0.55, 0.66])  # 0.45 and 0.55 lie below by 18 and 17 per cent
    write(folder / "in.csv", [("a0 0.9",)])
    assert run("in.csv", "-n", 1, "-o", "out.csv") == 0
    assert "good 0.55, given from 0.66 on" in read(folder / "out.csv")["reason"][0]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_what_is_chosen_does_not_depend_on_the_parts_in_which_a_file_is_read(model, folder, monkeypatch, size):
    dice = np.random.default_rng(0)
    rows = [f"{'abcdef'[i % 6]}{i} {dice.random():.3f}" for i in range(50)]
    write(folder / "in.csv", [(row,) for row in [*rows, *rows]])
    assert run("in.csv", "-n", 4, "-o", "usual.csv") == 0
    monkeypatch.setattr(labelling, "CHUNK", size)
    assert run("in.csv", "-n", 4, "-o", "out.csv") == 0
    assert read(folder / "out.csv").equals(read(folder / "usual.csv")) and len(read(folder / "out.csv")) == 4


def test_only_the_rows_that_are_drawn_are_kept():
    pool = labelling._Pool(5, "label", set())
    for start in range(0, 1000, 100):
        pool.add(pd.DataFrame({"text": [f"a{i} 0.5" for i in range(start, start + 100)]}), Doubting())
        assert len(pool.best) == 5
    assert pool.rows == 1000


def test_rows_that_are_doubted_are_drawn_rather_than_others():
    pool = labelling._Pool(100, "label", set())
    pool.add(pd.DataFrame({"text": [f"a{i} 0.{9 if i % 2 else 1}" for i in range(1000)]}), Doubting())
    assert (pool.best["model", "doubt"] > 0.5).mean() > 0.8


def test_a_model_without_a_state_for_each_token_is_said_to_be_one(model, folder, monkeypatch, capsys):
    monkeypatch.setattr(model, "states", lambda texts: None, raising=False)
    write(folder / "in.csv", [(f"a{i} 0.{i}",) for i in range(1, 9)])
    assert run("in.csv", "-n", 2, "-o", "out.csv") == 0
    assert read(folder / "out.csv")["text"].tolist() == ["a8 0.8", "a7 0.7"]
    assert "2 of 8 rows to label; what this kind of model makes of texts cannot be read" in capsys.readouterr().err


def test_rows_that_are_the_same_to_the_model_are_said_to_be_so(model, folder, capsys):
    write(folder / "in.csv", [(f"{'ab'[i % 2]}{i} 0.5",) for i in range(30)])
    assert run("in.csv", "-n", 4, "-o", "out.csv") == 0
    assert len(read(folder / "out.csv")) == 2
    assert (
        "2 of 30 rows to label, and 4 were asked for: to this model the others are the same" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "content, arguments, message",
    [
        ("text\na 0.5\n", ["-n", "0", "-o", "out.csv"], "-n: got 0; accepted is a number of rows from 1 on"),
        ("text\na 0.5\n", ["-n", "many", "-o", "out.csv"], "invalid int value: 'many'"),
        ("text\na 0.5\n", ["-o", "out.jsonl"], "out: out.jsonl is of an unknown format; accepted is .csv"),
        ("text\na 0.5\n", ["-o", "in.csv"], "is the file to read"),
        ("text\na 0.5\n", ["-o", "kept.csv"], "kept.csv is there already and may hold labels; name a new file"),
        ("text\na 0.5\n", ["-o", "out.csv", "--labelled", "gone.csv"], "'gone.csv' does not exist"),
        ("text\na 0.5\n", ["-o", "out.csv", "--labelled", "in.csv"], "none of the usual columns (label"),
        ("text\na 0.5\n", ["-o", "out.csv", "--label-column", "Guess"], "two of them have one name"),
        ("words\na 0.5\n", ["-o", "out.csv"], "none of the usual columns (text"),
        ("text,id,id\na 0.5,1,2\n", ["-o", "out.csv"], "several columns are named 'id'; rename or remove all but one"),
        ("text,Reason\na 0.5,x\n", ["-o", "out.csv"], "in.csv has a column 'Reason', whose place the model's reason"),
        ("text,guess\na 0.5,x\n", ["-o", "out.csv"], "or delete it if it is of an earlier csv of suggest"),
        ("text,guess,Guess\na 0.5,x,y\n", ["-o", "out.csv"], "in.csv has a column 'guess', whose place the model's"),
        ("text\n", ["-o", "out.csv"], "in.csv has no rows"),
        ("text,label\n ,\na,good\n", ["-o", "out.csv"], "no row to label; left out: 1 without a text and 1 labelled"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_no_file(model, folder, capsys, content, arguments, message):
    (folder / "in.csv").write_text(content)
    (folder / "kept.csv").write_text("text,label\na,good\n")
    try:
        status = run("in.csv", *arguments)
    except SystemExit as stopped:  # argparse
        status = stopped.code
    printed = capsys.readouterr().err
    assert status == 2 and message in printed and printed.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["in.csv", "kept.csv"]
    assert (folder / "kept.csv").read_text() == "text,label\na,good\n"


def test_lines_of_text_and_label_are_not_suggested_with_their_labels(model, folder, capsys):
    (folder / "in.txt").write_text("a 0.5;good\nb 0.5;bad\n")
    assert run("in.txt", "-o", "out.csv") == 2
    assert "in.txt holds lines text;label" in capsys.readouterr().err
    (folder / "in.txt").write_text("text;label\na 0.5;good\nb 0.5;bad\n")
    assert run("in.txt", "-o", "out.csv") == 0 and list(read(folder / "out.csv"))[:2] == ["text", "label"]


def test_a_saved_model_suggests_rows_of_a_parquet_file(folder):
    source = hub.resolve_model("tiny")
    made = training.load_model(source, LABELS, settings.Recipe(), seed=1)
    made.save_pretrained(folder / "run" / "model")
    training.load_tokenizer(source).save_pretrained(folder / "run" / "model")
    texts = [f"{word} {i}" for i in range(20) for word in ("joy", "grief", "rain")]
    pd.DataFrame({"text": texts, "tags": [["x"]] * 60}).to_parquet(folder / "in.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = workflows.suggest_file("run", "in.parquet", "out.csv", n=7)
    table = read(folder / "out.csv")
    assert said == "7 of 60 rows to label" and len(table) == 7 and set(table["text"]) < set(texts)
    assert set(table["guess"]) <= set(LABELS) and (table["tags"] == "['x']").all()
