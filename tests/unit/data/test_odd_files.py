"""Odd data files: each is read right, or refused in one line; odd labels and texts are reported."""

import gzip
import json
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlab import data
from textlab.data import readers
from textlab.errors import InputError

ROWS = [(f"text number {i}", "good" if i % 2 else "bad") for i in range(40)]


def load(path, rows):
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    return data.load(str(path))


def refused(path):
    with pytest.raises(InputError) as caught:
        data.load(str(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def problems(found):
    return {(row.problem, row.rows, row.where, row.action) for row in found.quality.itertuples()}


@pytest.mark.parametrize(
    "one, other",
    [
        ("1", "1.0"),
        ("TRUE", "True"),
        ("good", "Good"),
        ("very good", "very  good"),
        ("caf\u00e9", "cafe\u0301"),
        ("a", "a\u200b"),
        ("a", '"a"'),
    ],
)
def test_spellings_of_one_label_are_reported(tmp_path, one, other):
    rows = [
        *[(f"text {i}", one) for i in range(20)],
        *[(f"more {i}", "zzz") for i in range(20)],
        ("x", other),
        ("y", other),
    ]
    found = load(tmp_path / "a.csv", rows)
    assert len(found.labels) == 3
    assert problems(found) == {(f"label {other!r} beside {one!r}", 2, "42, 43", "kept")}


def test_words_for_a_missing_value_are_reported(tmp_path):
    found = load(
        tmp_path / "a.csv", [*ROWS, ("NaN", "good"), ("None", "bad"), ("none of it", "nan"), ("so nan", "nan")]
    )
    assert problems(found) == {
        ("text is a word for a missing value", 2, "42, 43", "kept"),
        ("label is a word for a missing value", 2, "44, 45", "kept"),
    }


@pytest.mark.parametrize(
    "labels",
    [
        ["0,1,11", "0,3", "1,3,11"],
        ["a|b", "b|c", "a|c"],
        ["a; b", "a", "b; a"],
    ],
)
def test_several_labels_in_most_cells_are_refused(tmp_path, labels):
    pd.DataFrame([(f"t{i}", labels[i % 3]) for i in range(60)], columns=["text", "label"]).to_csv(tmp_path / "a.csv")
    assert "holds several labels in one cell, such as " in refused(tmp_path / "a.csv")


def test_several_labels_in_some_cells_are_reported_and_a_comma_in_a_name_is_none(tmp_path):
    found = load(tmp_path / "a.csv", [*ROWS, ("x", "good, bad")])
    assert problems(found) == {("several labels in one cell", 1, "42", "kept")}
    names = ["Arts, Crafts & Sewing", "Clothing, Shoes & Jewelry", "fair, really"]
    assert load(tmp_path / "a.csv", [(f"t{i}", names[i % 3]) for i in range(60)]).quality.empty


@pytest.mark.parametrize(
    "labels",
    [
        ["1,0", "0,1", "0,5", "1,5"],
        ["-1,0", "-1,5", "-0,5", "-0,1", "0,5", "5,0", "1,0"],
        ["Sports, Men", "Sports, Women", "Home, Men", "Home, Women"],
        ["a|x", "a|y", "b|x", "b|y"],
    ],
)
def test_numbers_with_a_comma_and_names_of_two_levels_are_one_label(tmp_path, labels):
    found = load(tmp_path / "a.csv", [(f"t{i}", labels[i % len(labels)]) for i in range(80)])
    assert sorted(found.labels) == sorted(labels) and found.quality.empty


def test_labels_of_many_digits(tmp_path):
    assert load(tmp_path / "a.csv", [(t, "9" * 100 if label == "good" else "8") for t, label in ROWS]).labels[0] == "8"
    with pytest.raises(InputError, match="'99.*' of 5000 characters; accepted are names of at most 200"):
        load(tmp_path / "a.csv", [(text, "9" * 5000 if label == "good" else "8") for text, label in ROWS])
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": ' + "9" * 5000 + "}\n")
    assert "a.jsonl, line 1: not JSON (number out of range" in refused(tmp_path / "a.jsonl")


@pytest.mark.parametrize("line", ["[" * 100_000, '{"text": ' + '{"a": ' * 5000 + "1" + "}" * 5001])
def test_deeply_nested_json_is_one_line(tmp_path, line):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n' + line + "\n")
    assert "a.jsonl, line 2: not JSON (recursion limit exceeded at column" in refused(tmp_path / "a.jsonl")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,text\na,x,b\n")
    assert refused(tmp_path / "a.csv") == "a.csv: 2 columns are named 'text'; rename or remove all but one"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 3, ["text", "label", "label"]), tmp_path / "a.parquet")
    assert "a.parquet: 2 columns are named 'label'" in refused(tmp_path / "a.parquet")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_in_the_middle_of_a_csv_is_refused_by_line(tmp_path, mark):
    (tmp_path / "a.csv").write_text(f"text,label\nfine,good\n\n{mark}text,label\ngrim,bad\n")
    assert refused(tmp_path / "a.csv").startswith("a.csv, line 4: the names of the columns stand here once more, as")
    (tmp_path / "b.csv").write_text("text,label\n" + "so it is labelled,label\ntext,good\n")
    assert len(readers.read_files([tmp_path / "b.csv"], "", "")) == 2
    (tmp_path / "c.csv").write_text("text\nfine\ntext\n")  # of texts alone, one may be any word
    assert [part for part, _ in data.stream_texts(tmp_path / "c.csv", "", 9)] == [["fine", "text"]]


def test_files_of_another_kind_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv", "w") as file:
        file.writestr("xl/workbook.xml", "x")
    assert "a.csv is not what its name says, but an Excel or OpenDocument file" in refused(tmp_path / "a.csv")
    (tmp_path / "b.tsv").write_bytes(gzip.compress(b"text\tlabel\n"))
    assert "b.tsv is not what its name says, but packed with gzip; save it as csv" in refused(tmp_path / "b.tsv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
def test_utf_16_is_named_also_without_a_mark(tmp_path, name, encoding):
    path = tmp_path / name
    path.write_text("text;label\n" + "\n".join(map(";".join, ROWS)), encoding=encoding)
    assert refused(path).endswith("not UTF-8; save the file as UTF-8")


def test_columns_between_bars_are_told_and_read_if_the_first_line_names_the_bar(tmp_path):
    path = tmp_path / "a.csv"
    lines = ["text|label", *map("|".join, ROWS)]
    path.write_text("\n".join(lines))
    assert "a.csv: its columns seem to be separated by '|'; read are ',', ';' and a tab" in refused(path)
    path.write_text("\n".join(["sep=|", *lines]))
    assert len(data.load(str(path)).labels) == 2


def test_names_with_line_breaks_stay_one_line(tmp_path):
    (tmp_path / "two\nlines.csv").write_text('"my\ntext",label\na,b\n')
    assert r"'my\ntext'" in refused(tmp_path / "two\nlines.csv")


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_every_arrow_type_of_text_is_trained_on_and_predicted(tmp_path, kind):
    texts, labels = ([text for text, _ in ROWS], [label for _, label in ROWS])
    table = pa.table({"text": pa.array(texts).cast(kind), "label": pa.array(labels).cast(kind)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    assert data.load(str(tmp_path / "a.parquet")).rows() == {"train": 32, "validation": 4, "test": 4}
    assert [text for part, _ in data.stream_texts(tmp_path / "a.parquet", "", 5) for text in part] == texts


def test_large_numbers_beside_missing_ones_stay_apart(tmp_path):
    pq.write_table(pa.table({"text": list("abc"), "label": [2**53, 2**53 + 1, None]}), tmp_path / "a.parquet")
    assert readers.read_files([tmp_path / "a.parquet"], "", "")["label"].tolist()[:2] == [2**53, 2**53 + 1]


def declared(path, label, codes=(0, 1)):
    """Write a parquet file whose metadata says something about its label column, or is what is given as bytes."""
    said = label if isinstance(label, bytes) else json.dumps({"info": {"features": {"label": label}}}).encode()
    codes = codes if isinstance(codes, pa.Array) else list(codes) * 20
    table = pa.table({"text": [text for text, _ in ROWS], "label": codes})
    pq.write_table(table.replace_schema_metadata({b"huggingface": said}), path)
    return path


@pytest.mark.parametrize(
    "label, message",
    [
        ({"_type": "ClassLabel"}, "what it declares as classes of 'label' is refused"),
        ({"_type": "ClassLabel", "names": None}, "what it declares as classes of 'label' is refused"),
        ({"_type": "ClassLabel", "names": [0, 1]}, "what it declares as classes of 'label' is refused"),
        ({"_type": "ClassLabel", "names": ["a", "a"]}, "the classes declared for 'label' have names twice"),
        ({"_type": "ClassLabel", "names": ["a", "a "]}, "the classes declared for 'label' have names twice"),
        ({"_type": "ClassLabel", "names": ["a"]}, "row 2: 'label' holds 1, but there are 1 declared classes"),
        (b"{" * 9000, "its metadata is refused"),
        (b"[1]", "its metadata is refused"),
        (b'{"info": {"features": 3}}', "its metadata is refused"),
        (b"\xff", "its metadata is refused"),
    ],
)
def test_damaged_declarations_of_classes_are_refused(tmp_path, label, message):
    assert message in refused(declared(tmp_path / "a.parquet", label))


@pytest.mark.parametrize("kind", [pa.uint64(), pa.int64(), pa.int8(), pa.uint8()])
def test_codes_of_classes_are_those_of_their_type(tmp_path, kind):
    names, last = {"_type": "ClassLabel", "names": ["a", "b"]}, 2**kind.bit_width - 1
    for missing in ([0, 1], [0, 1, None, 1]):
        pick = pa.array(missing * (40 // len(missing)), kind)
        found = data.load(str(declared(tmp_path / "a.parquet", names, pick)))
        assert found.labels == ["a", "b"] and sum(found.rows().values()) == 40 - pick.null_count
    if "uint" in str(kind):
        told = refused(declared(tmp_path / "a.parquet", names, pa.array([0, last] * 20, kind)))
        assert f"row 2: 'label' holds {last}, but there are 2 declared classes" in told
        told = refused(declared(tmp_path / "a.parquet", names, pa.array([None, last] * 20, kind)))
        assert f"row 2: 'label' holds {last}, but there are 2 declared classes" in told


def test_odd_declarations_that_say_nothing_about_classes_do_no_harm(tmp_path):
    for label in ({"_type": "Unheard"}, None, [1], {"dtype": "int64", "_type": "Value"}, b"{}", b'{"info": {}}'):
        assert data.load(str(declared(tmp_path / "a.parquet", label))).labels == ["0", "1"]
    declared(tmp_path / "a.parquet", {"_type": "ClassLabel", "names": ["a", "b"]}, ("x", "y"))
    assert "'label' is declared to hold numbers of classes, but holds string" in refused(tmp_path / "a.parquet")
    declared(tmp_path / "a.parquet", {"_type": "ClassLabel", "names": ["a", "b"]}, (0, -7))
    assert "row 2: 'label' holds -7" in refused(tmp_path / "a.parquet")
