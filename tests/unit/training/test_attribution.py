"""The words that decided: each weighs what the answer loses without it, in any architecture's tokens."""

import numpy as np
import pytest

from conftest import error, spread_answers
from textlab import hub, settings, training
from textlab.training import attribution

TEXTS = ["so very good, isn't it?", "very good", "isn't it", "a b c d", "one"]


@pytest.fixture(scope="module")
def tools():
    """A tiny classifier whose answers differ from text to text, and its tokenizer."""
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    model = training.load_model(source, ["bad", "good", "fair"], settings.Recipe(), seed=1)
    spread_answers(model, tokenizer, TEXTS, scale=3000)
    return model, tokenizer


def chances(tools, texts):
    return training.probabilities(*tools, texts, 24, exact=True)


def test_a_word_weighs_what_the_answer_loses_without_it(tools):
    text = "  so  very\tgood, isn't it? "
    [table] = training.word_weights(*tools, [text], 24)
    assert table["word"].tolist() == ["so", "very", "good,", "isn't", "it?"]
    assert [text[a:b] for a, b in zip(table["start"], table["end"])] == table["word"].tolist()
    whole = chances(tools, [text])[0]
    without = [
        "very good, isn't it?",
        "so good, isn't it?",
        "so very isn't it?",
        "so very good, it?",
        "so very good, isn't",
    ]
    answer = whole.argmax()
    assert table.attrs == {"answer": answer, "probability": pytest.approx(whole[answer], abs=1e-5)}
    assert table["weight"].to_numpy() == pytest.approx(whole[answer] - chances(tools, without)[:, answer], abs=1e-5)
    assert table["weight"].abs().max() > 0.01


def test_a_model_that_was_saved_and_loaded_again_names_the_same_words(tools, tmp_path):
    for part in tools:
        part.save_pretrained(tmp_path)
    loaded = training.load_classifier(tmp_path, "mine")
    again = training.word_weights(loaded.model, loaded.tokenizer, TEXTS, 24)
    for before, after in zip(training.word_weights(*tools, TEXTS, 24), again, strict=True):
        assert after.equals(before) and after.attrs == before.attrs


def test_texts_do_not_depend_on_each_other(tools):
    texts = ["one", "two words", "and now three words"]
    together = training.word_weights(*tools, texts, 24)
    for text, table in zip(texts, together):
        [alone] = training.word_weights(*tools, [text], 24)
        assert table["weight"].to_numpy() == pytest.approx(alone["weight"].to_numpy(), abs=1e-5)


def test_the_only_word_weighs_the_whole_probability_since_nothing_is_left(tools):
    [table] = training.word_weights(*tools, ["good"], 24)
    assert table["weight"].tolist() == [table.attrs["probability"]]


def test_words_behind_the_cut_are_not_read(tools):
    [table] = training.word_weights(*tools, ["word " * 40], 24)  # 22 pieces and two special tokens
    assert table["weight"].notna().tolist() == [True] * 22 + [False] * 18


def test_what_stands_behind_the_cut_does_not_move_up(tools):
    read, behind = "one two three four five six", "so very good isn't it"
    [table] = training.word_weights(*tools, [f"{read} {behind}"], 8)
    [alone] = training.word_weights(*tools, [read], 8)
    assert table["weight"][:6].to_numpy() == pytest.approx(alone["weight"].to_numpy(), abs=1e-5)
    assert table["weight"][6:].isna().all()
    fall = training.without_words(*tools, [f"{read} {behind}"], 8, [table], [np.arange(6)], 1)
    assert fall == pytest.approx(table["weight"][:1].to_numpy(), abs=1e-5)


def test_a_long_first_word_counts_as_read(tools):
    [table] = training.word_weights(*tools, ["x-" * 20 + " end"], 8)
    assert table["weight"].notna().tolist() == [True, False]


def test_a_long_text_is_parted_into_runs_of_neighbours(tools, monkeypatch):
    monkeypatch.setattr(attribution, "MOST_PARTS", 3)
    [table] = training.word_weights(*tools, ["a b c d e f g"], 24)
    alone = chances(tools, ["a b c d e f g", "d e f g", "a b c f g", "a b c d e"])
    drops = (alone[0] - alone[1:])[:, table.attrs["answer"]]
    assert table["weight"].to_numpy() == pytest.approx(drops[[0, 0, 0, 1, 1, 2, 2]], abs=1e-5)


def test_letters_of_scripts_without_blanks_are_words(tools):
    [table] = training.word_weights(*tools, ["很好 ok"], 24)
    assert table["word"].tolist() == ["很", "好", "ok"]


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_blank_text_is_refused(tools, text):
    assert "accepted are texts that are not blank" in error(training.word_weights, *tools, ["good", text], 24)


@pytest.mark.parametrize("most, left", [(1, "a c d e f"), (2, "a c d f"), (0.5, "a c f"), (0.01, "a c d e f")])
def test_words_are_left_out_in_order(tools, most, left):
    text, order = "a b c d e f", np.array([1, 4, 3, 0, 2, 5])
    whole, without = chances(tools, [text, left])
    tables = training.word_weights(*tools, [text], 24)
    fall = training.without_words(*tools, [text], 24, tables, [order], most)
    assert fall == pytest.approx([whole.max() - without[whole.argmax()]], abs=1e-5)


def test_a_share_is_one_of_the_words_that_are_read(tools):
    read, behind = "one two three four five six", "so very good isn't it " * 5
    tables = training.word_weights(*tools, [read, f"{read} {behind}"], 8)
    orders = [np.arange(table["weight"].count()) for table in tables]
    alone, cut = training.without_words(*tools, [read, f"{read} {behind}"], 8, tables, orders, 0.5)
    assert len(orders[1]) == 6 and cut == pytest.approx(alone, abs=1e-5)


def test_the_heaviest_words_are_left_out_and_as_many_random_ones_that_are_read(tools):
    texts = ["so very good, isn't it?", "one two three four five six so very good isn't it"]
    heavy, at_random = training.deletions(*tools, texts, 8, most=1, seed=1, draws=40)
    tables = training.word_weights(*tools, texts, 8)
    weights = [table["weight"].dropna().to_numpy() for table in tables]
    assert heavy == pytest.approx([several.max() for several in weights], abs=1e-5)
    for falls, several in zip(at_random.T, weights):
        assert np.abs(falls[:, None] - several).min(1) == pytest.approx(np.zeros(40), abs=1e-5)
        assert len(np.unique(falls.round(5))) > 1
