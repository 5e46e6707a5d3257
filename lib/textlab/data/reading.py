"""How well a tokenizer reads texts: pieces a word, what it does not know, and what is cut."""

from __future__ import annotations

import math

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from .word_count import count_words

#: Rows that are looked at, evenly spread over a split.
ROWS = 10_000


def read(split: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict[str, float]:
    """Return how a tokenizer reads the texts of a split; two letters of an unspaced script count as a word.

    Args:
        split: a column text; of more than `ROWS` rows, so many are looked at.
        max_length: tokens, beyond which texts are cut.

    Returns:
        vocabulary (size of the tokenizer's), pieces (a word, of the text in the middle; a tokenizer made for a language
        has 1 to 2), unknown (share of all pieces that the tokenizer has no number for), cut (share of texts), and
        max_length.
    """
    texts = _some(split)
    options = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    ids, empty = tokenizer(texts, **options)["input_ids"], tokenizer("", **options)["input_ids"]
    pieces = np.array([len(row) for row in ids]) - len(empty)
    unknown = sum(row.count(tokenizer.unk_token_id) for row in ids) - len(ids) * empty.count(tokenizer.unk_token_id)
    a_word = pieces / np.maximum([count_words(text) for text in texts], 1)
    return {
        "vocabulary": len(tokenizer),
        "pieces": float(np.median(a_word)),
        "unknown": float(unknown / max(pieces.sum(), 1)),
        "cut": float((pieces + len(empty) > max_length).mean()),
        "max_length": max_length,
    }


def common_length(split: Dataset, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return a number of tokens that nine in ten texts of a split do not exceed, of up to `ROWS` that are looked at."""
    ids = tokenizer(_some(split), return_attention_mask=False, return_token_type_ids=False, verbose=False)["input_ids"]
    return math.ceil(np.quantile([len(row) for row in ids], 0.9))


def _some(split: Dataset) -> list[str]:
    rows = np.unique(np.linspace(0, len(split) - 1, min(len(split), ROWS)).astype(int))
    return split.select(rows)["text"][:]
