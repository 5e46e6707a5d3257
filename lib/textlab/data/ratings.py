"""Real sentences, each with what many people thought of it: the data of the VADER paper as one table."""

from __future__ import annotations

import hashlib
import html
import json
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError, show
from .variants import bare

#: Kind of text -> how its two files are called.
KINDS: dict[str, str] = {
    "tweets": "tweets",
    "movies": "movieReviewSnippets",
    "products": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets",
}
#: How the data is named, as a whole or in part -> the kinds of text that it then consists of.
PARTS: dict[str, list[str]] = {
    "packaged": ["tweets"],
    **{f"packaged:{kind}": [kind] for kind in KINDS},
    "packaged:all": list(KINDS),
}
#: A text whose mean rating, from -4 to 4, is below -CUT is negative, one above CUT positive.
CUT = 0.5
LABELS: tuple[str, ...] = ("negative", "neutral", "positive")
#: Split -> the percent of the texts below which its share ends: 70 % train, 10 % validation, 20 % test.
BELOW = {"train": 70, "validation": 80, "test": 100}

CITATION = (
    "Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social "
    "Media Text. Eighth International Conference on Weblogs and Social Media (ICWSM-14). Ann Arbor, MI, June 2014."
)
LICENCE = "MIT"
ABOUT = f"""\
Real English sentences, each rated by 15 to 99 people from -4 (extremely negative) to 4 (extremely positive): tweets \
whose names were replaced, sentences of movie reviews, of product reviews and of newspaper editorials. They come with \
the Python package vaderSentiment.

The label is the mean rating, cut at -{CUT} and {CUT}: {", ".join(LABELS)}. Splits are made by the SHA-256 of a \
text's letters and digits, so they are the same everywhere, and no text is in two of them, nor are variants of it that \
differ in capitals, punctuation, @names or links. The ratings are kept: they say how far people agree.

Cite: {CITATION} Licence: {LICENCE}."""

_ANEW = "; delete the folder and run again"
_SCALE = frozenset(range(-4, 5))


def read(folder: Path) -> pd.DataFrame:
    """Return all sentences with their ratings, in the order of the files.

    Args:
        folder: as `hub.packaged_data` gives it.

    Returns:
        Columns text, label (one of LABELS), kind (one of KINDS), mean and sd (of the ratings), ratings (a whole number
        from -4 to 4 for each person, as an array) and split (train, validation or test); indexed by kind and id, such
        as `tweets 17`.

    Raises:
        InputError: a file is not of the form that is described there, or does not fit the other one of its kind.
    """
    return pd.concat([_kind(folder, kind, name) for kind, name in KINDS.items()])


def part_of(source: str) -> list[str]:
    """Return the kinds of text that a name of PARTS stands for.

    Raises:
        InputError: there is no such part.
    """
    if source not in PARTS:
        raise InputError(f"dataset: got {source!r}; accepted are {', '.join(PARTS)}; use one of these")
    return PARTS[source]


def parts(folder: Path, kinds: list[str]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the splits of some kinds of text, the test split of the others as `elsewhere`, and notes.

    Args:
        folder, kinds: as `read` and `part_of` have them.

    Raises:
        InputError: as `read` does.
    """
    table = read(folder)
    chosen = table["kind"].isin(kinds)
    found = {split: table[chosen & (table["split"] == split)].drop(columns="split") for split in BELOW}
    if not chosen.all():
        found["elsewhere"] = table[~chosen & (table["split"] == "test")].drop(columns="split")
    fewest, most = table.loc[chosen, "ratings"].str.len().agg(["min", "max"])
    note = (
        f"{chosen.sum():,} real sentences ({', '.join(kinds)}), labelled by the mean rating of "
        f"{fewest if fewest == most else f'{fewest} to {most}'} people each: "
        f'Hutto & Gilbert, "VADER", ICWSM 2014; {LICENCE} licence.'
    )
    return found, [note]


def split_of(text: str) -> str:
    """Return the split that a text belongs to, which its letters and digits decide (`variants.bare`).

    The authors added variants of tweets that differ in capitals and punctuation only: they are in one split.

    >>> split_of("I feel fine"), split_of(" i  FEEL fine!!")
    ('train', 'train')
    """
    digest = hashlib.sha256(bare(text).encode()).hexdigest()
    return next(split for split, percent in BELOW.items() if int(digest, 16) % 100 < percent)


def _kind(folder: Path, kind: str, name: str) -> pd.DataFrame:
    """Return the sentences of one kind, whose texts and ratings stand in a file each."""
    truth, rated = folder / f"{name}_GroundTruth.txt", folder / f"{name}_anonDataRatings.txt"
    texts, people = _lines(truth, 3), _lines(rated, 4)
    if texts.keys() != people.keys():
        example = min(texts.keys() ^ people.keys())
        raise InputError(f"packaged data: {truth.name} and {rated.name} have other ids, such as {example!r}{_ANEW}")
    ratings = [_ratings(people[number][2], f"{rated.name}, id {number}") for number in texts]
    mean, sd = _mean_and_sd(ratings)
    label = _labels(mean)
    stated = np.array([[_number(texts[number][0]), _number(people[number][0])] for number in texts])
    # Of 199 tweets the first file states another mean than the second; its side of the cuts is the same.
    wrong = (_labels(stated[:, 0]) != label) | ~(abs(stated[:, 1] - mean) < 1e-6)
    if wrong.any():
        number = list(texts)[wrong.argmax()]
        raise InputError(
            f"packaged data: {name}, id {number}: the files state the mean ratings {texts[number][0]} and "
            f"{people[number][0]}, but the ratings have {mean[wrong.argmax()]:g}{_ANEW}"
        )
    plain = [html.unescape(html.unescape(text)).strip() for _, text in texts.values()]  # some were escaped twice
    columns = {"text": plain, "label": label, "kind": kind, "mean": mean, "sd": sd, "ratings": ratings}
    return pd.DataFrame(columns | {"split": list(map(split_of, plain))}, index=[f"{kind} {number}" for number in texts])


def _lines(file: Path, columns: int) -> dict[str, list[str]]:
    """Return id -> the other columns of a tab-separated file."""
    try:
        lines = file.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"packaged data: {file} cannot be read ({error}){_ANEW}") from None
    rows = [line.split("\t") for line in lines]
    for place, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise InputError(f"packaged data: {file}, line {place}: {len(row)} columns instead of {columns}{_ANEW}")
    found = {row[0]: row[1:] for row in rows}
    if len(found) < len(rows):
        raise InputError(f"packaged data: {file} has {len(rows)} rows, but only {len(found)} different ids{_ANEW}")
    return found


def _ratings(cell: str, where: str) -> np.ndarray:
    try:
        found = json.loads(cell)
    except ValueError:
        found = None
    if not (isinstance(found, list) and len(found) > 1 and {*map(type, found)} == {int} and _SCALE.issuperset(found)):
        raise InputError(
            f"packaged data: {where}: got {show(cell)}; accepted are two whole numbers from -4 to 4 or more{_ANEW}"
        )
    return np.array(found, dtype=np.int8)


def _mean_and_sd(ratings: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each array and its standard deviation."""
    counts, all_of_them = np.array([len(some) for some in ratings]), np.concatenate(ratings).astype(float)
    starts = np.cumsum(counts) - counts
    mean = np.add.reduceat(all_of_them, starts) / counts
    return mean, np.sqrt(np.add.reduceat((all_of_them - mean.repeat(counts)) ** 2, starts) / counts)


def _labels(mean: np.ndarray) -> np.ndarray:
    """Return the labels of mean ratings."""
    return np.select([mean < -CUT, mean > CUT], [LABELS[0], LABELS[2]], LABELS[1])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
