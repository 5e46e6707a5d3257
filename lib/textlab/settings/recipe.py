"""The recipe of a training: its settings, the named recipes, and what a notebook's parameters make of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..errors import InputError
from .rules import rules_of, setting


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run that are not data, model or seed, each with its default and what it accepts."""

    learning_rate: float = setting(3e-4, 0, 100, above=True)
    batch_size: int = setting(32, 1, 4096)
    epochs: int | None = setting(None, 1, 1000)  # None: what fits the number of rows and classes
    weight_decay: float = setting(0.01, 0, 1)
    max_length: int | None = setting(None, 4, 8192)  # tokens; longer texts are cut; None: what fits the texts
    keep: str = setting("last", choices=("last", "best"))  # epoch whose weights stay; best: by validation macro F1
    patience: int = setting(2, 1, 1000)  # with keep best: epochs without a better one before training stops
    warmup: float = setting(0.1, 0, 1)  # share of the steps
    max_grad_norm: float = setting(1.0, 0, above=True)
    dropout: bool = setting(False)
    train_embeddings: bool = setting(False)
    frozen_share: float = setting(0.0, 0, 1)  # of the layers, from below, that stay as pretrained
    layer_lr_decay: float = setting(0.8, 0, 1, above=True)  # a layer learns slower by this than the one above
    pooling: str = setting("head", choices=("head", "mean"))  # what the head reads: its own token, or all tokens' mean
    average: float = setting(
        0.99, 0, 0.99999
    )  # decay per step of an average of the weights, which is the model; 0: none
    label_smoothing: float = setting(0.1, 0, 0.9)
    contrastive: float | None = setting(None, 0, 1)  # weight of the contrastive term; None: what fits
    label_names: int | None = setting(None, 0, 100)  # texts more that each label's name is; None: what fits
    class_weights: bool = setting(False)  # weigh classes in the loss by the inverse of their frequency
    # sdpa: where the architecture has it; auto: what is faster for device and length
    attention: str = setting("auto", choices=("auto", "eager", "sdpa"))
    batches: str = setting(
        "similar_length", choices=("similar_length", "random", "padded")
    )  # padded: to the longest text
    precision: str = setting("auto", choices=("auto", "fp32", "bf16", "fp16"))
    torch_compile: bool = setting(False)


#: Setting -> what it accepts.
RECIPE = rules_of(Recipe)

#: Recipe name -> settings. `fast` leaves half of the layers as pretrained, which costs about a point on many rows.
#: `probe` trains a linear map on the mean of the pretrained states and nothing else: for few rows or many classes.
#: `lab` is what the usual course script does, kept for comparison: 2e-5, small batches in random order padded to the
#: longest text, everything trained in fp32.
RECIPES = {
    "short_text": Recipe(),
    "fast": Recipe(
        learning_rate=5e-4, frozen_share=0.5, layer_lr_decay=1.0, label_smoothing=0.0, contrastive=0.0, label_names=0
    ),
    "probe": Recipe(
        learning_rate=2e-2,
        frozen_share=1.0,
        pooling="mean",
        layer_lr_decay=1.0,
        label_smoothing=0.0,
        contrastive=0.0,
        label_names=0,
    ),
    "lab": Recipe(
        learning_rate=2e-5,
        batch_size=16,
        epochs=3,
        max_length=128,
        keep="best",
        warmup=0.0,
        dropout=True,
        train_embeddings=True,
        layer_lr_decay=1.0,
        label_smoothing=0.0,
        contrastive=0.0,
        label_names=0,
        average=0.0,
        attention="sdpa",
        batches="padded",
        precision="fp32",
    ),
}


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
