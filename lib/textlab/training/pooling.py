"""The mean of all tokens as what the head reads, in a model that stays one of its own architecture."""

from __future__ import annotations

import copy

import torch
from torch import nn
from transformers import PreTrainedModel

from ..errors import InputError
from .layers import layers_of

#: By how much the mean outweighs a token's own state, which the layer adds to it.
OUTWEIGHS = 1e4
#: What the head reads is scaled by this, and shifted where its activation cuts off what is negative: there a tanh is
#: nearly straight, and of what is cut off little is left, for few numbers of variance 1 are below -2.
SCALE, SHIFT = 0.1, 0.2
#: Parts of a layer: query, key, value and output of the attention, its norm, the last linear map and its norm.
_BERT = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "output.dense",
    "output.LayerNorm",
)
_DISTILBERT = (
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin2",
    "output_layer_norm",
)
#: Model type -> parts of its layer, the head's first linear map, and the shift that suits what follows on that.
KINDS = {
    "bert": (_BERT, "bert.pooler.dense", 0.0),
    "roberta": (_BERT, "classifier.dense", 0.0),
    "xlm-roberta": (_BERT, "classifier.dense", 0.0),
    "electra": (_BERT, "classifier.dense", SHIFT),
    "distilbert": (_DISTILBERT, "pre_classifier", SHIFT),
}


@torch.no_grad()
def read_the_mean(model: PreTrainedModel) -> None:
    """Let the head of a model read the mean of a text's states, each such mean brought to mean 0 and variance 1.

    A layer is added that looks at all tokens alike, since its queries and keys are zero, and hands on their mean. What
    the head does before its last linear map becomes the identity, as far as its activation allows. Neither is trained.
    So the model is saved, loaded and used as any of its architecture.

    Raises:
        InputError: that is not built for the architecture.
    """
    if model.config.model_type not in KINDS:
        known = ", ".join(KINDS)
        raise InputError(f"pooling: mean is built for {known}, not for {model.config.model_type}; choose head")
    names, head, shift = KINDS[model.config.model_type]
    (stack,) = (
        part for part in model.modules() if isinstance(part, nn.ModuleList) and layers_of(model)[-1] in list(part)
    )
    added = copy.deepcopy(stack[-1])
    query, key, value, output, norm, last, last_norm = map(added.get_submodule, names)
    for part, scale in ((query, 0.0), (key, 0.0), (value, 1.0), (output, OUTWEIGHS), (last, 0.0)):
        _identity(part, scale)
    for one in (norm, last_norm):
        one.weight.fill_(1.0)
        one.bias.zero_()
    first = model.get_submodule(head)
    _identity(first, SCALE)
    first.bias.fill_(shift)
    stack.append(added)
    model.config.num_hidden_layers += 1
    for weight in (*added.parameters(), *first.parameters()):
        weight.requires_grad_(False)


def _identity(part: nn.Linear, scale: float) -> None:
    """Let a linear map return what it gets times a number."""
    part.weight.zero_()
    part.weight.diagonal().fill_(scale)
    part.bias.zero_()
