"""Which rows of a file to label next: those that would teach a trained model most, in a csv to fill in."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .. import data, evaluation, machine, training
from ..errors import InputError
from .prediction import CHUNK, check_target, check_texts, load, so_far, write_csv


def suggest_file(
    model: str,
    source: Path,
    target: Path,
    n: int = 100,
    labelled: str = "",
    text_column: str = "",
    label_column: str = "",
    tracking_uri: str = "",
) -> str:
    """Write the rows of a file whose labels would teach a model most, the best first; return what was done.

    Only some thousand rows are in memory at a time. The target appears whole at the end, or not at all.

    Args:
        model, tracking_uri: see `prediction.load`.
        source: txt (a text a line, or `text;label` with that as its first line), csv, tsv, jsonl or parquet.
        target: csv that is not there yet, with the columns of the source: the text first, then an empty label, guess
            (the model's label) and reason (why this row), then the others.
        n: rows to write, at most.
        labelled: a data set, as `data.load` takes it, whose labelled texts are left out; empty means none.
        text_column: of source and `labelled`; empty means the first usual name that is there.
        label_column: of source, `labelled` and target; empty means `label`, and in `labelled` the first usual name.

    Raises:
        InputError: model, source, target or `labelled` cannot be used, or no row is left to label.
    """
    source, target = machine.expanded(source), machine.expanded(target)
    if n < 1:
        raise InputError(f"-n: got {n}; accepted is a number of rows from 1 on")
    check_target(source, target, (".csv",))
    if target.exists():
        raise InputError(f"out: {target} is there already and may hold labels; name a new file")
    chunks = data.stream_rows(source, text_column, CHUNK)
    first = next(chunks)  # says what is wrong with the file before seconds go into loading the model
    columns = _columns(first[0].columns[0], label_column)
    _check_own(source, first[0].columns[1:])
    classifier = load(model, tracking_uri)
    labels = "auto" if classifier.thresholds is None else "several"  # as the model's own were read
    known = data.labelled_texts(labelled, text_column, label_column, labels) if labelled else ()
    check_texts(source, first[0].iloc[:, 0].tolist(), classifier.labels)
    pool = _Pool(n * evaluation.DRAWN, columns[1], set(map(_plain, known)))
    pool.fill(itertools.chain([first], chunks), classifier)
    if pool.best is None:
        raise InputError(f"{source.name} has no row to label{pool.left_out()}; give a file with other texts")
    chosen, note = _chosen(pool, classifier, n)
    with machine.whole_file(target) as draft:  # by the mark in front, spreadsheets take a file for UTF-8
        write_csv(_sheet(chosen, columns), draft, encoding="utf-8-sig")
    return f"{len(chosen):,} of {pool.rows:,} rows to label{note}{pool.left_out()}"


@dataclass
class _Pool:
    """Rows of a file, drawn by how much a model doubts its answers, from part to part; each text once."""

    most: int  # rows that are kept
    label_column: str
    known: set[str]  # texts that are labelled, as `_plain` gives them
    best: pd.DataFrame | None = None  # columns (own, <column of the file>), the text first, and (model, <of _answers>)
    rows: int = 0  # that were read, and how many of them are left out
    empty: int = 0
    labelled: int = 0

    def fill(self, chunks: Iterable[tuple[pd.DataFrame, float]], classifier: training.Classifier) -> None:
        """Take in the rows of a file, as `data.stream_rows` yields them."""
        line, started = machine.ProgressLine(), time.monotonic()
        for table, share_read in chunks:
            self.add(table, classifier)
            line.show(so_far(self.rows, time.monotonic() - started, share_read))

    def add(self, table: pd.DataFrame, classifier: training.Classifier) -> None:
        """Take in some rows of a file, the text in the first column."""
        plain = table.iloc[:, 0].fillna("").map(_plain)
        empty, labelled = plain == "", plain.isin(self.known) | self._filled(table)
        self.rows += len(table)
        self.empty += int(empty.sum())
        self.labelled += int((labelled & ~empty).sum())
        new = table[~empty & ~labelled]
        if len(new):
            answers = _answers(classifier, new.iloc[:, 0].tolist()).set_index(new.index).assign(plain=plain)
            answers["lot"] = evaluation.lots(answers["doubt"], answers["plain"].map(_uniform))
            found = pd.concat({"own": new, "model": answers}, axis=1)
            both = found if self.best is None else pd.concat([self.best, found])
            both = both.sort_values(("model", "lot"), ascending=False, kind="stable").drop_duplicates(
                [("model", "plain")]
            )
            self.best = both.head(self.most)

    def _filled(self, table: pd.DataFrame) -> pd.Series:
        """Return which rows of a table have a label already."""
        cells = table[[name for name in table.columns[1:] if name.lower() == self.label_column.lower()]]
        return cells.apply(lambda column: column.notna() & (column.astype("str").str.strip() != "")).any(axis=1)

    def left_out(self) -> str:
        """Return how many rows are left out and why, to be put behind a sentence."""
        counts = {"without a text": self.empty, "labelled already": self.labelled}
        said = " and ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        return f"; left out: {said}" * bool(said)


def _columns(text: str, label: str) -> list[str]:
    """Return the names of the first columns of the csv: text, label, guess, reason."""
    columns = [text, label or "label", "guess", "reason"]
    if len({name.lower() for name in columns}) < len(columns):
        raise InputError(
            f"the columns of the csv would be {', '.join(columns)}, and two of them have one name; rename the text "
            "column, or take another label_column (--label-column)"
        )
    return columns


def _check_own(source: Path, names: Iterable[str]) -> None:
    """Raise an InputError if a file has a guess or a reason of its own; with both it is an earlier csv of this kind."""
    own = [name for name in names if name.lower() in ("guess", "reason")]
    if own and {name.lower() for name in own} != {"guess", "reason"}:
        raise InputError(
            f"{source.name} has a column {own[0]!r}, whose place the model's {own[0].lower()} would take; rename it, "
            "or delete it if it is of an earlier csv of suggest"
        )


def _plain(text: str) -> str:
    """Return what texts have in common that differ in case and white space only."""
    return " ".join(text.casefold().split())


def _uniform(text: str) -> float:
    """Return a number above 0 and below 1 that depends on a text alone, so that equal texts have one lot."""
    return (int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:6]) + 0.5) / 2**48


def _answers(classifier: training.Classifier, texts: list[str]) -> pd.DataFrame:
    """Return the model's guess for texts, between what it is unsure, in words, and its doubt."""
    table, names, thresholds = classifier.table(texts), classifier.labels, classifier.thresholds
    chances = table.iloc[:, 2:].to_numpy()
    if thresholds is None:
        best = np.argsort(-chances, axis=1, kind="stable")[:, :2]
        unsure = [
            " or ".join(f"{names[i]} {chance[i]:.2f}" for i in pair) for chance, pair in zip(chances, best, strict=True)
        ]
    else:
        nearest = evaluation.doubts_of_labels(chances, thresholds).argmax(1)
        unsure = [
            f"{names[i]} {chance[i]:.2f}, given from {thresholds[i]:.2f} on"
            for chance, i in zip(chances, nearest, strict=True)
        ]
    doubt = evaluation.doubts(chances, thresholds)
    return pd.DataFrame({"guess": table["label"], "unsure": unsure, "doubt": doubt})


def _chosen(pool: _Pool, classifier: training.Classifier, n: int) -> tuple[pd.DataFrame, str]:
    """Return the rows to write, the best first, and what is to be said about them."""
    if len(pool.best) <= n:
        return _by_doubt(pool.best), f", which are all; {n:,} were asked for" * (len(pool.best) < n)
    drawn = evaluation.drawn(pool.best["model", "lot"], pool.rows - pool.empty - pool.labelled, n)
    best = pool.best.iloc[drawn]
    states = classifier.states(best.iloc[:, 0].tolist())
    if states is None:
        note = "; what this kind of model makes of texts cannot be read, so some may be like others"
        return _by_doubt(pool.best).head(n), note
    rows, similar = evaluation.to_label(best["model", "doubt"].to_numpy(), states, n)
    chosen = best.iloc[rows].copy()
    chosen["model", "similar"] = similar
    return chosen, f", and {n:,} were asked for: to this model the others are the same" * (len(rows) < n)


def _by_doubt(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(("model", "doubt"), ascending=False, kind="stable")


def _sheet(chosen: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the csv to fill in."""
    own, model = chosen["own"], chosen["model"]
    taken = {name.lower() for name in columns}
    first = dict(zip(columns, (own.iloc[:, 0], "", model["guess"], model.apply(_reason, axis=1)), strict=True))
    return pd.DataFrame(first | {name: own[name] for name in own if name.lower() not in taken})


def _reason(row: pd.Series) -> str:
    """Return why a row is worth a label, in words."""
    alike = row.get("similar", 1) - 1
    return f"{row['unsure']}; {alike} like it" if alike else row["unsure"]
