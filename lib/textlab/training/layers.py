"""The layers of a model: which there are, which stay as pretrained, and dropout switched off."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from ..errors import InputError
from ..settings import Recipe


def layers_of(model: PreTrainedModel) -> torch.nn.ModuleList:
    """Return the Transformer layers of a model, the lowest first; those of the encoder, where there is a decoder too.

    Layers that share their weights, as ALBERT's do, are one layer. Where a layer's parts lie in lists of their own, as
    XLM's do, it is the list of its parts.
    """
    wanted, others = getattr(model.config, "num_hidden_layers", None), []
    for module in model.base_model.modules():
        stacks = [_flat(child) for child in module.children() if isinstance(child, torch.nn.ModuleList)]
        if fitting := [stack for stack in stacks if len(stack) == wanted]:
            parts = [torch.nn.ModuleList(parts) for parts in zip(*fitting, strict=True)]
            return torch.nn.ModuleList(parts if len(fitting) > 1 else fitting[0])
        others += stacks
    return torch.nn.ModuleList(max(others, key=len, default=[]))


def pretrained_layers(model: PreTrainedModel, recipe: Recipe) -> torch.nn.ModuleList:
    """Return the layers of a model without the one that `pooling: mean` has put on top of them."""
    layers = layers_of(model)
    return layers[:-1] if recipe.pooling == "mean" else layers


def _flat(stack: torch.nn.ModuleList) -> list[torch.nn.Module]:
    """Return the members of a list, and of the lists in it."""
    return [one for member in stack for one in (_flat(member) if isinstance(member, torch.nn.ModuleList) else [member])]


def freeze(model: PreTrainedModel, recipe: Recipe) -> None:
    """Switch off gradients for what a recipe leaves as it was pretrained.

    That is all that the lowest trained layer's input depends on: beside layers and word embeddings also positions,
    projections and norms, wherever an architecture keeps them. With `train_embeddings`, what the first layer's input
    depends on is trained.

    Raises:
        InputError: gradients do not say what a layer's input depends on.
    """
    depth = round(recipe.frozen_share * len(pretrained_layers(model, recipe)))
    if depth == 0 and recipe.train_embeddings:
        return
    below, trained = weights_below(model, depth), weights_below(model, 0) if recipe.train_embeddings else []
    if not below:
        raise InputError(
            f"frozen_share: what lies below a layer of {model.config.model_type} cannot be found; "
            "set frozen_share to 0 and train_embeddings to true"
        )
    for weight in (*below, *layers_of(model)[:depth].parameters()):
        weight.requires_grad_(False)
    for weight in trained:
        weight.requires_grad_(True)


def weights_below(model: PreTrainedModel, depth: int) -> list[torch.nn.Parameter]:
    """Return the trained weights that the input of a layer depends on, found by the gradient of one short text.

    Empty for the few architectures that compute a layer in another way than by a call that autograd sees.

    Args:
        depth: number of the layer, counted from 0; the number of layers means the output of the last one.
    """
    layers, seen = layers_of(model), []
    weights = [weight for weight in model.base_model.parameters() if weight.requires_grad]

    def watch(module, args, kwargs, output=None):
        seen.append(_first_tensor(output if depth == len(layers) else [*args, *kwargs.values()]))

    ids = example(model)
    watched = layers[min(depth, len(layers) - 1)]
    if isinstance(watched, torch.nn.ModuleList):
        watched = watched[-1 if depth == len(layers) else 0]
    register = watched.register_forward_hook if depth == len(layers) else watched.register_forward_pre_hook
    hook, was_training = register(watch, with_kwargs=True), model.training
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        hook.remove()
        model.train(was_training)
    if not seen or not seen[0].requires_grad:
        return []
    gradients = torch.autograd.grad(seen[0].sum(), weights, allow_unused=True)
    return [weight for weight, gradient in zip(weights, gradients) if gradient is not None]


def example(model: PreTrainedModel) -> torch.Tensor:
    """Return the token ids of a short text, shape (1, 8), which a model can read."""
    ids = torch.arange(2, 10, device=model.device)[None]
    if model.config.is_encoder_decoder:  # heads of these read the state at this token
        ids[:, -1] = model.config.eos_token_id
    return ids


def _first_tensor(values) -> torch.Tensor:
    values = [values] if isinstance(values, torch.Tensor) else values
    return next(value for value in values if isinstance(value, torch.Tensor) and value.is_floating_point())


def switch_off_dropout(model: PreTrainedModel) -> None:
    """Set every rate of dropout of a model to 0, also where it is a number that a module passes to a function."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
