"""A recipe turned into a Trainer: the model, the order of batches, the guards, the fit."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from datasets import Dataset, DatasetDict
from sklearn.metrics import accuracy_score, f1_score
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding,
                          EarlyStoppingCallback, PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerCallback,
                          TrainingArguments)

from . import InputError, runtime
from .hub import Source


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run that are not data, model or seed."""

    learning_rate: float = 4e-4
    batch_size: int = 32
    epochs: int = 2
    weight_decay: float = 0.01
    max_length: int = 96  # tokens; longer texts are cut
    patience: int = 2  # epochs without a better validation macro F1 before training stops
    warmup: float = 0.1  # share of the steps
    max_grad_norm: float = 1.0
    dropout: bool = False
    train_embeddings: bool = False
    frozen_share: float = 1 / 3  # of the layers, from below, that stay as pretrained; no gradient is computed for them
    attention: str = "eager"  # faster than sdpa for short texts on a CPU
    batches_of_similar_length: bool = True
    precision: str = "auto"  # auto, fp32, bf16 or fp16


#: Recipe name -> settings. `lab` is what the usual course script does, kept for comparison: 2e-5, small batches in
#: random order, everything trained in fp32.
RECIPES = {
    "short_text": Recipe(),
    "lab": Recipe(learning_rate=2e-5, batch_size=16, epochs=3, max_length=128, warmup=0.0, dropout=True,
                  train_embeddings=True, frozen_share=0.0, attention="sdpa", batches_of_similar_length=False, precision="fp32"),
}


class TrainingError(RuntimeError):
    """Training was stopped because going on could not give a usable model; the message says why in one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Fit:
    """A finished training run."""

    trainer: Trainer
    recipe: Recipe
    history: pd.DataFrame  # step, epoch, loss, learning_rate, eval_loss, eval_accuracy, eval_macro_f1, ...
    seconds: float  # in the training loop alone, without validation
    samples_per_second: float

    @property
    def model(self) -> PreTrainedModel:
        """The best model by validation macro F1."""
        return self.trainer.model

    @property
    def epochs(self) -> float:
        """Epochs trained, fewer than asked for when training stopped early."""
        return round(self.trainer.state.epoch, 3)


def make_recipe(name: str, **chosen: float | int | None) -> Recipe:
    """Return a named recipe with the chosen values in place of its own; None means the recipe's own value.

    Raises:
        InputError: no recipe or no setting has this name.
    """
    if name not in RECIPES:
        raise InputError(f"recipe: got {name!r}; accepted are {', '.join(RECIPES)}")
    known = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(set(chosen) - known):
        raise InputError(f"a recipe has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return dataclasses.replace(RECIPES[name], **{key: value for key, value in chosen.items() if value is not None})


def from_params(params) -> Recipe:
    """Return the recipe that a notebook's checked parameters describe."""
    names = ("learning_rate", "batch_size", "epochs", "weight_decay", "max_length", "patience")
    return make_recipe(params.recipe, **{name: getattr(params, name) for name in names if hasattr(params, name)})


def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model source, from its local folder."""
    return AutoTokenizer.from_pretrained(source.path, local_files_only=True)


def load_model(source: Source, labels: Sequence[str], recipe: Recipe, seed: int, keep_head: bool = False) -> PreTrainedModel:
    """Return a pretrained model with a new, seeded classification head, also where the source has one already.

    Args:
        source: the model's local folder.
        labels: label names in the order of their ids.
        recipe: says whether dropout is used, what stays frozen, and which attention runs.
        seed: of the new head.
        keep_head: take the source's own head, to use a fine-tuned model and not to train one.

    Raises:
        InputError: the recipe's texts are longer than the model can read.
    """
    runtime.quiet()
    torch.manual_seed(seed)
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        source.path, num_labels=len(labels), id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)}, attn_implementation=recipe.attention,
        local_files_only=True, use_safetensors=True, ignore_mismatched_sizes=not keep_head, output_loading_info=True)
    longest = getattr(model.config, "max_position_embeddings", recipe.max_length)
    if recipe.max_length > longest:
        raise InputError(f"max_length: got {recipe.max_length}, but {source.id} reads at most {longest} tokens")
    if not keep_head and not loading["missing_keys"]:
        _renew_head(model)
    if not recipe.dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    freeze(model, recipe)
    return model


def _renew_head(model: PreTrainedModel) -> None:
    for name, child in model.named_children():
        if name != model.base_model_prefix:
            for key, parameter in child.named_parameters():
                torch.nn.init.zeros_(parameter) if key.endswith("bias") else torch.nn.init.normal_(
                    parameter, std=model.config.initializer_range)


def freeze(model: PreTrainedModel, recipe: Recipe) -> None:
    """Switch off gradients for the parts that a recipe leaves as they were pretrained."""
    if not recipe.train_embeddings:
        getattr(model.base_model, "embeddings", model.get_input_embeddings()).requires_grad_(False)
    layers = layers_of(model)
    layers[:round(recipe.frozen_share * len(layers))].requires_grad_(False)


def layers_of(model: PreTrainedModel) -> torch.nn.ModuleList:
    """Return the Transformer layers of a model, the lowest first."""
    return next(module for module in model.base_model.modules()
                if isinstance(module, torch.nn.ModuleList) and len(module) == model.config.num_hidden_layers)


def build(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: DatasetDict, recipe: Recipe, seed: int,
          folder: Path, callbacks: Sequence[TrainerCallback] = (), keep_best: bool = True) -> Trainer:
    """Return the Trainer for a recipe; validation runs every epoch and early stopping watches macro F1.

    Args:
        tokens: tokenized splits train and validation (columns input_ids, label).
        seed: of the order of batches and of dropout.
        folder: for checkpoints, while training lasts.
        callbacks: added to the guard and early stopping.
        keep_best: save a checkpoint each epoch and end with the best one; off, the last epoch's model stays.
    """
    tokenizer.model_max_length = recipe.max_length  # saved with the tokenizer, so that prediction cuts texts as training did
    precision = runtime.precision() if recipe.precision == "auto" else recipe.precision
    every_epoch = "epoch" if keep_best else "no"
    arguments = TrainingArguments(
        output_dir=str(folder), seed=seed, data_seed=seed,
        learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay, num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size, per_device_eval_batch_size=64,
        warmup_steps=recipe.warmup, max_grad_norm=recipe.max_grad_norm, lr_scheduler_type="linear",
        bf16=precision == "bf16", fp16=precision == "fp16",
        eval_strategy="epoch", save_strategy=every_epoch, save_total_limit=1,
        load_best_model_at_end=keep_best, metric_for_best_model="macro_f1", greater_is_better=True,
        logging_steps=max(1, math.ceil(len(tokens["train"]) / recipe.batch_size / 20)),
        logging_nan_inf_filter=False, dataloader_pin_memory=runtime.device() == "cuda",
        report_to="none", disable_tqdm=True, use_cpu=runtime.device() == "cpu")
    stop_early = [EarlyStoppingCallback(early_stopping_patience=recipe.patience)] if keep_best else []
    trainer = TextTrainer(
        model=model, args=arguments, train_dataset=tokens["train"], eval_dataset=tokens["validation"],
        processing_class=tokenizer, compute_metrics=epoch_metrics,
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8 if precision != "fp32" else None),
        callbacks=[Guard(), *stop_early, *callbacks])
    trainer.similar_length = recipe.batches_of_similar_length
    trainer.remove_callback(_printer())
    return trainer


def fit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: DatasetDict, recipe: Recipe, seed: int,
        folder: Path, callbacks: Sequence[TrainerCallback] = (), keep_best: bool = True, label: str = "") -> Fit:
    """Train, showing one line of progress, and return the best model by validation macro F1.

    Args are those of `build`, and a label for the line of progress.

    Raises:
        TrainingError: the loss or a gradient became NaN or infinite.
    """
    timer = _Timer(f"{label}: " if label else "")
    with tempfile.TemporaryDirectory(prefix="checkpoints-", dir=folder) as checkpoints:
        trainer = build(model, tokenizer, tokens, recipe, seed, Path(checkpoints), [timer, *callbacks], keep_best)
        trainer.train()
    samples = len(tokens["train"]) * trainer.state.epoch
    return Fit(trainer, recipe, history(trainer), timer.seconds, samples / timer.seconds)


def history(trainer: Trainer) -> pd.DataFrame:
    """Return what the Trainer logged: one row a step, training and validation figures of a step merged."""
    logged = pd.DataFrame([row for row in trainer.state.log_history if "train_runtime" not in row])
    return logged.groupby("step", as_index=False).first()


def save(fitted: Fit, folder: Path) -> str:
    """Save model and tokenizer so that `from_pretrained(folder)` loads them; return the weights' SHA-256."""
    from .hub import hash_files

    fitted.trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing here reads
    return hash_files(folder / "model.safetensors")["model.safetensors"]


def epoch_metrics(prediction) -> dict[str, float]:
    """Return accuracy, macro F1, weighted F1 and the number of different classes predicted."""
    logits, labels = prediction.predictions, prediction.label_ids
    predicted = logits.argmax(-1)
    classes = np.arange(logits.shape[-1])
    return {
        "accuracy": accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, labels=classes, average="macro", zero_division=0),
        "weighted_f1": f1_score(labels, predicted, labels=classes, average="weighted", zero_division=0),
        "predicted_classes": len(np.unique(predicted)),
    }


class TextTrainer(Trainer):
    """A Trainer whose training batches hold texts of similar length, in an order that seed and epoch decide.

    Short texts are then not padded to the length of long ones. The stock `group_by_length` sampler has no generator
    of its own, so its order after a resume differs; this one depends on nothing but seed and epoch.
    """

    similar_length = True

    def _get_train_sampler(self, train_dataset: Dataset | None = None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if not self.similar_length:
            return super()._get_train_sampler(dataset)
        return SimilarLengthSampler(_lengths(dataset), self.args.train_batch_size, self.args.data_seed)

    def _get_eval_sampler(self, eval_dataset: Dataset):
        return np.argsort(_lengths(eval_dataset), kind="stable")[::-1].tolist()


class SimilarLengthSampler(torch.utils.data.Sampler):
    """Yields row numbers so that each run of `batch_size` has similar lengths, the runs in random order.

    Args:
        lengths: tokens of each row.
        batch_size: rows a batch.
        seed: with the epoch, decides the order; rows of equal length are shuffled among batches too.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch])
        noise = generator.uniform(0, 1, len(self.lengths))
        by_length = np.lexsort((noise, self.lengths))
        full = len(by_length) // self.batch_size * self.batch_size
        rest = generator.permutation(len(by_length))[: len(by_length) - full]  # the short batch, from any lengths
        batches = np.delete(by_length, rest).reshape(-1, self.batch_size)
        yield from generator.permutation(batches).ravel().tolist()
        yield from by_length[rest].tolist()


def padded_tokens(tokens: Dataset, batch_size: int, seed: int) -> dict[str, int]:
    """Return how many tokens an epoch computes: the texts' own, in batches of similar length, all padded to the longest."""
    lengths = _lengths(tokens)
    order = lengths[list(SimilarLengthSampler(lengths, batch_size, seed))]
    batches = [order[start:start + batch_size] for start in range(0, len(order), batch_size)]
    return {"tokens in the texts": int(lengths.sum()),
            "padded in batches of similar length": int(sum(len(batch) * batch.max() for batch in batches)),
            "padded to the longest text": int(len(lengths) * lengths.max())}


class Guard(TrainerCallback):
    """Stops training at the first loss or gradient norm that is not a finite number."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        for name in ("loss", "grad_norm", "eval_loss"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(value):
                raise TrainingError(f"{name} became {value} at step {state.global_step} (epoch {state.epoch:.2f}, learning "
                                    f"rate {args.learning_rate:g}); no model was saved; try a learning rate ten times smaller")


class _Timer(TrainerCallback):
    """Shows progress and adds up the seconds spent in training steps, without validation and saving."""

    def __init__(self, label: str) -> None:
        self.label, self.seconds, self.steps, self._line = label, 0.0, 0, runtime.ProgressLine()

    def on_epoch_begin(self, args, state, control, **kwargs):
        self._started = time.perf_counter()

    def on_epoch_end(self, args, state, control, **kwargs):
        self.seconds += time.perf_counter() - self._started

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1
        elapsed = self.seconds + time.perf_counter() - self._started
        left = elapsed / self.steps * (state.max_steps - state.global_step)
        self._line.show(f"{self.label}step {state.global_step:,} of {state.max_steps:,}, about {runtime.duration(left)} left")

    def on_train_end(self, args, state, control, **kwargs):
        self._line.show(f"{self.label}trained {state.epoch:g} epochs, {state.global_step:,} steps", final=True)


def _printer() -> type:
    from transformers.trainer_callback import PrinterCallback
    return PrinterCallback


def _lengths(dataset: Dataset) -> np.ndarray:
    return np.array([len(ids) for ids in dataset["input_ids"]])


def first_token_only(model: PreTrainedModel) -> bool:
    """Make the last layer compute, after attention, the first token alone: its head reads no other; return whether it did.

    Known are encoders of the BERT and DistilBERT kind. Logits stay the same up to rounding.
    """
    if model.config.model_type not in ("bert", "roberta", "xlm-roberta", "electra", "distilbert"):
        return False
    last = layers_of(model)[-1]
    place = last.sa_layer_norm if hasattr(last, "sa_layer_norm") else last.attention.output
    if not getattr(place, "first_token_only", False):
        place.register_forward_pre_hook(lambda module, inputs: tuple(states[:, :1] for states in inputs))
        place.first_token_only = True
    return True
