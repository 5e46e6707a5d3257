"""What kind of texts a model was trained on: some figures that are saved beside it, from which no text can be read."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from typing_extensions import TypedDict

from .. import machine
from ..data import count_words
from ..errors import InputError
from ..settings import strict_json

#: The file in a model's folder.
FILE = "training_texts.json"
#: Most training texts that are looked at, evenly spread; fewer than the second number say nothing about a kind.
MOST_TEXTS, FEWEST_TEXTS = 5000, 20
#: Directions in the space of the token embeddings along which texts are measured, and texts for each of them.
DIRECTIONS, TEXTS_A_DIRECTION = 64, 4
#: Texts that are read at a time, and the letters of each that are turned into tokens: all of a long one would cost more
#: than a model's answer to what it reads of it.
PART, HEAD = 256, 512
#: Words and pieces a word come first among the features.
BESIDE = 2

_Number = Annotated[float, Field(ge=-1e6, le=1e6)]
_Row = Annotated[list[_Number], Field(min_length=BESIDE + 1, max_length=BESIDE + DIRECTIONS)]


class _Written(TypedDict):
    texts: Annotated[int, Field(ge=FEWEST_TEXTS)]
    mean: _Row
    covariance: Annotated[list[_Row], Field(max_length=BESIDE + DIRECTIONS)]
    letters: dict[str, strict_json.Share]


@dataclass(frozen=True)
class TextKind:
    """The mean and the spread of some features of texts, and the scripts that they are written in.

    The features of a text are the logarithm of its words, that of its pieces a word, and the mean of its token
    embeddings along some directions, which are random, but always the same. They are those of its first `HEAD` letters,
    the number of words multiplied by how many times as long it is.
    """

    texts: int  # that were looked at
    mean: np.ndarray  # shape (features,)
    covariance: np.ndarray  # shape (features, features)
    letters: dict[str, float]  # script, such as LATIN -> its share of all letters

    @property
    def moments(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Number of texts, mean and covariance, as `evaluation.told_apart` takes them."""
        return self.texts, self.mean, self.covariance

    @property
    def words(self) -> float:
        """Words of a text, as their geometric mean."""
        return float(np.exp(min(self.mean[0], 30)))

    @property
    def pieces(self) -> float:
        """Pieces a word, as their geometric mean."""
        return float(np.exp(min(self.mean[1], 30)))

    def text(self) -> str:
        """Return the content of the file."""
        mean, covariance = _short(self.mean), [_short(row) for row in self.covariance]
        letters = {script: float(f"{share:.4g}") for script, share in self.letters.items()}
        written = {"texts": self.texts, "mean": mean, "covariance": covariance, "letters": letters}
        return json.dumps(written) + "\n"

    def write(self, folder: Path) -> None:
        """Write the file into a model's folder."""
        machine.write_text(folder / FILE, self.text())


def read_kind(folder: Path, name: str) -> TextKind | None:
    """Return the kind that is saved with a model; None for a model without the file.

    Args:
        name: of the model, as the user gave it, for messages.

    Raises:
        InputError: the file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    what = f"model: {FILE} of {name}"
    found = strict_json.read_json(folder / FILE, _Written, what)
    features = len(found["mean"])
    if [len(row) for row in found["covariance"]] != [features] * features:
        raise InputError(f"{what} has {features} means and no {features} times {features} covariances; delete the file")
    mean, covariance = np.array(found["mean"]), np.array(found["covariance"])
    return TextKind(found["texts"], mean, covariance, found["letters"])


def kind_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> TextKind | None:
    """Return the kind of the texts that a model is trained on.

    Args:
        texts: any number, of which `MOST_TEXTS` are looked at.

    Returns:
        None for fewer than `FEWEST_TEXTS`, and for an architecture without token embeddings.
    """
    rows, embeddings = spread(len(texts), MOST_TEXTS), _embeddings(model)
    if len(rows) < FEWEST_TEXTS or embeddings is None:
        return None
    directions = min(DIRECTIONS, embeddings.shape[1], len(rows) // TEXTS_A_DIRECTION)
    gathered = Gathered(model, tokenizer, BESIDE + directions)
    for start in range(0, len(rows), PART):
        gathered.add([texts[i] for i in rows[start : start + PART].tolist()])
    return gathered.kind()


def spread(rows: int, most: int) -> np.ndarray:
    """Return row numbers that are evenly spread, `most` at most.

    >>> spread(3, 5).tolist(), spread(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(int))


class Gathered:
    """The kind of texts that come in parts, in memory that does not grow with them.

    Args:
        model: whose token embeddings are read; it has to have them.
        tokenizer: of the model.
        features: as many as the kind to compare with has.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, features: int) -> None:
        self._embeddings, self._tokenizer = _embeddings(model), tokenizer
        self._directions = _directions(self._embeddings.shape[1])[:, : features - BESIDE]
        self._count, self._sum, self._products = 0, np.zeros(features), np.zeros((features, features))
        self._letters: Counter[str] = Counter()

    def add(self, texts: Sequence[str]) -> None:
        """Take some more texts into account, none of them blank."""
        stripped = [text.strip() for text in texts]
        heads = [text[:HEAD] for text in stripped]
        features = self._features(heads, [max(len(text) / HEAD, 1) for text in stripped])
        self._count += len(features)
        self._sum += features.sum(0)
        self._products += features.T @ features
        for letter, times in Counter("".join(heads)).items():
            if letter.isalpha():
                self._letters[_script(letter)] += times

    def kind(self) -> TextKind:
        """Return the kind of all texts so far; there has to be one."""
        mean, letters = self._sum / self._count, self._letters.total()
        covariance = (self._products - self._count * np.outer(mean, mean)) / max(self._count - 1, 1)
        shares = {script: number / letters for script, number in self._letters.most_common()}
        return TextKind(self._count, mean, covariance, shares)

    @property
    def count(self) -> int:
        """Number of texts so far."""
        return self._count

    @property
    def n_letters(self) -> int:
        """Number of letters so far."""
        return self._letters.total()

    def _features(self, heads: list[str], times: list[float]) -> np.ndarray:
        """Return the features of texts, shape (texts, features), from their first letters.

        Args:
            times: how many times as long each text is as these letters.
        """
        options = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
        ids = self._tokenizer(heads, verbose=False, **options)["input_ids"]
        pieces = np.array([len(row) for row in ids])
        starts, place = np.cumsum(pieces) - pieces, self._embeddings.device
        flat = torch.tensor([i for row in ids for i in row], dtype=torch.long, device=place)
        bags = torch.nn.functional.embedding_bag(flat, self._embeddings, torch.from_numpy(starts).to(place))
        words = np.maximum([count_words(text) for text in heads], 1)
        beside = np.log(np.stack([words * times, np.maximum(pieces, 1) / words], axis=1))
        return np.hstack([beside, bags.double().cpu().numpy() @ self._directions])


def _embeddings(model: PreTrainedModel) -> torch.Tensor | None:
    """Return a model's token embeddings, shape (vocabulary, size); None where an architecture has no such table."""
    try:
        weight = getattr(model.get_input_embeddings(), "weight", None)
    except NotImplementedError:
        return None
    return weight.detach() if weight is not None and weight.ndim == 2 else None


@cache
def _directions(size: int) -> np.ndarray:
    """Return the directions in a space, shape (size, DIRECTIONS); NumPy never changes the numbers of this generator."""
    return np.random.RandomState(0).standard_normal((size, DIRECTIONS)) / np.sqrt(size)


def _script(letter: str) -> str:
    """Return the script of a letter, as the first word of its name in Unicode.

    >>> [_script(letter) for letter in "aяあ中"]
    ['LATIN', 'CYRILLIC', 'HIRAGANA', 'CJK']
    """
    return unicodedata.name(letter, "UNNAMED").split()[0]


def _short(numbers: np.ndarray) -> list[float]:
    return [float(f"{number:.6g}") for number in numbers]
