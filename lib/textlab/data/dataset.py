"""Any source of texts turned into one DatasetDict with ClassLabel, with a quality report.

Rows that cannot be used are dropped and reported. Repeated, contradictory and leaking texts are reported but kept:
without them no figure could be compared with a published one.
"""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from .. import hub
from ..errors import InputError
from ..settings import parameters
from . import label_names, label_sets, ratings
from .folds import Folds, dealt, in_folds
from .parts import read
from .quality import check_single, findings, quality
from .readers import SPLITS
from .splits import complete, cut, drawn_by_class


@dataclass(frozen=True)
class Data:
    """A data set ready for use, with its source and what is to know about it."""

    # Columns text (string) and label (ClassLabel, or with several labels a text a List of it); train, validation and,
    # if there is one, test. With `folds`, test holds all rows, which are in train or in validation too: `answered` and
    # `training.train_and_answer` keep apart what is learned from and what is answered.
    splits: DatasetDict
    source: hub.Source
    quality: pd.DataFrame  # one line per problem and split, see quality()
    notes: tuple[str, ...]  # sentences for the reader: splits that were made, left out or cut
    # Of packaged data only: "elsewhere" or a split -> kind, mean, sd and ratings of its rows (see `ratings.read`), and
    # test rows of the kinds of text that are not in the splits, as far as there are others.
    ratings: dict[str, pd.DataFrame] | None = None
    elsewhere: Dataset | None = None
    folds: Folds | None = None  # of few rows that came without splits, if that was asked for
    ordered: bool = False  # whether the labels are steps of a scale, in the order of their ids

    @property
    def several(self) -> bool:
        """Whether a text has any number of labels, and not exactly one."""
        return isinstance(self.splits["train"].features["label"], List)

    @property
    def labels(self) -> list[str]:
        """The label names; a label's position is its id."""
        return _classes(self.splits["train"]).names

    @cached_property
    def digests(self) -> dict[str, str]:
        """Split -> SHA-256 of its texts and labels, in their order."""

        def digest(rows: Dataset) -> str:
            names = label_words(rows)
            return hashlib.sha256(
                "\n".join(f"{text}\t{name}" for text, name in zip(rows["text"], names, strict=True)).encode()
            ).hexdigest()

        return {split: digest(rows) for split, rows in self.splits.items()}

    def scored(self, split: str) -> str:
        """Return what figures of a split are measured on, for titles."""
        return scored_on(split, cross_validated=bool(self.folds))

    @property
    def about(self) -> str:
        """What packaged data is, whom to cite and its licence, for readers; of other data it is empty."""
        return ratings.ABOUT if self.ratings else ""

    def rows(self) -> dict[str, int]:
        """Return split -> number of rows."""
        return {name: len(split) for name, split in self.splits.items()}

    def learned_rows(self, keep: str) -> int:
        """Return how many rows a model learns from that answers others; with folds, the first one of them.

        Args:
            keep: of the recipe; with folds, `best` takes the rows of another fold to choose by.
        """
        if self.folds is None:
            return len(self.splits["train"])
        return len(self.folds.training(self.splits["test"], 0, keep == "best")["train"])

    def record(self, keep: str = "last") -> dict[str, Any]:
        """Return what identifies the data: that of its source, rows by split and, with folds, how many there are and
        the number of rows that the model that is kept learns from, by the recipe's `keep`.
        """
        folds = self.folds
        more = {"folds": len(folds), "kept_rows": folds.kept_rows(keep)} if folds else {}
        more |= {"labels": "several"} if self.several else {"labels": "ordered"} if self.ordered else {}
        return self.source.record() | {"rows": self.rows()} | more

    def answered(
        self, answer: Callable[[DatasetDict], dict[str, dict[str, np.ndarray]]]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Return what models answer for each row, with folds by cross-validation.

        Args:
            answer: is given splits, learns from train, and returns for each model split -> answers, one entry a row.
        """
        if self.folds is None:
            return answer(self.splits)
        found = [answer(self.folds.training(self.splits["test"], fold)) for fold in range(len(self.folds))]
        return {name: self.folds.collect([one[name]["validation"] for one in found]) for name in found[0]}

    @property
    def majority(self) -> int | np.ndarray | None:
        """With folds, the class that is most frequent in all rows, so that each fold can answer with the same one.

        With several labels a text it is the most frequent set of labels, 1 for each that is in it, shape (labels,).
        """
        if self.folds is None:
            return None
        found = self.splits["test"]["label"][:]
        if self.several:
            most = pd.Series([tuple(ids) for ids in found]).mode()[0]
            return np.isin(np.arange(len(self.labels)), most).astype(np.int8)
        return int(np.bincount(found).argmax())

    @property
    def parts(self) -> Sequence[np.ndarray]:
        """Row numbers of test by the model that answers them: those of each fold; empty without folds."""
        return self.folds.answered if self.folds else ()

    def fewer(self, rows: int, seed: int) -> Data:
        """Return the data with at most so many rows to learn from, drawn class by class; what is answered stays."""
        if self.folds is None:
            train = self.splits["train"]
            drawn = train.select(drawn_by_class(train["label"][:], rows, seed))
            return replace(self, splits=DatasetDict(self.splits | {"train": drawn}))
        folds = replace(self.folds, most=min(rows, self.folds.most), seed=seed)
        return replace(self, folds=folds, splits=_of_folds(self.splits["test"], folds))

    def turned(self, by: int) -> Data:
        """Return the data with another of its folds as validation; without folds, itself."""
        if self.folds is None:
            return self
        folds = self.folds.turned(by)
        return replace(self, folds=folds, splits=_of_folds(self.splits["test"], folds))


def scored_on(split: str, cross_validated: bool) -> str:
    """Return what figures of a split are measured on, for titles."""
    return "all rows, cross-validated" if cross_validated and split == "test" else f"the {split} split"


def load(
    source: str,
    text_column: str = "",
    label_column: str = "",
    seed: int = 42,
    max_train_rows: int | None = None,
    folds: int | None = 0,
    labels: str = "auto",
) -> Data:
    """Return any source as one data set with text and label.

    Args:
        source: `packaged` or `packaged:PART`, a file or folder (wins over a Hub id of the same spelling),
            `owner/name[@revision]`, or https addresses as `hub.https_data` takes them.
        text_column, label_column: empty means the first of TEXT_COLUMNS and LABEL_COLUMNS, in upper or lower case.
            With several labels a text, `label_column` may name a column of 0 and 1 for each label, with commas between.
        seed: decides which rows go into a split that is missing, and which ones `max_train_rows` keeps.
        max_train_rows: train on at most so many rows, drawn class by class; the other splits stay whole.
        folds: cross-validate in so many folds (`Data.folds`) and not by splits; None: where rows are few (`dealt`).
        labels: a text has one of them (`single`) or any number of them (`several`, written as a list in a cell, with
            `,`, `;`, `|` or `#` between them, or as a column of 0 and 1 for each; `[]` is a text without any); or one,
            which is a step of a scale (`ordered`); `auto`: several where the cells are lists, else single.

    Raises:
        InputError: the source is missing, unreadable or empty, lacks a column, or has fewer than two classes; or its
            labels are not as `labels` says; or it cannot be cross-validated as asked.

    >>> texts = load("packaged", max_train_rows=600)
    >>> texts.rows(), texts.labels
    ({'train': 600, 'validation': 440, 'test': 803}, ['negative', 'neutral', 'positive'])
    """
    if labels not in parameters.LABELS:
        raise InputError(f"labels: got {labels!r}; accepted are {', '.join(parameters.LABELS)}")
    origin, parts, notes = read(source, text_column, label_column, labels)
    elsewhere = parts.pop("elsewhere", None)
    notes += label_sets.check_columns(ChainMap(*(part.attrs for part in parts.values())))
    several = label_sets.are_several(parts, labels)
    named, told = _named(parts, source, several)
    table, unusable = _clean(parts, named, source)
    if several:
        told.append(label_sets.about(table["label"]))
        table["stratum"] = label_sets.strata(table["label"])
    else:
        check_single(table, source, labels)
        table["stratum"] = table["label"]
    notes += told + [
        f"The {name} split has no row with text and label and is left out."
        for name in parts
        if name not in table["split"].unique()
    ]
    fold = dealt(table, folds, seed, source)
    table, made = complete(table, seed, source) if fold is None else (table.assign(split="train"), [])
    names = _label_names(table, parts, source, several)
    if len(names) < 2:
        raise InputError(f"dataset: {source} has one label only ({names[0]}); it takes two or more; check label_column")
    if labels == "ordered":
        _check_scale(names, parts, source)
    table, unknown = _drop_unknown(table, names, source, several)
    report = quality(table, unusable + unknown, several)
    if fold is not None:
        rows = _dataset_dict(table.assign(split="test"), names, several)["test"]
        found, made = in_folds(table, fold[table.index].to_numpy(), max_train_rows, seed)
        ordered = labels == "ordered"
        return Data(_of_folds(rows, found), origin, report, (*notes, *made), folds=found, ordered=ordered)
    table, shortened = cut(table, max_train_rows, seed)
    more = _further_columns(parts, table)
    if elsewhere is not None:
        more["elsewhere"] = elsewhere[more["train"].columns].reset_index(drop=True)
        elsewhere = _dataset_dict(elsewhere.assign(split="test"), names, several)["test"]
    splits, notes = _dataset_dict(table, names, several), (*notes, *made, *shortened)
    return Data(splits, origin, report, notes, more, elsewhere, ordered=labels == "ordered")


def labelled_texts(source: str, text_column: str = "", label_column: str = "", labels: str = "auto") -> set[str]:
    """Return the texts of a source that have a label, in whichever split; they need not be enough to train on.

    Args:
        source, text_column, label_column, labels: as for `load`.

    Raises:
        InputError: the source is missing, unreadable or empty, or lacks a column.
    """
    _, parts, _ = read(source, text_column, label_column, labels)
    found = set()
    for part in parts.values():
        has_label = part["label"].astype(object).map(label_sets.is_list).notna().to_numpy()
        found.update(_texts(part["text"], source)[has_label])
    return found


def label_words(split: Dataset) -> list[str]:
    """Return the name of each row's label; of several labels, as `label_sets.written` writes them."""
    classes, labels = _classes(split), split["label"][:]
    if isinstance(split.features["label"], List):
        return [label_sets.written(classes.int2str(ids)) for ids in labels]
    return classes.int2str(labels)


def _classes(split: Dataset) -> ClassLabel:
    """Return what is declared of the labels of a split, one or several a text."""
    feature = split.features["label"]
    return feature.feature if isinstance(feature, List) else feature


def balance(splits: DatasetDict) -> pd.DataFrame:
    """Return the number of rows that have a label, indexed by label name, one column per split."""
    names = _classes(splits["train"]).names
    ids = {name: split.to_pandas()["label"].explode().dropna().astype(int) for name, split in splits.items()}
    counts = {name: np.bincount(found, minlength=len(names)) for name, found in ids.items()}
    return pd.DataFrame(counts, index=pd.Index(names, name="label"))


def samples(split: Dataset, per_label: int, seed: int) -> pd.DataFrame:
    """Return a few rows of each label, drawn with a seed: columns label (names) and text; no row comes twice."""
    table = split.to_pandas().assign(words=label_words(split))
    each = table.sample(frac=1, random_state=seed).explode("label").groupby("label", dropna=False).head(per_label)
    drawn = each.sort_values("label", kind="stable")
    drawn = drawn[~drawn.index.duplicated()]
    return pd.DataFrame({"label": drawn["words"].tolist(), "text": drawn["text"].tolist()})


# The parts of `parts.read` become one table (text, label, split, row, and stratum, by which rows are drawn), and that
# the splits.


def _named(parts: dict[str, pd.DataFrame], source: str, several: bool) -> tuple[dict[str, pd.Series], list[str]]:
    """Return split -> the label of each row as a name (of several, as `label_sets.written` writes them), and notes."""
    if several:
        return label_sets.read(parts, source, lambda value: label_names.name(value, source))
    named = {split: label_names.names(part["label"], source) for split, part in parts.items()}
    declared = any(isinstance(part["label"].dtype, pd.CategoricalDtype) for part in parts.values())
    return named if declared else label_names.whole(named), []


def _clean(
    parts: dict[str, pd.DataFrame], labels: dict[str, pd.Series], source: str
) -> tuple[pd.DataFrame, list[dict]]:
    """Return the rows that have a text and a label, and the lines of the report about the others."""
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "text": _texts(part["text"], source),
                    "label": labels[split].to_numpy(),
                    "split": split,
                    "row": part.index,
                }
            )
            for split, part in parts.items()
        ],
        ignore_index=True,
    )
    table, empty = _drop(table, "empty text", table["text"].str.strip() == "")
    table, missing = _drop(table, "missing label", table["label"].isna())
    names = table.loc[table["split"].isin(("all", "train")), "label"].unique()
    if len(names) < 2:
        fault = f"has one class only ({names[0]})" if len(names) else "has no row with text and label"
        raise InputError(
            f"dataset: the training data of {source} {fault}; two classes or more are needed; check label_column"
        )
    return table, empty + missing


def _texts(column: pd.Series, source: str) -> pd.Series:
    """Return texts, empty where there is none."""
    kind = pd.api.types.infer_dtype(column.astype(object), skipna=True)
    if kind not in ("string", "empty"):
        raise InputError(
            f"dataset: the text column of {source} holds {kind} values; accepted is text; set text_column to another"
        )
    return column.astype("str").fillna("").reset_index(drop=True)


def _drop(table: pd.DataFrame, problem: str, bad: pd.Series) -> tuple[pd.DataFrame, list[dict]]:
    return table[~bad], findings(problem, table[bad], "dropped")


def _drop_unknown(table: pd.DataFrame, names: list[str], source: str, several: bool) -> tuple[pd.DataFrame, list[dict]]:
    """Drop validation and test rows under labels that a model trained on this data cannot know."""
    found = table["label"]
    is_known = found.map(lambda cell: {*json.loads(cell)} <= {*names}) if several else found.isin(names)
    known, unknown = _drop(table, "unknown label", ~is_known)
    for split in set(table["split"].unique()) - set(known["split"].unique()):
        other = ", ".join(sorted(table.loc[table["split"] == split, "label"].unique())[:10])
        raise InputError(
            f"dataset: no label of the {split} split of {source} ({other}) occurs in train "
            f"({', '.join(names[:10])}); use the same names in all splits"
        )
    return known, unknown


def _label_names(table: pd.DataFrame, parts: dict[str, pd.DataFrame], source: str, several: bool) -> list[str]:
    """Return the label names in the order of their ids: as declared, or as `label_names.in_order` has them."""
    declared = parts.get("train", parts.get("all"))["label"].dtype
    if isinstance(declared, pd.CategoricalDtype) and not several:
        return list(dict.fromkeys(filter(None, (label_names.name(one, source) for one in declared.categories))))
    train = table.loc[table["split"] == "train", "label"]
    return label_names.in_order((label_sets.single(train) if several else train).unique())


def _check_scale(names: list[str], parts: dict[str, pd.DataFrame], source: str) -> None:
    """Raise an InputError if nothing says in which order the labels are."""
    declared = isinstance(parts.get("train", parts.get("all"))["label"].dtype, pd.CategoricalDtype)
    if not declared and not label_names.are_numbers(names):
        raise InputError(
            f"labels: got 'ordered', but nothing tells the order of the labels of {source} ({', '.join(names[:5])}); "
            "accepted are whole numbers, or classes that the file declares in their order (ClassLabel)"
        )


def _further_columns(parts: dict[str, pd.DataFrame], table: pd.DataFrame) -> dict[str, pd.DataFrame] | None:
    """Return split -> what the parts hold beside text and label, for the rows that are left; None without any."""
    more = pd.concat([part.drop(columns=["text", "label"]) for part in parts.values()], ignore_index=True)
    splits = table.groupby("split", sort=False)
    return {split: more.loc[rows.index].reset_index(drop=True) for split, rows in splits} if len(more.columns) else None


def _of_folds(rows: Dataset, folds: Folds) -> DatasetDict:
    return DatasetDict(folds.training(rows, 0) | {"test": rows})


def _dataset_dict(table: pd.DataFrame, names: list[str], several: bool) -> DatasetDict:
    place, kind = {name: i for i, name in enumerate(names)}, ClassLabel(names=names)
    if several:
        kind, form = List(kind), pa.list_(pa.int64())
        ids = table["label"].map(lambda cell: sorted(place[name] for name in json.loads(cell)))
    else:
        form, ids = pa.int64(), table["label"].map(place)
    features = Features({"text": Value("string"), "label": kind})
    rows = {split: (table["split"] == split).to_numpy() for split in SPLITS if split in table["split"].unique()}
    columns = {
        split: {"text": pa.array(table.loc[here, "text"], pa.string()), "label": pa.array(ids[here].tolist(), form)}
        for split, here in rows.items()
    }
    return DatasetDict({split: Dataset.from_dict(part, features) for split, part in columns.items()})
