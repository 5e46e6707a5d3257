"""The recipe as a Trainer: order of batches, guards, repeatability, saving."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from safetensors.torch import load_file
from transformers import TrainerCallback
from transformers.utils import logging as transformers_logging

from textlab import data, evaluation, hub, settings, training
from textlab.errors import InputError, TrainingError
from textlab.training import checkpoints, fitting
from textlab.training.layers import freeze, layers_of
from textlab.training.short_layer import AFTER_ATTENTION, first_token_only
from textlab.training.trainer import SimilarLengthSampler, TextTrainer

LABELS = ["bad", "good"]


@pytest.fixture(scope="module")
def setting():
    """A tiny model, its tokenizer, and two splits of texts that words tell apart."""
    transformers_logging.set_verbosity_error()
    rows = [(f"this is {'very ' * (i % 7)}{'awful' if i % 2 == 0 else 'lovely'}", i % 2) for i in range(96)]
    features = Features({"text": Value("string"), "label": ClassLabel(names=LABELS)})
    splits = DatasetDict(
        {
            name: Dataset.from_dict(
                {"text": [text for text, _ in part], "label": [label for _, label in part]}, features
            )
            for name, part in (("train", rows[:64]), ("validation", rows[64:]))
        }
    )
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    return source, tokenizer, data.tokenize(splits, tokenizer, 32), splits


def run(setting, folder, seed=1, callbacks=(), **chosen):
    source, tokenizer, tokens, _ = setting
    recipe = settings.make_recipe(
        "fast",
        **({"epochs": 2, "learning_rate": 3e-3, "batch_size": 8, "frozen_share": 0.0, "average": 0.0} | chosen),
    )
    model = training.load_model(source, LABELS, recipe, seed)
    return training.fit(model, tokenizer, tokens, recipe, seed, training.Resumable(folder), callbacks)


def weights(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.model.parameters()])


def test_a_tiny_model_learns_and_reports_what_it_did(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=4)
    _, tokenizer, _, splits = setting
    chances = training.probabilities(fitted.model, tokenizer, splits["validation"]["text"][:], 32)
    assert (chances.argmax(1) == splits["validation"]["label"][:]).mean() > 0.9
    assert fitted.history["eval_macro_f1"].notna().sum() == 4
    assert fitted.seconds > 0 and fitted.samples_per_second == pytest.approx(64 * fitted.epochs / fitted.seconds)
    assert not list(tmp_path.iterdir())  # checkpoints are gone, and nothing else was touched


def test_the_contrastive_term_of_texts_that_look_alike_is_no_divergence(setting, tmp_path):
    losses = run(setting, tmp_path, epochs=1, batch_size=32, contrastive=1.0, learning_rate=1e-6).history["loss"]
    assert losses.dropna().iloc[0] > 5 * math.log(2)  # the limit without the term


def test_same_seed_same_weights_other_seed_other_weights(setting, tmp_path):
    first = weights(run(setting, tmp_path))
    assert torch.equal(first, weights(run(setting, tmp_path)))
    assert not torch.equal(first, weights(run(setting, tmp_path, seed=2)))


class Ruin(TrainerCallback):
    """Empties the output layer at the end of the last epoch, so that the last model is the worst."""

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step == state.max_steps:
            with torch.no_grad():
                model.classifier.weight.zero_()


def test_the_best_epoch_is_kept_not_the_last(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=4, callbacks=[Ruin()], keep="best")
    scores = fitted.history["eval_macro_f1"].dropna().tolist()
    assert scores[-1] < max(scores)
    assert fitted.trainer.evaluate()["eval_macro_f1"] == pytest.approx(max(scores))


def test_early_stopping_ends_training(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=9, learning_rate=1e-9, patience=2, keep="best")
    assert fitted.epochs == 3


def test_the_last_epoch_is_kept_and_none_is_left_out_unless_the_recipe_says_so(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=4, callbacks=[Ruin()])
    assert fitted.epochs == 4 and not fitted.model.classifier.weight.any()


def test_what_is_kept_does_not_depend_on_the_plan(setting, tmp_path):
    source, tokenizer, tokens, _ = setting
    recipe = settings.make_recipe("fast", epochs=2, batch_size=8, average=0.9)
    plans = training.Resumable(tmp_path / "a"), training.Unsaved(tmp_path / "b")
    one, other = (
        training.fit(training.load_model(source, LABELS, recipe, 1), tokenizer, tokens, recipe, 1, plan)
        for plan in plans
    )
    assert torch.equal(weights(one), weights(other))


def test_frozen_embeddings_do_not_move_and_dropout_is_off(setting, tmp_path):
    source = setting[0]
    recipe = settings.make_recipe("fast")
    model = training.load_model(source, LABELS, recipe, 1)
    before = model.bert.embeddings.word_embeddings.weight.clone()
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    assert torch.equal(before, run(setting, tmp_path).model.bert.embeddings.word_embeddings.weight)
    lab = training.load_model(source, LABELS, settings.make_recipe("lab"), 1)
    assert 0.1 in {m.p for m in lab.modules() if isinstance(m, torch.nn.Dropout)}
    assert all(p.requires_grad for p in lab.parameters())


@pytest.mark.parametrize("share, frozen", [(0.0, [False, False]), (0.5, [True, False]), (1.0, [True, True])])
def test_the_lower_layers_stay_frozen(setting, share, frozen):
    model = training.load_model(setting[0], LABELS, settings.make_recipe("fast", frozen_share=share), 1)
    assert [not any(p.requires_grad for p in layer.parameters()) for layer in model.bert.encoder.layer] == frozen
    assert model.classifier.weight.requires_grad


def test_layers_are_found_in_other_architectures():
    from transformers import (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    for kind, config in (
        (DistilBertForSequenceClassification, DistilBertConfig(dim=32, n_heads=2, n_layers=6, hidden_dim=32)),
        (
            RobertaForSequenceClassification,
            RobertaConfig(hidden_size=32, num_attention_heads=2, num_hidden_layers=6, intermediate_size=32),
        ),
    ):
        model = kind(config)
        freeze(model, settings.make_recipe("fast"))
        trained = [any(p.requires_grad for p in layer.parameters()) for layer in layers_of(model)]
        assert trained == [False, False, False, True, True, True]


@pytest.mark.parametrize("learning_rate", [1e30, 10.0])
def test_a_diverging_run_stops_with_one_line(setting, tmp_path, learning_rate):
    with pytest.raises(TrainingError) as error:
        run(setting, tmp_path, learning_rate=learning_rate, epochs=9)
    assert "step" in str(error.value) and "learning rate " in str(error.value) and "\n" not in str(error.value)


def poison(value, step):
    """A callback that puts a number into the weights after a step, so that the next one cannot be finite."""

    class Poison(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step == step:
                with torch.no_grad():
                    model.classifier.weight[0, 0] = value

    return Poison()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_first_loss_that_is_no_number_stops_training_and_keeps_the_last_good_checkpoint(setting, tmp_path, value):
    with pytest.raises(
        TrainingError,
        match=r"at step 12 \(epoch 2, batch 4 of 8 with rows \d+, .* learning rate 0.00"
        r".*checkpoint-8 is the last good one",
    ):
        run(setting, tmp_path, callbacks=[poison(value, 11)])
    (kept,) = tmp_path.glob("checkpoints-*/checkpoint-*")
    assert kept.name == "checkpoint-8" and not checkpoints.fault(kept)
    assert all(torch.isfinite(tensor).all() for tensor in load_file(kept / "model.safetensors").values())


def test_the_rows_that_the_guard_names_are_those_of_the_batch(setting, tmp_path):
    tokens = setting[2]
    seen = []

    class Spy(TextTrainer):
        def training_step(self, model, inputs, *args, **kwargs):
            seen.append(inputs["input_ids"].tolist())
            return super().training_step(model, inputs, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "TextTrainer", Spy)
        with pytest.raises(TrainingError) as error:
            run(setting, tmp_path, callbacks=[poison(math.nan, 11)], batch_size=4)
    rows = [int(row) for row in re.search(r"rows ([\d, ]+) of train", str(error.value))[1].split(",")]
    assert [tokens["train"][row]["input_ids"] for row in rows] == [[i for i in ids if i] for ids in seen[-1]]


def test_a_collapsed_epoch_is_named(setting, tmp_path):
    fitted = run(setting, tmp_path, learning_rate=1e-9)
    assert len(fitted.notes) == 2 and "gives every text the same answer" in fitted.notes[0]
    assert not run(setting, tmp_path, epochs=4, learning_rate=0.01).notes[2:]


def test_sampler_gives_every_row_once_in_batches_of_similar_length():
    lengths = np.random.default_rng(0).integers(3, 60, 1003)
    sampler = SimilarLengthSampler(lengths, 32, seed=5)
    order = list(sampler)
    assert sorted(order) == list(range(1003)) and len(sampler) == 1003
    spans = [np.ptp(lengths[order[i : i + 32]]) for i in range(0, 992, 32)]
    assert max(spans) <= 4
    firsts = [lengths[order[i]] for i in range(0, 992, 32)]
    assert np.corrcoef(firsts, range(31))[0, 1] < 0.6  # the batches themselves come in random order


def test_order_depends_on_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(3, 60, 200)
    sampler = SimilarLengthSampler(lengths, 16, seed=5)
    first = list(sampler)
    assert first == list(sampler) == list(SimilarLengthSampler(lengths, 16, seed=5))
    assert list(SimilarLengthSampler(lengths, 16, seed=5, epoch=lambda: 1)) != first
    assert list(SimilarLengthSampler(lengths, 16, seed=6)) != first


def test_fewer_rows_than_a_batch():
    assert sorted(SimilarLengthSampler(np.array([3, 9, 4]), 32, seed=0)) == [0, 1, 2]


def test_the_trainer_changes_the_order_with_the_epoch(setting, tmp_path):
    seen = []

    class Spy(TrainerCallback):
        def on_step_end(self, args, state, control, train_dataloader=None, **kwargs):
            seen.append(list(train_dataloader.batch_sampler.sampler))

    run(setting, tmp_path, callbacks=[Spy()])
    assert seen[0] == seen[6] != seen[8] == seen[14]


def test_padded_tokens_by_hand():
    tokens = Dataset.from_dict({"input_ids": [[1] * n for n in (2, 4, 2, 4)]})
    table = training.padded_tokens(tokens, batch_size=2, seed=0, max_length=8)
    assert set(table["own"]) == {12}
    assert table["padding"].drop("random batches").to_dict() == {
        "all padded to 8": 20,
        "all padded to the longest text": 4,
        "batches of similar length": 0,
    }
    assert table.loc["random batches", "padding"] in (0, 4)


def test_work_by_hand(setting):
    model = training.load_model(setting[0], LABELS, settings.make_recipe("fast"), 1)
    width, inner = model.config.hidden_size, model.config.intermediate_size
    tokens = Dataset.from_dict({"input_ids": [[1] * 4, [1] * 4]})
    qkv, rest = 3 * width**2, width**2 + 2 * width * inner
    recipe = settings.make_recipe(
        "fast", epochs=3, max_length=96, batch_size=2
    )  # two layers: one frozen, one shortened
    assert training.work(model, tokens, recipe, remember=False) * 1e9 == pytest.approx(
        8 * (qkv + rest) + 3 * (8 * qkv + 2 * rest)
    )
    assert training.work(model, tokens, recipe) * 1e9 == pytest.approx(8 / 3 * (qkv + rest) + 3 * (8 * qkv + 2 * rest))


@pytest.mark.parametrize("kind", sorted(AFTER_ATTENTION))
def test_a_shortened_last_layer_gives_the_same_answers_and_gradients(kind):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    sizes = {"distilbert": {"dim": 32, "n_heads": 2, "n_layers": 2, "hidden_dim": 64}}.get(
        kind,
        {
            "hidden_size": 32,
            "embedding_size": 32,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "intermediate_size": 64,
        },
    )
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(kind, vocab_size=50, num_labels=3, **sizes)
    ).eval()
    ids = torch.randint(5, 50, (4, 9))
    mask = (torch.arange(9) < torch.tensor([[9], [4], [6], [2]])).long()

    def answers():
        model.zero_grad()
        logits = model(input_ids=ids, attention_mask=mask).logits
        logits.square().sum().backward()
        return logits.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    plain = answers()
    seen = []
    handle = layers_of(model)[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    with first_token_only(model) as shortened:
        assert shortened
        short = answers()
    states = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    assert states.shape == (4, 1, 32)  # the other tokens were not computed
    handle.remove()
    for a, b in zip(plain, short):
        assert torch.allclose(a, b, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(plain, answers()))  # and nothing stays behind


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_frozen_layers_are_computed_once_and_give_the_same_answers(kind):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    sizes = {"distilbert": {"dim": 32, "n_heads": 2, "n_layers": 3, "hidden_dim": 64}}.get(
        kind, {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 64}
    )
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(kind, vocab_size=50, num_labels=3, pad_token_id=1, **sizes)
    ).eval()
    model.base_model.embeddings.requires_grad_(False)
    layers = layers_of(model)
    layers[:2].requires_grad_(False)
    ids = torch.randint(5, 50, (4, 9))
    lengths = torch.tensor([[9], [4], [6], [2]])
    mask = (torch.arange(9) < lengths).long()
    ids = torch.where(mask.bool(), ids, 1)
    rows = Dataset.from_dict({"input_ids": [row[:n].tolist() for row, (n,) in zip(ids, lengths)]})

    def answers():
        model.zero_grad()
        logits = model(input_ids=ids, attention_mask=mask).logits
        logits.square().sum().backward()
        return logits.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    computed = []
    layers[1].get_submodule("attention").register_forward_hook(lambda module, inputs, output: computed.append(inputs))
    plain, memory = answers(), training.FrozenMemory()
    with memory.used_by(model, [rows.select([0, 1, 2])]) as used:  # the fourth text is met on the way
        assert used
        before = len(computed)
        first, again = answers(), answers()
        assert len(computed) == before + 1
    with memory.used_by(model, [rows.select([2, 0, 1])]):
        answers()
        assert len(computed) == before + 1  # all are known already
    with memory.used_by(model, [rows]):
        assert len(computed) > before + 1  # other texts: in the batches that an empty memory would compute them in
    for a, b in zip(plain, first):
        assert torch.allclose(a, b, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert all(torch.equal(a, b) for a, b in zip(plain, answers()))  # and nothing stays behind
    with torch.no_grad():
        for weight in layers[0].parameters():
            weight.add_(torch.randn_like(weight))
    changed = answers()
    with memory.used_by(model, [rows]):  # other weights: the old answers are not used
        assert torch.allclose(answers()[0], changed[0], atol=1e-5) and not torch.allclose(
            changed[0], plain[0], atol=1e-5
        )


def test_nothing_is_remembered_where_the_lower_layers_learn(setting):
    for chosen in ({"frozen_share": 0.0}, {"train_embeddings": True}):
        model = training.load_model(setting[0], LABELS, settings.make_recipe("fast", **chosen), 1)
        with training.FrozenMemory().used_by(model, [setting[2]["train"]]) as used:
            assert not used


def test_a_model_whose_head_reads_more_is_left_alone():
    from transformers import AutoConfig, AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(
            "modernbert",
            vocab_size=50,
            hidden_size=32,
            num_attention_heads=2,
            num_hidden_layers=2,
            intermediate_size=64,
            pad_token_id=0,
        )
    )
    with first_token_only(model) as shortened:
        assert not shortened


def test_layers_learn_slower_the_lower_they_are(setting, tmp_path):
    source, tokenizer, tokens, _ = setting
    recipe = settings.make_recipe(
        "fast", epochs=1, layer_lr_decay=0.5, frozen_share=0.0, train_embeddings=True, learning_rate=0.8
    )
    model = training.load_model(source, LABELS, recipe, 1)
    trainer = training.build(model, tokenizer, tokens, recipe, 1, training.Resumable(tmp_path))
    rates = {id(p): group["lr"] for group in trainer.create_optimizer().param_groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert {rate for name, rate in found.items() if "layer.1." in name or "classifier" in name or "pooler" in name} == {
        0.8
    }
    assert {rate for name, rate in found.items() if "layer.0." in name} == {0.4}
    assert {rate for name, rate in found.items() if "embeddings" in name} == {0.2}


def test_a_warmup_of_all_steps_ends_with_the_last_one(setting, tmp_path):
    rates = run(setting, tmp_path, warmup=1.0, epochs=1).history["learning_rate"].dropna()
    assert len(rates) == 8 and rates.is_monotonic_increasing


def test_class_weights_and_smoothing_change_the_loss_as_stated(setting, tmp_path):
    source, tokenizer, tokens, _ = setting
    rare = DatasetDict(train=tokens["train"].select([*range(0, 60, 2), 1, 3]), validation=tokens["validation"])
    model = training.load_model(source, LABELS, settings.make_recipe("fast"), 1)
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0]])
    labels = torch.tensor([0, 1])

    def loss(in_training=True, **chosen):
        trainer = training.build(
            model, tokenizer, rare, settings.make_recipe("fast", **chosen), 1, training.Resumable(tmp_path)
        )
        trainer.model.train(in_training)
        return trainer.compute_loss_func(SimpleNamespace(logits=logits), labels).item()

    each = -logits.log_softmax(1)
    weights = torch.tensor([32 / (2 * 30), 32 / (2 * 2)])
    assert loss(class_weights=True) == pytest.approx(((weights * each[[0, 1], labels]).sum() / weights.sum()).item())
    assert loss(label_smoothing=0.2) == pytest.approx((0.8 * each[[0, 1], labels] + 0.2 * each.mean(1)).mean().item())
    assert loss(in_training=False, label_smoothing=0.2, class_weights=True) == pytest.approx(
        each[[0, 1], labels].mean().item()
    )


def test_averaged_weights_are_what_is_validated_and_returned(setting, tmp_path):
    raw, averaged = (
        run(setting, tmp_path, average=decay, epochs=3, learning_rate=0.01, keep="best") for decay in (0.0, 0.9)
    )
    assert not torch.equal(weights(raw), weights(averaged))
    best = averaged.history["eval_macro_f1"].max()
    assert averaged.trainer.evaluate()["eval_macro_f1"] == pytest.approx(best)
    by_hand = Moving(0.9)
    last = run(setting, tmp_path / "hand", callbacks=[by_hand], average=0.9, epochs=1, patience=1)
    assert torch.allclose(weights(last), by_hand.mean, atol=1e-6)


class Moving(TrainerCallback):
    """The moving average, computed another way."""

    def __init__(self, decay):
        self.decay, self.mean = decay, None

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.mean = torch.cat([p.detach().flatten() for p in model.parameters()])

    def on_step_end(self, args, state, control, model=None, **kwargs):
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        self.mean = decay * self.mean + (1 - decay) * torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_labs_mistake_is_called_out(tmp_path):
    """The first 100 rows, sorted by label, 3 epochs at 2e-5: the model answers everything alike, and that is said."""
    texts = data.load("packaged").splits
    order = np.argsort(texts["train"]["label"], kind="stable")[:100].tolist()
    first = DatasetDict(train=texts["train"].select(order), validation=texts["validation"].select(range(100)))
    source, recipe = hub.resolve_model("tiny"), settings.make_recipe("lab")
    tokenizer = training.load_tokenizer(source)
    names = texts["train"].features["label"].names
    fitted = training.fit(
        training.load_model(source, names, recipe, 1),
        tokenizer,
        data.tokenize(first, tokenizer, recipe.max_length),
        recipe,
        1,
        training.Resumable(tmp_path),
    )
    assert len(fitted.notes) == 3 and all("the same answer" in note for note in fitted.notes)
    answers = training.probabilities(fitted.model, tokenizer, first["validation"]["text"][:], recipe.max_length).argmax(
        1
    )
    scores = {
        "majority": evaluation.score(first["validation"], np.zeros(100, int)),
        "tfidf_svm": {"macro_f1": 0.5},
        "model": evaluation.score(first["validation"], answers),
    }
    assert "a single class" in evaluation.guards(answers, scores, names)[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_saved_model_answers_the_same_and_leaves_no_pickle(setting, tmp_path, precision):
    fitted = run(setting, tmp_path, precision=precision)
    digest = training.save(fitted, tmp_path / "model")
    saved = hub.resolve_model(str(tmp_path / "model"))
    assert saved.files["model.safetensors"] == digest
    assert not [name for name in saved.files if name.endswith((".bin", ".pt", ".pkl"))]
    texts = ["this is awful", "lovely"]
    loaded = training.load_model(saved, LABELS, fitted.recipe, seed=99, keep_head=True)
    tokenizer = training.load_tokenizer(saved)
    assert np.array_equal(
        training.probabilities(loaded, tokenizer, texts, 32),
        training.probabilities(fitted.model, tokenizer, texts, 32),
    )
    assert loaded.config.id2label == {0: "bad", 1: "good"}


def test_training_a_fine_tuned_model_again_starts_with_a_new_head(setting, tmp_path):
    fitted = run(setting, tmp_path)
    training.save(fitted, tmp_path / "model")
    saved = hub.resolve_model(str(tmp_path / "model"))
    heads = [training.load_model(saved, LABELS, fitted.recipe, seed).classifier.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], fitted.model.classifier.weight)
    assert training.load_model(saved, ["a", "b", "c"], fitted.recipe, 1).classifier.out_features == 3


def test_texts_longer_than_the_model_reads_are_refused(setting):
    with pytest.raises(InputError, match="max_length: got 512, but this model reads at most 128 tokens"):
        training.load_model(setting[0], LABELS, settings.make_recipe("fast", max_length=512), 1)


def test_recipes_take_chosen_values_and_refuse_unknown_ones():
    assert settings.make_recipe("lab", epochs=None).learning_rate == 2e-5
    assert settings.make_recipe("lab", epochs=7).epochs == 7
    with pytest.raises(InputError, match="accepted are short_text, fast, probe, lab"):
        settings.make_recipe("slow")
    with pytest.raises(InputError, match="a recipe has no lr; it has"):
        settings.make_recipe("lab", lr=1)
