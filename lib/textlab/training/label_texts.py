"""The names of the labels as texts to learn from: where rows are few, a name says what no row does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from datasets import Dataset, DatasetDict, Features, Value, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from ..data import tokenize

#: Names that say nothing: those that transformers gives to labels without any.
_GIVEN = re.compile(r"label[_ ]?\d+", re.IGNORECASE)
#: Letters of a word, of any script, at least.
LETTERS = 2


def are_words(labels: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether each label has a name that may say what it stands for.

    A number or a letter does not, nor does a name that the tokenizer reads as that of another label, such as two in a
    script that it does not know.
    """
    if not all(sum(map(str.isalpha, label)) >= LETTERS and not _GIVEN.fullmatch(label) for label in labels):
        return False
    read = tokenizer([as_text(label) for label in labels], verbose=False)["input_ids"]
    return len(set(map(tuple, read))) == len(labels)


def as_text(label: str) -> str:
    """Return a label's name as one would write it.

    >>> as_text("card_arrival"), as_text("NOT-OFFENSIVE"), as_text("joy")
    ('card arrival', 'not offensive', 'joy')
    """
    words = " ".join(label.replace("_", " ").replace("-", " ").split())
    return words.lower() if words.isupper() else words


def with_names(
    train: Dataset, labels: Sequence[str], tokenizer: PreTrainedTokenizerBase, copies: int, max_length: int
) -> Dataset:
    """Return tokenized rows, and after them each label's name as a text of that label.

    Args:
        train: columns as `data.tokenize` gives them, with one label a row.
        labels: names in the order of their ids.
        copies: how often each name is there; 0 leaves the rows alone.
        max_length: tokens; a longer name is cut.
    """
    if not copies:
        return train
    ids = [i for i in range(len(labels)) for _ in range(copies)]
    features = Features({"text": Value("string"), "label": train.features["label"]})
    names = Dataset.from_dict({"text": [as_text(labels[i]) for i in ids], "label": ids}, features)
    known = tokenize(DatasetDict(names=names), tokenizer, max_length)["names"]
    return concatenate_datasets([train, known.select_columns(train.column_names)])
