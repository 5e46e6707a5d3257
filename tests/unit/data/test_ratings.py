"""Packaged data: the counts of the paper's files, the same splits everywhere, and files that break their promise."""

import re
from collections import Counter

import numpy as np
import pytest

from conftest import error
from textlab import data, hub
from textlab.data import ratings

GOOD = {
    "GroundTruth": "1\t0.5\tso &amp;amp; so \n2\t-2\tb\u00e4d",
    "anonDataRatings": "2\t-2\t1\t[-1, -3]\n1\t.5\t0.5\t[0, 1]",
}


@pytest.fixture(scope="module")
def table():
    return ratings.read(hub.packaged_data().path)


@pytest.fixture
def folder(tmp_path):
    for name in ratings.KINDS.values():
        for part, text in GOOD.items():
            (tmp_path / f"{name}_{part}.txt").write_text("\ufeff" + text, encoding="utf-8", newline="\r\n")
    return tmp_path


def test_labels_are_as_many_as_known(table):
    counts = table.groupby("kind")["label"].value_counts().unstack()[list(ratings.LABELS)]
    assert dict(zip(counts.index, map(tuple, counts.to_numpy().tolist()))) == {
        "tweets": (1062, 838, 2300),
        "movies": (5061, 562, 4982),
        "products": (1218, 765, 1725),
        "editorials": (1688, 2402, 1100),
    }


def test_a_text_stands_in_one_split_and_the_splits_never_change(table):
    letters = table["text"].map(lambda text: "".join(filter(str.isalnum, re.sub(r"@\w+", "", text.casefold()))) or text)
    assert letters.duplicated().sum() > 250 and table.groupby(letters)["split"].nunique().max() == 1
    assert Counter(table.loc[table["kind"] == "tweets", "split"]) == {"train": 2957, "validation": 440, "test": 803}
    assert dict(Counter(table["split"])) == {"train": 16485, "validation": 2441, "test": 4777}
    texts = {"i feel fine": 40, "n": 69, "f": 77, "six": 80}  # printf ifeelfine | sha256sum, as a number, modulo 100
    assert [ratings.split_of(text) for text in texts] == ["train", "train", "validation", "test"]
    assert ratings.split_of(" S-I-X!\n") == ratings.split_of("six @anna http://six.org/7") == "test"


def test_no_text_of_the_default_data_is_nearly_a_training_text():
    assert data.load("packaged").quality.empty


def test_rows_by_hand(folder):
    table = ratings.read(folder)
    assert table.index.tolist() == [f"{kind} {number}" for kind in ratings.KINDS for number in (1, 2)]
    first, second = table.loc["movies 1"], table.loc["movies 2"]
    assert (first["text"], first["label"], first["mean"], first["sd"]) == ("so & so", "neutral", 0.5, 0.5)
    assert (second["text"], second["label"], second["mean"], second["sd"]) == ("b\u00e4d", "negative", -2, 1)
    assert second["ratings"].tolist() == [-1, -3] and first["kind"] == "movies"


@pytest.mark.parametrize(
    "part, old, new, message",
    [
        ("GroundTruth", "b\u00e4d", "", "line 2: 2 columns instead of 3"),
        ("GroundTruth", "2\t-2", "1\t-2", "has 2 rows, but only 1 different ids"),
        ("GroundTruth", "2\t-2", "3\t-2", "have other ids, such as '2'"),
        ("GroundTruth", "-2", "0", "id 2: the files state the mean ratings 0 and -2, but the ratings have -2"),
        ("GroundTruth", "-2", "x", "id 2: the files state the mean ratings x and -2"),
        ("anonDataRatings", "-2\t1", "-2.1\t1", "id 2: the files state the mean ratings -2 and -2.1"),
        ("anonDataRatings", "[0, 1]", "[0, 5]", "id 1: got '[0, 5]'; accepted are two whole numbers"),
        ("anonDataRatings", "[0, 1]", "[0.5]", "id 1: got '[0.5]'"),
        ("anonDataRatings", "[0, 1]", "[0.5, 1]", "id 1: got '[0.5, 1]'"),
        ("anonDataRatings", "[0, 1]", "[true, 0]", "id 1: got '[true, 0]'"),
        ("anonDataRatings", "[0, 1]", "{}", "id 1: got '{}'"),
        ("anonDataRatings", "[0, 1]", "[0, 1", "id 1: got '[0, 1'"),
    ],
)
def test_files_that_break_their_promise_are_refused(folder, part, old, new, message):
    file = folder / f"amazonReviewSnippets_{part}.txt"
    assert old in GOOD[part]
    file.write_text(GOOD[part].replace("\t" + old if new == "" else old, new), encoding="utf-8")
    assert message in error(ratings.read, folder)


def test_a_file_that_is_missing_or_no_text_is_refused(folder):
    file = folder / "tweets_GroundTruth.txt"
    file.write_bytes(b"1\t0\t\xff")
    assert "cannot be read" in error(ratings.read, folder)
    file.unlink()
    assert "cannot be read" in error(ratings.read, folder)


@pytest.mark.parametrize("part, kinds", ratings.PARTS.items())
def test_each_part_is_a_data_set_with_its_ratings(table, part, kinds):
    found = data.load(part)
    own = table[table["kind"].isin(kinds)]
    assert found.rows() == dict(own.groupby("split", sort=False).size()) and found.labels == list(ratings.LABELS)
    assert (found.source.id, found.source.files) == (part, hub.packaged_data().files)
    assert found.notes[0].startswith(f"{len(own):,} real sentences ({', '.join(kinds)}), ") and len(found.notes) == 1
    others = table[~table["kind"].isin(kinds) & (table["split"] == "test")]
    assert (found.elsewhere["text"][:] if found.elsewhere else []) == others["text"].tolist()
    assert ("elsewhere" in found.ratings) is bool(found.elsewhere)
    assert_aligned(found)


def test_ratings_follow_their_texts_when_train_is_cut():
    found = data.load("packaged:products", max_train_rows=50)
    assert found.rows()["train"] == len(found.ratings["train"]) == 50
    assert_aligned(found)


def assert_aligned(found):
    for split, rows in found.ratings.items():
        part = found.elsewhere if split == "elsewhere" else found.splits[split]
        labels = np.select([rows["mean"] < -0.5, rows["mean"] > 0.5], [0, 2], 1)
        assert labels.tolist() == part["label"][:] and rows.index.tolist() == list(range(len(part)))
        assert rows["ratings"].map(np.mean).to_numpy() == pytest.approx(rows["mean"].to_numpy())
        assert list(rows) == ["kind", "mean", "sd", "ratings"]


def test_only_packaged_data_has_ratings(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(40)))
    found = data.load(str(file))
    assert found.ratings is found.elsewhere is None and found.about == ""


@pytest.mark.parametrize("source", ["packaged:", "packaged:tweet", "packaged:Tweets", "packaged\n"])
@pytest.mark.parametrize("function", [data.load, data.check])
def test_a_wrong_part_names_the_parts(function, source):
    assert error(function, source) == (
        f"dataset: got {source!r}; accepted are packaged, packaged:tweets, packaged:movies, packaged:products, "
        "packaged:editorials, packaged:all; use one of these"
    )


def test_the_parts_are_known_without_the_data(monkeypatch):
    monkeypatch.setattr(hub, "packaged_data", None)
    assert data.check("packaged") is data.check("packaged:all") is None


def test_a_reader_learns_what_it_is_whom_to_cite_and_the_licence():
    about = data.load("packaged").about
    assert "Hutto, C.J. & Gilbert, E.E. (2014)" in about and about.endswith("Licence: MIT.")
