"""What a training or a prediction costs, in tokens and operations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from datasets import Dataset
from transformers import PreTrainedModel

from ..data import row_lengths
from ..settings import Recipe
from .layers import layers_of, pretrained_layers
from .short_layer import first_token_only
from .trainer import SimilarLengthSampler


def padded_tokens(tokens: Dataset, batch_size: int, seed: int, max_length: int) -> pd.DataFrame:
    """Return the tokens that an epoch computes under four ways of padding: columns own and padding, indexed by way."""
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
    frozen = round(recipe.frozen_share * len(pretrained_layers(model, recipe)))
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
