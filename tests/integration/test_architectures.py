"""Every architecture: trained, saved, loaded and used as plain transformers does, or refused in one line before."""

import inspect
import re
import warnings

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from textlab import data, hub, settings, training
from textlab.errors import InputError
from textlab.hub import Source
from textlab.training.layers import layers_of
from textlab.training.pooling import KINDS

#: Ordinary texts and odd ones: special tokens of several families, one token, none but special ones, a long one.
TEXTS = ["so good", "this </s> that [PAD] and more", "bad " * 12, "[SEP]", "[CLS] [MASK] x", "é", "good " * 100]
#: What makes a model of any family small; each takes what its config knows.
SMALL = {
    "vocab_size": 30600,
    "pad_token_id": 0,
    "bos_token_id": 101,
    "eos_token_id": 102,
    "decoder_start_token_id": 0,
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "word_embed_proj_dim"), 32
    ),
    **dict.fromkeys(("num_hidden_layers", "encoder_layers", "decoder_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "n_head", "n_heads", "num_heads"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("intermediate_size", "encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "ffn_dim", "d_ff"), 64),
    **dict.fromkeys(("d_inner", "dff"), 64),
    **dict.fromkeys(("head_dim", "d_head", "d_kv"), 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
}
OWN = {
    "modernbert": {"global_attn_every_n_layers": 1},
    "funnel": {"block_sizes": [1, 1], "num_hidden_layers": None},
    "xlnet": {"num_hidden_layers": None, "hidden_size": None, "max_position_embeddings": None},
    "roberta": {"pad_token_id": 1},
    "big_bird": {"attention_type": "original_full"},
    "longformer": {"attention_window": [4, 4]},
    "reformer": {"attn_layers": ["local", "local"], "is_decoder": False, "axial_pos_embds": False, "num_buckets": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 8},
}
TRAINED = (
    "albert bart bert big_bird bloom camembert ctrl deberta deberta-v2 distilbert electra ernie esm flaubert funnel "
    "gpt2 gpt_neo gpt_neox gptj ibert llama longformer mbart megatron-bert mobilebert modernbert mpnet mt5 opt "
    "qwen2 rembert roberta roformer t5 umt5 xlm xlm-roberta xlnet"
).split()
#: Those that always run: one of each family of traps; the others take minutes.
QUICK = ("albert", "bart", "bert", "gpt2", "roberta", "xlnet")
#: Architecture -> what the line says. Those that read the padding, or need more than a text's tokens, or attend to
#: nothing on a CPU, or to what depends on the batch.
REFUSED = {
    "canine": "cannot answer a text",
    "convbert": "also reads the padding",
    "fnet": "also reads the padding",
    "mra": "attends to nothing",
    "nystromformer": "also reads the padding",
    "reformer": "answers a text otherwise beside others",
    "xmod": "Input language unknown",
    "yoso": "also reads the padding",
}
#: Architectures that give no state for each token of a batch.
NO_STATES = ("bart", "funnel", "mbart", "mt5", "t5", "umt5")
#: Architectures whose lower layers cannot be found, so that only recipes that train all of them work.
ONLY_WHOLE = ("squeezebert",)


def save_small(kind, folder):
    """Save a small random model of an architecture, with MiniLM's tokenizer."""
    known = inspect.signature(type(AutoConfig.for_model(kind)).__init__).parameters
    usual = vars(AutoConfig.for_model(kind))
    wanted = SMALL | OWN.get(kind, {})
    fit = {key: value for key, value in wanted.items() if (key in known or key in usual) and value is not None}
    config = AutoConfig.for_model(kind, **fit | {"id2label": {0: "bad", 1: "good"}, "decoder_start_token_id": 0})
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(hub.resolve_model("packaged").path).save_pretrained(folder)


def rows_twice():
    """Return some rows as both splits."""
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = Dataset.from_dict({"text": TEXTS * 2, "label": [1, 0, 0, 1, 1, 0, 1] * 2}, features)
    return DatasetDict(train=rows, validation=rows)


def train(folder, name, tmp_path, **chosen):
    """Train a model for an epoch; return the fit, and its weights before."""
    recipe = settings.make_recipe(name, epochs=1, batch_size=4, max_length=32, **chosen)
    source = Source("small", "model", None, folder, {})
    tokenizer = training.load_tokenizer(source)
    tokens = data.tokenize(rows_twice(), tokenizer, recipe.max_length)
    model = training.load_model(source, ["bad", "good"], recipe, 1)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    return training.fit(model, tokenizer, tokens, recipe, 1, training.Unsaved(tmp_path)), before


def check_answers(folder):
    """Compare the answers of a saved classifier with those that plain transformers gives to each text alone."""
    classifier = training.load_classifier(folder, "small")
    mine = classifier.table(TEXTS).filter(like="p_").to_numpy()
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, answer in zip(TEXTS, mine):
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=classifier.max_length)
        known = inspect.signature(model.forward).parameters
        with torch.no_grad():
            plain = model(**{key: value for key, value in tokens.items() if key in known}).logits.softmax(-1)
        assert np.abs(plain[0].numpy() - answer).max() < 1e-5, text
    weighed = training.word_weights(classifier.model, classifier.tokenizer, TEXTS, classifier.max_length)
    for table, answer in zip(weighed, mine):  # a word that is cut off is left out of both
        assert table["weight"].isna().any() or abs(table.attrs["probability"] - answer.max()) < 1e-5
        assert table["weight"].abs().max() <= 1


@pytest.fixture(autouse=True)
def fp32(monkeypatch):
    monkeypatch.setattr("textlab.machine.environment.precision", lambda: "fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in TRAINED]
)
def test_an_architecture_is_trained_saved_and_answers_as_plain_transformers(kind, tmp_path):
    save_small(kind, tmp_path / "model")
    check_answers(tmp_path / "model")  # up to the longest text that it reads
    for name in ("short_text", "fast", "lab"):
        fitted, before = train(tmp_path / "model", name, tmp_path)
        training.save(fitted, tmp_path / name)
        check_answers(tmp_path / name)
        after = fitted.model.state_dict()
        moved = {key for key in before if not torch.equal(before[key], after[key])}
        layers = {weight.data_ptr(): i for i, one in enumerate(layers_of(fitted.model)) for weight in one.parameters()}
        by_layer = [layers.get(after[key].data_ptr()) for key in moved]
        assert len(layers_of(fitted.model)) - 1 in by_layer  # the last layer is trained
        words = fitted.model.get_input_embeddings().weight.data_ptr()
        is_lab = name == "lab"
        assert any(after[key].data_ptr() == words for key in moved) == is_lab
        if kind != "albert":  # its layers are one
            assert (0 in by_layer) == (name != "fast")


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in TRAINED]
)
def test_a_linear_probe_of_an_architecture_answers_or_there_is_none(kind, tmp_path):
    save_small(kind, tmp_path / "model")
    source = Source("small", "model", None, tmp_path / "model", {})
    answers = training.Probe(source, ["bad", "good"], training.load_tokenizer(source), 32, 1)(rows_twice())
    assert (answers == {}) == (kind in NO_STATES)
    if answers:
        assert len(answers["linear_probe"]["validation"]) == len(TEXTS) * 2
    if kind in KINDS:
        fitted, before = train(tmp_path / "model", "probe", tmp_path)
        training.save(fitted, tmp_path / "probe")
        check_answers(tmp_path / "probe")
        moved = {key for key, weight in fitted.model.state_dict().items() if not torch.equal(before[key], weight)}
        assert len(moved) == 2 and all(re.search(r"classifier.*(weight|bias)$", key) for key in moved), moved


@pytest.mark.parametrize("kind", ["bart", "distilbert", "esm", "gpt2", "mpnet", "squeezebert", "t5", "xlm"])
def test_without_dropout_a_model_in_training_answers_as_always(kind, tmp_path):
    save_small(kind, tmp_path)
    whole = {"frozen_share": 0, "train_embeddings": True}
    recipe = settings.make_recipe("short_text", max_length=32, **whole if kind in ONLY_WHOLE else {})
    model = training.load_model(Source("small", "model", None, tmp_path, {}), ["bad", "good"], recipe, 1)
    ids = torch.tensor([[101, 7, 8, 9, 10, 102]])
    with torch.no_grad():
        first, second = (
            model.train(mode)(input_ids=ids, attention_mask=ids.bool().long()).logits for mode in (True, False)
        )
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", ["bart", "t5", "bert"])
def test_a_model_that_was_trained_in_bf16_answers_in_fp32_afterwards(kind, tmp_path):
    save_small(kind, tmp_path / "model")
    fitted, _ = train(tmp_path / "model", "short_text", tmp_path, precision="bf16")
    answers = training.probabilities(fitted.model, fitted.trainer.processing_class, TEXTS, 32)
    training.save(fitted, tmp_path / "saved")
    saved = training.load_classifier(tmp_path / "saved", "small").table(TEXTS).filter(like="p_").to_numpy()
    assert np.abs(answers - saved).max() < 1e-5


def test_attention_that_depends_on_the_texts_before_is_refused(tmp_path):
    save_small("big_bird", tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    config.attention_type = "block_sparse"
    config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="set it to original_full"):
        training.load_classifier(tmp_path, "small")


@pytest.mark.parametrize("kind", REFUSED)
def test_an_architecture_that_would_answer_wrongly_is_refused_before_training(kind, tmp_path):
    save_small(kind, tmp_path / "model")
    for name in ("short_text", "fast", "lab"):
        with pytest.raises(InputError, match=REFUSED[kind]) as error:
            train(tmp_path / "model", name, tmp_path)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=REFUSED[kind]):
        training.load_classifier(tmp_path / "model", "small")


@pytest.mark.parametrize("kind", ONLY_WHOLE)
def test_an_architecture_without_layers_of_the_usual_kind_is_trained_whole(kind, tmp_path):
    save_small(kind, tmp_path / "model")
    with pytest.raises(InputError, match="set frozen_share to 0 and train_embeddings to true"):
        train(tmp_path / "model", "short_text", tmp_path)
    fitted, _ = train(tmp_path / "model", "lab", tmp_path)
    training.save(fitted, tmp_path / "lab")
    check_answers(tmp_path / "lab")
