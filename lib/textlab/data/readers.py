"""Files of any accepted form to tables of text and label: csv, tsv, `text;label` txt, jsonl, parquet.

Fields of a file are taken as they stand: "NA" is a word, "007" keeps its zeros. A table is indexed by line (text files)
or row, counted from 1, so that what is found later can be shown where it stands.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features

from ..errors import InputError, first_line

SPLITS = ("train", "validation", "test")
TEXT_COLUMNS = ("text", "sentence", "content", "tweet")
LABEL_COLUMNS = ("label", "label_name", "emotion", "category", "class", "target")

_SPLIT = re.compile(r"(train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?)(?![a-z])", re.IGNORECASE)
_SHARD = re.compile(r"-\d{5}(?=-of-(\d{5}))")
_NOT_DATA = re.compile(r"\.|(readme|licen[cs]e|notice|changelog|requirements)\b", re.IGNORECASE)
Pick = Callable[[list[str], str], list[str]]  # (column names, where they stand) -> [text column, label column]


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Return split -> its file or the shards of it in order; or `all` -> the only data file, of another name."""
    there = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    data = [name for name in there if Path(name).suffix.lower() in READERS and not _NOT_DATA.match(name)]
    splits = split_names(data)
    if not splits and len(data) == 1:
        return {"all": [folder / data[0]]}
    if "train" not in splits.values():
        raise InputError(
            f"dataset: no training file in {folder}; accepted are one file, or files named train, val and test "
            f"({', '.join(READERS)}); there is: {', '.join(there) or 'nothing'}"
        )
    files = {split: [name for name in splits if splits[name] == split] for split in SPLITS if split in splits.values()}
    for split, group in files.items():
        if len({_SHARD.sub("", name) for name in group}) > 1:
            raise InputError(f"dataset: several files for the {split} split ({', '.join(group)}); keep one of them")
        if (shard := _SHARD.search(group[0])) and int(shard[1]) != len(group):
            raise InputError(
                f"dataset: {len(group)} of {int(shard[1])} parts of the {split} split are there "
                f"({', '.join(group)}); add the others"
            )
    return {split: [folder / name for name in group] for split, group in files.items()}


def split_names(names: list[str]) -> dict[str, str]:
    """Return name -> split for the names that begin with that of a split.

    >>> split_names(["train.csv", "dev.csv", "test-00000-of-00001.parquet", "trains.csv", "notes.txt"])
    {'train.csv': 'train', 'dev.csv': 'validation', 'test-00000-of-00001.parquet': 'test'}
    """
    known = {name: match[1].lower() for name in names if (match := _SPLIT.match(name))}
    return {
        name: next((s for s in ("train", "test") if found.startswith(s)), "validation") for name, found in known.items()
    }


def pick_columns(names: list[str], where: str, text_column: str, label_column: str) -> list[str]:
    """Return the names of the text and the label column: those asked for, else the first usual ones."""
    return [
        pick_column(names, where, "text_column", text_column, TEXT_COLUMNS),
        pick_column(names, where, "label_column", label_column, LABEL_COLUMNS),
    ]


def pick_column(names: list[str], where: str, parameter: str, asked: str, usual: tuple[str, ...]) -> str:
    """Return the column name that a parameter asks for, or the first usual one if it is empty."""
    found = [n for n in names if n == asked] if asked else [n for word in usual for n in names if n.lower() == word]
    if not found:
        wanted = f"no column {asked!r}" if asked else f"none of the usual columns ({', '.join(usual)})"
        raise InputError(f"{where}: {wanted}; there is: {', '.join(map(repr, names))}; set {parameter} to one of these")
    return found[0]


def read_files(files: list[Path], pick: Pick) -> pd.DataFrame:
    """Return one part; the rows of several shards are counted through from 1."""
    name = files[0].name
    if files[0].suffix.lower() not in READERS:
        raise InputError(f"dataset: {name} is of an unknown format; accepted are {', '.join(READERS)}")
    try:
        tables = [READERS[file.suffix.lower()](file, pick) for file in files]
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{name} cannot be read ({first_line(error)}); check the file") from None
    table = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True).rename(lambda row: row + 1)
    if table.empty:
        raise InputError(f"{name} has no rows; it needs texts and labels")
    return table


def _text(path: Path) -> str:
    """Return the text of a UTF-8 file without byte order mark, its lines ended by a newline."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise InputError(f"{path.name}, line {line}: byte {byte:#x} is not UTF-8; save the file as UTF-8") from None
    if not text.strip():
        raise InputError(f"{path.name} is empty; it needs texts and labels")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_csv(path: Path, pick: Pick) -> pd.DataFrame:
    """Read csv (separated by `,`, `;` or a tab, whichever its header has most of) or tsv."""
    text = _text(path)
    separator = _separator(path, text.partition("\n")[0])
    try:  # the header is read as a row, else pandas would let a longer first row pass
        table = pd.read_csv(
            io.BytesIO(text.encode()), sep=separator, header=None, dtype="str", na_filter=False, skip_blank_lines=False
        )
    except pd.errors.ParserError as error:
        raise InputError(_csv_fault(path, separator, error)) from None
    breaks = sum(table[column].str.count("\n") for column in table)
    table.index = 1 + np.arange(len(table)) + breaks.cumsum() - breaks
    names = table.iloc[0].str.strip().to_list()
    table = table[1:][(table[1:] != "").any(axis=1)]
    return table[[names.index(name) for name in pick(names, path.name)]].set_axis(["text", "label"], axis=1)


def _separator(path: Path, header: str) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)


def _csv_fault(path: Path, separator: str, error: pd.errors.ParserError) -> str:
    reason = first_line(error).removeprefix("Error tokenizing data. C error: ")
    reason = re.sub(r"starting at row (\d+)", lambda match: f"starting at line {int(match[1]) + 1}", reason)
    return f"{path.name}: {reason}; put texts with {separator!r} or quotes in them between double quotes"


def _read_txt(path: Path, pick: Pick) -> pd.DataFrame:
    """Read lines `text;label`, split at the last `;`; a first line of two usual column names is a header."""
    lines = pd.Series(_text(path).split("\n"), dtype="str").rename(lambda row: row + 1)
    fields = lines[lines.str.strip() != ""].str.rpartition(";")
    if (fields[1] == "").any():
        raise InputError(
            f"{path.name}, line {(fields[1] == '').idxmax()}: there is no ';'; write every line as text;label"
        )
    table = fields[[0, 2]].set_axis(["text", "label"], axis=1)
    names = table.iloc[0].str.strip().to_list()
    if names[0].lower() in TEXT_COLUMNS and names[1].lower() in LABEL_COLUMNS:
        table = table[1:].set_axis(names, axis=1)
    return table[pick(list(table.columns), path.name)].set_axis(["text", "label"], axis=1)


def _read_jsonl(path: Path, pick: Pick) -> pd.DataFrame:
    """Read one JSON object per line."""
    records = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        records[number] = _record(path, number, line)
    columns = pick(list(dict.fromkeys(key for record in records.values() for key in record)), path.name)
    rows = [[record.get(column) for column in columns] for record in records.values()]
    return pd.DataFrame(rows, index=list(records), columns=["text", "label"], dtype=object)


def _record(path: Path, number: int, line: str) -> dict:
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


def _read_parquet(path: Path, pick: Pick) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        return from_arrow(file.read(columns=pick(file.schema_arrow.names, path.name)), path.name, pick)


def from_arrow(table: pa.Table, where: str, pick: Pick) -> pd.DataFrame:
    """Return text and label; a ClassLabel becomes a categorical that keeps the declared names."""
    text, label = pick(table.column_names, where)
    frame = pd.DataFrame({"text": table[text].to_pandas(), "label": table[label].to_pandas()})
    feature = Features.from_arrow_schema(pa.schema([table.schema.field(label)], table.schema.metadata)).get(label)
    if isinstance(feature, ClassLabel):
        codes = frame["label"].fillna(-1).astype(int)  # -1 means unlabelled
        codes = codes.where(codes < feature.num_classes, -1)
        frame["label"] = pd.Categorical.from_codes(codes, feature.names)
    return frame.rename(lambda row: row + 1)


READERS = {".csv": _read_csv, ".tsv": _read_csv, ".txt": _read_txt, ".jsonl": _read_jsonl, ".parquet": _read_parquet}


def stream_texts(path: Path, text_column: str, rows: int) -> Iterator[tuple[list[str | None], float]]:
    """Yield the texts of a file a chunk at a time, and the share of the file that was read by then, above 0.

    A txt file holds one text a line here, unless its first line is a header such as `text;label`. Lines without any content
    are left out, as when training, but for a txt file of texts alone, where they are empty texts.

    Args:
        path: txt, csv, tsv, jsonl or parquet.
        text_column: empty means the first of TEXT_COLUMNS that is there; a txt file has none.
        rows: a chunk.

    Raises:
        InputError: the file cannot be read to its end, or has no rows, or no text column.
    """
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path.name} is of an unknown format; accepted are {', '.join(READERS)}")
    if text_column and path.suffix.lower() == ".txt":
        raise InputError(
            f"{path.name}: got the text column {text_column!r}, but a txt file has no columns; leave it out"
        )
    pick = partial(
        pick_column, where=path.name, parameter="text_column (--text-column)", asked=text_column, usual=TEXT_COLUMNS
    )
    found = False
    try:
        if path.suffix.lower() == ".parquet":
            chunks = _stream_parquet(path, pick, rows)
        else:
            chunks = _stream_lines(path, pick, rows)
        for texts, share in chunks:
            found = found or bool(texts)
            yield texts, share
    except UnicodeDecodeError:
        raise InputError(_not_utf8(path)) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path.name} cannot be read ({first_line(error)}); check the file") from None
    if not found:
        raise InputError(f"{path.name} has no rows; it needs texts")


def _stream_lines(path: Path, pick: Callable[[list[str]], str], rows: int) -> Iterator[tuple[list[str | None], float]]:
    streams = {".txt": _stream_txt, ".jsonl": _stream_jsonl}
    size = path.stat().st_size
    with path.open(encoding="utf-8-sig") as stream:
        texts = streams.get(path.suffix.lower(), _stream_csv)(stream, path, pick)
        while chunk := list(itertools.islice(texts, rows)):
            yield chunk, stream.buffer.tell() / size


def _stream_txt(stream: TextIO, path: Path, pick: Callable[[list[str]], str]) -> Iterator[str]:
    first = stream.readline()
    text, _, label = (part.strip().lower() for part in first.rpartition(";"))
    if text in TEXT_COLUMNS and label in LABEL_COLUMNS:
        yield from (line.rpartition(";")[0] for line in stream if line.strip())
    else:
        yield from (line.rstrip("\n") for line in itertools.chain([first] if first else [], stream))


def _stream_csv(stream: TextIO, path: Path, pick: Callable[[list[str]], str]) -> Iterator[str]:
    separator = _separator(path, stream.readline())
    stream.seek(0)
    try:
        table = pd.read_csv(
            stream, sep=separator, header=None, dtype="str", na_filter=False, skip_blank_lines=False, chunksize=1024
        )
        for number, part in enumerate(table):
            if number == 0:
                names = part.iloc[0].str.strip().to_list()
                column, part = names.index(pick(names)), part[1:]
            yield from part.loc[(part != "").any(axis=1), column]
    except pd.errors.EmptyDataError:
        return
    except pd.errors.ParserError as error:
        raise InputError(_csv_fault(path, separator, error)) from None


def _stream_jsonl(stream: TextIO, path: Path, pick: Callable[[list[str]], str]) -> Iterator[str | None]:
    column = None
    for number, line in enumerate(stream, start=1):
        if line.strip():
            record = _record(path, number, line)
            column = column or pick(list(record))
            text = record.get(column)
            if not isinstance(text, str | None):
                raise InputError(f"{path.name}, line {number}: {column!r} holds {text!r}; accepted is a text or null")
            yield text


def _stream_parquet(
    path: Path, pick: Callable[[list[str]], str], rows: int
) -> Iterator[tuple[list[str | None], float]]:
    with pq.ParquetFile(path) as file:
        column, done = pick(file.schema_arrow.names), 0
        kind = file.schema_arrow.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(
                f"{path.name}: the column {column!r} holds {kind}; accepted is text; set text_column (--text-column) to another"
            )
        for batch in file.iter_batches(rows, columns=[column]):
            done += len(batch)
            yield batch.column(0).to_pylist(), done / file.metadata.num_rows


def _not_utf8(path: Path) -> str:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{path.name}, line {number}: byte {line[error.start]:#x} is not UTF-8; save the file as UTF-8"
    return f"{path.name} is not UTF-8; save the file as UTF-8"
