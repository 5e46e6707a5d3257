"""The practice corpus is the same everywhere, has the stated shape, and is as hard as it is meant to be."""

import os
import random
import re
import subprocess
import sys
from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score
from sklearn.svm import LinearSVC

from textlab.data import corpus

SPLITS = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def built():
    return corpus.build()


@pytest.fixture(scope="module")
def clean():
    return corpus.build(clean=True)


@pytest.fixture(scope="module")
def texts(built):
    return [text for rows in built.values() for text, _ in rows]


def test_labels_stand_in_the_order_of_the_emotion_data():
    assert corpus.LABELS == ["sadness", "joy", "love", "anger", "fear", "surprise"]


def test_digest_is_the_stated_one(built):
    assert corpus.digest(built) == corpus.SHA256


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_digest_does_not_depend_on_the_hash_seed(hash_seed):
    code = "from textlab.data import corpus; print(corpus.digest(corpus.build()))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == corpus.SHA256


def test_build_neither_reads_nor_moves_the_global_random_state(built):
    random.seed(1)
    state = random.getstate()
    assert corpus.build() == built
    assert random.getstate() == state


def test_digest_is_that_of_the_documented_lines():
    # printf 'train\ti am sad\tsadness\ntest\ti am glad\tjoy\n' | sha256sum
    rows = {"train": [("i am sad", "sadness")], "test": [("i am glad", "joy")]}
    assert corpus.digest(rows) == "8befeae6d8f76ce5bb395ec77164ae8168a9fdb33943e746208bddeb14a29020"


def test_sizes(built):
    assert [(split, len(rows)) for split, rows in built.items()] == [
        ("train", 4000),
        ("validation", 500),
        ("test", 500),
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_label_proportions(built, split):
    counts = Counter(label for _, label in built[split])
    wanted = {"sadness": 29, "joy": 34, "love": 8, "anger": 13, "fear": 12, "surprise": 4}
    assert set(counts) == set(wanted)
    for label, percent in wanted.items():
        assert abs(100 * counts[label] / len(built[split]) - percent) <= 1.5, label


def test_rows_are_not_sorted_by_label(built):
    labels = [label for _, label in built["train"][:200]]
    assert set(labels) == set(corpus.LABELS)


def test_no_text_occurs_twice_within_or_across_splits(texts):
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_lengths_in_words(texts):
    lengths = [len(text.split()) for text in texts]
    assert 12 <= sum(lengths) / len(lengths) <= 14
    assert min(lengths) >= 4 and 25 <= max(lengths) <= 35


def test_texts_are_lower_case_ascii_words_with_single_spaces(texts):
    assert [text for text in texts if not re.fullmatch("[a-z]+( [a-z]+)*", text)] == []


def test_no_slot_of_the_grammar_misspells_its_entry():
    known = set(corpus._SHARED) | {name for entries in corpus._EMOTION.values() for name in entries}
    grammars = [corpus._SENTENCE, corpus._SHARED, *corpus._EMOTION.values()]
    used = {
        name for entries in grammars for text in entries.values() for name in re.findall(r"\{(?:other )?(\w+)\}", text)
    }
    assert used == known


@pytest.mark.parametrize("split, wrong", [("train", 160), ("validation", 20), ("test", 20)])
def test_the_stated_share_of_labels_is_wrong_and_nothing_else_differs(built, clean, split, wrong):
    assert wrong == round(corpus.NOISE * len(built[split]))
    assert [text for text, _ in built[split]] == [text for text, _ in clean[split]]
    pairs = zip(built[split], clean[split], strict=True)
    assert sum(noisy != intended for (_, noisy), (_, intended) in pairs) == wrong


@pytest.mark.parametrize(
    "phenomenon, pattern, least",
    [
        ("negation", r"\b(not|anything but|nobody|more than this)\b", 500),
        ("contrast", r"\b(but|although|even though|instead|rather)\b", 500),
        ("somebody else's emotion", r"^my \w+( \w+)? (was|is|feels|thinks|keeps)\b", 200),
        ("low intensity", r"\ba (bit|little)\b", 200),
        ("high intensity", r"\b(completely|absolutely|utterly|totally)\b", 200),
        ("idiom", r"over the moon|my blood was boiling|butterflies in my stomach|my jaw dropped|head over heels", 40),
        ("reason", r"\bbecause\b", 150),
        ("time", r"\b(last night|this morning|yesterday|last year|on \w+day)\b", 100),
    ],
)
def test_phenomenon_is_frequent(texts, phenomenon, pattern, least):
    assert sum(bool(re.search(pattern, text)) for text in texts) >= least, phenomenon


@pytest.mark.parametrize(
    "pattern, label",
    [
        (r"^my grandmothers chair has been empty since \w+$", "sadness"),
        (
            r"^we share one umbrella and neither of us minds getting wet$|^.* learned to knit to make me a scarf$",
            "love",
        ),
        (r"^i thought i would be \w+ but (my heart sank|my eyes filled up|i cried .*)$", "sadness"),
        (r"^i am not \w+\b.* just (angry|annoyed|mad|furious|outraged|enraged)$", "anger"),
        (r"^my \w+ was (furious|angry)\b.* but i only felt (happy|glad|delighted|thrilled)$", "joy"),
        (r"^i should be (afraid|scared|terrified)\b.* i am on top of the world$|over the moon even though", "joy"),
    ],
)
def test_label_is_what_the_speaker_feels(clean, pattern, label):
    found = {name for rows in clean.values() for text, name in rows if re.search(pattern, text)}
    assert found == {label}


def test_some_words_of_the_test_split_are_unseen_or_rare_in_train(built):
    seen = Counter(word for text, _ in built["train"] for word in text.split())
    tail = [seen[word] for word in {word for text, _ in built["test"] for word in text.split()}]
    assert tail.count(0) >= 1
    assert sum(count <= 3 for count in tail) >= 20


def test_a_linear_baseline_is_neither_lost_nor_perfect(built):
    def columns(split):
        return zip(*built[split], strict=True)

    train, train_labels = columns("train")
    test, test_labels = columns("test")
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LinearSVC().fit(features.fit_transform(train), train_labels)
    assert 0.75 <= accuracy_score(test_labels, model.predict(features.transform(test))) <= 0.90
