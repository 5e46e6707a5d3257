"""A pretrained model made ready to be trained, and a trained one saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from datasets import Dataset, List
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from .. import evaluation
from ..data import common_length
from ..errors import InputError
from ..hub import Source
from ..machine import environment, hash_files
from ..settings import Recipe, suited
from .contrast import contrasts
from .fitting import Fit
from .inference import set_thresholds
from .label_texts import are_words
from .layers import freeze, switch_off_dropout
from .loading import SEVERAL, most_positions, most_tokens, one_line_errors, read_config, read_tokenizer, read_weights
from .pooling import read_the_mean
from .text_kind import FILE


def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model source, from its local folder."""
    return read_tokenizer(source.path, source.id)


def suit(
    recipe: Recipe, train: Dataset, tokenizer: PreTrainedTokenizerBase, source: Source
) -> tuple[Recipe, dict[str, str]]:
    """Return the recipe for some data, without empty settings, and for each that was chosen a sentence why.

    Args:
        recipe: what is set stays.
        train: columns text and label, to train on.
        tokenizer, source: of the model that is trained.
    """
    config = read_config(source.path, source.id)
    positions = most_positions(config)
    limits = [tokenizer.model_max_length, *([positions - 2] if positions else [])]
    tokens = 0 if recipe.max_length else common_length(train, tokenizer)
    several, labels, kind = isinstance(train.features["label"], List), evaluation.names(train), config.model_type
    named = are_words(labels, tokenizer)
    return suited(recipe, len(train), len(labels), tokens, min(limits), contrasts(kind), several, named)


def load_model(
    source: Source,
    labels: Sequence[str],
    recipe: Recipe,
    seed: int,
    keep_head: bool = False,
    several: bool = False,
) -> PreTrainedModel:
    """Return a pretrained model with a new, seeded classification head, also where the source has one already.

    Args:
        source: the model's local folder.
        labels: label names in the order of their ids.
        recipe: says whether dropout is used, what stays frozen, and which attention runs.
        seed: of the new head.
        keep_head: take the source's own head, to use a fine-tuned model and not to train one.
        several: the model gives each label a probability of its own, and not all of them one together.

    Raises:
        InputError: the recipe's texts are longer than the model can read.
    """
    model = read_model(source, labels, seed, attention_of(recipe), keep_head, several)
    with one_line_errors(source.id, "cannot be trained", "choose another model"):
        prepare(model, recipe)
    return model


def read_model(
    source: Source,
    labels: Sequence[str],
    seed: int,
    attention: str,
    keep_head: bool = False,
    several: bool = False,
) -> PreTrainedModel:
    """Return a model as `load_model` does, but with its own dropout and nothing frozen."""
    torch.manual_seed(seed)
    config = {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        # A head that was for something else is a new one now.
        "problem_type": SEVERAL if several else None,
    }
    model, lacking = read_weights(source.path, source.id, attention, **config)
    if keep_head and lacking:
        raise InputError(f"model: {source.id} has no trained classifier ({', '.join(sorted(lacking))} missing)")
    if getattr(model.config, "attention_type", None) == "block_sparse":  # BigBird leaves it for good at a short text
        model.config.attention_type = "original_full"
        for module in model.modules():
            if hasattr(module, "set_attention_type"):
                module.set_attention_type("original_full")
    if not keep_head:
        for name in ("guards", "thresholds"):
            vars(model.config).pop(name, None)  # they are about the head that it had
        if not lacking:
            _renew_head(model, seed)
    return model


def prepare(model: PreTrainedModel, recipe: Recipe) -> None:
    """Switch off dropout and the gradients of what stays as pretrained, where the recipe says so.

    Raises:
        InputError: the recipe's texts are longer than the model can read.
    """
    longest = most_tokens(model)
    if longest and (recipe.max_length or 0) > longest:
        raise InputError(f"max_length: got {recipe.max_length}, but this model reads at most {longest} tokens")
    if not recipe.dropout:
        switch_off_dropout(model)
    if recipe.pooling == "mean":
        read_the_mean(model)
    freeze(model, recipe)


def attention_of(recipe: Recipe) -> str:
    """Return the attention implementation that a recipe asks for, or the faster one for device and length of texts."""
    if recipe.attention != "auto":
        return recipe.attention
    return "eager" if environment.device() == "cpu" and (recipe.max_length or 0) <= 128 else "sdpa"


def _renew_head(model: PreTrainedModel, seed: int) -> None:
    """Give a model with a trained head a new one, as the library makes it for a model without any."""
    torch.manual_seed(seed)
    fresh = AutoModelForSequenceClassification.from_config(model.config)
    for name, child in fresh.named_children():
        if name != model.base_model_prefix:
            setattr(model, name, child)


def save(fitted: Fit, folder: Path, guards: Sequence[str] = (), thresholds: Sequence[float] | None = None) -> str:
    """Save model and tokenizer so that `from_pretrained(folder)` loads them; return the weights' SHA-256.

    The kind of the texts that it learned from is saved beside them, where the fit has one.

    Args:
        guards: what `evaluation.guards` found; kept in config.json, so that it goes wherever the model goes.
        thresholds: with several labels a text, the probability from which on a text has each of them; kept there too.
    """
    settle(fitted.model, guards, thresholds)
    fitted.trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing here reads
    (folder / FILE).unlink(missing_ok=True)  # of a model that was here before
    if fitted.kind:
        fitted.kind.write(folder)
    return hash_files(folder / "model.safetensors")["model.safetensors"]


def settle(model: PreTrainedModel, guards: Sequence[str], thresholds: Sequence[float] | None = None) -> None:
    """Put into a model's config what `save` keeps there."""
    model.config.guards = list(guards)
    if thresholds is not None:
        set_thresholds(model, thresholds)


def weights_sha256(model: PreTrainedModel) -> str:
    """Return the SHA-256 that the weights of a model have when they are saved."""
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return hash_files(Path(folder) / "model.safetensors")["model.safetensors"]
