"""A recipe turned into a Trainer, and the fit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset, DatasetDict, List
from scipy.special import expit, logit
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from .. import evaluation
from ..data import row_lengths
from ..errors import InputError
from ..machine import environment
from ..settings import Recipe, suited
from . import checkpoints
from .callbacks import Guard, Progress, ValidateAt
from .contrast import contrasts
from .frozen_memory import FrozenMemory
from .inference import answers_of, set_thresholds
from .label_texts import are_words, with_names
from .loading import computes_in, gives_several, match
from .text_kind import TextKind
from .trainer import TextTrainer

#: How often a training of many epochs is validated.
LOOKS = 5


@dataclass(frozen=True)
class Resumable:
    """A plan of training: leave a checkpoint at each validation, from which an interrupted one can go on.

    Args:
        folder: an interrupted training leaves its checkpoints in `folder/checkpoints-...`.
        resume: go on from checkpoints of the same training (weights, data, recipe, seed); off deletes them.
        save_seconds: time between checkpoints between two validations.
    """

    folder: Path
    resume: bool = True
    save_seconds: float = 120

    def arguments(self, recipe: Recipe) -> dict[str, Any]:
        """Return what the plan adds to the Trainer's arguments."""
        best = {"load_best_model_at_end": True, "metric_for_best_model": "macro_f1", "greater_is_better": True}
        each = "epoch" if recipe.keep == "best" else "no"  # else whenever it is validated
        return {
            "eval_strategy": each,
            "save_strategy": each,
            "restore_callback_states_from_checkpoint": True,
        } | (best if recipe.keep == "best" else {})

    def callbacks(self, recipe: Recipe) -> list[TrainerCallback]:
        """Return what the plan adds to the Trainer's callbacks."""
        if recipe.keep == "best":
            return [EarlyStoppingCallback(early_stopping_patience=recipe.patience)]
        return [ValidateAt(_looks(recipe), save=True)]


@dataclass(frozen=True)
class Unsaved:
    """A plan of training: all epochs, without checkpoints; the last weights stay.

    Args:
        folder: for what the Trainer may write while it runs.
        validate_at: shares of the training after which it is validated, such as 0.5; empty means as `Resumable` does.
    """

    folder: Path
    validate_at: Sequence[float] = ()
    resume = False
    save_seconds = None

    def arguments(self, recipe: Recipe) -> dict[str, Any]:
        """Return what the plan adds to the Trainer's arguments."""
        return {"eval_strategy": "no", "save_strategy": "no"}

    def callbacks(self, recipe: Recipe) -> list[TrainerCallback]:
        """Return what the plan adds to the Trainer's callbacks."""
        return [ValidateAt(self.validate_at or _looks(recipe))]


def _looks(recipe: Recipe) -> list[float]:
    """Return the shares of a training after which it is validated: every epoch, or of many epochs `LOOKS` times."""
    looks = recipe.epochs if recipe.keep == "best" else min(recipe.epochs, LOOKS)
    return [(i + 1) / looks for i in range(looks)]


@dataclass(frozen=True)
class Fit:
    """A finished training run."""

    model: PreTrainedModel  # of the last epoch, or the best by validation macro F1, as the recipe's `keep` says
    recipe: Recipe
    seed: int
    history: pd.DataFrame  # step, epoch, loss, learning_rate, eval_loss, eval_accuracy, eval_macro_f1, ...
    epochs: float  # fewer than asked for when training stopped early
    steps: int
    seconds: float  # in the training loop alone, without validation and saving
    samples_per_second: float
    notes: tuple[str, ...]  # sentences for the reader: resumed from where, what was skipped, collapsed epochs
    trainer: TextTrainer | None = None  # None for a training that was read from where it was recorded
    kind: TextKind | None = None  # of the texts that the model learned from


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: DatasetDict,
    recipe: Recipe,
    seed: int,
    plan: Resumable | Unsaved,
    callbacks: Sequence[TrainerCallback] = (),
    memory: FrozenMemory | None = None,
) -> Fit:
    """Train, showing one line of progress, and return the trained model with its history.

    With `Resumable`, the same call goes on from the newest whole checkpoint that an interrupted training left. It gives
    the same weights, bit for bit on the same machine. Checkpoints are deleted when training has ended.

    Args:
        tokens: tokenized splits train and validation (columns input_ids, label).
        seed: of the order of batches and of dropout.
        plan: whether the training leaves checkpoints to go on from; the recipe's `keep` needs them for `best`.
        callbacks: more callbacks; a `Progress` among them takes the place of the usual line of progress.
        memory: of the outputs of frozen layers, to share among trainings that freeze the same layers.

    Raises:
        TrainingError: the loss or a gradient became NaN or infinite, or the loss diverged.
        InputError: the disk has no room for a checkpoint, or the model cannot be trained so.
    """
    recipe = _whole(recipe, model, tokenizer, tokens)
    if isinstance(plan, Resumable):
        place = plan.folder / f"checkpoints-{identity(model, tokens, recipe, seed)}"
    else:
        place = plan.folder / f"no-checkpoints-{os.getpid()}"
    if not plan.resume:
        shutil.rmtree(place, ignore_errors=True)
    newest, notes = checkpoints.newest_whole(place)
    if not any(isinstance(callback, Progress) for callback in callbacks):
        callbacks = [Progress(), *callbacks]
    plan = dataclasses.replace(plan, folder=place)
    if gives_several(model):
        begin_at_frequencies(model, evaluation.truth(tokens["train"]))
    trainer = build(model, tokenizer, tokens, recipe, seed, plan, callbacks, memory)
    if newest:
        notes.append(f"Training went on from {newest.name}, which an interrupted run of the same training had left.")
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        shutil.rmtree(place, ignore_errors=True)
    finally:
        if not checkpoints.in_order(place):
            shutil.rmtree(place, ignore_errors=True)
    progress, guard = trainer.callback(Progress), trainer.callback(Guard)
    state, seconds = trainer.state, progress.seconds + trainer.preparing
    rate = len(trainer.train_dataset) * state.epoch / seconds
    known = history(trainer), round(state.epoch, 3), state.global_step, seconds, rate, (*notes, *guard.warnings(state))
    return Fit(trainer.model, recipe, seed, *known, trainer)


@torch.no_grad()
def begin_at_frequencies(model: PreTrainedModel, true: np.ndarray) -> None:
    """Let a new head give each label the probability of its share of the rows.

    From 0.5 on, all labels that are rare would first push all texts the same way, and what the pretrained model tells
    apart would be lost on it. A head without a bias, as decoders have it, stays as it is.

    Args:
        true: 0 and 1 for each label, shape (rows, labels).
    """
    shares = (true.sum(0) + 1) / (len(true) + 2)
    body = set(model.base_model.modules())
    linear = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part.bias is not None]
    for head in [part for part in linear if part.out_features == len(shares) and part not in body][-1:]:
        head.bias.copy_(torch.from_numpy(logit(shares)))


def build(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: DatasetDict,
    recipe: Recipe,
    seed: int,
    plan: Resumable | Unsaved,
    callbacks: Sequence[TrainerCallback] = (),
    memory: FrozenMemory | None = None,
) -> TextTrainer:
    """Return the Trainer for a recipe and a plan, which writes into the plan's folder; see `fit` for the arguments."""
    recipe = _whole(recipe, model, tokenizer, tokens)
    fit_tokenizer(tokenizer, model, recipe.max_length)
    for callback in callbacks:
        if isinstance(callback, Progress):
            callback.save_seconds = plan.save_seconds
    n_classes = model.config.num_labels
    contrast = recipe.contrastive * math.log(max(recipe.batch_size - 1, 1))
    guard = Guard(2 if gives_several(model) else n_classes, _majority_f1(tokens, n_classes), contrast)
    learned = with_names(
        tokens["train"], evaluation.names(tokens["train"]), tokenizer, recipe.label_names, recipe.max_length
    )
    trainer = TextTrainer(
        recipe=recipe,
        rows=len(tokens["train"]),
        memory=memory,
        class_weights=_class_weights(learned, n_classes) if recipe.class_weights else None,
        model=model,
        args=_arguments(recipe, _precision(model, recipe), seed, plan, len(learned)),
        train_dataset=learned,
        eval_dataset=tokens["validation"],
        processing_class=tokenizer,
        compute_metrics=partial(epoch_metrics, model),
        data_collator=_collator(tokenizer, learned, tokens["validation"], recipe),
        callbacks=[guard, *plan.callbacks(recipe), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def fit_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, max_length: int) -> None:
    """Set up a tokenizer for a model, as it is then saved with it: prediction cuts and pads texts as training did."""
    match(model, tokenizer, model.config.model_type)
    tokenizer.model_max_length = max_length


def _whole(recipe: Recipe, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: DatasetDict) -> Recipe:
    """Return a recipe with what is still empty chosen for these tokens, which are not cut any more."""
    longest = int(row_lengths(tokens["train"]).max())
    recipe = dataclasses.replace(recipe, max_length=recipe.max_length or longest)
    labels, kind, several = evaluation.names(tokens["train"]), contrasts(model.config.model_type), gives_several(model)
    named = are_words(labels, tokenizer)
    return suited(recipe, len(tokens["train"]), len(labels), longest, None, kind, several, named)[0]


def _arguments(recipe: Recipe, precision: str, seed: int, plan: Resumable | Unsaved, rows: int) -> TrainingArguments:
    device = environment.device()
    return TrainingArguments(
        output_dir=str(plan.folder),
        seed=seed,
        data_seed=seed,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        warmup_steps=min(recipe.warmup, math.nextafter(1, 0)),  # 1 would be one step, and not all of them
        max_grad_norm=recipe.max_grad_norm,
        lr_scheduler_type="linear",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        torch_compile=recipe.torch_compile,
        logging_steps=max(1, -(-rows // recipe.batch_size) // 20),
        logging_nan_inf_filter=False,
        dataloader_pin_memory=device == "cuda",
        report_to="none",
        disable_tqdm=True,
        use_cpu=device == "cpu",
        **plan.arguments(recipe),
    )


def _class_weights(learned: Dataset, n_classes: int) -> torch.Tensor:
    """Return for each class the inverse of its frequency, 0 for one that does not occur, shape (n_classes,)."""
    labels, weights = np.array(learned["label"]), np.zeros(n_classes)
    present = np.unique(labels)
    weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    return torch.tensor(weights, dtype=torch.float32)


def _majority_f1(tokens: DatasetDict, n_classes: int) -> float:
    """Return macro F1 on validation of always answering the class that is most frequent in training."""
    learned, labels = (evaluation.truth(tokens[split]) for split in ("train", "validation"))
    kinds, counts = np.unique(learned, axis=0, return_counts=True)
    constant = np.repeat(kinds[[counts.argmax()]], len(labels), axis=0)
    return f1_score(labels, constant, labels=range(n_classes), average="macro", zero_division=0)


def _collator(
    tokenizer: PreTrainedTokenizerBase, learned: Dataset, validation: Dataset, recipe: Recipe
) -> DataCollatorWithPadding:
    options = {"pad_to_multiple_of": 8 if environment.device() == "cuda" else None}
    if recipe.batches == "padded":
        longest = max(row_lengths(split).max() for split in (learned, validation))
        options = {"padding": "max_length", "max_length": int(longest)}
    if isinstance(learned.features["label"], List):
        return _SeveralLabels(tokenizer, **options, labels=len(evaluation.names(learned)))
    return DataCollatorWithPadding(tokenizer, **options)


@dataclass
class _SeveralLabels(DataCollatorWithPadding):
    """Makes batches whose labels are 1 for each label that a text has and 0 for the others, shape (texts, labels)."""

    labels: int = 0

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().__call__([{key: row[key] for key in row if key != "label"} for row in features])
        batch["labels"] = torch.zeros(len(features), self.labels)
        for row, one in zip(batch["labels"], features):
            row[one["label"]] = 1
        return batch


def _precision(model: PreTrainedModel, recipe: Recipe) -> str:
    """Return the precision to train a model in."""
    if recipe.precision == "auto":
        return environment.precision() if computes_in(model, environment.precision()) else "fp32"
    if not computes_in(model, recipe.precision):
        raise InputError(f"precision: {model.config.model_type} cannot be computed in {recipe.precision}; choose fp32")
    return recipe.precision


def identity(model: PreTrainedModel, tokens: DatasetDict, recipe: Recipe, seed: int) -> str:
    """Return a short name for a training: a digest of all that decides its outcome on this machine."""
    decisive = dataclasses.asdict(recipe) | {
        "precision": _precision(model, recipe),
        "seed": seed,
        "labels": model.config.id2label,
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for split in ("train", "validation"):
        table = tokens[split].to_pandas()
        digest.update(pd.util.hash_pandas_object(table["input_ids"].map(tuple), index=False).to_numpy())
        digest.update(evaluation.truth(tokens[split]))
    return digest.hexdigest()[:12]


def history(trainer: TextTrainer) -> pd.DataFrame:
    """Return what the Trainer logged: one row a step, training and validation figures of a step merged."""
    logged = pd.DataFrame([row for row in trainer.state.log_history if "train_runtime" not in row])
    return logged.groupby("step", as_index=False).first()


def epoch_metrics(model: PreTrainedModel, prediction) -> dict[str, float]:
    """Return accuracy, macro F1, weighted F1 and the number of different answers: classes, or sets of labels.

    With several labels a text, thresholds are chosen on these very rows, as they are in the end. They go into the
    model's config, so what is saved of this epoch answers with them.
    """
    logits, labels = prediction.predictions, prediction.label_ids
    if labels.ndim == 1:
        predicted = logits.argmax(-1)
    else:
        labels, chances = labels.astype(np.int8), expit(logits)
        set_thresholds(model, evaluation.choose(labels, chances))
        predicted = answers_of(model, chances)
    classes = np.arange(logits.shape[-1])
    return {
        "accuracy": accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, labels=classes, average="macro", zero_division=0),
        "weighted_f1": f1_score(labels, predicted, labels=classes, average="weighted", zero_division=0),
        "predicted_classes": len(np.unique(predicted, axis=0)),
    }
