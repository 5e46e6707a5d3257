"""Padding changes no answer, whichever token a model and its tokenizer pad with."""

import numpy as np
import pytest
import torch
from test_loading import TEXTS, edit, fit, load, save_random, tiny
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from textlab import training

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "bos_token_id": 101, "eos_token_id": 102}


def save_decoder(folder, config_pad, tokenizer_pad, **special):
    """Save a random GPT-2, whose tokenizer ends each text with [SEP], and return its folder."""
    save_random(folder, tiny("gpt2", **GPT2, initializer_range=0.5))
    edit(folder, pad_token_id=config_pad)
    edit(folder, "tokenizer_config.json", pad_token=tokenizer_pad, **special)
    return folder


def check_answers(folder):
    """Compare the answers of a saved classifier with those that plain transformers gives to each text alone."""
    mine = training.load_classifier(folder, "mine").table(TEXTS).filter(like="p_").to_numpy()
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        for text, answer in zip(TEXTS, mine):
            plain = model.eval()(**tokenizer(text, return_tensors="pt")).logits.softmax(-1).numpy()
            assert np.abs(plain - answer).max() < 1e-5, text


@pytest.mark.parametrize("tokenizer_pad", ["[PAD]", "[SEP]", None])
@pytest.mark.parametrize("config_pad", [None, 0, 102, 2204], ids=["none", "[PAD]", "[SEP]", "good"])
def test_a_decoder_reads_the_last_token_that_it_was_trained_to_read(tmp_path, config_pad, tokenizer_pad):
    folder = save_decoder(tmp_path / "model", config_pad, tokenizer_pad, eos_token="[SEP]")
    check_answers(folder)
    fitted, tokenizer = fit(folder, tmp_path)
    answers = training.probabilities(fitted.model, tokenizer, TEXTS, 32)
    training.save(fitted, tmp_path / "trained")
    check_answers(tmp_path / "trained")
    saved = training.load_classifier(tmp_path / "trained", "mine").table(TEXTS).filter(like="p_").to_numpy()
    assert np.abs(answers - saved).max() < 1e-5


def test_a_tokenizer_with_no_token_but_the_one_that_ends_each_text_is_refused(tmp_path):
    folder = save_random(tmp_path / "model", tiny("gpt2", **GPT2, vocab_size=3), tokenizer=False)
    words = Tokenizer(models.WordLevel({"</s>": 0, "a": 1, "b": 2}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", model_max_length=64).save_pretrained(folder)
    assert "tokenizer of mine has no token to pad with that ends no text; set pad_token" in load(folder)
    edit(folder, "tokenizer_config.json", pad_token="b")
    check_answers(folder)


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta"])
def test_a_padding_token_other_than_the_config_s_moves_no_position_of_the_saved_model(tmp_path, kind):
    fitted, tokenizer = fit(save_random(tmp_path / "model", tiny(kind, pad_token_id=1)), tmp_path)
    training.save(fitted, tmp_path / "trained")
    saved = training.load_classifier(tmp_path / "trained", "mine")
    answers = [training.probabilities(model, tokenizer, TEXTS, 32) for model in (fitted.model, saved.model)]
    assert tokenizer.pad_token_id == 0 and np.abs(answers[0] - answers[1]).max() < 1e-6
