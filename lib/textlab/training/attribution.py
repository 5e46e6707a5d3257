"""The words that decided: what a model's answer loses when a word is left out of its text.

Leaving out (occlusion; Zeiler and Fergus 2014, Li et al. 2016) asks the model itself, so it works for any architecture.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..errors import InputError, show
from .inference import probabilities

#: Most parts of a text that are left out in turn: what a long text may cost.
MOST_PARTS = 100
#: A word is what stands between blanks; in scripts that are written without blanks, a letter.
_WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\s\u2e80-\u9fff\uf900-\ufaff]+")


def word_weights(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int
) -> list[pd.DataFrame]:
    """Return how much each word of some texts speaks for the answer that the model gives.

    A weight is the probability of the answer minus what it is without the word. It takes an answer for each word. A
    text of more than `MOST_PARTS` words is parted into as many runs of neighbours, and the words of a run share its
    weight. Where several words say the same, none of them may weigh much: without it the others still say so.

    Args:
        max_length: tokens; longer texts are cut, and words behind the cut are not read.

    Returns:
        A table for each text: word, start and end (its place in the text, in letters), part (number of the run that it
        is left out with) and weight, from -1 to 1; -1 and NaN for a word that is not read whole. `attrs` has answer
        (class id) and probability, of the words that are read. The only word of a text weighs its whole probability.

    Raises:
        InputError: a text is blank.
    """
    tables = [_words(tokenizer, text, max_length) for text in texts]
    asked = [_left_out(text, table) for text, table in zip(texts, tables)]
    chances = _ask(model, tokenizer, [text for several in asked for text in several], max_length)
    for table, few in zip(tables, np.split(chances, np.cumsum([len(several) for several in asked])[:-1])):
        answer = int(few[0].argmax())
        table.attrs = {"answer": answer, "probability": float(few[0, answer])}
        part = table["part"].to_numpy()
        drops = few[0, answer] - few[1:, answer].astype(float)
        table["weight"] = np.where(part < 0, np.nan, drops[part])
    return tables


def without_words(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    tables: Sequence[pd.DataFrame],
    orders: Sequence[np.ndarray],
    most: float,
) -> np.ndarray:
    """Return by how much the probability of each text's answer falls when some words are left out, shape (texts,).

    Args:
        tables: what `word_weights` returned for the texts.
        orders: for each text the numbers of its words, those to leave out first in front.
        most: how many words; below 1 their share of those in the text's order, a word at least.
    """
    fewer = []
    for text, table, order in zip(texts, tables, orders):
        read = text[: table["end"][table["weight"].notna()].max()]
        gone = order[: int(most) if most >= 1 else max(1, round(most * len(order)))]
        fewer.append(_without(read, table["start"].tolist(), set(gone.tolist())))
    left = _ask(model, tokenizer, fewer, max_length)
    answers = [table.attrs["answer"] for table in tables]
    return np.array([table.attrs["probability"] for table in tables]) - left[np.arange(len(texts)), answers]


def deletions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    most: float,
    seed: int,
    draws: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much answers fall without their heaviest words, and without as many random ones.

    Args:
        most: how many words; see `without_words`.
        seed: of the random words.
        draws: of random words, for each text.

    Returns:
        Shapes (texts,) and (draws, texts), as `evaluation.deletion_test` takes them.
    """
    tables, dice = word_weights(model, tokenizer, texts, max_length), np.random.default_rng(seed)
    read = [table["weight"].dropna() for table in tables]
    heaviest = [np.argsort(-weights.to_numpy(), kind="stable") for weights in read]
    orders = [heaviest, *([dice.permutation(len(weights)) for weights in read] for _ in range(draws))]
    falls = [without_words(model, tokenizer, texts, max_length, tables, order, most) for order in orders]
    return falls[0], np.stack(falls[1:])


def _words(tokenizer: PreTrainedTokenizerBase, text: str, max_length: int) -> pd.DataFrame:
    """Return the words of a text: word, start, end, and the part that it is left out with, -1 where it is not read."""
    spans = [found.span() for found in _WORD.finditer(text)]
    if not spans:
        raise InputError(f"texts: {show(text)} has no words; accepted are texts that are not blank")

    def tokens(words: int) -> int:
        return len(tokenizer(text[: spans[words - 1][1]], verbose=False)["input_ids"])

    read = max(1, bisect.bisect_right(range(1, len(spans) + 1), max_length, key=tokens))
    part = np.full(len(spans), -1)
    part[:read] = np.arange(read) * min(read, MOST_PARTS) // read
    starts, ends = zip(*spans)
    return pd.DataFrame({"word": [text[a:b] for a, b in spans], "start": starts, "end": ends, "part": part})


def _left_out(text: str, table: pd.DataFrame) -> list[str]:
    """Return the part of a text that is read and, for each part of it, that text without it."""
    starts, part = table["start"].tolist(), table["part"].to_numpy()
    text = text[: table["end"][part >= 0].max()]  # else what stands behind the cut would move up
    return [text, *(_without(text, starts, set(np.flatnonzero(part == i).tolist())) for i in range(part.max() + 1))]


def _without(text: str, starts: Sequence[int], gone: set[int]) -> str:
    """Return a text without some of its words, each with the blanks behind it."""
    pieces = itertools.pairwise([*starts, len(text)])
    kept = (text[start:end] for i, (start, end) in enumerate(pieces) if i not in gone)
    return (text[: starts[0]] + "".join(kept)).rstrip()


def _ask(model, tokenizer, texts: Sequence[str], max_length: int) -> np.ndarray:
    """Return class probabilities in fp32, shape (texts, classes); zero for a blank text, which says nothing."""
    chances = np.zeros((len(texts), model.config.num_labels), dtype=np.float32)
    there = np.flatnonzero([text.strip() != "" for text in texts])
    chances[there] = probabilities(model, tokenizer, [texts[i] for i in there], max_length, exact=True)
    return chances
