"""A trained model's answers: for a few texts in Python, or for a file of millions in bounded memory.

The room of training takes seconds to import: it is named as `training.X` where a model is there, so that what is wrong
with a file, or with the name of a model, is said at once.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .. import data, hub, machine, tracking, training
from ..errors import InputError
from .watch import Watch

#: Rows that are read, sorted by length and written at a time.
CHUNK = 2048
OUTPUTS = (".csv", ".jsonl", ".parquet")

_TRACKED = re.compile(r"models:/.+|(runs:/)?[0-9a-f]{32}(/.+)?")


def predict(
    model: str | Path | training.Classifier, texts: Iterable[str | None], tracking_uri: str = ""
) -> pd.DataFrame:
    """Return what a trained model says about texts: columns text, label and `p_<label>` for each label.

    Warns if the texts are of another kind than those that the model was trained on.

    Args:
        model: what `load` takes, or what it returned, to load once for several calls.
        texts: in any number; one that is None or blank gets no label.
        tracking_uri: of the store that a model from MLflow lies in; empty means the project's own.

    Raises:
        InputError: the model cannot be used, or something that is no text is among the texts.
    """
    if isinstance(texts, str):
        raise InputError(f"texts: got one string; accepted is a list of them; use [{texts[:20]!r}]")
    if isinstance(texts, pd.DataFrame | Mapping):  # their columns' names would be taken for the texts
        raise InputError("texts: got a table; accepted is a list of texts; use one of its columns, as table['text']")
    texts = [None if pd.api.types.is_scalar(text) and pd.isna(text) else text for text in texts]
    if wrong := [text for text in texts if not (text is None or _is_text(text))]:
        raise InputError(f"texts: got {wrong[0]!r}; accepted are strings in Unicode, and None for a missing text")
    classifier = _loaded(model, tracking_uri)
    watch, parts = Watch(classifier), []
    for start in range(0, len(texts), CHUNK):
        part = texts[start : start + CHUNK]
        parts.append(classifier.table(part))
        watch.see(part)
    watch.tell()
    return pd.concat(parts or [classifier.table([])], ignore_index=True)


def predict_file(
    model: str | Path | training.Classifier, source: Path, target: Path, text_column: str = "", tracking_uri: str = ""
) -> str:
    """Write a model's answers for each row of a file, in its order; return a sentence about what was done.

    Only some thousand rows are in memory at a time. The target appears whole at the end, or not at all. Warns if the
    texts are of another kind than those that the model was trained on.

    Args:
        model, tracking_uri: see `predict`.
        source: txt (a text a line, or `text;label` with that as its first line), csv, tsv, jsonl or parquet.
        target: csv, jsonl or parquet, by its ending; columns as `predict` returns them.
        text_column: of the source; empty means the first usual name that is there.

    Raises:
        InputError: model, source or target cannot be used.
    """
    source, target = machine.expanded(source), machine.expanded(target)
    check_target(source, target, OUTPUTS)
    chunks = data.stream_texts(source, text_column, CHUNK)
    first = next(chunks)  # says what is wrong with the file before seconds go into loading the model
    classifier = _loaded(model, tracking_uri)
    check_texts(source, first[0], classifier.labels)
    rows = unanswered = long = 0
    watch, line, started = Watch(classifier), machine.ProgressLine(), time.monotonic()
    with machine.whole_file(target) as draft, _writer(draft, target.suffix.lower(), classifier) as write:
        for texts, share_read in itertools.chain([first], chunks):
            table = classifier.table(texts)
            write(table)
            watch.see(texts)
            rows, unanswered = rows + len(table), unanswered + int(table["label"].isna().sum())
            long += sum(text is not None and "\n" in text for text in texts)
            line.show(so_far(rows, time.monotonic() - started, share_read))
    seconds = time.monotonic() - started
    watch.tell()
    closing = f"{rows:,} rows in {machine.duration(seconds)}, {rows / seconds:,.0f} rows/s"
    closing += f"; {unanswered:,} without a text have no label" if unanswered else ""
    return closing + (f"; {long:,} have a text of several lines" if long else "")


def _is_text(value: object) -> bool:
    """Return whether a value is a string that can be written; one half of a surrogate pair cannot."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def _loaded(model: str | Path | training.Classifier, tracking_uri: str) -> training.Classifier:
    named = isinstance(model, str | Path)
    # A name needs no room of training: see above.
    return model if not named and isinstance(model, training.Classifier) else load(str(model), tracking_uri)


def load(model: str, tracking_uri: str = "") -> training.Classifier:
    """Return a trained classifier on the fastest device here, and warn of what its guards found after its training.

    Args:
        model: a folder with a saved model, or one that has it under `model`; `models:/name@alias` or `models:/name/3`
            from the registry; `runs:/<run id>` or the id alone; `owner/name[@revision]` from the Hub.
        tracking_uri: of the MLflow store; empty means the project's own. No code from a store is run.

    Raises:
        InputError: it is not there, cannot be read, or was never trained to classify.
    """
    with located(model, tracking_uri) as folder:
        return training.load_classifier(folder, model)


@contextmanager
def located(model: str, tracking_uri: str = "") -> Iterator[Path]:
    """Yield the folder of a model, which may be gone behind the context; arguments and errors as for `load`."""
    with TemporaryDirectory() as scratch:
        if _TRACKED.fullmatch(model) and not Path(model).exists():
            yield tracking.model_folder(model, Path(scratch), tracking_uri)
        else:
            inside = machine.expanded(model) / "model"
            spec = str(inside) if (inside / "config.json").is_file() else model
            yield hub.model_folder(spec) or hub.resolve_model(spec).path


def check_target(source: Path, target: Path, accepted: Sequence[str]) -> None:
    """Raise an InputError for a target that is of none of the accepted formats, or the source, or a folder."""
    if target.suffix.lower() not in accepted:
        verb = "are" if len(accepted) > 1 else "is"
        raise InputError(f"out: {target.name} is of an unknown format; accepted {verb} {', '.join(accepted)}")
    if target.is_dir():
        raise InputError(f"out: {target} is a folder; name a file")
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"out: {target} is the file to read; name another one")


def check_texts(source: Path, texts: Sequence[str | None], labels: Sequence[str]) -> None:
    """Raise an InputError if the first texts of a txt file all end with a label of the model."""
    told = [text for text in texts if text and text.strip()]
    if source.suffix.lower() == ".txt" and told and all(text.rpartition(";")[2].strip() in labels for text in told):
        raise InputError(
            f"{source.name} holds lines text;label, and the model must not see the labels; "
            "put the line text;label on top, so that they are left out"
        )


def so_far(rows: int, seconds: float, share_read: float) -> str:
    """Return how far the reading of a file is, and how long the rest will take."""
    left = machine.duration(seconds * (1 / share_read - 1))
    return f"{rows:,} rows, {rows / seconds:,.0f} rows/s, about {left} left"


@contextmanager
def _writer(path: Path, form: str, classifier: training.Classifier):
    """Yield a function that appends a table of `Classifier.table` to a new file; only csv has lists as text."""
    columns = ["text", "label", *(f"p_{label}" for label in classifier.labels)]

    def in_lists(table: pd.DataFrame) -> pd.DataFrame:
        if classifier.thresholds is None:
            return table
        return table.assign(label=[None if pd.isna(one) else json.loads(one) for one in table["label"]])

    if form == ".parquet":
        kinds = {"text": pa.string(), "label": pa.string() if classifier.thresholds is None else pa.list_(pa.string())}
        schema = pa.schema([(name, kinds.get(name, pa.float32())) for name in columns])
        with pq.ParquetWriter(path, schema) as writer:
            yield lambda table: writer.write_table(pa.Table.from_pandas(in_lists(table), schema, preserve_index=False))
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        if form == ".jsonl":
            options = {"path_or_buf": stream, "orient": "records", "lines": True, "force_ascii": False}
            yield lambda table: in_lists(table).to_json(**options)
        else:
            write_csv(pd.DataFrame(columns=columns), stream)
            yield partial(write_csv, target=stream, header=False)


def write_csv(table: pd.DataFrame, target: Path | TextIO, **options: Any) -> None:
    """Write rows as csv; where a text or name has a carriage return, which ends a row, all but numbers are quoted."""
    cells = itertools.chain(table.columns, *(column for _, column in table.select_dtypes(exclude="number").items()))
    returns = any("\r" in cell for cell in cells if isinstance(cell, str))
    quoting = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    table.to_csv(target, index=False, lineterminator="\n", quoting=quoting, **options)
