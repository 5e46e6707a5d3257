"""A pretrained model made ready to be trained, and a trained one saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ..errors import InputError
from ..hub import Source
from ..machine import environment, hash_files
from ..settings import Recipe
from .fitting import Fit
from .speedups import layers_of


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
    environment.quiet()
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
    return "eager" if environment.device() == "cpu" and recipe.max_length <= 128 else "sdpa"


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
    """Return the SHA-256 that the weights of a model have when they are saved."""
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return hash_files(Path(folder) / "model.safetensors")["model.safetensors"]
