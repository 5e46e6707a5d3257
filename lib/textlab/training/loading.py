"""A model and its tokenizer, read whole from a local folder: in fp32, and without running any code of theirs."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.modules.module import register_module_module_registration_hook
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from .. import hub
from ..errors import InputError, first_line
from ..machine import environment
from .layers import example

#: Nothing is asked of the Hub, and no code that a model brings along is run, also where somebody could be asked.
SAFE = {"local_files_only": True, "trust_remote_code": False}
#: The kind of a model, as its config names it, that answers with any number of labels.
SEVERAL = "multi_label_classification"
#: Architectures whose answers mean nothing here, and why.
REFUSED = {
    "mra": "it attends to nothing without code of its own for GPUs, which is never run here",
    "reformer": "it answers a text otherwise beside others, and not twice the same",
}
#: Most layers that a config may ask for, and most labels.
MOST_LAYERS, MOST_LABELS = 1000, 1_000_000
#: Most tokens of a text that tokenizers can cut at, where nothing else limits a text.
LONGEST = 2**31 - 1
#: Most modules of a model; a thousand take some tenths of a second.
MOST_MODULES = 50_000
#: Weights that take no memory to speak of.
FEW = 2**27
#: Outputs that nothing here reads, and that would take memory for each text.
BARE = {"output_hidden_states": False, "output_attentions": False, "return_dict": True}


def read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model folder, which gives what the model reads, and pads on the right.

    Positions begin at a text's first token. There is always a padding token. Token types are given where the model
    tells them apart from none.

    Args:
        name: of the model, as the user gave it, for messages.

    Raises:
        InputError: there is none, or its vocabulary is not that of the model.
    """
    config = read_config(folder, name)
    with one_line_errors(name):
        tokenizer = AutoTokenizer.from_pretrained(folder, **SAFE)
        longest, specials = tokenizer.model_max_length, tokenizer.num_special_tokens_to_add()
        odd = tokenizer("a \u0378")  # the second is a letter that no tokenizer knows
        types = odd.get("token_type_ids", [])
        known = max(len(tokenizer), max(tokenizer.get_vocab().values()) + 1)
    wanted = getattr(config.get_text_config(), "vocab_size", None)
    if wanted and not wanted / 2 <= known <= wanted:
        raise InputError(
            f"model: the tokenizer of {name} knows {known:,} tokens, and the model {wanted:,}; "
            "add the tokenizer files that belong to the model, such as tokenizer.json"
        )
    if not isinstance(longest, int | float) or not (longest > specials and longest % 1 == 0):
        raise InputError(
            f"model: model_max_length of {name} is {longest!r}; set it in its tokenizer_config.json to the most tokens "
            "of a text"
        )
    tokenizer.model_max_length = min(int(longest), LONGEST)
    _set_padding(tokenizer, config, odd["input_ids"][-1:], name)
    reads_types = "token_type_ids" in inspect.signature(_kind(config).forward).parameters
    if not reads_types or (hasattr(config, "type_vocab_size") and not any(types)):
        tokenizer.model_input_names = [one for one in tokenizer.model_input_names if one != "token_type_ids"]
    tokenizer.padding_side = "right"
    return tokenizer


def _set_padding(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, ends: list[int], name: str) -> None:
    """Give a tokenizer the padding token of the model's config, or one that ends no text.

    Heads of decoders read the last token that is not the padding token. It is one that no word holds, so the tokens of
    texts stay as they are.

    Args:
        ends: the token that ends a text.
    """
    apart, padding = tokenizer.added_tokens_decoder, getattr(config, "pad_token_id", None)
    if padding not in apart:
        usual = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id, *apart)
        padding = next((token for token in usual if token in apart and token not in ends), None)
    if padding is None:
        raise InputError(
            f"model: the tokenizer of {name} has no token to pad with that ends no text; "
            "set pad_token in its tokenizer_config.json to one"
        )
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)


def read_weights(folder: Path, name: str, attention: str, **values: Any) -> tuple[PreTrainedModel, set[str]]:
    """Return the model of a folder in fp32, whatever it is stored in, and the names of the weights that its head lacks.

    Args:
        name: of the model, as the user gave it, for messages.
        attention: implementation of attention, `eager`, or `sdpa` where the architecture has it.
        values: replace those of the model's config.

    Raises:
        InputError: the folder cannot be read, its index of weights names a file elsewhere, or weights below the head
            are missing, of another shape, or no numbers.
    """
    config = read_config(folder, name)
    hub.download.check_indexes({file.name: file for file in folder.glob("*.json")}, f"model: {name}")
    with one_line_errors(name):
        _check_size(config, folder, name)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            attn_implementation=attention if _kind(config)._supports_sdpa else "eager",
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **SAFE,
            **BARE,
            **values,
        )
    lacking = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    body = f"{model.base_model_prefix}."
    below = sorted(key for key in lacking if key.startswith(body) and ".pooler." not in key)
    if below:
        total = len(model.base_model.state_dict())
        raise InputError(
            f"model: {name} lacks {len(below)} of the {total} weights of {model.config.model_type} below its head, "
            f"such as {below[0]}; they would be random: check that its file was saved for this architecture"
        )
    if not all(torch.isfinite(weight).all() for weight in model.parameters()):
        raise InputError(f"model: {name} has weights that are no numbers, so its answers mean nothing; train it again")
    if model.config.is_encoder_decoder:
        _answer_by_ends(model)
    return model, lacking


def read_config(folder: Path, name: str) -> PretrainedConfig:
    """Return a model's config, which is read before anything else of it; from here on libraries are quiet."""
    environment.quiet()
    with one_line_errors(name):
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        limits = {key: MOST_LAYERS for key in values if "layer" in key} | {"num_labels": MOST_LABELS}
        for key, limit in limits.items():
            if isinstance(values.get(key), int) and values[key] > limit:
                raise InputError(
                    f"model: {name} has {values[key]:,} as {key} in its config.json; at most {limit:,} are read"
                )
        config = AutoConfig.from_pretrained(folder, **SAFE)
        if not 1 <= (layers := getattr(config, "num_hidden_layers", 1)) <= MOST_LAYERS:
            raise InputError(
                f"model: {name} has {layers:,} layers in its config.json; accepted are 1 to {MOST_LAYERS:,}"
            )
        _kind(config)
        return config


def _kind(config: PretrainedConfig) -> type[PreTrainedModel]:
    """Return the class of a classifier of a config's architecture."""
    if config.model_type in REFUSED:
        raise InputError(
            f"model: the architecture {config.model_type} cannot be used, since {REFUSED[config.model_type]}; "
            "choose a model of another"
        )
    kinds = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    if type(config) not in kinds:
        raise InputError(f"model: transformers has no text classifier of the architecture {config.model_type}")
    return kinds[type(config)]


def _check_size(config: PretrainedConfig, folder: Path, name: str) -> None:
    """Refuse a config that asks for far more weights than the folder holds, before they take memory."""
    stored = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            stored += sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())
    made = itertools.count()

    def stop(parent, attribute, module):
        if next(made) > MOST_MODULES:
            raise InputError(
                f"model: config.json of {name} describes more than {MOST_MODULES:,} modules; none is so large"
            )

    hook = register_module_module_registration_hook(stop)
    try:
        with torch.device("meta"):
            wanted = sum(p.numel() for p in AutoModelForSequenceClassification.from_config(config).parameters())
    finally:
        hook.remove()
    if wanted > max(2 * stored, FEW):
        raise InputError(
            f"model: config.json of {name} describes {wanted:,} weights, and its files hold {stored:,}; "
            "check that they belong together"
        )


def _answer_by_ends(model: PreTrainedModel) -> None:
    """Let a model whose head reads the last end token answer batches of texts that hold different numbers of them.

    A text that holds the token itself would end a batch with an error. Its answer is that of the text alone.
    """
    usual = model.forward
    loss_of = binary_cross_entropy_with_logits if gives_several(model) else cross_entropy

    @functools.wraps(usual)
    def forward(input_ids, attention_mask=None, labels=None, **others):
        ends = (input_ids == model.config.eos_token_id).sum(1)
        groups = [(ends == number).nonzero()[:, 0] for number in ends.unique()]
        parts = [
            usual(input_ids=input_ids[rows], attention_mask=attention_mask[rows], **others).logits for rows in groups
        ]
        logits = torch.cat(parts)[torch.cat(groups).argsort()]
        loss = None if labels is None else loss_of(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    model.forward = forward


def match(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Make sure, by trying, that a model and its tokenizer work together, and that padding changes no answer.

    The tokenizer then pads on the side where that holds: on the right, but for XLNet and its like.

    Args:
        name: of the model, as the user gave it, for messages.

    Raises:
        InputError: the model cannot answer a text, or answers it otherwise beside a longer one.
    """
    longest = min(tokenizer.model_max_length, most_tokens(model) or 64, 64)

    def answers(n: int) -> torch.Tensor:
        ids = tokenizer(["a", "a b " * 32], truncation=True, max_length=longest, return_attention_mask=False)
        batch = tokenizer.pad({key: rows[:n] for key, rows in ids.items()}, return_tensors="pt")
        return model(**batch.to(model.device)).logits

    was_training = model.training
    with one_line_errors(name, "cannot answer a text", "choose another model"):
        with torch.inference_mode(), torch.random.fork_rng():
            model.eval()
            alone = answers(1)
            if not torch.isfinite(alone).all():
                raise InputError(f"model: {name} answers a text with what is no number, so its weights are damaged")
            if not _first_position(model):  # else positions are numbered by it, and nothing else reads it
                model.config.pad_token_id = tokenizer.pad_token_id  # heads of decoders find a text's last token by it
            for tokenizer.padding_side in ("right", "left"):
                if (alone[0] - answers(2)[0]).abs().max() <= 1e-4 * alone.abs().max():
                    break
            else:
                raise InputError(
                    f"model: {name} answers a text otherwise beside a longer one, since {model.config.model_type} also "
                    "reads the padding; choose a model of another architecture"
                )
    model.train(was_training)
    if alone.shape != (1, model.config.num_labels):
        raise InputError(
            f"model: {name} gives {tuple(alone.shape)} numbers for a text and {model.config.num_labels} labels"
        )


def most_tokens(model: PreTrainedModel) -> int | None:
    """Return how many tokens a model can read; None when nothing limits that."""
    limit = most_positions(model.config)
    return limit and limit - _first_position(model)


def most_positions(config: PretrainedConfig) -> int | None:
    """Return how many positions a model has for tokens; None when nothing limits that.

    LongRoPE reads all texts of a batch in another way when one of them is long, so no text is to be as long as that.
    """
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len")]
    scaling = getattr(config, "rope_parameters", None) or {}
    if scaling.get("rope_type") == "longrope":
        limits.append(scaling["original_max_position_embeddings"])
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)


def _first_position(model: PreTrainedModel) -> int:
    """Return the position of a text's first token.

    It is 0, but RoBERTa and its kin number positions from behind the padding token of the config they were built by.
    """
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1


def gives_several(model: PreTrainedModel) -> bool:
    """Tell whether a model gives each label a probability of its own, and not all of them one together."""
    return model.config.problem_type == SEVERAL


def computes_in(model: PreTrainedModel, precision: str) -> bool:
    """Return whether a model can be computed in mixed precision: some fail in bf16, some are too large for fp16."""
    if precision == "fp32":
        return True
    ids = example(model)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        with torch.inference_mode(), torch.random.fork_rng(), torch.autocast(model.device.type, kind):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    except RuntimeError:  # what torch raises for numbers and operations that the type has not
        return False
    return bool(logits.isfinite().all())


@contextmanager
def one_line_errors(
    name: str, what: str = "cannot be loaded", advice: str = "check that its folder is whole"
) -> Iterator[None]:
    """Turn whatever a folder that is damaged, or needs code of its own, makes libraries raise into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged file raises anything from OSError to the parsers' own errors
        if "trust_remote_code" in str(error):
            raise InputError(
                f"model: {name} needs code of its own, which is never run here; choose a model of an architecture that "
                "transformers knows"
            ) from None
        raise InputError(
            f"model: {name} {what} ({type(error).__name__}: {first_line(error)[:200]}); {advice}"
        ) from None
