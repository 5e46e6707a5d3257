"""The kind of texts that a model was trained on: the right figures, saved without a text, and read with care."""

import json

import numpy as np
import pytest

from conftest import altered, error
from textlab import hub, training
from textlab.errors import InputError
from textlab.training import text_kind

TEXTS = [f"{'so ' * (i % 5)}fine a day number {i}" for i in range(60)]


@pytest.fixture(scope="module")
def tiny():
    source = hub.resolve_model("tiny")
    return training.read_model(source, ["bad", "good"], 1, "eager"), training.load_tokenizer(source)


def test_figures_are_those_of_the_texts(tiny):
    model, tokenizer = tiny
    kind = text_kind.kind_of(*tiny, TEXTS)
    words = np.array([len(text.split()) for text in TEXTS])
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    table = model.get_input_embeddings().weight.detach().double().numpy()
    directions = text_kind._directions(32)[:, : 60 // text_kind.TEXTS_A_DIRECTION]
    wanted = np.column_stack(
        [
            np.log(words),
            np.log([len(row) / n for row, n in zip(ids, words, strict=True)]),
            np.stack([table[row].mean(0) for row in ids]) @ directions,
        ]
    )
    assert kind.texts == 60 and kind.mean == pytest.approx(wanted.mean(0), abs=1e-6)
    assert kind.covariance == pytest.approx(np.cov(wanted.T), abs=1e-6)
    assert kind.words == pytest.approx(np.exp(np.log(words).mean())) and kind.letters == {"LATIN": 1.0}


def test_parts_give_what_the_whole_gives(tiny):
    whole = text_kind.kind_of(*tiny, TEXTS)
    gathered = text_kind.Gathered(*tiny, len(whole.mean))
    for start in range(0, 60, 7):
        gathered.add(TEXTS[start : start + 7])
    parts = gathered.kind()
    assert parts.mean == pytest.approx(whole.mean) and parts.covariance == pytest.approx(whole.covariance)
    assert (parts.texts, parts.letters) == (whole.texts, whole.letters) == (gathered.count, {"LATIN": 1.0})


def test_a_long_text_is_judged_by_its_first_letters_and_its_length(tiny, monkeypatch):
    monkeypatch.setattr(text_kind, "HEAD", 20)
    short = text_kind.kind_of(*tiny, [f"  {i:03} a fine long days" for i in range(60)])
    long = text_kind.kind_of(*tiny, [f"  {i:03} a fine long days{' х' * 20}" for i in range(60)])
    assert short.words == pytest.approx(5) and long.words == pytest.approx(15)  # of 20 letters and of 60
    assert long.mean[1:] == pytest.approx(short.mean[1:]) and long.letters == {"LATIN": 1.0}


def test_texts_without_letters_words_or_tokens_have_a_kind(tiny):
    kind = text_kind.kind_of(*tiny, ["\u200b", "\x07", "123", "☺", "中文 слово"] * 5)
    assert np.isfinite(kind.mean).all() and np.isfinite(kind.covariance).all()
    assert kind.letters == pytest.approx({"CYRILLIC": 5 / 7, "CJK": 2 / 7})
    assert text_kind.kind_of(*tiny, ["\u200b"] * 20).letters == {}


def test_of_many_texts_some_are_looked_at_and_too_few_have_no_kind(tiny, monkeypatch):
    assert text_kind.kind_of(*tiny, TEXTS[:19]) is None and text_kind.kind_of(*tiny, TEXTS[:20]).texts == 20
    monkeypatch.setattr(text_kind, "MOST_TEXTS", 30)
    assert text_kind.kind_of(*tiny, TEXTS).texts == 30


def test_a_model_without_a_table_of_embeddings_has_no_kind(tiny, monkeypatch):
    def none(self):
        raise NotImplementedError

    monkeypatch.setattr(type(tiny[0]), "get_input_embeddings", none)
    assert text_kind.kind_of(*tiny, TEXTS) is None


def test_it_is_saved_without_a_text_and_read_back(tiny, tmp_path):
    texts = [f"{text} xylophone" for text in TEXTS]
    kind = text_kind.kind_of(*tiny, texts)
    kind.write(tmp_path)
    again = text_kind.read_kind(tmp_path, "mine")
    assert again.texts == 60 and again.letters == kind.letters
    assert again.mean == pytest.approx(kind.mean, rel=1e-5)
    assert again.covariance == pytest.approx(kind.covariance, rel=1e-5, abs=1e-12)
    (file,) = tmp_path.iterdir()
    assert "xylophone" not in file.read_text() and file.stat().st_size < 100_000
    assert again.text() == file.read_text()


def test_a_model_without_the_file_has_no_kind(tmp_path):
    assert text_kind.read_kind(tmp_path, "mine") is None


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is refused: EOF while parsing"),
        ("[]", "is refused: Input should be a valid dict"),
        ('{"texts": 60}', "is refused: at mean: Field required"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, content, message):
    (tmp_path / text_kind.FILE).write_text(content)
    told = error(text_kind.read_kind, tmp_path, "mine")
    assert told.startswith("model: training_texts.json of mine") and message in told


def test_whatever_stands_in_the_file_is_used_or_refused_in_a_line(tiny, tmp_path):
    kind = text_kind.kind_of(*tiny, TEXTS[:20])
    content, refused = json.loads(kind.text()), 0
    for wrong in altered(content):
        (tmp_path / text_kind.FILE).write_text(json.dumps(wrong))
        try:
            found = text_kind.read_kind(tmp_path, "mine")
        except InputError as told:
            refused += 1
            assert "\n" not in str(told)
        else:
            assert found.covariance.shape == (len(found.mean),) * 2 and np.isfinite([found.words, found.pieces]).all()
    assert refused > 100
    short = content | {"covariance": content["covariance"][:-1]}
    (tmp_path / text_kind.FILE).write_text(json.dumps(short))
    assert "has 7 means and no 7 times 7 covariances" in error(text_kind.read_kind, tmp_path, "mine")
