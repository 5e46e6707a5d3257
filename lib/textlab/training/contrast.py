"""The supervised contrastive term: texts of one label are drawn together, others apart (Khosla et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.functional import log_softmax, normalize
from transformers import PreTrainedModel

from ..errors import InputError
from .layers import layers_of
from .short_layer import AFTER_ATTENTION

#: How sharply near texts count more than far ones.
TEMPERATURE = 0.1


def contrasts(model_type: str) -> bool:
    """Tell whether the last layer of an architecture gives a state for each token of a text, in order."""
    return model_type in AFTER_ATTENTION


class Contrast:
    """Remembers what the last layer of a model gave for the batch at hand, and computes the term from it."""

    def __init__(self) -> None:
        self._mask = self._states = None

    @contextmanager
    def watching(self, model: PreTrainedModel) -> Iterator[None]:
        """Watch a model inside the context.

        Raises:
            InputError: its architecture gives no states of tokens.
        """
        if not contrasts(model.config.model_type):
            raise InputError(
                f"contrastive: it cannot be computed for a model of type {model.config.model_type}; set it to 0"
            )

        def mask(module, args, kwargs):
            self._mask = kwargs["attention_mask"]

        def states(module, args, output):
            self._states = output[0] if isinstance(output, tuple) else output

        hooks = [
            model.register_forward_pre_hook(mask, with_kwargs=True),
            layers_of(model)[-1].register_forward_hook(states),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            self._mask = self._states = None

    def loss(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the term for the batch that the model has just read.

        Args:
            labels: class ids, shape (rows,).
        """
        own = self._mask.unsqueeze(-1).float()
        return contrastive_loss((self._states.float() * own).sum(1) / own.sum(1), labels)


def contrastive_loss(states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return how far texts are from those of their own label, compared with all others of a batch; 0 without any pair.

    Args:
        states: one a text, shape (rows, hidden size).
        labels: class ids, shape (rows,).
    """
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    alike = (labels.unsqueeze(0) == labels.unsqueeze(1)) & ~itself
    if not alike.any():
        return states.sum() * 0
    states = normalize(states, dim=-1)
    chances = log_softmax((states @ states.T / TEMPERATURE).masked_fill(itself, float("-inf")), dim=1)
    each = -chances.masked_fill(~alike, 0).sum(1) / alike.sum(1).clamp(min=1)
    return each.sum() / alike.any(1).sum()
