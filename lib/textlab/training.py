"""A recipe turned into a Trainer: the model, what is trained of it, the fit, and what is saved."""

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
from datasets import Dataset, DatasetDict
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.core_model_loading import revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict
from transformers.trainer_callback import PrinterCallback

from . import InputError, checkpoints, runtime
from .data import row_lengths
from .hub import Source, hash_files
from .shortcuts import FrozenMemory, first_token_only, layers_of
from .trainer import Guard, Looks, Progress, SimilarLengthSampler, TextTrainer

#: Names of data types in safetensors files.
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run that are not data, model or seed."""

    learning_rate: float = 5e-4
    batch_size: int = 32
    epochs: int = 3
    weight_decay: float = 0.01
    max_length: int = 96  # tokens; longer texts are cut
    patience: int = 2  # epochs without a better validation macro F1 before training stops
    warmup: float = 0.1  # share of the steps
    max_grad_norm: float = 1.0
    dropout: bool = False
    train_embeddings: bool = False
    frozen_share: float = 0.5  # of the layers, from below, that stay as pretrained; no gradient is computed for them
    layer_lr_decay: float = 1.0  # each layer learns by this factor slower than the one above it
    average: float = 0.99  # decay per step of a moving average of the weights, which is then the model; 0 for none
    label_smoothing: float = 0.0
    class_weights: bool = False  # weigh classes in the loss by the inverse of their frequency
    attention: str = "auto"  # eager, sdpa, or what is faster for the device and the length of the texts
    batches: str = "similar_length"  # or random, or padded: random, and every text padded to the longest one
    precision: str = "auto"  # auto, fp32, bf16 or fp16
    torch_compile: bool = False


#: Recipe name -> settings. `lab` is what the usual course script does, kept for comparison: 2e-5, small batches in
#: random order padded to the longest text, everything trained in fp32.
RECIPES = {
    "short_text": Recipe(),
    "lab": Recipe(
        learning_rate=2e-5,
        batch_size=16,
        epochs=3,
        max_length=128,
        warmup=0.0,
        dropout=True,
        train_embeddings=True,
        frozen_share=0.0,
        average=0.0,
        attention="sdpa",
        batches="padded",
        precision="fp32",
    ),
}


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
    names = [field.name for field in dataclasses.fields(Recipe)]
    chosen = {name: getattr(params, name) for name in names if getattr(params, name, None) is not None}
    return make_recipe(params.recipe, **getattr(params, "recipe_options", {}) | chosen)


def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model source, from its local folder."""
    return AutoTokenizer.from_pretrained(source.path, local_files_only=True)


def load_model(
    source: Source, labels: Sequence[str], recipe: Recipe, seed: int, keep_head: bool = False
) -> PreTrainedModel:
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
    model = read_model(source, labels, seed, attention_of(recipe), keep_head)
    prepare(model, recipe)
    return model


def read_model(
    source: Source, labels: Sequence[str], seed: int, attention: str, keep_head: bool = False
) -> PreTrainedModel:
    """Return a model as `load_model` does, but with its own dropout and nothing frozen."""
    runtime.quiet()
    torch.manual_seed(seed)
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        source.path,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        attn_implementation=attention,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=not keep_head,
        output_loading_info=True,
    )
    if not keep_head:
        vars(model.config).pop("guards", None)  # they are about the head that it had
        if not loading["missing_keys"]:
            _renew_head(model)
    return model


def prepare(model: PreTrainedModel, recipe: Recipe) -> None:
    """Switch off dropout and the gradients of what stays as pretrained, where the recipe says so.

    Raises:
        InputError: the recipe's texts are longer than the model can read.
    """
    longest = getattr(model.config, "max_position_embeddings", recipe.max_length)
    if recipe.max_length > longest:
        raise InputError(f"max_length: got {recipe.max_length}, but this model reads at most {longest} tokens")
    if not recipe.dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    freeze(model, recipe)


def attention_of(recipe: Recipe) -> str:
    """Return the attention implementation that a recipe asks for, or the faster one for device and length of texts."""
    if recipe.attention != "auto":
        return recipe.attention
    return "eager" if runtime.device() == "cpu" and recipe.max_length <= 128 else "sdpa"


def _renew_head(model: PreTrainedModel) -> None:
    for name, child in model.named_children():
        if name != model.base_model_prefix:
            for key, parameter in child.named_parameters():
                torch.nn.init.zeros_(parameter) if key.endswith("bias") else torch.nn.init.normal_(
                    parameter, std=model.config.initializer_range
                )


def freeze(model: PreTrainedModel, recipe: Recipe) -> None:
    """Switch off gradients for the parts that a recipe leaves as they were pretrained."""
    if not recipe.train_embeddings:
        getattr(model.base_model, "embeddings", model.get_input_embeddings()).requires_grad_(False)
    layers = layers_of(model)
    layers[: round(recipe.frozen_share * len(layers))].requires_grad_(False)


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
        dataloader_pin_memory=runtime.device() == "cuda",
        report_to="none",
        disable_tqdm=True,
        use_cpu=runtime.device() == "cpu",
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
        else {"pad_to_multiple_of": 8 if runtime.device() == "cuda" else None}
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
    line: runtime.ProgressLine | None = None,
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
    return runtime.precision() if recipe.precision == "auto" else recipe.precision


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


def save(fitted: Fit, folder: Path, guards: Sequence[str] = ()) -> str:
    """Save model and tokenizer so that `from_pretrained(folder)` loads them; return the weights' SHA-256.

    Args:
        guards: what `evaluation.guards` found; kept in config.json, so that it goes wherever the model goes.
    """
    fitted.model.config.guards = list(guards)
    fitted.trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing here reads
    return hash_files(folder / "model.safetensors")["model.safetensors"]


def weights_sha256(model: PreTrainedModel) -> str:
    """Return the SHA-256 that the weights of a model have when they are saved.

    It is computed from the tensors, as they follow each other in a safetensors file: writing one takes several times as long.
    """
    tensors = revert_weight_conversion(model, remove_tied_weights_from_state_dict(model.state_dict(), model))
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name in names:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        header[name] = {
            "dtype": DTYPES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256(len(text).to_bytes(8, "little") + text)
    for name in names:
        digest.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


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


def padded_tokens(tokens: Dataset, batch_size: int, seed: int, max_length: int) -> pd.DataFrame:
    """Return how many tokens an epoch computes under four ways of padding: columns own and padding, indexed by the way."""
    lengths = row_lengths(tokens)

    def widths(order: np.ndarray) -> int:
        batches = [lengths[order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
        return int(sum(len(batch) * batch.max() for batch in batches))

    sampler = SimilarLengthSampler(lengths, batch_size, seed)
    computed = {
        f"all padded to {max_length}": len(lengths) * max_length,
        "all padded to the longest text": int(len(lengths) * lengths.max()),
        "random batches": widths(np.random.default_rng(seed).permutation(len(lengths))),
        "batches of similar length": widths(np.array(list(sampler))),
    }
    own = int(lengths.sum())
    return pd.DataFrame({"own": own, "padding": {way: total - own for way, total in computed.items()}})


def work(model: PreTrainedModel, tokens: Dataset, recipe: Recipe, shorten: bool = True, remember: bool = True) -> float:
    """Return the multiply-adds of an epoch in the linear layers of a model, in billions (10^9).

    A layer costs its weights for each token; training it costs three times that, for gradients of weights and inputs.
    Attention scores and what costs no matrix product are left out.

    Args:
        tokens: tokenized rows (column input_ids).
        recipe: decides padding and what is frozen.
        shorten: count the last layer as `first_token_only` leaves it, where that is possible.
        remember: count frozen layers once in all epochs, as with `FrozenMemory`.
    """
    padded = padded_tokens(tokens, recipe.batch_size, 0, recipe.max_length).sum(axis=1)
    way = {
        "similar_length": "batches of similar length",
        "random": "random batches",
        "padded": "all padded to the longest text",
    }
    positions, layers = int(padded[way[recipe.batches]]), layers_of(model)
    frozen = round(recipe.frozen_share * len(layers))
    total = 0
    with first_token_only(model) as shortened:
        for i, layer in enumerate(layers):
            weights = {name: p.numel() for name, p in layer.named_parameters() if p.ndim == 2}
            every = sum(weights.values())
            first = 0
            if shorten and shortened and i == len(layers) - 1:
                projections = ("query", "key", "value", "q_lin", "k_lin", "v_lin", "attention.out_lin")
                first = sum(n for name, n in weights.items() if not any(part in name for part in projections))
            total += ((every - first) * positions + first * len(tokens)) * (
                (1 / recipe.epochs if remember else 1) if i < frozen else 3
            )
    return total / 1e9
