"""Few rows without splits are dealt into folds: each row is answered once, and equal texts stay together."""

import numpy as np
import pandas as pd
import pytest

from conftest import error
from textlab import data

ROWS = [(f"text {i}", "abc"[i % 3]) for i in range(60)]


def write(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return str(path)


@pytest.fixture
def texts(tmp_path):
    return data.load(write(tmp_path / "a.csv", [*ROWS, ("text 0", "a"), ("text 1", "c"), ("alone", "d")]), folds=None)


def test_each_row_is_answered_once_by_a_fold_that_has_not_learned_it(texts):
    rows, folds = texts.splits["test"], texts.folds
    assert len(folds) == 5 and sorted(np.concatenate(folds.answered)) == list(range(63))
    assert folds.kept_rows("last") == 63 and folds.kept_rows("best") == len(folds.kept(rows, chooses=True)["train"])
    held_out = [*folds.answered[0], *folds.answered[1]]
    assert texts.learned_rows("last") == len(texts.splits["train"]) and texts.learned_rows("best") == 63 - len(held_out)
    for fold in range(5):
        part = folds.training(rows, fold)
        assert not {*part["train"]["text"]} & {*part["validation"]["text"]}
        assert len(part["train"]) + len(part["validation"]) == 63
        dealt = part["validation"].to_pandas().drop_duplicates("text")["label"].value_counts()
        assert dealt[:3].max() - dealt[:3].min() <= 1  # class by class
    first = folds.training(rows, 0)
    assert texts.splits["train"][:] == first["train"][:] and texts.splits["validation"][:] == first["validation"][:]
    assert texts.labels == ["a", "b", "c", "d"] and texts.record()["folds"] == 5 and texts.majority == 0
    assert "5-fold cross-validation" in texts.notes[0] and "in every part: d (1)." in texts.notes[1]


def test_variants_of_a_text_are_in_one_fold(tmp_path):
    twins = [(text.upper().replace(" ", " - ") + "!!", label) for text, label in ROWS]
    found = data.load(write(tmp_path / "a.csv", [*ROWS, *twins, ("alone", "d"), ("Alone!", "d")]), folds=None)
    for rows in found.folds.answered:
        texts = found.splits["test"].select(rows)["text"]
        assert len(rows) == 2 * len({"".join(filter(str.isalnum, text.lower())) for text in texts})
    assert "in every part: d (1)." in found.notes[1]


def test_answers_come_back_in_the_order_of_the_rows(texts):
    def of_validation(splits):
        return {"itself": {"validation": np.array(splits["validation"]["text"])}}

    found = texts.answered(of_validation)["itself"]
    assert found["test"].tolist() == texts.splits["test"]["text"][:]
    assert found["validation"].tolist() == texts.splits["validation"]["text"][:]
    turned = texts.turned(2)
    assert turned.answered(of_validation)["itself"]["test"].tolist() == texts.splits["test"]["text"][:]
    assert turned.folds.turn == 2 and turned.turned(3).splits["train"][:] == texts.splits["train"][:]
    assert not {*turned.splits["validation"]["text"]} & {*texts.splits["validation"]["text"]}
    assert turned.digests["test"] == texts.digests["test"] != turned.digests["validation"]


def test_a_fold_that_chooses_by_validation_does_not_choose_by_what_it_answers(texts):
    for fold in range(5):
        part = texts.folds.training(texts.splits["test"], fold, chooses=True)
        answered = texts.splits["test"].select(texts.folds.answered[fold])
        seen = [{*rows["text"]} for rows in (part["train"], part["validation"], answered)]
        assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    kept = texts.folds.kept(texts.splits["test"], chooses=True)
    assert not {*kept["train"]["text"]} & {*kept["validation"]["text"]}
    assert len(texts.folds.kept(texts.splits["test"])["train"]) == 63


def test_the_same_seed_deals_the_same_folds(tmp_path):
    path = write(tmp_path / "a.csv", ROWS)
    one, same, other = (data.load(path, folds=3, seed=seed).splits["validation"]["text"][:] for seed in (1, 1, 2))
    assert one == same != other and len(one) == 20


def test_max_train_rows_holds_for_each_training(tmp_path):
    found = data.load(write(tmp_path / "a.csv", ROWS), folds=None, max_train_rows=12)
    rows = found.splits["test"]
    for chooses in (False, True):
        parts = [found.folds.training(rows, fold, chooses) for fold in range(5)] + [found.folds.kept(rows, chooses)]
        assert {len(part["train"]) for part in parts} == {12}
        assert all({*part["train"]["label"]} == {0, 1, 2} for part in parts)
    assert len(rows) == 60 and found.folds.kept_rows("last") == found.record()["kept_rows"] == 12
    assert "at most 12 rows" in found.notes[1]


def test_only_few_unsplit_rows_are_dealt_unless_asked_for(tmp_path):
    many = [(f"text {i}", "ab"[i % 2]) for i in range(2000)]
    assert data.load(write(tmp_path / "many.csv", many), folds=None).folds is None
    assert len(data.load(write(tmp_path / "many.csv", many), folds=4).folds) == 4
    assert data.load(write(tmp_path / "few.csv", many[:-1]), folds=None).folds
    assert data.load(write(tmp_path / "few.csv", ROWS)).folds is None  # a library's user gets splits that are apart
    for none in (0, 1):
        assert data.load(write(tmp_path / "few.csv", ROWS), folds=none).folds is None
    rare = [(f"text {i}", "a" if i else "b") for i in range(40)] + [(f"b {i}", "b") for i in range(3)]
    assert data.load(write(tmp_path / "rare.csv", rare), folds=None).folds is None
    assert data.load("packaged", folds=None).folds is None


def test_a_folder_with_train_alone_is_unsplit_too(tmp_path):
    (tmp_path / "own").mkdir()
    write(tmp_path / "own" / "train.csv", ROWS)
    assert len(data.load(str(tmp_path / "own"), folds=None).folds) == 5
    write(tmp_path / "own" / "val.csv", [("another", "a")])
    assert data.load(str(tmp_path / "own"), folds=None).folds is None


def test_rows_that_are_dropped_leave_the_others_in_their_folds(tmp_path):
    """A name that is declared with outer blanks is none of the labels, so its rows are dropped."""
    labels = pd.Categorical([["neg", "pos ", "neu"][i % 3] for i in range(60)])
    pd.DataFrame({"text": [f"text {i}" for i in range(60)], "label": labels}).to_parquet(tmp_path / "a.parquet")
    found = data.load(str(tmp_path / "a.parquet"), folds=None)
    assert sorted(np.concatenate(found.folds.answered)) == list(range(len(found.splits["test"])))
    assert {*found.splits["test"]["text"]} == {*found.splits["train"]["text"], *found.splits["validation"]["text"]}


def test_a_class_of_one_text_is_told(tmp_path):
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(40)] + [("the same", "c")] * 30
    found = data.load(write(tmp_path / "a.csv", rows), folds=None)
    assert "Classes with too few different texts to be in every part: c (1)." in found.notes


def test_folds_that_cannot_be_had_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", ROWS)
    told = error(data.load, path, folds=21)
    assert told == f"folds: got 21, but {path} has not two classes with 21 different texts each; take 0"
    assert error(data.load, "packaged", folds=5) == ("folds: got 5, but packaged comes with splits of its own; take 0")
