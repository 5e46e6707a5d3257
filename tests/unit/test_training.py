"""The recipe as a Trainer: order of batches, guards, repeatability, saving."""

import math

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers.utils import logging as transformers_logging

from textlab import InputError, data, hub, prediction, training

LABELS = ["bad", "good"]


@pytest.fixture(scope="module")
def setting():
    """A tiny model, its tokenizer, and two splits of texts that words tell apart."""
    transformers_logging.set_verbosity_error()
    rows = [(f"this is {'very ' * (i % 7)}{'awful' if i % 2 == 0 else 'lovely'}", i % 2) for i in range(96)]
    features = Features({"text": Value("string"), "label": ClassLabel(names=LABELS)})
    splits = DatasetDict({name: Dataset.from_dict({"text": [t for t, _ in part], "label": [l for _, l in part]}, features)
                          for name, part in (("train", rows[:64]), ("validation", rows[64:]))})
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    return source, tokenizer, data.tokenize(splits, tokenizer, 32), splits


def run(setting, folder, seed=1, callbacks=(), **chosen):
    source, tokenizer, tokens, _ = setting
    recipe = training.make_recipe("short_text", **({"epochs": 2, "learning_rate": 3e-3, "batch_size": 8, "frozen_share": 0.0} | chosen))
    model = training.load_model(source, LABELS, recipe, seed)
    return training.fit(model, tokenizer, tokens, recipe, seed, folder, callbacks)


def weights(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.model.parameters()])


def test_a_tiny_model_learns_and_reports_what_it_did(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=4)
    _, tokenizer, _, splits = setting
    chances = prediction.probabilities(fitted.model, tokenizer, splits["validation"]["text"][:], 32)
    assert (chances.argmax(1) == splits["validation"]["label"][:]).mean() > 0.9
    assert fitted.history["eval_macro_f1"].notna().sum() == 4
    assert fitted.seconds > 0 and fitted.samples_per_second == pytest.approx(64 * fitted.epochs / fitted.seconds)
    assert not list(tmp_path.iterdir())  # checkpoints are gone, and nothing else was touched


def test_same_seed_same_weights_other_seed_other_weights(setting, tmp_path):
    first = weights(run(setting, tmp_path))
    assert torch.equal(first, weights(run(setting, tmp_path)))
    assert not torch.equal(first, weights(run(setting, tmp_path, seed=2)))


class Ruin(training.TrainerCallback):
    """Empties the output layer at the end of the last epoch, so that the last model is the worst."""

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step == state.max_steps:
            with torch.no_grad():
                model.classifier.weight.zero_()


def test_the_best_epoch_is_kept_not_the_last(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=4, callbacks=[Ruin()])
    scores = fitted.history["eval_macro_f1"].dropna().tolist()
    assert scores[-1] < max(scores)
    assert fitted.trainer.evaluate()["eval_macro_f1"] == pytest.approx(max(scores))


def test_early_stopping_ends_training(setting, tmp_path):
    fitted = run(setting, tmp_path, epochs=9, learning_rate=1e-9, patience=2)
    assert fitted.epochs == 3


def test_frozen_embeddings_do_not_move_and_dropout_is_off(setting, tmp_path):
    source = setting[0]
    recipe = training.make_recipe("short_text")
    model = training.load_model(source, LABELS, recipe, 1)
    before = model.bert.embeddings.word_embeddings.weight.clone()
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    assert torch.equal(before, run(setting, tmp_path).model.bert.embeddings.word_embeddings.weight)
    lab = training.load_model(source, LABELS, training.make_recipe("lab"), 1)
    assert 0.1 in {m.p for m in lab.modules() if isinstance(m, torch.nn.Dropout)}
    assert all(p.requires_grad for p in lab.parameters())


@pytest.mark.parametrize("share, frozen", [(0.0, [False, False]), (0.5, [True, False]), (1.0, [True, True])])
def test_the_lower_layers_stay_frozen(setting, share, frozen):
    model = training.load_model(setting[0], LABELS, training.make_recipe("short_text", frozen_share=share), 1)
    assert [not any(p.requires_grad for p in layer.parameters()) for layer in model.bert.encoder.layer] == frozen
    assert model.classifier.weight.requires_grad


def test_layers_are_found_in_other_architectures():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

    for kind, config in ((DistilBertForSequenceClassification, DistilBertConfig(dim=32, n_heads=2, n_layers=6, hidden_dim=32)),
                         (RobertaForSequenceClassification, RobertaConfig(hidden_size=32, num_attention_heads=2, num_hidden_layers=6,
                                                                          intermediate_size=32))):
        model = kind(config)
        training.freeze(model, training.make_recipe("short_text"))
        trained = [any(p.requires_grad for p in layer.parameters()) for layer in training.layers_of(model)]
        assert trained == [False, False, True, True, True, True]


@pytest.mark.parametrize("learning_rate", [1e30])
def test_a_diverging_run_stops_with_one_line(setting, tmp_path, learning_rate):
    with pytest.raises(training.TrainingError) as error:
        run(setting, tmp_path, learning_rate=learning_rate)
    assert "step" in str(error.value) and "learning rate 1e+30" in str(error.value) and "\n" not in str(error.value)


def test_guard_lets_finite_numbers_pass_and_stops_others():
    from transformers import TrainerControl, TrainerState, TrainingArguments

    guard, state = training.Guard(), TrainerState(global_step=7, epoch=0.5)
    arguments = TrainingArguments(output_dir="unused", learning_rate=1.0, use_cpu=True, report_to="none")
    guard.on_log(arguments, state, TrainerControl(), logs={"loss": 0.0, "grad_norm": 1e9})
    for logs in ({"loss": math.nan}, {"grad_norm": math.inf}, {"eval_loss": math.nan}):
        with pytest.raises(training.TrainingError, match="at step 7"):
            guard.on_log(arguments, state, TrainerControl(), logs=logs)


def test_sampler_gives_every_row_once_in_batches_of_similar_length():
    lengths = np.random.default_rng(0).integers(3, 60, 1003)
    sampler = training.SimilarLengthSampler(lengths, 32, seed=5)
    order = list(sampler)
    assert sorted(order) == list(range(1003)) and len(sampler) == 1003
    spans = [np.ptp(lengths[order[i:i + 32]]) for i in range(0, 992, 32)]
    assert max(spans) <= 4
    firsts = [lengths[order[i]] for i in range(0, 992, 32)]
    assert np.corrcoef(firsts, range(31))[0, 1] < 0.6  # the batches themselves come in random order


def test_order_depends_on_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(3, 60, 200)
    sampler = training.SimilarLengthSampler(lengths, 16, seed=5)
    first = list(sampler)
    assert first == list(sampler) == list(training.SimilarLengthSampler(lengths, 16, seed=5))
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(training.SimilarLengthSampler(lengths, 16, seed=6)) != first


def test_fewer_rows_than_a_batch():
    assert sorted(training.SimilarLengthSampler(np.array([3, 9, 4]), 32, seed=0)) == [0, 1, 2]


def test_the_trainer_changes_the_order_with_the_epoch(setting, tmp_path):
    seen = []

    class Spy(training.TrainerCallback):
        def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
            self.loader = train_dataloader

        def on_step_end(self, args, state, control, train_dataloader=None, **kwargs):
            seen.append((state.epoch, train_dataloader.batch_sampler.sampler.epoch))

    run(setting, tmp_path, callbacks=[Spy()])
    assert {epoch for _, epoch in seen} == {0, 1}


def test_padded_tokens_by_hand():
    tokens = Dataset.from_dict({"input_ids": [[1] * n for n in (2, 4, 2, 4)]})
    assert training.padded_tokens(tokens, batch_size=2, seed=0) == {
        "tokens in the texts": 12, "padded in batches of similar length": 12, "padded to the longest text": 16}


def test_a_saved_model_answers_the_same_and_leaves_no_pickle(setting, tmp_path):
    fitted = run(setting, tmp_path)
    digest = training.save(fitted, tmp_path / "model")
    saved = hub.resolve_model(str(tmp_path / "model"))
    assert saved.files["model.safetensors"] == digest
    assert not [name for name in saved.files if name.endswith((".bin", ".pt", ".pkl"))]
    texts = ["this is awful", "lovely"]
    loaded = training.load_model(saved, LABELS, fitted.recipe, seed=99, keep_head=True)
    tokenizer = training.load_tokenizer(saved)
    assert np.array_equal(prediction.probabilities(loaded, tokenizer, texts, 32), prediction.probabilities(fitted.model, tokenizer, texts, 32))
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
    with pytest.raises(InputError, match="max_length: got 512, but tiny reads at most 128 tokens"):
        training.load_model(setting[0], LABELS, training.make_recipe("short_text", max_length=512), 1)


def test_recipes_take_chosen_values_and_refuse_unknown_ones():
    assert training.make_recipe("lab", epochs=None).learning_rate == 2e-5
    assert training.make_recipe("lab", epochs=7).epochs == 7
    with pytest.raises(InputError, match="accepted are short_text, lab"):
        training.make_recipe("fast")
    with pytest.raises(InputError, match="a recipe has no lr; it has"):
        training.make_recipe("lab", lr=1)
