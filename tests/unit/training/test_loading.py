"""Odd models: refused in one line where their answers would be wrong, and else trained and used rightly."""

import json
import re
import time
from functools import partial

import numpy as np
import pytest
import torch
import transformers
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from conftest import error
from textlab import data, hub, settings, training
from textlab.hub import Source
from textlab.training import frozen_memory
from textlab.training.loading import most_tokens

TEXTS = ["so good", "this </s> that [PAD] and more", "bad " * 12, "a [PAD] in the middle", "fine"]


def tiny(kind, **options):
    """Return the config of a small model of a type, with two labels."""
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return transformers.AutoConfig.for_model(
        kind, **small | {"vocab_size": 30522, "max_position_embeddings": 64, "num_labels": 2} | options
    )


def save_random(folder, config, dtype=torch.float32, tokenizer=True, **tokenizer_options):
    """Save a random model with MiniLM's tokenizer in a folder, and return the folder."""
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).to(dtype).save_pretrained(folder)
    if tokenizer:
        source = hub.resolve_model("packaged").path
        AutoTokenizer.from_pretrained(source, **tokenizer_options).save_pretrained(folder)
    return folder


@pytest.fixture
def make(tmp_path):
    """Return `save_random` for a folder of the test."""
    return partial(save_random, tmp_path / "model")


def edit(folder, file="config.json", **values):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("target", ["../away.safetensors", "{folder}/../away.safetensors", "away.bin", "", 5])
def test_an_index_of_weights_that_points_out_of_its_folder_is_not_followed(make, target):
    folder = make(tiny("bert"))
    training.load_classifier(folder, "mine")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder.parent / "away.safetensors")
    index = folder / "model.safetensors.index.json"
    target = target.format(folder=folder.resolve()) if isinstance(target, str) else target
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, target)}))
    assert "mine: model.safetensors.index.json " in load(folder)
    (folder.parent / "away.safetensors").rename(folder / "part.safetensors")
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, "part.safetensors")}))
    training.load_classifier(folder, "mine")  # as large models are saved


def load(folder):
    return error(training.load_classifier, folder, "mine")


def source(folder):
    return Source("mine", "model", None, folder, {})


def fit(folder, tmp_path, **chosen):
    """Train on a few texts and return the fit, the tokenizer and the tokens."""
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = Dataset.from_dict({"text": TEXTS * 2, "label": [1, 0, 0, 1, 1] * 2}, features)
    recipe = settings.make_recipe("fast", epochs=1, batch_size=4, max_length=32, precision="fp32", **chosen)
    tokenizer = training.load_tokenizer(source(folder))
    tokens = data.tokenize(DatasetDict(train=rows, validation=rows), tokenizer, 32)
    model = training.load_model(source(folder), ["bad", "good"], recipe, 1)
    return training.fit(model, tokenizer, tokens, recipe, 1, training.Unsaved(tmp_path)), tokenizer


def test_a_folder_without_a_tokenizer_is_refused_in_training_and_prediction(make):
    folder = make(tiny("bert"), tokenizer=False)
    assert "tokenizer of mine knows 5 tokens, and the model 30,522" in load(folder)
    assert "add the tokenizer files" in error(training.load_tokenizer, source(folder))


def test_a_tokenizer_with_more_tokens_than_the_model_has_is_refused(make):
    folder = make(tiny("bert"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["onemore"])
    tokenizer.save_pretrained(folder)
    assert "knows 30,523 tokens, and the model 30,522" in load(folder)


def test_weights_of_other_names_are_refused_and_counted(make):
    folder = make(tiny("bert"))
    weights = load_file(folder / "model.safetensors")
    renamed = {name.replace("bert.encoder", "bert.blocks"): weight for name, weight in weights.items()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    expected = f"lacks 32 of the {5 + 32 + 2} weights of bert below its head, such as bert.encoder.layer.0"
    assert expected in load(folder)
    recipe = settings.make_recipe("fast", max_length=32)
    assert expected in error(training.load_model, source(folder), ["a", "b"], recipe, 1)


def test_weights_of_another_shape_are_refused_below_the_head_only(make):
    folder = make(tiny("bert"))
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"] = torch.zeros(100, 32)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "lacks 1 of the 39 weights of bert below its head" in load(folder)


def test_an_encoder_without_a_pooler_is_trained_with_a_new_one(make, tmp_path):
    folder = make(tiny("bert"))
    weights = {
        k: v for k, v in load_file(folder / "model.safetensors").items() if "pooler" not in k and k[:5] == "bert."
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    fitted, _ = fit(folder, tmp_path)
    assert torch.isfinite(fitted.model.bert.pooler.dense.weight).all()
    assert "has no trained classifier (bert.pooler.dense.bias" in load(folder)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_checkpoint_in_half_precision_is_trained_and_used_in_fp32(make, tmp_path, dtype):
    folder = make(tiny("bert"), dtype)
    assert next(iter(load_file(folder / "model.safetensors").values())).dtype == dtype
    fitted, _ = fit(folder, tmp_path)
    assert {weight.dtype for weight in fitted.model.parameters()} == {torch.float32}
    assert {weight.dtype for weight in training.load_classifier(folder, "mine").model.parameters()} == {torch.float32}


@pytest.mark.parametrize("options", [{}, {"padding_side": "left"}], ids=["right", "left"])
@pytest.mark.parametrize("pad", [0, 7, None], ids=["its own", "another", "none"])
def test_frozen_layers_are_looked_up_by_the_text_and_not_by_the_padding_token(make, tmp_path, options, pad):
    folder = make(tiny("bert"), **options)
    edit(folder, pad_token_id=pad)
    remembered, tokenizer = fit(folder, tmp_path)
    assert len(remembered.trainer.memory._states) == len(TEXTS)
    answers = training.probabilities(remembered.model, tokenizer, TEXTS, 32)
    with torch.no_grad():
        for text, answer in zip(TEXTS, answers):
            one = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
            plain = remembered.model(input_ids=one["input_ids"], attention_mask=one["attention_mask"]).logits.softmax(
                -1
            )
            assert np.abs(plain.numpy() - answer).max() < 1e-5


def test_the_outputs_of_frozen_layers_are_those_that_would_be_computed(make, tmp_path):
    """Also for a text that holds the padding token: the training ends with the same weights without the memory."""
    folder = make(tiny("bert"))
    remembered, _ = fit(folder, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen_memory, "MEMORY_LIMIT", 0)
        computed, _ = fit(folder, tmp_path)
    assert remembered.trainer.memory._states and not computed.trainer.memory._states
    for name, weight in remembered.model.state_dict().items():
        assert torch.allclose(weight, computed.model.state_dict()[name], atol=1e-5), name


def test_a_new_head_is_that_of_a_fresh_model(make):
    """ModernBERT's head holds a layer norm, whose weights are ones."""
    config = tiny("modernbert", global_attn_every_n_layers=1, pad_token_id=0)
    folder = make(config)
    weights = load_file(folder / "model.safetensors")
    weights["head.norm.weight"].fill_(3.0)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    recipe = settings.make_recipe("fast", max_length=32)
    models = [training.load_model(source(folder), ["a", "b"], recipe, seed) for seed in (1, 1, 2)]
    assert (models[0].head.norm.weight == 1).all()
    heads = [model.classifier.weight for model in models]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    kept = models[0].model.embeddings.tok_embeddings.weight
    assert torch.equal(kept, weights["model.embeddings.tok_embeddings.weight"])


@pytest.mark.parametrize("options", [{"problem_type": "regression"}, {"num_labels": 1}])
def test_heads_for_numbers_are_refused_and_can_be_trained_from(make, tmp_path, options):
    folder = make(tiny("bert", **options))
    assert "answers with numbers; accepted are models that answer with labels" in load(folder)
    fitted, _ = fit(folder, tmp_path)
    training.save(fitted, tmp_path / "trained")
    assert training.load_classifier(tmp_path / "trained", "mine").labels == ["bad", "good"]


def test_code_that_a_model_brings_along_is_never_run(make, tmp_path):
    folder = make(tiny("bert"))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    edit(
        folder,
        model_type="evil",
        auto_map={"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.M"},
    )
    assert "needs code of its own, which is never run here" in load(folder)
    assert "needs code of its own" in error(training.load_tokenizer, source(folder))
    assert not (tmp_path / "marker").exists()


def test_weights_that_are_no_numbers_are_refused(make):
    folder = make(tiny("bert"))
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "has weights that are no numbers" in load(folder)


@pytest.mark.parametrize("names", [{"0": "bad", "1": "bad"}, {"0": "bad", "7": "good"}, {"0": ["bad"], "1": "good"}])
def test_labels_without_a_name_of_their_own_are_refused(make, names):
    folder = make(tiny("bert"))
    edit(folder, id2label=names)
    assert "model: mine" in load(folder)


def test_positions_that_cannot_be_used_are_not_counted(make, tmp_path):
    folder = make(tiny("roberta", pad_token_id=1))
    model = training.load_classifier(folder, "mine").model
    assert most_tokens(model) == 64 - 2
    recipe = settings.make_recipe("fast", max_length=63)
    assert "reads at most 62 tokens" in error(training.load_model, source(folder), ["a", "b"], recipe, 1)
    table = training.load_classifier(folder, "mine").table(["good " * 100])
    assert table["p_LABEL_0"].notna().all()


FACTORS = {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8, "rope_theta": 10_000.0, "factor": 1.6}
LONGROPE = {"rope_type": "longrope", "original_max_position_embeddings": 40} | FACTORS


@pytest.mark.parametrize(
    "kind, options",
    [
        ("mpt", {"max_seq_len": 40, "max_position_embeddings": None, "d_model": 32, "n_heads": 2, "n_layers": 2}),
        ("phi3", {"original_max_position_embeddings": 40, "rope_scaling": LONGROPE, "pad_token_id": 0}),
    ],
)
def test_texts_are_cut_where_positions_end_under_another_name(make, kind, options):
    folder = make(tiny(kind, **options))
    classifier, texts = training.load_classifier(folder, "mine"), ["good " * n for n in (30, 38, 45, 90)]
    assert classifier.max_length == most_tokens(classifier.model) == 40
    alone = [classifier.table([text])["p_LABEL_0"][0] for text in texts]
    assert classifier.table(texts)["p_LABEL_0"].tolist() == pytest.approx(alone, abs=1e-6)
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = Dataset.from_dict({"text": texts, "label": [0, 1, 0, 1]}, features)
    recipe, _ = training.suit(settings.Recipe(), rows, classifier.tokenizer, source(folder))
    training.load_model(source(folder), ["bad", "good"], recipe, 1)  # which refuses what it cannot read


@pytest.mark.parametrize("limit", [0, -1, "many", None])
def test_a_tokenizer_whose_limit_is_no_length_is_refused(make, limit):
    folder = make(tiny("bert"))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": limit}))
    if limit is None:
        assert training.load_classifier(folder, "mine").max_length == 64
    else:
        assert "model: " in load(folder)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_that_special_tokens_fill_is_refused(make, limit):
    folder = make(tiny("bert"))
    edit(folder, "tokenizer_config.json", model_max_length=limit)
    for told in (load(folder), error(training.load_tokenizer, source(folder))):
        assert f"model_max_length of mine is {limit}; set it in its tokenizer_config.json" in told
    edit(folder, "tokenizer_config.json", model_max_length=3)
    assert training.load_classifier(folder, "mine").max_length == 3


@pytest.mark.parametrize(
    "kind, options, most", [("bert", {}, 64), ("bloom", {"max_position_embeddings": None}, 2**31 - 1)]
)
def test_a_tokenizer_without_a_limit_reads_as_far_as_the_model(make, tmp_path, kind, options, most):
    folder = make(tiny(kind, **options))
    edit(folder, "tokenizer_config.json", model_max_length=1e30)
    fitted, _ = fit(folder, tmp_path)
    training.save(fitted, tmp_path / "trained")
    assert training.load_classifier(tmp_path / "trained", "mine").max_length == 32  # as in training
    classifier = training.load_classifier(folder, "mine")
    assert classifier.max_length == most
    short, long = classifier.table(["good " * 62, "good " * 62 + "bad " * 300])["p_LABEL_0"]
    assert (short == pytest.approx(long, abs=1e-6)) == (most == 64)


def test_layers_whose_parts_lie_in_lists_of_their_own_learn_slower_the_lower_they_are(make, tmp_path):
    folder = make(tiny("xlm", emb_dim=32, n_layers=3, n_heads=2, num_hidden_layers=3, pad_index=0))
    chosen = {"layer_lr_decay": 0.5, "frozen_share": 0.0, "train_embeddings": True, "learning_rate": 0.008}
    fitted, _ = fit(folder, tmp_path, **chosen)
    groups = fitted.trainer.optimizer.param_groups
    rates = {id(weight): group["initial_lr"] for group in groups for weight in group["params"]}
    found = {}
    for name, weight in fitted.model.named_parameters():
        layer = re.search(r"(attentions|layer_norm1|ffns|layer_norm2)\.(\d)", name)
        found.setdefault(layer[2] if layer else name.split(".")[1], set()).add(rates[id(weight)])
    below = {"position_embeddings", "embeddings", "layer_norm_emb"}
    assert {key: found.pop(key) for key in "210"} == {"2": {0.008}, "1": {0.004}, "0": {0.002}}
    assert {key: found.pop(key) for key in below} == dict.fromkeys(below, {0.001})
    assert set().union(*found.values()) == {0.008}  # the head


@pytest.mark.parametrize("guards", ["text", [1], {"a": 1}])
def test_guards_that_are_no_list_of_texts_are_refused(make, guards):
    folder = make(tiny("bert"))
    edit(folder, guards=guards)
    assert "has guards in its config.json that are no list of texts" in load(folder)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"num_hidden_layers": 10**9}, "1,000,000,000 as num_hidden_layers"),
        ({"num_labels": 10**9, "id2label": None}, "1,000,000,000 as num_labels"),
        ({"hidden_size": 10**8}, "and its files hold"),
        ({"vocab_size": 10**9}, "the model 1,000,000,000"),
        ({"hidden_size": -5}, "model: mine"),
        ({"model_type": "vit"}, "no text classifier of the architecture vit"),
        ({"model_type": ["bert"]}, "model: mine"),
    ],
)
def test_a_config_that_asks_for_too_much_is_refused_before_memory_is_taken(make, values, words):
    folder = make(tiny("bert"))
    edit(folder, **values)
    assert words in load(folder)


FUNNEL = transformers.FunnelConfig(vocab_size=30522, block_sizes=[1, 1], d_model=32, n_head=2, d_head=16, d_inner=64)


@pytest.mark.parametrize(
    "config, values, words",
    [
        (FUNNEL, {"block_sizes": [10**9], "block_repeats": [1]}, "1,000,000,000 layers in its config.json"),
        (tiny("albert"), {"num_hidden_groups": 1_000}, "describes more than 2,000 modules"),
        (tiny("albert"), {"inner_group_num": 1_000}, "describes more than 2,000 modules"),
    ],
)
def test_a_config_that_asks_for_countless_modules_is_refused_in_seconds(make, monkeypatch, config, values, words):
    folder = make(config)
    edit(folder, **values)
    monkeypatch.setattr(training.loading, "MOST_MODULES", 2_000)
    start = time.process_time()
    assert words in load(folder) and time.process_time() - start < 20
    torch.nn.Sequential(torch.nn.Identity())  # is not counted any more


def test_weights_too_large_for_an_answer_are_refused(make):
    folder = make(tiny("bert"))
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.LayerNorm.weight"].fill_(3e38)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "answers a text with what is no number" in load(folder)


def test_weights_that_are_no_numbers_are_not_trained_either(make):
    folder = make(tiny("bert"))
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"][7] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    recipe = settings.make_recipe("fast", max_length=32)
    assert "has weights that are no numbers" in error(training.load_model, source(folder), ["a", "b"], recipe, 1)


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_and_decoder_learns_several_labels_each_by_itself(make, kind):
    folder = make(tiny(kind, d_kv=16, d_ff=64, eos_token_id=102, pad_token_id=0, decoder_start_token_id=0))
    recipe = settings.make_recipe("fast", max_length=32)
    model = training.load_model(source(folder), ["joy", "anger", "fear"], recipe, 1, several=True)
    ids = torch.tensor([[7, 8, 9, 102], [7, 102, 0, 0]])
    true = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    answer = model(input_ids=ids, attention_mask=(ids > 0).long(), labels=true)
    chances = torch.where(true > 0, answer.logits.sigmoid(), 1 - answer.logits.sigmoid())
    assert answer.loss.item() == pytest.approx(-chances.log().mean().item(), rel=1e-5)


@pytest.mark.parametrize("kind, expected", [("deberta", False), ("bert", True)])
def test_an_architecture_that_bf16_cannot_compute_is_trained_in_fp32(make, tmp_path, monkeypatch, kind, expected):
    folder = make(tiny(kind))
    monkeypatch.setattr("textlab.machine.environment.precision", lambda: "bf16")
    assert training.fitting.computes_in(training.load_classifier(folder, "mine").model, "bf16") == expected
    if not expected:
        recipe = settings.make_recipe("fast", epochs=1, batch_size=4, max_length=32)
        model = training.load_model(source(folder), ["a", "b"], recipe, 1)
        assert training.fitting._precision(model, recipe) == "fp32"
        fitted, _ = fit(folder, tmp_path)
        assert not fitted.trainer.args.bf16
        wanted = settings.make_recipe("fast", precision="bf16", max_length=32)
        assert "deberta cannot be computed in bf16" in error(training.fitting._precision, model, wanted)
