"""What a visitor of the page is told: an answer with the words that decided, or a table of many answers.

Whatever texts and labels hold, they reach the page as texts.
"""

from __future__ import annotations

import html
import warnings
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd

from ...errors import InputError, first_line, one_line
from ..prediction import predict_file
from .start import Known

#: The two best probabilities of a close call lie closer than this.
CLOSE = 0.1
#: Letters of a text, and rows of the preview.
MOST_LETTERS, MOST_ROWS = 10_000, 20
#: A word is marked that weighs this share of the heaviest one, and more than a percentage point.
SHARE, LEAST = 0.2, 0.01
#: What a mark says -> its colour.
COLOURS = {"decides most": "#16a34a", "speaks for it": "#86c99b", "speaks against it": "#e07b39"}

Marked = list[tuple[str, str | None]]


def answer(known: Known, text: str) -> tuple[str, dict[str, float], Marked]:
    """Return what the page says about a text: a paragraph of HTML, label -> probability, and its parts with marks."""
    if not text.strip():
        return paragraph("Type a sentence first."), {}, []
    if len(text) > MOST_LETTERS:
        told = f"This text has {len(text):,} letters; accepted are {MOST_LETTERS:,}. Longer ones go into a file."
        return paragraph(told), {}, []
    row, classifier = known.classifier.table([text]).iloc[0], known.classifier
    chances = {label: float(row[f"p_{label}"]) for label in classifier.labels}
    words = classifier.words(text)
    if classifier.thresholds is None:
        told = f"{verdict(chances)} {about_words(words)}"
    else:
        thresholds = dict(zip(classifier.labels, classifier.thresholds, strict=True))
        told = f"{labels_given(chances, thresholds)} {about_words(words, classifier.labels[words.attrs['answer']])}"
    return paragraph(told), chances, marked(text, words)


def labels_given(chances: dict[str, float], thresholds: dict[str, float]) -> str:
    """Return in a sentence which labels a text gets, and which one is a close call.

    >>> labels_given({"sad": 0.2, "glad": 0.8, "calm": 0.4}, {"sad": 0.5, "glad": 0.5, "calm": 0.38})
    'glad (0.80), calm (0.40). A close call: calm is given from 0.38 on.'
    >>> labels_given({"sad": 0.2, "glad": 0.1}, {"sad": 0.5, "glad": 0.5})
    'None of the labels; the nearest is sad, with 0.20 where it is given from 0.50 on.'
    """
    given = sorted((label for label in chances if chances[label] >= thresholds[label]), key=lambda one: -chances[one])
    nearest = min(chances, key=lambda label: abs(chances[label] - thresholds[label]))
    if not given:
        least = f"with {chances[nearest]:.2f} where it is given from {thresholds[nearest]:.2f} on"
        return f"None of the labels; the nearest is {nearest}, {least}."
    told = ", ".join(f"{label} ({chances[label]:.2f})" for label in given) + "."
    if 2 * abs(chances[nearest] - thresholds[nearest]) < CLOSE:
        told += f" A close call: {nearest} is given from {thresholds[nearest]:.2f} on."
    return told


def verdict(chances: dict[str, float]) -> str:
    """Return an answer in a sentence, which calls a close call by its name.

    >>> verdict({"sad": 0.2, "glad": 0.8}), verdict({"sad": 0.48, "glad": 0.52})
    ('glad, with a probability of 0.80.', 'A close call between glad (0.52) and sad (0.48).')
    """
    (first, high), (second, low) = sorted(chances.items(), key=lambda one: -one[1])[:2]
    if high - low < CLOSE:
        return f"A close call between {first} ({high:.2f}) and {second} ({low:.2f})."
    return f"{first}, with a probability of {high:.2f}."


def about_words(words: pd.DataFrame, label: str = "that") -> str:
    """Return what the table of `word_weights` says, of the likeliest label, in one or two sentences."""
    heaviest, probability = words.loc[words["weight"].idxmax()], words.attrs["probability"]
    unread = int(words["weight"].isna().sum())
    cut = f" The last {unread:,} words are not read: the text is too long for the model." if unread else ""
    if len(words) == 1:
        return "It is the only word." + cut
    run = words.loc[words["part"] == heaviest["part"], "word"]
    if heaviest["weight"] < LEAST:
        what = "word" if len(run) == 1 else f"run of {len(run)} words"
        return f"No {what} decides alone: without any one of them the answer stays as likely." + cut
    told = run.iloc[0] if len(run) == 1 else f"{run.iloc[0]} … {run.iloc[-1]}"
    return f"Without “{told}” {label} would be {max(probability - heaviest['weight'], 0):.2f}." + cut


def marked(text: str, words: pd.DataFrame) -> Marked:
    """Return a text in parts, each with its mark, a key of COLOURS, or None for what stands between marked words."""
    heaviest = words["weight"].max()
    least = max(words["weight"].abs().max() * SHARE, LEAST)
    parts, done = [], 0
    for start, end, weight in words.loc[words["weight"].abs() >= least, ["start", "end", "weight"]].to_numpy():
        mark = "speaks against it" if weight < 0 else "decides most" if weight == heaviest else "speaks for it"
        parts += [(text[done : int(start)], None), (text[int(start) : int(end)], mark)]
        done = int(end)
    return [part for part in [*parts, (text[done:], None)] if part[0]]


def label_many(known: Known, folder: Path, lines: str, file: str | None, column: str) -> tuple:
    """Return a paragraph of HTML about the labelled texts, their first rows, and a csv file of all; or what is wrong.

    Args:
        lines: a text a line; empty where there is a file.
        file: what was uploaded; None where there are lines.
        column: that holds the file's texts; empty means the usual names.
    """
    place = Path(mkdtemp(dir=folder))
    target = place / "labelled.csv"
    try:
        with warnings.catch_warnings(record=True) as caught:  # such as that the texts are of another kind
            warnings.simplefilter("always", UserWarning)
            done = predict_file(known.classifier, _source(place, lines, file), target, column.strip())
    except (InputError, OSError) as error:
        return paragraph(first_line(error)), None, None
    told = "".join(paragraph(f"⚠ {one_line(one.message)}") for one in caught if issubclass(one.category, UserWarning))
    rows = pd.read_csv(target, nrows=MOST_ROWS, dtype={"text": str, "label": str}, keep_default_na=False)
    rows.iloc[:, 2:] = rows.iloc[:, 2:].apply(pd.to_numeric).round(3)  # one without a text has no probabilities
    return paragraph(f"{done}. The first {len(rows)} are shown; the file has all.") + told, rows, str(target)


def _source(place: Path, lines: str, file: str | None) -> Path:
    """Return the file with the texts: what was uploaded, or one made of lines."""
    texts = [line for line in (lines or "").splitlines() if line.strip()]
    if bool(texts) == bool(file):
        raise InputError("Type texts, one a line, or choose a file, and not both.")
    if file:
        return Path(file)
    source = place / "lines.jsonl"
    pd.DataFrame({"text": texts}).to_json(source, orient="records", lines=True)
    return source


def paragraph(text: str) -> str:
    """Return a text as HTML that shows it letter by letter."""
    return f"<p>{html.escape(text)}</p>"
