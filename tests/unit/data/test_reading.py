"""How well a tokenizer reads texts, in scripts with and without blanks between words."""

import pytest
from datasets import Dataset
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import TemplateProcessing
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from conftest import ROOT
from textlab import data, hub, training
from textlab.evaluation import diagnostics


@pytest.fixture(scope="module")
def english():
    return training.load_tokenizer(hub.resolve_model("packaged"))


def read(tokenizer, *texts, max_length=96):
    return data.read(Dataset.from_dict({"text": list(texts)}), tokenizer, max_length)


def test_by_hand(english):
    found = read(english, "a good day", "unbelievably good", "good", max_length=5)  # 3, 2 and 1 words
    assert english.tokenize("unbelievably") == ["un", "##bel", "##ie", "##va", "##bly"]
    assert found.pop("vocabulary") == len(english)
    assert found == {"pieces": 1.0, "unknown": 0.0, "cut": pytest.approx(1 / 3), "max_length": 5}
    assert read(english, "a good day", max_length=5)["cut"] == 0.0  # five tokens with the two marks
    assert read(english, "unbelievably good")["pieces"] == 3.0


def test_another_script_shows(english):
    fits = read(english, "i could not stop smiling all day", "it was a very sad and gloomy evening")
    assert fits["pieces"] < 1.5 and fits["unknown"] == 0
    assert read(english, "сегодня очень хороший день", "мне совсем не понравился этот фильм")["pieces"] > 3
    odd = read(english, "\u5fae\u535a\u8fd9\u90e8\u7535\u5f71\u771f\u7684\u5f88\u597d\u770b")
    assert odd["pieces"] <= 2 and odd["unknown"] > 0.1


def byte_level(unknown, ends):
    """Return a tokenizer of the kind of GPT-2's, made for English; `ends` says what it puts around a text."""
    made = ByteLevelBPETokenizer()
    made.train_from_iterator([(ROOT / "README.md").read_text()] * 3, 1200, special_tokens=["<s>", "</s>", "<unk>"])
    made = made._tokenizer
    made.post_processor = TemplateProcessing(
        single=ends, special_tokens=[(mark, made.token_to_id(mark)) for mark in ("<s>", "</s>")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token=unknown)


@pytest.mark.parametrize(
    "tokenizer",
    [
        lambda: byte_level("</s>", "$A"),  # GPT-2's: the end of a text is the unknown token, too
        lambda: byte_level("</s>", "</s> $A"),  # OPT's
        lambda: byte_level("<unk>", "<s> $A </s>"),  # RoBERTa's
        ByT5Tokenizer,
    ],
    ids=["gpt2", "opt", "roberta", "byt5"],
)
def test_tokenizers_of_bytes_are_made_for_english(tokenizer):
    texts = ("all that was measured", "and the model says so", "what is in it?", "they run the tests of the library")
    found = read(tokenizer := tokenizer(), *texts)
    assert diagnostics.remarks(found) == [] and found["unknown"] == 0
    is_large = len(tokenizer) == found["vocabulary"] == 1200
    assert 1 <= found["pieces"] < 2 if is_large else found["pieces"] > 4
    assert ("choose a model made for theirs" in str(diagnostics.remarks(read(tokenizer, "хороший день")))) == is_large


def test_of_many_rows_some_are_looked_at(english, monkeypatch):
    monkeypatch.setattr(data.reading, "ROWS", 3)
    assert read(english, *["good"] * 5, *["unbelievably"] * 6)["pieces"] == 5.0  # rows 0, 5 and 10
