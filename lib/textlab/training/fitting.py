"""A recipe turned into a Trainer, and the fit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from datasets import DatasetDict
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from .. import machine
from ..data import row_lengths
from ..machine import environment
from ..settings import Recipe
from . import checkpoints
from .callbacks import Guard, Looks, Progress
from .speedups import FrozenMemory
from .trainer import TextTrainer


@dataclass(frozen=True)
class Fit:
    """A finished training run."""

    trainer: Trainer
    recipe: Recipe
    history: pd.DataFrame  # step, epoch, loss, learning_rate, eval_loss, eval_accuracy, eval_macro_f1, ...
    seconds: float  # in the training loop alone, without validation and saving
    samples_per_second: float
    notes: tuple[str, ...]  # sentences for the reader: resumed from where, what was skipped, collapsed epochs

    @property
    def model(self) -> PreTrainedModel:
        """The best model by validation macro F1."""
        return self.trainer.model

    @property
    def epochs(self) -> float:
        """Epochs trained, fewer than asked for when training stopped early."""
        return round(self.trainer.state.epoch, 3)


def build(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: DatasetDict,
    recipe: Recipe,
    seed: int,
    folder: Path,
    callbacks: Sequence[TrainerCallback] = (),
    keep_best: bool = True,
    memory: FrozenMemory | None = None,
    looks: Sequence[float] = (),
) -> TextTrainer:
    """Return the Trainer for a recipe; validation runs every epoch and early stopping watches macro F1.

    Args:
        tokens: tokenized splits train and validation (columns input_ids, label).
        seed: of the order of batches and of dropout.
        folder: for checkpoints.
        callbacks: added to the guard and early stopping.
        keep_best: save a checkpoint each epoch and end with the best one; off, the last epoch's model stays.
        memory: of what frozen layers say, to share among trainings that freeze the same layers.
        looks: shares of the training after which it is validated, instead of every epoch; with `keep_best` off.
    """
    tokenizer.model_max_length = (
        recipe.max_length
    )  # saved with the tokenizer, so that prediction cuts texts as training did
    precision, train = _precision(recipe), tokens["train"]
    every_epoch = "epoch" if keep_best else "no"
    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        data_seed=seed,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        warmup_steps=recipe.warmup,
        max_grad_norm=recipe.max_grad_norm,
        lr_scheduler_type="linear",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        torch_compile=recipe.torch_compile,
        eval_strategy="no" if looks else "epoch",
        save_strategy=every_epoch,
        restore_callback_states_from_checkpoint=True,
        load_best_model_at_end=keep_best,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        logging_steps=max(1, -(-len(train) // recipe.batch_size) // 20),
        logging_nan_inf_filter=False,
        dataloader_pin_memory=environment.device() == "cuda",
        report_to="none",
        disable_tqdm=True,
        use_cpu=environment.device() == "cpu",
    )
    labels, n_classes = np.array(train["label"]), model.config.num_labels
    weights = None
    if recipe.class_weights:
        weights = np.zeros(n_classes)
        present = np.unique(labels)
        weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    validation = tokens["validation"]["label"][:]
    constant = f1_score(
        validation,
        np.full(len(validation), np.bincount(labels).argmax()),
        labels=range(n_classes),
        average="macro",
        zero_division=0,
    )
    stop_early = [EarlyStoppingCallback(early_stopping_patience=recipe.patience)] if keep_best else []
    longest = max(row_lengths(tokens[split]).max() for split in ("train", "validation"))
    padding = (
        {"padding": "max_length", "max_length": int(longest)}
        if recipe.batches == "padded"
        else {"pad_to_multiple_of": 8 if environment.device() == "cuda" else None}
    )
    trainer = TextTrainer(
        recipe=recipe,
        memory=memory,
        class_weights=None if weights is None else torch.tensor(weights, dtype=torch.float32),
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=tokens["validation"],
        processing_class=tokenizer,
        compute_metrics=epoch_metrics,
        data_collator=DataCollatorWithPadding(tokenizer, **padding),
        callbacks=[Looks(looks), Guard(n_classes, constant), *stop_early, *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: DatasetDict,
    recipe: Recipe,
    seed: int,
    folder: Path,
    callbacks: Sequence[TrainerCallback] = (),
    keep_best: bool = True,
    label: str = "",
    resume: bool = True,
    save_seconds: float = 120,
    memory: FrozenMemory | None = None,
    looks: Sequence[float] = (),
    line: machine.ProgressLine | None = None,
) -> Fit:
    """Train, showing one line of progress, and return the best model by validation macro F1.

    An interrupted training leaves its checkpoints in `folder/checkpoints-...`; the same call goes on from the newest whole
    one and gives the same weights, bit for bit on the same machine. They are deleted when training has ended.

    Args:
        label: for the line of progress.
        resume: go on from checkpoints of the same training (weights, data, recipe, seed); off deletes them.
        save_seconds: time between checkpoints within an epoch; each end of an epoch has one too.
        line: of progress, to go on with; its owner ends it.
        The others are those of `build`.

    Raises:
        trainer.TrainingError: the loss or a gradient became NaN or infinite, or the loss diverged.
        InputError: the disk has no room for a checkpoint.
    """
    place = folder / (
        f"checkpoints-{_identity(model, tokens, recipe, seed)}" if keep_best else f"no-checkpoints-{os.getpid()}"
    )
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    newest, notes = checkpoints.newest_whole(place)
    progress = Progress(f"{label}: " if label else "", save_seconds if keep_best else None, line=line)
    trainer = build(model, tokenizer, tokens, recipe, seed, place, [progress, *callbacks], keep_best, memory, looks)
    if newest:
        notes.append(f"Training went on from {newest.name}, which an interrupted run of the same training had left.")
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        shutil.rmtree(place, ignore_errors=True)
    finally:
        if not checkpoints.in_order(place):
            shutil.rmtree(place, ignore_errors=True)
    used = trainer.callback_handler.callbacks  # a resume puts new ones in the place of those that were passed
    progress, guard = (next(callback for callback in used if isinstance(callback, kind)) for kind in (Progress, Guard))
    samples = len(tokens["train"]) * trainer.state.epoch
    seconds = progress.seconds + trainer.preparing
    return Fit(trainer, recipe, history(trainer), seconds, samples / seconds, (*notes, *guard.warnings))


def _precision(recipe: Recipe) -> str:
    return environment.precision() if recipe.precision == "auto" else recipe.precision


def _identity(model: PreTrainedModel, tokens: DatasetDict, recipe: Recipe, seed: int) -> str:
    """Return a short name for a training: a digest of all that decides its outcome on this machine."""
    settings = dataclasses.asdict(recipe) | {
        "precision": _precision(recipe),
        "seed": seed,
        "labels": model.config.id2label,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for split in ("train", "validation"):
        table = tokens[split].to_pandas()
        digest.update(pd.util.hash_pandas_object(table["input_ids"].map(tuple), index=False).to_numpy())
        digest.update(table["label"].to_numpy())
    return digest.hexdigest()[:12]


def history(trainer: Trainer) -> pd.DataFrame:
    """Return what the Trainer logged: one row a step, training and validation figures of a step merged."""
    logged = pd.DataFrame([row for row in trainer.state.log_history if "train_runtime" not in row])
    return logged.groupby("step", as_index=False).first()


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
