"""The outputs of frozen layers, computed once for all epochs and trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from ..data import row_lengths
from .layers import layers_of

#: Model types whose embeddings go straight into the first layer.
PLAIN_STACKS = ("bert", "roberta", "xlm-roberta", "distilbert")
#: Most bytes that the outputs of frozen layers may take.
MEMORY_LIMIT = 2**30


class FrozenMemory:
    """Remembers the outputs of a model's frozen lower layers for each text: computed once, and not every epoch.

    The outputs do not depend on the batch that a text is in, but for rounding. They are always computed in the same
    batches, so a resumed training gets the same bits as one that begins with an empty memory. So does the next trial of
    a sweep that shares the memory. A training on other texts, or with another attention, begins afresh. The memory is
    used on a CPU: it spares a quarter of an epoch when half of the layers are frozen, at 1.5 kB a token of MiniLM.
    """

    def __init__(self) -> None:
        self._states: dict[bytes, torch.Tensor] = {}  # token ids of a text -> states, shape (tokens, hidden size)
        self._made_by: list[torch.Tensor] = []  # the weights
        self._made_for: tuple = ()  # the texts whose states were computed together, and how

    @contextmanager
    def used_by(
        self,
        model: PreTrainedModel,
        tokens: Iterable[Dataset],
        bf16: bool = False,
        show: Callable[[str], None] | None = None,
    ) -> Iterator[bool]:
        """Let a model look up the outputs of its frozen layers inside the context; gives whether it does.

        Args:
            model: without dropout in its frozen layers.
            tokens: tokenized splits (column input_ids) to compute at once; other texts are added when they come.
            bf16: whether the model is trained in mixed precision.
            show: is called with a line of progress.
        """
        tokens = list(tokens)
        frozen = [] if "token_type_ids" in tokens[0].column_names else _frozen_stack(model)
        size = sum(int(row_lengths(split).sum()) for split in tokens) * model.config.hidden_size * model.dtype.itemsize
        if not frozen or model.device.type != "cpu" or size > MEMORY_LIMIT:
            yield False
            return
        texts = {np.array(ids).tobytes(): len(ids) for split in tokens for ids in split["input_ids"]}
        made_by = [weight.detach() for module in frozen for weight in module.parameters()]
        made_for = frozenset(texts), bf16, model.config._attn_implementation
        same = made_for == self._made_for and len(made_by) == len(self._made_by)
        if not (same and all(map(torch.equal, made_by, self._made_by))):
            self._states, self._made_by, self._made_for = {}, [weight.clone() for weight in made_by], made_for
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                self._compute(model, sorted(texts, key=lambda text: (texts[text], text)), show)
        embeddings, *layers = frozen
        masks: list[torch.Tensor] = []  # of the batch at hand: a text may hold the padding token itself

        def remember_mask(module, args, kwargs):
            masks[:] = [kwargs["attention_mask"].bool()]

        def look_up(input_ids: torch.Tensor, *args, **kwargs) -> torch.Tensor:
            rows = [row[own].numpy().tobytes() for row, own in zip(input_ids, masks[0])]
            if unknown := list(dict.fromkeys(row for row in rows if row not in self._states)):
                unpatch()
                self._compute(model, unknown)
                patch()
            states = pad_sequence([self._states[row] for row in rows], batch_first=True)
            return torch.nn.functional.pad(states, (0, 0, 0, input_ids.shape[1] - states.shape[1]))

        def patch() -> None:
            embeddings.forward = look_up
            for layer in layers:
                layer.forward = lambda hidden_states, *args, **kwargs: hidden_states

        def unpatch() -> None:
            for module in frozen:
                del module.forward

        hook = model.register_forward_pre_hook(remember_mask, with_kwargs=True)
        patch()
        try:
            yield True
        finally:
            unpatch()
            hook.remove()

    @torch.no_grad()
    def _compute(self, model: PreTrainedModel, texts: list[bytes], show: Callable[[str], None] | None = None) -> None:
        """Add texts of about equal length, in batches of up to 64."""
        grabbed: list[torch.Tensor] = []

        def grab(layer, inputs):
            grabbed[:] = [inputs[0]]
            raise _Enough

        hook = layers_of(model)[len(_frozen_stack(model)) - 1].register_forward_pre_hook(grab)
        try:
            for start in range(0, len(texts), 64):
                batch = texts[start : start + 64]
                ids = [torch.from_numpy(np.frombuffer(text, dtype=np.int64).copy()) for text in batch]
                padded = pad_sequence(ids, batch_first=True, padding_value=model.config.pad_token_id or 0)
                mask = pad_sequence([torch.ones_like(one) for one in ids], batch_first=True)
                try:
                    model(input_ids=padded, attention_mask=mask)
                except _Enough:
                    self._states.update((text, states[: len(own)]) for text, own, states in zip(batch, ids, grabbed[0]))
                if show:
                    show(f"frozen layers: {min(start + 64, len(texts)):,} of {len(texts):,} texts")
        finally:
            hook.remove()


class _Enough(Exception):
    """The layers above are not needed."""


def _frozen_stack(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Return the embeddings and the lower layers that are not trained; empty when there is nothing to remember."""

    def still(module: torch.nn.Module) -> bool:
        return not any(weight.requires_grad for weight in module.parameters())

    if model.config.model_type not in PLAIN_STACKS or not still(model.base_model.embeddings):
        return []
    layers = layers_of(model)
    depth = next((i for i, layer in enumerate(layers) if not still(layer)), len(layers) - 1)
    return [model.base_model.embeddings, *layers[:depth]] if depth else []
