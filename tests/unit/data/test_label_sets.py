"""Several labels a text: each way of writing them is read to the same, doubt is asked about, rare ones are dealt."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from conftest import error
from textlab import data
from textlab.data import label_sets

NAMES = ["anger", "joy", "love"]
SETS = [("joy",), ("joy", "love"), ("anger",), (), ("anger", "love")]
ROWS = [(f"text {i} of many", SETS[i % 5]) for i in range(60)]


def write(path, cells, column="labels"):
    pd.DataFrame({"text": [text for text, _ in ROWS], column: cells}).to_csv(path, index=False)
    return str(path)


def pairs(found):
    """Return text -> its labels, over all splits."""
    return {
        row["text"]: tuple(found.labels[i] for i in row["label"]) for split in found.splits.values() for row in split
    }


def as_columns(path):
    table = pd.DataFrame({"id": range(60), "text": [text for text, _ in ROWS], "note": "0.5"})
    for name in NAMES:
        table[name] = [int(name in some) for _, some in ROWS]
    table.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize(
    "labels, cells",
    [
        ("auto", [json.dumps(some) for _, some in ROWS]),
        ("auto", [str(list(some)) for _, some in ROWS]),
        ("auto", [f"[{' '.join(some)}]" for _, some in ROWS]),
        ("auto", [str(np.array(some, dtype=object)) for _, some in ROWS]),
        ("auto", [str(some) for _, some in ROWS]),
        ("several", [f"({', '.join(some)})" if len(some) > 1 else str(some) for _, some in ROWS]),
        ("auto", [str({*some}) for _, some in ROWS]),
        ("auto", [repr(np.array(some, dtype=object)) for _, some in ROWS]),
        ("auto", [f"{{{','.join(some)}}}" for _, some in ROWS]),
        ("several", [json.dumps(some) for _, some in ROWS]),
        ("several", [", ".join(map(repr, some)) or "()" for _, some in ROWS]),
        *(("several", [mark.join(some) or "[]" for _, some in ROWS]) for mark in (",", ", ", "|", ";", "#")),
    ],
)
def test_cells_with_several_labels_are_read(tmp_path, labels, cells):
    found = data.load(write(tmp_path / "a.csv", cells), labels=labels)
    assert found.several and found.labels == NAMES and pairs(found) == dict(ROWS)
    assert found.record()["labels"] == "several" and found.quality["problem"].unique().tolist() == ["no label at all"]
    assert any("1.20 labels a text: 40% of 60 texts have several, 12 have none." in note for note in found.notes)
    taken_apart = any("are taken apart at each" in note for note in found.notes)
    assert taken_apart == (labels == "several" and cells[1][0] not in "[(")


def test_a_name_of_several_words_stands_between_quotes_in_an_array_of_postgres(tmp_path):
    found = data.load(write(tmp_path / "a.csv", ['{"very happy",joy}', "{joy}"] * 30))
    assert found.labels == ["joy", "very happy"]


def test_a_name_in_brackets_is_no_list(tmp_path):
    found = data.load(write(tmp_path / "a.csv", ["(other)", "joy;(other)", "joy"] * 20), labels="several")
    assert found.labels == ["(other)", "joy"]


def test_lists_in_jsonl_parquet_and_declared_classes_are_read(tmp_path):
    lines = [json.dumps({"text": text, "emotions": some}) for text, some in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert pairs(data.load(str(tmp_path / "a.jsonl"))) == dict(ROWS)
    texts, lists = [text for text, _ in ROWS], [list(some) for _, some in ROWS]
    pq.write_table(pa.table({"text": texts, "label": pa.array(lists, pa.list_(pa.string()))}), tmp_path / "b.parquet")
    assert pairs(data.load(str(tmp_path / "b.parquet"))) == dict(ROWS)
    features = Features({"text": Value("string"), "label": List(ClassLabel(names=["love", "anger", "joy"]))})
    Dataset.from_dict({"text": texts, "label": lists}, features).to_parquet(tmp_path / "c.parquet")
    assert pairs(data.load(str(tmp_path / "c.parquet"))) == dict(ROWS)


@pytest.mark.parametrize("label_column", ["", "anger,joy,love"])
def test_columns_that_are_declared_as_classes_keep_their_names(tmp_path, label_column):
    columns = {name: [int(name in some) for _, some in ROWS] for name in NAMES}
    features = Features({"text": Value("string")} | {name: ClassLabel(names=["no", "yes"]) for name in NAMES})
    rows = {"text": [text for text, _ in ROWS], **columns}
    Dataset.from_dict(rows, features).to_parquet(tmp_path / "classes.parquet")
    order = {name: pd.Categorical.from_codes(codes, ["0", "1"], ordered=True) for name, codes in columns.items()}
    pd.DataFrame(rows | order).to_parquet(tmp_path / "order.parquet")
    for file in ("classes.parquet", "order.parquet"):
        found = data.load(str(tmp_path / file), label_column=label_column, labels="several")
        assert found.labels == NAMES and pairs(found) == dict(ROWS)


def test_columns_of_0_and_1_are_read_and_others_left_alone(tmp_path):
    path = as_columns(tmp_path / "a.csv")
    assert "or labels to several if they are columns of 0 and 1" in error(lambda: data.load(path))
    found = data.load(path, labels="several")
    assert found.labels == NAMES and pairs(found) == dict(ROWS)
    some = data.load(path, label_column="joy, love", labels="several")
    assert some.labels == ["joy", "love"] and pairs(some)[ROWS[4][0]] == ("love",)
    assert "line 2: the label column 'note' holds '0.5'; accepted are 0 and 1" in error(
        lambda: data.load(path, label_column="joy,note", labels="several")
    )


@pytest.mark.parametrize("values", [("1", "-1"), ("0", "2"), ("y", "n"), ("x", "")])
def test_a_column_of_two_other_values_than_0_and_1_is_told(tmp_path, values):
    table = pd.read_csv(as_columns(tmp_path / "a.csv"), dtype=str).assign(flag=[*values, values[1]] * 20)
    table.to_csv(tmp_path / "a.csv", index=False)
    told = "Labels are the columns anger, joy, love; not read, since they hold other values than 0 and 1: flag."
    assert told in data.load(str(tmp_path / "a.csv"), labels="several").notes
    assert told not in data.load(str(tmp_path / "a.csv"), label_column="anger,joy,love", labels="several").notes


@pytest.mark.parametrize("cell", ["", "2", "maybe"])
def test_a_column_of_0_and_1_with_another_value_is_a_label_all_the_same_and_refused(tmp_path, cell):
    table = pd.read_csv(as_columns(tmp_path / "a.csv"), dtype=str)
    table.loc[7, "love"] = cell
    table.to_csv(tmp_path / "a.csv", index=False)
    message = error(lambda: data.load(str(tmp_path / "a.csv"), labels="several"))
    assert f"a.csv, line 9: the label column 'love' holds {cell!r}; accepted are 0 and 1; if that is no" in message
    assert data.load(str(tmp_path / "a.csv"), label_column="joy,anger", labels="several").labels == ["anger", "joy"]


def test_columns_without_a_name_are_no_labels_and_of_two_with_one_name_none_is_taken(tmp_path):
    table = pd.read_csv(as_columns(tmp_path / "a.csv"), dtype=str)
    table.assign(**{" ": "0", "  ": ""}).to_csv(tmp_path / "a.csv")
    assert pairs(data.load(str(tmp_path / "a.csv"), labels="several")) == dict(ROWS)
    table.assign(**{"joy ": "0"}).to_csv(tmp_path / "a.csv")
    assert "2 columns are named 'joy'" in error(lambda: data.load(str(tmp_path / "a.csv"), labels="several"))


@pytest.mark.parametrize("asked", ["joy,joy", "text,joy", "joy,"])
def test_one_column_of_0_and_1_named_as_several_is_refused(tmp_path, asked):
    path = as_columns(tmp_path / "a.csv")
    assert f"no column {asked!r}" in error(lambda: data.load(path, label_column=asked, labels="several"))


@pytest.mark.parametrize("file", ["test", "train_2"])
def test_a_column_of_0_and_1_that_a_file_lacks_is_told_and_not_taken_for_0(tmp_path, file):
    for name in ("train", file):
        table = pd.read_csv(as_columns(tmp_path / f"{name}.csv"))
        table["text"] = name + table["text"]
        table.drop(columns="love" if name == file else []).to_csv(tmp_path / f"{name}.csv", index=False)
    message = error(lambda: data.load(str(tmp_path), labels="several"))
    assert f"{file}.csv has no column of 0 and 1 for the label 'love', but train.csv has one; add it" in message
    assert data.load(str(tmp_path), label_column="joy,anger", labels="several").labels == ["anger", "joy"]


def test_a_file_with_lists_is_read_beside_one_with_columns_of_0_and_1(tmp_path):
    as_columns(tmp_path / "train.csv")
    more = pd.DataFrame({"text": [f"more {i}" for i in range(60)], "label": [json.dumps(some) for _, some in ROWS]})
    more.to_csv(tmp_path / "train_2.csv", index=False)
    found = pairs(data.load(str(tmp_path), labels="several"))
    assert found == dict(ROWS) | {f"more {i}": some for i, (_, some) in enumerate(ROWS)}


def test_a_blank_cell_is_no_label_to_learn_from_and_an_empty_list_is_a_label(tmp_path):
    cells = ["", *(json.dumps(some) for _, some in ROWS[1:])]
    found = data.load(write(tmp_path / "a.csv", cells))
    assert ROWS[0][0] not in pairs(found) and pairs(found)[ROWS[3][0]] == ()
    assert ("missing label", 1) in set(zip(found.quality["problem"], found.quality["rows"]))


def test_what_may_be_several_labels_is_asked_for_and_either_answer_is_taken(tmp_path):
    cells = [
        ",".join(some) if len(some) > 1 and i < 20 else some[0] if some else "joy" for i, (_, some) in enumerate(ROWS)
    ]
    path = write(tmp_path / "a.csv", cells, "label")  # 8 of 60 rows
    message = error(lambda: data.load(path))
    assert "holds several labels in one cell, such as 'joy,love'; set labels to several" in message
    listed = [f"('{cell}',)" if "," not in cell else str((*cell.split(","),)) for cell in cells]
    message = error(lambda: data.load(write(tmp_path / "b.csv", [*listed[1:], "joy"], "label")))
    assert """holds several labels in one cell, such as "('joy', 'love')"; set labels""" in message
    one, several = (data.load(path, labels=labels) for labels in ("single", "several"))
    assert not one.several and one.labels == ["anger", "anger,love", "joy", "joy,love"]
    assert several.labels == NAMES and pairs(several)[ROWS[4][0]] == ("anger", "love")


def test_cells_with_another_separator_than_most_are_told(tmp_path):
    found = data.load(write(tmp_path / "a.csv", ["joy,love", "joy", "love", "joy|love"] * 15), labels="several")
    told = found.quality[found.quality["problem"] == "several labels in one cell"]
    assert told["rows"].sum() == 15 and found.labels == ["joy", "joy|love", "love"]


@pytest.mark.parametrize(
    "cells, names",
    [
        (["C#;C", "C", "F#;C#", "C#"], ["C", "C#", "F#"]),
        (["C#", "C", "F#"], ["C", "C#", "F#"]),
        (["joy;", "love"], ["joy", "love"]),
        (["#joy, #love", "#joy", "#love"], ["#joy", "#love"]),
        (["#joy#love", "#joy", "#love"], ["joy", "love"]),
        (["Art, Men;Home, Women", "Home, Women;Home, Men"], ["Art, Men", "Home, Men", "Home, Women"]),
    ],
)
def test_a_separator_stands_between_names_and_leaves_few_of_them(tmp_path, cells, names):
    assert data.load(write(tmp_path / "a.csv", (cells * 30)[:60]), labels="several").labels == names


@pytest.mark.parametrize(
    "cell, part",
    [
        ('["joy", "lo', "no list of labels"),
        ("[very happy, joy]", "no list of labels"),
        ("('joy', 'lo", "no list of labels"),
        ('{"joy": 1}', "no list of labels"),
        ('[["joy"]]', "holds ['joy'] as a label"),
        ("[0.5]", "numbers such as 0.5"),
    ],
)
def test_damaged_cells_are_refused(tmp_path, cell, part):
    cells = [*(json.dumps(some) for _, some in ROWS[1:]), cell]
    assert part in error(lambda: data.load(write(tmp_path / "a.csv", cells), labels="several"))


@pytest.mark.parametrize("name, cell", [("🙂", '["\\ud83d\\ude42"]'), ("a/b", r'["a\/b"]'), ("joy", '["joy", null]')])
def test_lists_in_json_are_read_as_json_and_not_as_python(tmp_path, name, cell):
    found = data.load(write(tmp_path / "a.csv", [cell, '["other"]'] * 30))
    assert found.labels == sorted([name, "other"])


def test_numbers_that_numpy_prints_are_one_label_in_short_and_long_lists(tmp_path):
    cells = [str(np.array(some, dtype=float)) for some in ([1], [1, 2], [2])]
    assert cells[:2] == ["[1.]", "[1. 2.]"]
    assert data.load(write(tmp_path / "a.csv", cells * 20)).labels == ["1", "2"]


@pytest.mark.parametrize("value", [["joy"], ["joy", "love"], {"name": "joy"}])
def test_what_is_no_label_is_refused_in_lists_and_beside_them(tmp_path, value):
    for cell in ([value], {"joy": value}):
        lines = [json.dumps({"text": text, "label": cell if i else ["joy"]}) for i, (text, _) in enumerate(ROWS)]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        assert "as a label; accepted are names" in error(data.load, str(tmp_path / "a.jsonl"), labels="several")


@pytest.mark.parametrize("mark", [json.dumps, lambda some: str(np.array(some)), lambda some: ",".join(map(str, some))])
def test_a_0_or_1_for_each_label_is_refused_since_it_does_not_name_them(tmp_path, mark):
    cells = [mark([int(name in some) for name in NAMES]) for _, some in ROWS]
    message = error(lambda: data.load(write(tmp_path / "a.csv", cells), labels="several"))
    assert "holds a 0 or 1 for each label, as in ['0', '1', '0']" in message


@pytest.mark.parametrize("cells", ([0, 1], ["yes", "no"], ["[0]", "[1]"]))
def test_one_0_or_1_in_each_row_is_refused_as_several_labels(tmp_path, cells):
    path = write(tmp_path / "a.csv", cells * 30, "joy")
    message = error(lambda: data.load(path, label_column="joy", labels="several"))
    assert "holds one 0 or 1 in each row; set labels to single, or label_column to a column of 0 and 1" in message
    assert len(data.load(path, label_column="joy", labels="single").labels) == 2


def test_an_unknown_kind_of_labels_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", ["joy"] * 60)
    assert error(data.load, path, labels="many") == "labels: got 'many'; accepted are auto, single, several, ordered"


def test_one_label_alone_is_nothing_to_tell_apart(tmp_path):
    path = write(tmp_path / "a.csv", [json.dumps(["joy"] if i % 2 else []) for i in range(60)])
    assert "has one label only (joy)" in error(lambda: data.load(path))


def test_a_row_with_a_label_that_train_lacks_is_dropped_and_told(tmp_path):
    for name, extra in (("train", []), ("test", [("new", '["joy", "hate"]')])):
        rows = [(f"{name} {text}", json.dumps(some)) for text, some in ROWS] + extra
        pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / f"{name}.csv", index=False)
    found = data.load(str(tmp_path))
    assert found.rows()["test"] == 60 and found.labels == NAMES
    assert ("unknown label", "test", 1) in set(zip(*(found.quality[name] for name in ("problem", "split", "rows"))))


def test_rare_labels_get_their_share_of_each_split_although_each_set_of_labels_is_rare(tmp_path):
    dice = np.random.default_rng(1)
    sets = [["rare"] * (i % 20 == 0) + [n for n in "abcdef" if dice.random() < 0.4] or ["a"] for i in range(600)]
    pd.DataFrame({"text": [f"text {i}" for i in range(600)], "label": map(json.dumps, sets)}).to_csv(
        tmp_path / "a.csv", index=False
    )
    counts = data.balance(data.load(str(tmp_path / "a.csv")).splits).loc["rare"]
    assert counts.tolist() == [24, 3, 3]
    folds = data.load(str(tmp_path / "a.csv"), folds=None).folds
    rare = np.array(["rare" in some for some in sets])
    assert [int(rare[rows].sum()) for rows in folds.answered] == [6] * 5
    less = data.load(str(tmp_path / "a.csv"), max_train_rows=240)
    assert data.balance(less.splits).loc["rare", "train"] == 12


def test_few_rows_are_cross_validated_and_one_answer_for_all_is_the_most_frequent_set(tmp_path):
    found = data.load(write(tmp_path / "a.csv", [json.dumps(some) for _, some in ROWS[:-1]] + ['["joy"]']), folds=None)
    assert len(found.folds) == 5 and found.majority.tolist() == [0, 1, 0]
    assert sorted(np.concatenate(found.parts)) == list(range(60))
    fewer = found.fewer(20, 1)
    assert fewer.rows()["train"] == 20 and set(fewer.splits["train"]["text"]) < set(found.splits["train"]["text"])


def test_tables_for_readers_name_all_labels(tmp_path):
    found = data.load(write(tmp_path / "a.csv", [json.dumps(some) for _, some in ROWS]))
    assert data.balance(found.splits).sum(axis=1).to_dict() == {"anger": 24, "joy": 24, "love": 24}
    shown = data.samples(found.splits["train"], per_label=2, seed=1)
    assert shown["text"].is_unique and {*shown["label"]} <= {label_sets.written(some) for some in SETS}
    assert data.label_words(found.splits["test"]) == [
        label_sets.written(dict(ROWS)[text]) for text in found.splits["test"]["text"]
    ]


def test_an_order_is_asked_for_where_nothing_tells_it(tmp_path):
    names = ["bad", "fair", "good"]
    path = write(tmp_path / "a.csv", [names[i % 3] for i in range(60)], "label")
    assert "nothing tells the order of the labels" in error(lambda: data.load(path, labels="ordered"))
    stars = data.load(write(tmp_path / "b.csv", [i % 3 + 9 for i in range(60)], "label"), labels="ordered")
    assert stars.ordered and stars.labels == ["9", "10", "11"] and stars.record()["labels"] == "ordered"
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    rows = {"text": [text for text, _ in ROWS], "label": [i % 3 for i in range(60)]}
    Dataset.from_dict(rows, features).to_parquet(tmp_path / "c.parquet")
    assert data.load(str(tmp_path / "c.parquet"), labels="ordered").labels == names
    assert not data.load(path).ordered


def test_categories_of_a_parquet_file_are_an_order_only_if_they_are_declared_to_be_one(tmp_path):
    path, names = str(tmp_path / "a.parquet"), ["low", "medium", "high"]
    table = pd.DataFrame({"text": [text for text, _ in ROWS], "label": [names[i % 3] for i in range(60)]})
    table.astype({"label": pd.CategoricalDtype(names, ordered=True)}).to_parquet(path)
    assert data.load(path, labels="ordered").labels == names
    table.replace("low", "low ").astype({"label": "category"}).to_parquet(path)
    assert "nothing tells the order of the labels" in error(lambda: data.load(path, labels="ordered"))
    found = data.load(path)
    assert found.labels == ["high", "low", "medium"] and sum(found.rows().values()) == 60


def test_stars_that_a_csv_holds_as_5_0_are_whole_numbers(tmp_path):
    path = write(tmp_path / "train.csv", [f"{i % 3 + 9}.0" for i in range(60)], "label")
    assert data.load(path, labels="ordered").labels == ["9", "10", "11"]
    pd.DataFrame({"text": list("abc"), "label": [9, 10, 11]}).to_parquet(tmp_path / "test.parquet")
    found = data.load(str(tmp_path))
    assert found.labels == ["9", "10", "11"] and found.rows()["test"] == 3
    assert data.load(write(tmp_path / "b.csv", ["1.0", "1.5", "x"] * 20, "label")).labels == ["1.0", "1.5", "x"]
    for odd in (["1.0", "1.00", "2.0"], ["1", "1.000", "2"]):
        assert sorted(data.load(write(tmp_path / "b.csv", odd * 20, "label")).labels) == sorted(odd)
