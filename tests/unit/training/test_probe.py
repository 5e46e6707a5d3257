"""The linear probe as a baseline, and heads that read the mean of all tokens."""

import numpy as np
import pytest
import torch
import transformers
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import AutoModelForSequenceClassification

from textlab import data, evaluation, hub, settings, training
from textlab.errors import InputError
from textlab.training.inference import mean_states
from textlab.training.loading import computes_in
from textlab.training.pooling import KINDS, SCALE, SHIFT, read_the_mean

LABELS = ["bad", "good"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 40}
CONFIGS = {
    "bert": transformers.BertConfig(**SMALL),
    "roberta": transformers.RobertaConfig(**SMALL, pad_token_id=1),
    "xlm-roberta": transformers.XLMRobertaConfig(**SMALL, pad_token_id=1),
    "electra": transformers.ElectraConfig(**SMALL, embedding_size=16),
    "distilbert": transformers.DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32, vocab_size=40),
}


def splits(rows):
    features = Features({"text": Value("string"), "label": ClassLabel(names=LABELS)})
    texts = [(f"this is {'very ' * (i % 7)}{'awful' if i % 2 == 0 else 'lovely'}", i % 2) for i in range(rows)]
    parts = {"train": texts[: rows // 2], "validation": texts[rows // 2 :]}
    return DatasetDict(
        {
            name: Dataset.from_dict(dict(zip(("text", "label"), map(list, zip(*part)))), features)
            for name, part in parts.items()
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_reads_the_mean_of_the_tokens_and_nothing_else(kind, tmp_path):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(CONFIGS[kind], attn_implementation="eager").eval()
    ids = torch.tensor([[0, 5, 6, 7, 8, 2], [0, 9, 2, 1, 1, 1]])
    mask = torch.tensor([[1] * 6, [1] * 3 + [0] * 3])
    with torch.no_grad():
        states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
        means = states.sum(1) / mask.sum(1, keepdim=True)
        seen = torch.nn.functional.layer_norm(means, means.shape[1:])
        read_the_mean(model)
        last = getattr(model.classifier, "out_proj", model.classifier)
        activation = {"electra": torch.nn.functional.gelu, "distilbert": torch.relu}.get(kind, torch.tanh)
        wanted = last(activation(SCALE * seen + (SHIFT if kind in ("electra", "distilbert") else 0)))
        found = model(input_ids=ids, attention_mask=mask).logits
        assert torch.allclose(found, wanted, atol=2e-4)
        model.save_pretrained(tmp_path)
        again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        assert torch.allclose(again(input_ids=ids, attention_mask=mask).logits, found, atol=1e-5)


def test_a_mean_that_fp16_cannot_hold_is_not_computed_in_it():
    model = AutoModelForSequenceClassification.from_config(CONFIGS["bert"], attn_implementation="eager").eval()
    model.bert.encoder.layer[-1].output.LayerNorm.bias.data[0] = 10
    assert computes_in(model, "fp16")
    read_the_mean(model)
    assert computes_in(model, "bf16") and not computes_in(model, "fp16")


def test_an_architecture_without_such_a_head_is_refused():
    model = transformers.AlbertForSequenceClassification(
        transformers.AlbertConfig(**SMALL, embedding_size=16, num_labels=2)
    )
    with pytest.raises(InputError, match="pooling: mean is built for bert, .* not for albert; choose head"):
        read_the_mean(model)


def test_the_recipe_probe_trains_the_last_linear_map_alone_and_answers_like_the_baseline(tmp_path):
    texts, source = splits(160), hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    recipe = settings.make_recipe("probe", epochs=30, max_length=32)
    model = training.load_model(source, LABELS, recipe, seed=1)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    tokens = data.tokenize(texts, tokenizer, 32)
    fitted = training.fit(model, tokenizer, tokens, recipe, 1, training.Unsaved(tmp_path))
    changed = {name for name, weight in fitted.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    training.save(fitted, tmp_path / "model")
    saved = training.load_classifier(tmp_path / "model", "saved")
    answers = saved.table(texts["validation"]["text"][:])["label"]
    baseline = training.Probe(source, LABELS, tokenizer, 32, 1)(texts)["linear_probe"]["validation"]
    assert (answers == [LABELS[i] for i in baseline]).mean() > 0.95
    assert evaluation.score(texts["validation"], baseline)["accuracy"] > 0.95


def test_the_layer_that_takes_the_mean_is_none_of_those_that_a_recipe_counts(tmp_path):
    source, texts = hub.resolve_model("packaged"), splits(8)
    tokenizer = training.load_tokenizer(source)
    tokens, rates = data.tokenize(texts, tokenizer, 32), {}
    for pooling in ("head", "mean"):
        recipe = settings.make_recipe("fast", pooling=pooling, layer_lr_decay=0.5, max_length=32)
        model = training.load_model(source, LABELS, recipe, seed=1)
        trainer = training.build(model, tokenizer, tokens, recipe, 1, training.Unsaved(tmp_path))
        groups = trainer.create_optimizer().param_groups
        found = {id(weight): group["lr"] for group in groups for weight in group["params"]}
        layers = model.bert.encoder.layer
        rates[pooling] = [{found.get(id(weight)) for weight in layer.parameters()} for layer in layers]
    assert rates["mean"] == [*rates["head"], {None}]
    assert rates["head"] == [{None}] * 3 + [{rate * recipe.learning_rate} for rate in (0.25, 0.5, 1.0)]


@pytest.mark.parametrize("rows", [4, 6, 14])
def test_a_probe_of_a_handful_of_rows_answers(rows):
    texts, source = splits(rows), hub.resolve_model("tiny")
    answers = training.Probe(source, LABELS, training.load_tokenizer(source), 32, 1)(texts)["linear_probe"]
    assert answers.keys() == {"validation"} and set(answers["validation"]) <= {0, 1}


@pytest.mark.parametrize("ids", [[0] * 5 + [1], [0] * 9 + [1, 2], [0, 1], [0] * 4 + [1] * 2])
@pytest.mark.filterwarnings("error")
def test_rare_classes_and_states_that_are_all_the_same_are_no_trouble(ids, monkeypatch):
    rows = Dataset.from_dict(
        {"text": [f"so {i}" for i in range(len(ids))], "label": ids},
        Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])}),
    )
    source, texts = hub.resolve_model("tiny"), DatasetDict(train=rows, validation=rows)
    tokenizer = training.load_tokenizer(source)
    varied = np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32)
    for states in (varied, np.zeros_like(varied)):
        monkeypatch.setattr("textlab.training.linear_probe.mean_states", lambda *_, states=states: states)
        found = training.Probe(source, ["a", "b", "c"], tokenizer, 32, 1)(texts)["linear_probe"]["validation"]
        assert set(found) <= set(ids)
    assert (found == 0).all() or ids == [0, 1]  # nothing tells the rows apart: the most frequent class


def test_means_leave_padding_out_and_keep_the_order():
    source = hub.resolve_model("tiny")
    tokenizer, model = training.load_tokenizer(source), training.read_model(source, LABELS, 1, "eager")
    texts = ["a very very very long text " * 3, "short", "a text"]
    together = mean_states(model, tokenizer, texts, 32)
    alone = np.concatenate([mean_states(model, tokenizer, [text], 32) for text in texts])
    assert np.allclose(together, alone, atol=1e-5) and not np.allclose(together[0], together[1], atol=1e-3)
