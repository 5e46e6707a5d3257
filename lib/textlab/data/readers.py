"""Files to tables of text and label, or to a stream of texts: which files make a split, which columns are meant."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals

from ..errors import InputError, first_line
from . import label_sets
from .formats import FORMATS, LABEL_COLUMNS, TEXT_COLUMNS, Batch, Pick

#: Splits that a model is only scored on, and all.
SCORED = ("validation", "test")
SPLITS = ("train", *SCORED)
#: Rows of a batch: when a whole file is read, and when its beginning is probed.
READ_ROWS, PROBE_ROWS = 65_536, 256

#: First bytes of files that are no text -> what they are.
_OTHER_KINDS = {
    b"PK\x03\x04": "an Excel or OpenDocument file or a zip",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "packed with gzip",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"BZh91AY&SY": "packed with bzip2",
    b"SQLite format 3\0": "an SQLite database",
    b"%PDF-1.": "a PDF",
}

_SPLIT = re.compile(r"(train(?:ing)?|val(?:id(?:ate|ation)?)?|dev(?:elopment)?|test(?:ing)?)(?![a-z])", re.IGNORECASE)
_SHARD = re.compile(r"-\d{5}(?=-of-(\d{5}))")
_FURTHER = re.compile("train_", re.IGNORECASE)
_NOT_DATA = re.compile(r"\.|(readme|licen[cs]e|notice|changelog|requirements)\b", re.IGNORECASE)


class _NoLabels(InputError):
    """None of the columns of a file is named as its labels are."""


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Return split -> its files in order, or `all` -> the only data file, of another name.

    A split is one file or its shards. Files whose names begin with `train_` are read with train, by their names.
    """
    there = _names(folder)
    data = [name for name in there if Path(name).suffix.lower() in FORMATS and not _NOT_DATA.match(name)]
    splits = split_names(data)
    if not splits and len(data) == 1:
        return {"all": [folder / data[0]]}
    if "train" not in splits.values():
        raise InputError(
            f"dataset: no training file in {folder}; accepted are one file, or files named train, val and test "
            f"({', '.join(FORMATS)}); there is: {', '.join(there) or 'nothing'}"
        )
    files = {split: [name for name in splits if splits[name] == split] for split in SPLITS if split in splits.values()}
    for split, group in files.items():
        _check_group(split, group)
    return {split: [folder / name for name in group] for split, group in files.items()}


def unused_files(folder: Path, groups: dict[str, list[Path]], more: Iterable[str] = ()) -> list[str]:
    """Return what a folder holds beside the files of its splits that is data by its name, whatever its format.

    Args:
        more: names of files that came with those of the folder, and are not in it.
    """
    used = {file.name for group in groups.values() for file in group}
    there = (*_names(folder), *more)
    data = [name for name in there if Path(name).suffix.lower() in FORMATS or _SPLIT.match(name)]
    return [name for name in data if name not in used and not _NOT_DATA.match(name)]


def _names(folder: Path) -> list[str]:
    """Return the names in a folder in order, those of folders with `/` at their end."""
    return sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())


def _check_group(split: str, group: list[str]) -> None:
    """Raise an InputError if the files of a split are not to be read together, or some of its shards are missing."""
    whole = whole_files(group)
    if len([name for name in whole if split != "train" or not _FURTHER.match(name)]) > 1:
        advice = ", or name the others train_2, train_3 and so on" if split == "train" else ""
        raise InputError(f"dataset: several files for the {split} split ({', '.join(group)}); keep one of them{advice}")
    for shards in whole.values():
        if (shard := _SHARD.search(shards[0])) and int(shard[1]) != len(shards):
            raise InputError(
                f"dataset: {len(shards)} of {int(shard[1])} parts of the {split} split are there "
                f"({', '.join(shards)}); add the others"
            )


def whole_files(names: list[str]) -> dict[str, list[str]]:
    """Return file name -> the name itself, or those of the file's shards.

    >>> whole_files(["train-00000-of-00002.csv", "train-00001-of-00002.csv", "train_2.csv"])
    {'train-of-00002.csv': ['train-00000-of-00002.csv', 'train-00001-of-00002.csv'], 'train_2.csv': ['train_2.csv']}
    """
    whole: dict[str, list[str]] = {}
    for name in names:
        whole.setdefault(_SHARD.sub("", name), []).append(name)
    return whole


def split_names(names: Iterable[str]) -> dict[str, str]:
    """Return name -> split for the names that begin with that of a split.

    >>> split_names(["train.csv", "dev.csv", "test-00000-of-00001.parquet", "trains.csv", "notes.txt"])
    {'train.csv': 'train', 'dev.csv': 'validation', 'test-00000-of-00001.parquet': 'test'}
    """
    beginnings = {name: match[1].lower() for name in names if (match := _SPLIT.match(name))}
    return {
        name: next((split for split in ("train", "test") if beginning.startswith(split)), "validation")
        for name, beginning in beginnings.items()
    }


def hub_splits(names: Iterable[str], where: str) -> dict[str, str]:
    """Return name -> split, as `split_names`, but one a split: its very name leaves out others, often parts of it.

    Args:
        where: the data set's name, for messages.

    Raises:
        InputError: several names stand for a split, and none is its very name.

    >>> hub_splits(["train", "train_small", "test_matched"], "owner/name")
    {'train': 'train', 'test_matched': 'test'}
    """
    there = split_names(names)
    chosen = {name: split for name, split in there.items() if name == split or split not in there}
    for split in SPLITS:
        if len(group := [name for name in chosen if chosen[name] == split]) > 1:
            raise InputError(
                f"dataset: {where} has several {split} splits ({', '.join(group)}); download the files of those you "
                "want into a folder, as train, val and test, and give that instead"
            )
    return chosen


def pick_columns(names: list[str], where: str, text_column: str, label_column: str, labels: str = "auto") -> list[str]:
    """Return the names of the text and the label column: those asked for, else the first usual ones.

    With several labels a text there may be a column for each label: those that `label_column` names, with commas
    between them, or all but the text if none of the usual ones is there. With `none` as labels, it is the text alone.
    """
    text = pick_column(names, where, "text_column", text_column, TEXT_COLUMNS)
    if labels == "none":
        return [text]
    usual = any(name.lower() in LABEL_COLUMNS for name in names)
    if labels == "several" and label_column not in filter(None, names) and (label_column or not usual):
        asked = [column.strip() for column in label_column.split(",")] if label_column else names
        each = [column for column in dict.fromkeys(asked) if column not in ("", text)]
        if len(each) > 1:
            return [text, *(pick_column(names, where, "label_column", column, ()) for column in each)]
    return [text, pick_column(names, where, "label_column", label_column, LABEL_COLUMNS)]


def labelled(table: pd.DataFrame, label_column: str, where: str) -> pd.DataFrame:
    """Return a table of picked columns as text and label, the label None if there is only a text.

    Of several label columns, the label is a list of names, and `attrs[where]` says which ones are labels.
    """
    if table.shape[1] == 1:
        return table.set_axis(["text"], axis=1).assign(label=None)
    if table.shape[1] == 2:
        return table.set_axis(["text", "label"], axis=1)
    label, columns = label_sets.from_columns(table, table.columns[1:], bool(label_column), where)
    found = pd.DataFrame({"text": table.iloc[:, 0], "label": label})
    found.attrs[where] = columns
    return found


def pick_column(names: list[str], where: str, parameter: str, asked: str, usual: tuple[str, ...]) -> str:
    """Return the column name that a parameter asks for, or the first usual one if it is empty."""
    wanted = [asked] if asked else [name for word in usual for name in (word, *names) if name.lower() == word]
    for name in wanted:
        if names.count(name) > 1:
            raise InputError(f"{where}: {names.count(name)} columns are named {name!r}; rename or remove all but one")
        if name in names:
            return name
    missing = f"no column {asked!r}" if asked else f"none of the usual columns ({', '.join(usual)})"
    message = f"{where}: {missing}; there is: {', '.join(map(repr, names))}; set {parameter} to one of these"
    if parameter == "label_column":
        raise _NoLabels(f"{message}, or labels to several if they are columns of 0 and 1")
    raise InputError(message)


def read_files(
    files: list[Path], text_column: str, label_column: str, labels: str = "auto", split: str = "all"
) -> pd.DataFrame:
    """Return text and label of a split, by line or row of its file; with several files by `<file>:<line or row>`.

    Args:
        text_column, label_column, labels: as for `pick_columns`.
        split: whose files they are, for messages.
    """
    with _may_be_left_out(split):
        tables = [(file.name, _read(file, text_column, label_column, labels)) for file in files]
    tables = [(name, table) for name, table in tables if table is not None]
    if not tables:
        raise _no_rows(files[0], "texts and labels")
    if len(files) == 1:
        return tables[0][1]
    whole = pd.concat([table.rename(index=(name + ":{}").format) for name, table in tables])
    whole.attrs = dict(ChainMap(*(table.attrs for _, table in tables)))
    return whole


def column_names(files: list[Path], text_column: str) -> list[str]:
    """Return the names of all columns of the files of a split; the text column, as for `pick_columns`, is needed."""
    found: dict[str, None] = {}

    def pick(file: Path, names: list[str]) -> list[str]:
        found.update(dict.fromkeys(names))
        return pick_columns(names, file.name, text_column, "", "none")

    for file in files:
        next(_batches(file, partial(pick, file), PROBE_ROWS), None)
    return list(found)


def probe_files(
    files: list[Path], text_column: str, label_column: str, labels: str = "auto", split: str = "all"
) -> None:
    """Raise the InputError that `read_files` would raise for the formats, columns or first rows of these files."""
    first = []
    for file in files:
        with _may_be_left_out(split):
            first.append(next(_labelled(file, text_column, label_column, labels, PROBE_ROWS), None))
    if not any(first):
        raise _no_rows(files[0], "texts and labels")


@contextmanager
def _may_be_left_out(split: str) -> Iterator[None]:
    """Say of a split that is only scored that it may be left out if it has no labels."""
    try:
        yield
    except _NoLabels as error:
        if split not in SCORED:
            raise
        raise _NoLabels(
            f"{error}; if none of these holds labels, it cannot be scored: leave it out, and label it with `predict`"
        ) from None


def stream_texts(path: Path, text_column: str, rows: int) -> Iterator[tuple[list[str | None], float]]:
    """Yield the texts of a file in batches, and the share of the file that was read by then, above 0.

    A txt file holds one text a line here, unless its first line is a header such as `text;label`. Lines without any
    content are left out, as when training, but for a txt file of texts alone, where they are empty texts.

    Args:
        path: a file of one of FORMATS.
        text_column: empty means the first of TEXT_COLUMNS that is there; a txt file has none.
        rows: of a batch, at most.

    Raises:
        InputError: the file cannot be read to its end, or has no rows, or no text column.
    """
    for table, share in _stream(path, text_column, rows, further=False):
        yield table.iloc[:, 0].tolist(), share


def stream_rows(path: Path, text_column: str, rows: int) -> Iterator[Batch]:
    """Yield the rows of a file in batches, as `stream_texts` its texts: the text column first, then all others.

    Of a txt file only the texts are taken; of jsonl all keys that any of its objects has.

    Raises:
        InputError: as of `stream_texts`, or two columns have one name.
    """
    return _stream(path, text_column, rows, further=path.suffix.lower() != ".txt")


def _stream(path: Path, text_column: str, rows: int, further: bool) -> Iterator[Batch]:
    """Yield the text column of a file in batches, its texts None where there is none, with or without the others."""
    if text_column and path.suffix.lower() == ".txt":
        raise InputError(
            f"{path.name}: got the text column {text_column!r}, but a txt file has no columns; leave it out"
        )

    def pick(names: list[str]) -> list[str]:
        text = pick_column(names, path.name, "text_column (--text-column)", text_column, TEXT_COLUMNS)
        if not further:
            return [text]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"{path.name}: several columns are named {twice!r}; rename or remove all but one")
        return [text, *(name for name in names if name != text)]

    is_empty = True
    for table, share in _batches(path, pick, rows):
        is_empty = False
        texts = pd.Series(_texts(table.iloc[:, 0], path), table.index, dtype=object, name=table.columns[0])
        yield pd.concat([texts, table.iloc[:, 1:]], axis=1), share
    if is_empty:
        raise _no_rows(path, "texts")


def _read(file: Path, text_column: str, label_column: str, labels: str) -> pd.DataFrame | None:
    """Return text and label of one file, or None if it has no rows."""
    tables = [table for table, _ in _labelled(file, text_column, label_column, labels, READ_ROWS)]
    if not tables:
        return None
    table = labelled(pd.concat(tables), label_column, file.name)
    parts = [part.iloc[:, 1] for part in tables if part.shape[1] == 2]  # else the labels are lists by now
    if parts and all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):  # batches may list others
        table["label"] = union_categoricals(parts, ignore_order=True)
    return table


def _labelled(file: Path, text_column: str, label_column: str, labels: str, rows: int) -> Iterator[Batch]:
    """Return the batches of a file, with its text and its label columns."""
    return _batches(file, lambda names: pick_columns(names, file.name, text_column, label_column, labels), rows)


def _batches(path: Path, pick: Pick, rows: int) -> Iterator[Batch]:
    """Yield what the parser of a file yields, but for empty batches.

    Raises:
        InputError: the format is not known, or the file cannot be read.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path.name} is of an unknown format; accepted are {', '.join(FORMATS)}")
    if path.exists() and not path.is_file():  # a pipe or a device may never end
        raise InputError(f"{path.name} is a folder, pipe or device; accepted is a file; copy what it holds into one")
    try:
        with path.open("rb") as stream:
            beginning = stream.read(16)
        if kind := next((kind for mark, kind in _OTHER_KINDS.items() if beginning.startswith(mark)), None):
            raise InputError(
                f"{path.name} is not what its name says, but {kind}; save it as csv in UTF-8, or as parquet"
            )
        if any(len(half) > 1 and not any(half) for half in (beginning[::2], beginning[1::2])):
            raise InputError(f"{path.name} has zero bytes, as UTF-16 does, and is not UTF-8; save the file as UTF-8")
        for table, share in FORMATS[path.suffix.lower()](path, pick, rows):
            if len(table):
                yield table, share
    except UnicodeDecodeError:
        raise InputError(_not_utf8(path)) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path.name} cannot be read ({first_line(error)}); check the file") from None


def _texts(column: pd.Series, path: Path) -> list[str | None]:
    """Return the texts of a column, None where there is none."""
    texts = column.to_numpy(object, na_value=None)
    if pd.api.types.infer_dtype(texts, skipna=True) not in ("string", "empty"):
        place, text = next(item for item in column.dropna().items() if not isinstance(item[1], str))
        raise InputError(
            f"{path.name}, {column.index.name} {place}: {column.name!r} holds {text!r}; accepted is a text or null; "
            "choose another text_column (--text-column)"
        )
    return texts.tolist()


def _no_rows(path: Path, needed: str) -> InputError:
    return InputError(f"{path.name} has no rows; it needs {needed}")


def _not_utf8(path: Path) -> str:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{path.name}, line {number}: byte {line[error.start]:#x} is not UTF-8; save the file as UTF-8"
    return f"{path.name} is not UTF-8; save the file as UTF-8"
