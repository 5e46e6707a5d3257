"""Texts as the numbers that a model reads."""

from __future__ import annotations

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict, Features, Value

from .dataset import label_words
from .word_count import count_words


def tokenize(splits: DatasetDict, tokenizer, max_length: int) -> DatasetDict:
    """Return the splits as a model reads them, cut to `max_length` tokens, not padded, in memory.

    Returns:
        Columns `input_ids`, `token_type_ids` where the tokenizer gives them, and `label`.
    """

    def encoded(split: Dataset) -> Dataset:
        columns = _tokens(split, tokenizer, max_length)
        features = dict.fromkeys(columns, datasets.List(Value("int32"))) | {"label": split.features["label"]}
        return Dataset.from_dict(columns | {"label": split["label"][:]}, Features(features))

    return DatasetDict({name: encoded(split) for name, split in splits.items()})


def row_lengths(tokens: Dataset) -> np.ndarray:
    """Return the number of tokens of each row of a tokenized split."""
    return pc.list_value_length(tokens.with_format("arrow")[:]["input_ids"]).to_numpy()


def lengths(splits: DatasetDict, tokenizer) -> pd.DataFrame:
    """Return one row per text: split, label (name), words (of any script), tokens as `max_length` has them (uncut)."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "split": name,
                    "label": label_words(split),
                    "words": [count_words(text) for text in split["text"]],
                    "tokens": pc.list_value_length(_tokens(split, tokenizer, None)["input_ids"]).to_numpy(),
                }
            )
            for name, split in splits.items()
        ],
        ignore_index=True,
    )


def _tokens(split: Dataset, tokenizer, max_length: int | None) -> dict[str, pa.ChunkedArray]:
    """Return the tokens of each text, special tokens included; encoded in batches, which bounds the memory."""
    options = {"truncation": max_length is not None, "max_length": max_length, "verbose": False}
    kind, parts = pa.list_(pa.int32()), []
    for batch in split.iter(batch_size=10_000):
        found = tokenizer(batch["text"], return_attention_mask=False, **options)
        parts.append({column: pa.array(rows, kind) for column, rows in found.items()})
    return {column: pa.chunked_array([part[column] for part in parts], kind) for column in parts[0]}
