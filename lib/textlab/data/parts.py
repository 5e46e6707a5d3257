"""A source of texts read into parts: split -> table, with what is to know about them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import pandas as pd

from .. import hub, machine
from ..errors import InputError, first_line
from . import formats, ratings, readers
from .quality import likely_headers
from .source import files_of, form_of

#: Files of a Hub data set that are read as those of this machine, and what a card may say of them all the same.
_PLAIN = (".csv", ".tsv", ".jsonl")
#: Columns that number the rows, in small letters; without a name, or with that of pandas for none.
_NUMBERS = ("id", "idx", "index", "", "unnamed: 0")
_SAID = ("name", "version", "data_dir", "data_files", "description", "sep")


def read(
    source: str, text_column: str, label_column: str, labels: str
) -> tuple[hub.Source, dict[str, pd.DataFrame], list[str]]:
    """Return a source, its parts and notes.

    Args:
        source, text_column, label_column, labels: as for `dataset.load`.

    Returns:
        The parts are split -> table with text and label, indexed by row number. Unsplit data is the split `all`.
        Packaged data has further columns, and a part `elsewhere`, which is not to be cleaned.

    Raises:
        InputError: the source is missing, unreadable or empty, or lacks a column.
    """
    form = form_of(source)
    if form == "packaged":
        origin = hub.packaged_data()
        return replace(origin, id=source), *ratings.parts(origin.path, ratings.part_of(source))
    if form == "hub":
        origin = hub.resolve(source, kind="dataset")
        return origin, *_read_snapshot(origin, text_column, label_column, labels)
    origin = hub.https_data(source) if form == "address" else None
    groups = readers.split_files(origin.path) if origin else files_of(source)
    columns = text_column, label_column, labels
    parts = {split: readers.read_files(group, *columns, split) for split, group in groups.items()}
    folder = origin.path if origin else Path(source).expanduser()
    left_out = hub.left_out(origin) if origin else []
    about = _about_files(folder, groups, left_out) + likely_headers(groups, parts)
    if origin:
        kept = f"{origin.id} is kept in {origin.path}; delete that folder to download it anew."
        return origin, parts, [kept, *about]
    digests = {file.name: machine.sha256(file) for group in groups.values() for file in group}
    notes = [f"{source} is a path on this machine, so the Hub was not asked."] if hub.split_id(source) else []
    return hub.Source(source, "dataset", None, Path(source).expanduser().resolve(), digests), parts, notes + about


def _about_files(folder: Path, groups: dict[str, list[Path]], left_out: list[str]) -> list[str]:
    """Return notes: whether train is several files, not only the shards of one, and what a folder holds besides.

    Args:
        left_out: names of files that came with the folder, and are not in it.
    """
    names = [file.name for file in groups.get("train", [])]
    notes = [f"The train split is read from several files: {', '.join(names)}."] * (len(readers.whole_files(names)) > 1)
    unused = readers.unused_files(folder, groups, left_out) if folder.is_dir() else []
    return notes + [f"Files that are not used: {', '.join(unused)}."] * bool(unused)


def _read_snapshot(
    origin: hub.Source, text_column: str, label_column: str, labels: str
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the parts and notes of a local copy of a Hub data set, in its default configuration."""
    splits = _load_snapshot(origin)
    names = readers.hub_splits(splits, origin.id)
    if not names and len(splits) == 1:
        names = dict.fromkeys(splits, "all")
    elif "train" not in names.values():
        raise InputError(
            f"dataset: {origin.id} has no train split, only {', '.join(splits)}; download one of its files and "
            "give that instead"
        )
    unused = ", ".join(name for name in splits if name not in names)
    notes = [f"Splits that are not used: {unused}."] if unused else []
    chosen = {split: splits[name] for name, split in names.items()}
    if not isinstance(splits, datasets.DatasetDict):
        try:
            parts, told = _read_plain(chosen, text_column, label_column, labels)
        except InputError as error:
            raise InputError(
                f"{origin.id}, {error}; if a file is to be changed for that, download its files and give that instead"
            ) from None
        return parts, notes + told
    parts = {}
    for split, rows in chosen.items():
        columns = readers.pick_columns(rows.column_names, origin.id, text_column, label_column, labels)
        table = formats.from_arrow(rows.data.table, columns, origin.id)
        parts[split] = readers.labelled(table, label_column, origin.id)
    return parts, notes


def _load_snapshot(origin: hub.Source) -> dict[str, list[Path]] | datasets.DatasetDict:
    """Return split -> its files if they are plain, else its rows."""
    with TemporaryDirectory() as cache:
        try:
            datasets.disable_progress_bars()
            builder = datasets.load_dataset_builder(str(origin.path), cache_dir=cache)
            if plain := _plain_files(builder):
                return plain
            _take_as_texts(builder)
            builder.download_and_prepare()
            return builder.as_dataset(in_memory=True)
        except (
            ValueError,
            OSError,
            RuntimeError,
            TypeError,
            LookupError,
            AttributeError,
            datasets.exceptions.DatasetsError,
        ) as error:  # metadata of a strange form ends in any of these
            raise InputError(
                f"dataset: {origin.id} cannot be loaded ({first_line(error)}); download one of its files and "
                "give that instead"
            ) from None


def _read_plain(
    groups: dict[str, list[Path]], text_column: str, label_column: str, labels: str
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the parts of a Hub data set that plain files hold, and notes.

    A split that is only scored is read without labels if none of its columns can hold any: each is one of train that
    is no label there, or a row's number. Under another name than in train, labels are refused and not passed over.
    """
    names = {split: readers.column_names(files, text_column) for split, files in groups.items()}
    first = next(split for split in groups if split not in readers.SCORED)
    parts, notes = {first: readers.read_files(groups[first], text_column, label_column, labels)}, []
    several = [name for columns, _ in parts[first].attrs.values() for name in columns]  # of 0 and 1
    label = several or readers.pick_columns(names[first], first, text_column, label_column, labels)[1:]
    for split in [split for split in groups if split != first]:
        others = [name for name in names[split] if name not in names[first] and name.lower() not in _NUMBERS]
        bare = not others and not {*label} & {*names[split]}
        parts[split] = readers.read_files(groups[split], text_column, label_column, "none" if bare else labels)
        notes += [f"The {split} split has no labels; there is: {', '.join(map(repr, names[split]))}."] * bare
    return parts, notes


def _plain_files(builder: datasets.DatasetBuilder) -> dict[str, list[Path]]:
    """Return split -> its files if they are csv, tsv or jsonl, and the card says no more of them; else nothing.

    They are read as files on this machine are: datasets takes "None" for a missing value, and lets a lone quote in a
    csv swallow rows.
    """
    config = builder.config
    files = {str(split): [Path(file) for file in group] for split, group in (config.data_files or {}).items()}
    said = [
        option.name
        for option in fields(config)
        if option.name not in _SAID and getattr(config, option.name) != option.default
    ]
    told = getattr(config, "sep", ",") in (",", ";", "\t")  # which the parser tells apart
    plain = told and all(_is_plain(file) for group in files.values() for file in group)
    return files if plain and not said and builder.info.features is None else {}


def _take_as_texts(builder: datasets.DatasetBuilder) -> None:
    """Have the fields of a csv taken as they stand where the card declares no types: "NA" is a word, 007 no 7."""
    config = builder.config
    files = [file for group in (config.data_files or {}).values() for file in group]
    if hasattr(config, "converters") and builder.info.features is None and all(map(_has_columns, files)):
        head = config.pd_read_csv_kwargs | {"nrows": 0, "chunksize": None}
        names = [name for file in files for name in pd.read_csv(file, **head).columns]
        config.na_filter, config.converters = False, dict.fromkeys(names, str)


def _has_columns(file: str) -> bool:
    """Tell whether the columns of a csv can be asked for, unlike those of files in an archive."""
    return file.lower().endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz"))


def _is_plain(file: Path) -> bool:
    """Tell whether a file is csv or tsv, or jsonl of an object a line; datasets reads other JSON of that name, too."""
    if file.suffix.lower() not in _PLAIN or not file.is_file():
        return False
    return file.suffix.lower() != ".jsonl" or formats.begins_with_object(file)
