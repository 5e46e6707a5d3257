"""The file formats that hold texts, each with one parser: csv, tsv, `text;label` txt, jsonl, parquet.

To add a format, write one parser and give it a line in FORMATS, at the end. A parser is a generator
`parser(path, pick, rows)` that

- calls `pick` with the column names of the file, and gets the names of the wanted columns in their order;
- yields batches: a table with these columns and at most `rows` rows, and the share of the file that was read by then;
- keeps no more than a batch in memory, so that a file of any size can be read;
- indexes the rows by their place, counted from 1: by "line" in a text file, by "row" elsewhere (the index's name);
- takes fields as they stand ("NA" is a word, "007" keeps its zeros) and leaves out lines without any content;
- raises InputError with the line for what is wrong in the file. `readers` words errors of encoding, disk and Arrow.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features

from ..errors import InputError, first_line

TEXT_COLUMNS = ("text", "sentence", "content", "tweet")
LABEL_COLUMNS = ("label", "label_name", "emotion", "category", "class", "target")

Pick = Callable[[list[str]], list[str]]
Batch = tuple[pd.DataFrame, float]


def _parse_csv(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse csv (separated by `,`, `;` or a tab, whichever its first line has most of) or tsv."""
    with _open(path) as stream:
        header = stream.readline()
        separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
        stream.seek(0)
        options = {"dtype": "str", "na_filter": False, "skip_blank_lines": False, "chunksize": rows}
        try:  # the header is read as a row, else pandas would let a longer first row pass
            reader = pd.read_csv(stream, sep=separator, header=None, **options)
            first = reader.get_chunk(1)
            names = first.iloc[0].str.strip().to_list()
            columns = pick(names)
            places = [names.index(column) for column in columns]
            line = 2 + _line_breaks(first).sum()
            for table in reader:
                breaks = _line_breaks(table)
                table.index = pd.Index(line + np.arange(len(table)) + breaks.cumsum() - breaks, name="line")
                line += len(table) + breaks.sum()
                yield table.loc[(table != "").any(axis=1), places].set_axis(columns, axis=1), _share(stream)
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError as error:
            raise InputError(_csv_fault(path, separator, error)) from None


def _line_breaks(table: pd.DataFrame) -> np.ndarray:
    """Return the number of line breaks inside the fields of each row."""
    return sum(table[column].str.count("\n").to_numpy(int) for column in table)


def _csv_fault(path: Path, separator: str, error: pd.errors.ParserError) -> str:
    reason = first_line(error).removeprefix("Error tokenizing data. C error: ")
    reason = re.sub(r"starting at row (\d+)", lambda match: f"starting at line {int(match[1]) + 1}", reason)
    return f"{path.name}: {reason}; put texts with {separator!r} or quotes in them between double quotes"


def _parse_txt(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse lines `text;label`, split at the last `;`; a first line of two usual column names is a header.

    Without a header, and with the text alone picked, a line is a text, also an empty one.
    """
    with _open(path) as stream:
        first = stream.readline()
        lines = enumerate(filter(None, itertools.chain([first], stream)), start=1)
        names = [name.strip() for name in first.rpartition(";")[::2]]
        has_header = names[0].lower() in TEXT_COLUMNS and names[1].lower() in LABEL_COLUMNS
        if has_header:
            next(lines)
        else:
            names = ["text", "label"]
        columns = pick(names)
        if not has_header and columns == ["text"]:
            cells = ((number, line.rstrip("\n")) for number, line in lines)
        else:
            wanted = itemgetter(0, *(1 + names.index(column) for column in columns))
            cells = map(wanted, _split_lines(path, lines))
        yield from _line_batches(stream, cells, columns, rows)


def _split_lines(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield line number, text and label of each line that is not blank."""
    for number, line in lines:
        if line.strip():
            text, separator, label = line.rstrip("\n").rpartition(";")
            if not separator:
                raise InputError(f"{path.name}, line {number}: there is no ';'; write every line as text;label")
            yield number, text, label


def _parse_jsonl(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse one JSON object per line; its columns are the keys of the first `rows` objects."""
    with _open(path) as stream:
        records = ((number, _record(path, number, line)) for number, line in enumerate(stream, start=1) if line.strip())
        first = list(itertools.islice(records, rows))
        if not first:
            return
        columns = pick(list(dict.fromkeys(key for _, record in first for key in record)))
        cells = ((number, *map(record.get, columns)) for number, record in itertools.chain(first, records))
        yield from _line_batches(stream, cells, columns, rows)


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return the JSON object of a line."""
    try:
        record = json.loads(line)
        if "\\ud" in line.lower():  # half of an escaped pair cannot be written as UTF-8: a ValueError too
            json.dumps(record, ensure_ascii=False).encode()
    except ValueError as error:
        raise InputError(f"{path.name}, line {number}: not JSON ({error}); write one object per line") from None
    if not isinstance(record, dict):
        raise InputError(f"{path.name}, line {number}: not a JSON object; write one object per line")
    return record


def _parse_parquet(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse the rows of a parquet file."""
    with pq.ParquetFile(path) as file:
        columns, done = pick(file.schema_arrow.names), 0
        classes = _class_names(file.schema_arrow, columns)
        for batch in file.iter_batches(rows, columns=list(classes)):
            table = _from_arrow(batch, columns, classes)
            table.index += done
            done += len(table)
            yield table, done / file.metadata.num_rows


def from_arrow(table: pa.Table, columns: list[str]) -> pd.DataFrame:
    """Return columns of a table by row; a ClassLabel becomes a categorical that keeps the declared names."""
    return _from_arrow(table, columns, _class_names(table.schema, columns))


def _from_arrow(
    rows: pa.Table | pa.RecordBatch, columns: list[str], classes: dict[str, list[str] | None]
) -> pd.DataFrame:
    parts = []
    for column in columns:
        part = rows.column(column).to_pandas()
        if (names := classes[column]) is not None:
            codes = part.fillna(-1).astype(int)  # -1 means unlabelled
            part = pd.Series(pd.Categorical.from_codes(codes.where(codes < len(names), -1), names))
        parts.append(part)
    index = pd.RangeIndex(1, rows.num_rows + 1, name="row")
    return pd.DataFrame(dict(enumerate(parts))).set_axis(columns, axis=1).set_axis(index)


def _class_names(schema: pa.Schema, columns: list[str]) -> dict[str, list[str] | None]:
    """Return column -> the names of its classes, if it is a ClassLabel."""
    fields = pa.schema([schema.field(column) for column in dict.fromkeys(columns)], schema.metadata)
    features = Features.from_arrow_schema(fields)
    return {name: feature.names if isinstance(feature, ClassLabel) else None for name, feature in features.items()}


def _open(path: Path) -> TextIO:
    """Open a UTF-8 file, with or without byte order mark; its lines end with a newline."""
    return path.open(encoding="utf-8-sig")


def _share(stream: TextIO) -> float:
    """Return the share of a file that was read."""
    return stream.buffer.tell() / os.fstat(stream.fileno()).st_size


def _line_batches(stream: TextIO, cells: Iterator[tuple], columns: list[str], rows: int) -> Iterator[Batch]:
    """Yield batches of what was read from a stream, where `cells` are the line number and the fields of a row."""
    while chunk := list(itertools.islice(cells, rows)):
        lines, *fields = zip(*chunk, strict=True)
        table = pd.DataFrame({place: pd.Series(field, dtype=object) for place, field in enumerate(fields)})
        yield table.set_axis(columns, axis=1).set_axis(pd.Index(lines, name="line")), _share(stream)


#: File name ending -> parser.
FORMATS: dict[str, Callable[[Path, Pick, int], Iterator[Batch]]] = {
    ".csv": _parse_csv,
    ".tsv": _parse_csv,
    ".txt": _parse_txt,
    ".jsonl": _parse_jsonl,
    ".parquet": _parse_parquet,
}
