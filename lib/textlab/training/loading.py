"""A model and its tokenizer, read whole from a local folder: in fp32, and without running any code of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .. import hub
from ..errors import InputError, first_line

#: Nothing is asked of the Hub, and no code that a model brings along is run, also where somebody could be asked.
SAFE = {"local_files_only": True, "trust_remote_code": False}


def read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model folder, which pads on the right: positions begin at a text's first token.

    Args:
        name: of the model, as the user gave it, for messages.

    Raises:
        InputError: there is none, or its vocabulary is not that of the model.
    """
    with one_line_errors(name):
        tokenizer = AutoTokenizer.from_pretrained(folder, **SAFE)
        wanted = getattr(AutoConfig.from_pretrained(folder, **SAFE).get_text_config(), "vocab_size", None)
    if wanted and not wanted / 2 <= len(tokenizer) <= wanted:
        raise InputError(
            f"model: the tokenizer of {name} knows {len(tokenizer):,} tokens, and the model {wanted:,}; "
            "add the tokenizer files that belong to the model, such as tokenizer.json"
        )
    tokenizer.padding_side = "right"
    return tokenizer


def read_weights(folder: Path, name: str, attention: str, **config: Any) -> tuple[PreTrainedModel, set[str]]:
    """Return the model of a folder in fp32, whatever it is stored in, and the names of the weights that its head lacks.

    Args:
        name: of the model, as the user gave it, for messages.
        attention: implementation of attention, `eager` or `sdpa`.
        config: values that replace those of the model's config.

    Raises:
        InputError: the folder cannot be read, its index of weights names a file elsewhere, or weights below the head
            are missing or of another shape.
    """
    hub.download.check_indexes({file.name: file for file in folder.glob("*.json")}, f"model: {name}")
    with one_line_errors(name):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            attn_implementation=attention,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **SAFE,
            **config,
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
    return model, lacking


def most_tokens(model: PreTrainedModel) -> int | None:
    """Return how many tokens a model can read; None when nothing limits that.

    RoBERTa and its kin number positions from behind their padding token, so some of the table's rows are never used.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:
        return None
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    offset = getattr(table, "padding_idx", None)
    return limit if offset is None else limit - offset - 1


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turn whatever a folder that is damaged, or needs code of its own, makes libraries raise into one line."""
    try:
        yield
    except Exception as error:  # a damaged file raises anything from OSError to the parsers' own errors
        if "trust_remote_code" in str(error):
            raise InputError(
                f"model: {name} needs code of its own, which is never run here; choose a model of an architecture that "
                "transformers knows"
            ) from None
        raise InputError(
            f"model: {name} cannot be loaded ({type(error).__name__}: {first_line(error)[:200]}); "
            "check that its folder is whole"
        ) from None
