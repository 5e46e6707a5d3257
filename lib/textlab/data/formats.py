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
from pydantic_core import from_json
from typing_extensions import TypedDict

from ..errors import InputError, first_line
from ..settings import strict_json
from . import quotes

TEXT_COLUMNS = ("text", "sentence", "content", "tweet")
LABEL_COLUMNS = ("label", "label_name", "emotion", "category", "class", "target", "labels", "emotions", "categories")

#: A field between quotes, whatever the separator; and lines behind the header that show which one it is.
_QUOTED = re.compile(r'(?:^|(?<=[,;\t]))"(?:[^"]|"")*+(?:"|\Z)', re.MULTILINE)
_AHEAD = 50

Pick = Callable[[list[str]], list[str]]
Batch = tuple[pd.DataFrame, float]


def _parse_csv(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse csv (separated by `,`, `;` or a tab, see `_separator`) or tsv."""
    with _open(path) as stream:
        tables = _csv_rows(path, stream, rows)
        header = next(tables, None)
        if header is None:
            return
        names = header.iloc[0].str.strip().to_list()
        try:
            columns = pick(names)
        except InputError:
            if len(names) == 1 and "|" in names[0]:
                raise InputError(
                    f"{path.name}: its columns seem to be separated by '|'; read are ',', ';' and a tab; save it with "
                    "one of these, or put the line sep=| on top"
                ) from None
            if _is_data(names, next(tables, header.iloc[:0])):
                raise InputError(
                    f"{path.name}: its first line looks like data ({', '.join(map(repr, names[:3]))}), but it has to "
                    "name the columns; put a line with a name for each column on top, text and label among them; if it "
                    "does name them, set text_column and label_column to two of them"
                ) from None
            raise
        places = [names.index(column) for column in columns]
        for table in tables:
            _check_rows(path, table, names, places[0])
            yield table[places].set_axis(columns, axis=1), _share(stream)


def _check_rows(path: Path, table: pd.DataFrame, names: list[str], text: int) -> None:
    """Raise an InputError if the names of the columns are a row, too; `text` is the place of the text column."""
    alike = table[table[text].str.strip("\ufeff ") == names[text]]
    for line, *cells in alike.itertuples():
        if len(names) > 1 and [cell.strip("\ufeff ") for cell in cells] == names:
            raise InputError(
                f"{path.name}, line {line}: the names of the columns stand here once more, as where files were joined; "
                "delete this line"
            )


def _csv_rows(path: Path, stream: TextIO, rows: int) -> Iterator[pd.DataFrame]:
    """Yield the header of a csv file, as a row, and its rows in batches, but for blank lines.

    The lines are read once more beside the parser, to see what a lone quote would swallow.
    """
    options = {"header": None, "dtype": "str", "na_filter": False, "skip_blank_lines": False, "chunksize": rows}
    with _open(path) as again:
        line, separator, lines = _csv_head(path, again)
        width = 0
        try:  # the header is read as a row, else pandas would let a longer first row pass
            reader = pd.read_csv(stream, sep=separator, skiprows=line - 1, **options)
            for table in itertools.chain([reader.get_chunk(1)], reader):
                width = table.shape[1]
                taken = list(itertools.islice(lines, len(table)))
                breaks = np.zeros(len(table), int)
                if any('"' in text for text in taken):  # else no field has a line break
                    breaks = sum(table[column].str.count("\n").to_numpy(int) for column in table)
                    taken += itertools.islice(lines, breaks.sum())
                    quotes.check(path.name, table, taken, breaks, line, separator)
                starts = np.arange(len(table)) + breaks.cumsum() - breaks
                table.index = pd.Index(line + starts, name="line")
                line += len(taken)
                if "\n" in taken:
                    table = table.loc[[taken[start] != "\n" for start in starts]]
                yield table
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError:
            raise InputError(quotes.fault(path.name, lines, line, separator, width)) from None


def _is_data(names: list[str], table: pd.DataFrame) -> bool:
    """Return whether the first line of a csv file looks like a row: a sentence, a number, or values that recur."""
    numbers = [name for name in names if re.fullmatch(r"[-+]?\d+([.,]\d+)?", name)]
    numbered = numbers == [str(number) for number in range(len(numbers))]  # as pandas names columns without a name
    sentence = any(len(name.split()) > 4 for name in names)
    recur = any(name and (table[place].str.strip() == name).any() for place, name in enumerate(names))
    return bool(numbers) and not numbered or sentence or recur


def _csv_head(path: Path, stream: TextIO) -> tuple[int, str, Iterator[str]]:
    """Return the number of the line with the column names, the separator, and the lines from that on.

    A first line such as `sep=;`, by which a spreadsheet names the separator, is left out, and so are blank ones.
    """
    stated = ""
    for number, header in enumerate(stream, start=1):
        if number == 1 and (line := re.fullmatch(r'"?sep=([^\w\s"]|\t)"?\n?', header, re.IGNORECASE)):
            stated = line[1]
        elif header.strip():
            tsv = "\t" * (path.suffix.lower() == ".tsv")
            ahead = [header, *itertools.islice(stream, _AHEAD)]
            return number, stated or tsv or _separator(ahead), itertools.chain(ahead, stream)
    return 1, ",", iter(())


def _separator(lines: list[str]) -> str:
    """Return which of `,`, `;` and tab separates the names of columns, by the first lines of a file.

    Outside of quotes, it is what most other lines have as often as the header; of several such, what gives the most of
    the usual names; then what stands without a space behind it, unlike a comma of prose; else what the header has most
    of. A header without any of them is a single name, and its rows are whole lines; see `_whole_lines`.
    """
    header, *rows = _QUOTED.sub("", "".join(lines)).split("\n")

    def rank(separator: str) -> tuple[int, int, bool, int]:
        names, count = header.split(separator), header.count(separator)
        usual = sum(name.strip().lower() in (*TEXT_COLUMNS, *LABEL_COLUMNS) for name in names)
        tight = header.count(f"{separator} ") < count
        return sum(row.count(separator) == count for row in rows), usual, tight, count

    there = [separator for separator in ",;\t" if separator in header]
    return max(there, key=rank) if there else _whole_lines(rows)


def _whole_lines(rows: list[str]) -> str:
    """Return what no line has; a comma, so that they are refused, if all have as many without a space behind them."""
    tight = {len(re.findall(r",(?! )", row)) for row in rows if row.strip()}
    return "," if len(tight) == 1 and tight != {0} else "\x1f"


def _parse_txt(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse lines `text;label`, split at the last `;`; a first line of two usual column names is a header.

    Without a header, and with the text alone picked, a line is a text, also an empty one. A header of another form is
    that of a csv.
    """
    with _open(path) as stream:
        first = stream.readline()
        lines = enumerate(filter(None, itertools.chain([first], stream)), start=1)
        names = [name.strip() for name in first.rpartition(";")[::2]]
        has_header = names[0].lower() in TEXT_COLUMNS and names[1].lower() in LABEL_COLUMNS
        if has_header:
            next(lines)
        else:
            _check_no_csv(path, first)
            names = ["text", "label"]
        columns = pick(names)
        if not has_header and columns == ["text"]:
            cells = ((number, line.rstrip("\n")) for number, line in lines)
        else:
            wanted = itemgetter(0, *(1 + names.index(column) for column in columns))
            cells = map(wanted, _split_lines(path, lines))
        yield from _line_batches(stream, cells, columns, rows)


def _check_no_csv(path: Path, first: str) -> None:
    """Raise an InputError if the first line names columns with `;` between them, in whatever order and number."""
    names = {name.strip('" \n').lower() for name in first.split(";")}
    if not names.isdisjoint(TEXT_COLUMNS) and not names.isdisjoint(LABEL_COLUMNS):
        raise InputError(
            f"{path.name}: its first line names columns as that of a csv does; a txt file has lines text;label without "
            f"quotes; name it {path.stem}.csv"
        )


def _split_lines(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield line number, text and label of each line that is not blank."""
    for number, line in lines:
        if line.strip():
            text, separator, label = line.rstrip("\n").rpartition(";")
            if not separator:
                raise InputError(f"{path.name}, line {number}: there is no ';'; write every line as text;label")
            yield number, text, label


def _parse_jsonl(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse one JSON object per line; its columns are the keys of all objects."""
    names: dict[str, None] = {}
    objects, record = 0, {}
    with _open(path) as stream:
        for _, record in _records(path, stream):
            names |= dict.fromkeys(record)
            objects += 1
    if not names:
        return
    columns = pick(list(names))
    if objects == 1 and isinstance(record.get(columns[0]), (dict, list)):
        raise InputError(f"{path.name} is one object that holds all rows; write one object per line, for each row")
    with _open(path) as stream:
        cells = ((number, *map(record.get, columns)) for number, record in _records(path, stream))
        yield from _line_batches(stream, cells, columns, rows)


def _records(path: Path, stream: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of each line that is not blank."""
    return ((number, _record(path, number, line)) for number, line in enumerate(stream, start=1) if line.strip())


def begins_with_object(path: Path) -> bool:
    """Tell whether the first line of a file that is not blank, if there is one, is a JSON object."""
    with _open(path) as stream:
        first = next(filter(str.strip, stream), "{}")
    try:
        return isinstance(from_json(first), dict)
    except ValueError:
        return False


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return the JSON object of a line."""
    try:
        record = from_json(line)
    except ValueError as error:
        reason = str(error).replace("at line 1 column", "at column")
        raise InputError(f"{path.name}, line {number}: not JSON ({reason}); write one object per line") from None
    if not isinstance(record, dict):
        raise InputError(f"{path.name}, line {number}: not a JSON object; write one object per line")
    return record


def _parse_parquet(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Parse the rows of a parquet file."""
    with pq.ParquetFile(path) as file:
        columns, done = pick(file.schema_arrow.names), 0
        classes = _class_names(file.schema_arrow, columns, path.name)
        for batch in file.iter_batches(rows, columns=list(classes)):
            table = _from_arrow(batch, columns, classes, path.name, done)
            done += len(table)
            yield table, done / file.metadata.num_rows


def from_arrow(table: pa.Table, columns: list[str], name: str) -> pd.DataFrame:
    """Return columns of a table by row; a ClassLabel becomes a categorical that keeps the declared names.

    So does a dictionary that is declared to be ordered; of any other its values are taken.

    Args:
        name: of the table, for messages.

    Raises:
        InputError: what is declared about the classes is damaged, or does not fit the values.
    """
    return _from_arrow(table, columns, _class_names(table.schema, columns, name), name, 0)


def _from_arrow(
    rows: pa.Table | pa.RecordBatch, columns: list[str], classes: dict[str, list[str] | None], name: str, done: int
) -> pd.DataFrame:
    """Return columns of some rows, before which `done` rows were read."""
    index = pd.RangeIndex(done + 1, done + rows.num_rows + 1, name="row")
    parts = []
    for column in columns:
        values, names = rows.column(column), classes[column]
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            raise InputError(f"{name}: {column!r} holds damaged values ({first_line(error)}); write it again") from None
        if pa.types.is_dictionary(values.type) and not values.type.ordered:  # to save space: in no order that means any
            values = values.cast(values.type.value_type)
        part = values.to_pandas(integer_object_nulls=True)  # else large integers beside nulls would be rounded
        if names is not None and _is_list(values.type):
            part = _named_lists(part, names, f"{name}: {column!r}")
        elif names is not None:
            if not pa.types.is_integer(values.type):
                raise InputError(f"{name}: {column!r} is declared to hold numbers of classes, but holds {values.type}")
            codes = part.fillna(-1).to_numpy()  # -1 means unlabelled
            if (wrong := (codes < -1) | (codes >= len(names))).any():
                row = wrong.argmax()
                raise InputError(
                    f"{name}, row {index[row]}: {column!r} holds {codes[row]}, but there are {len(names)} declared "
                    "classes, from 0 on; write the file anew"
                )
            part = pd.Series(pd.Categorical.from_codes(codes.astype("int64"), names))
        parts.append(part)
    return pd.DataFrame(dict(enumerate(parts))).set_axis(columns, axis=1).set_axis(index)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _named_lists(column: pd.Series, names: list[str], where: str) -> pd.Series:
    """Return lists of class numbers as lists of their names."""

    def named(ids: np.ndarray | None) -> list[str] | None:
        if ids is None:
            return None
        if wrong := [i for i in ids if not isinstance(i, (int, np.integer)) or not 0 <= i < len(names)]:
            raise InputError(
                f"{where} holds {wrong[0]} in a list, but there are {len(names)} declared classes, from 0 on; write "
                "the file anew"
            )
        return [names[i] for i in ids]

    return column.map(named)


class _Features(TypedDict, total=False):
    features: dict[str, Any] | None


class _Metadata(TypedDict, total=False):
    """What the library datasets writes into a file about its columns."""

    info: _Features


def _class_names(schema: pa.Schema, columns: list[str], name: str) -> dict[str, list[str] | None]:
    """Return column -> the names of its classes, if datasets declares it as a ClassLabel or a list of it."""
    written = (schema.metadata or {}).get(b"huggingface", b"{}")
    features = strict_json.read_json(written, _Metadata, f"{name}: its metadata").get("info", {}).get("features") or {}
    classes = dict.fromkeys(columns)
    for column in classes:
        feature = features.get(column)
        if isinstance(feature, list) and len(feature) == 1:  # as older releases declare lists
            feature = feature[0]
        if isinstance(feature, dict) and feature.get("_type") in ("List", "LargeList", "Sequence"):
            feature = feature.get("feature")
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            declared = f"{name}: what it declares as classes of {column!r}"
            names = [one.strip() for one in strict_json.check_form(feature.get("names"), list[str], declared)]
            if len(set(names)) < len(names):
                raise InputError(f"{name}: the classes declared for {column!r} have names twice; write the file anew")
            classes[column] = names
    return classes


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
