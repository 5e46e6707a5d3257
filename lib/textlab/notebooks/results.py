"""The results file of a notebook: written whole or not at all, and read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required

import pandas as pd
from pydantic import Field
from typing_extensions import TypedDict

from ..errors import InputError
from ..machine import plain, write_text
from ..settings import parameters, strict_json


class Scores(TypedDict):
    """What a model reaches on a split."""

    accuracy: strict_json.Share
    macro_f1: strict_json.Share
    weighted_f1: NotRequired[strict_json.Share]
    accuracy_ci95: NotRequired[Annotated[list[float], Field(min_length=2, max_length=2)]]
    macro_f1_ci95: NotRequired[Annotated[list[float], Field(min_length=2, max_length=2)]]


class Rows(TypedDict):
    """Rows of each split."""

    train: strict_json.Count
    validation: NotRequired[strict_json.Count]
    test: NotRequired[strict_json.Count]


class Facts(TypedDict):
    """What is kept of a source."""

    source: str
    sha256: strict_json.Sha256
    revision: NotRequired[str]


class DataFacts(Facts):
    """What is kept of a data set."""

    rows: Rows


class Results(TypedDict, total=False):
    """What is read of a results file."""

    status: Required[Literal["completed", "failed"]]
    notebook: Required[str]
    error: str
    environment: dict[str, Any]
    data: DataFacts
    experiment: str
    promotion: str
    guards: list[str]
    notes: list[str]


class FineTuning(Results, total=False):
    """What is read of a results file of notebook 2 that holds scores."""

    data: Required[DataFacts]
    model: Required[Facts]
    baselines: Required[dict[Literal["majority", "tfidf_svm"], Scores]]
    validation: Scores
    test: Scores
    seed: int
    seeds: list[int]
    params: dict[str, Any]
    train: dict[str, Any]


def write(folder: Path, notebook: str, **content: Any) -> Path:
    """Write `results/<notebook>.json` in a run's folder and return its path.

    Args:
        folder: the run's output folder.
        notebook: such as `02_fine_tuning`.
        content: what was measured; a value of None is left out, since a figure that was not measured is absent.

    Raises:
        ValueError: a number is NaN or infinite; such a figure must not look like a result.
    """
    kept = {"status": "completed", "notebook": notebook}
    kept |= {name: value for name, value in content.items() if value is not None}
    _refuse_nan(kept, notebook)
    path = _file(folder, notebook)
    write_text(path, json.dumps(kept, indent=1, ensure_ascii=False, default=plain) + "\n")
    return path


def read(folder: Path, notebook: str) -> dict[str, Any]:
    """Return the content of a run's results file.

    Raises:
        InputError: there is none, or it has not the form of one.
    """
    path = _file(folder, notebook)
    if not path.is_file():
        raise InputError(f"{path} does not exist: run notebook {notebook} first")
    content = strict_json.read_json(path, Results, str(path))
    scored = notebook == "02_fine_tuning" and {"validation", "test"} & {*content}
    return strict_json.check_form(content, FineTuning, str(path)) if scored else content


def read_all(folder: Path) -> dict[str, dict[str, Any]]:
    """Return notebook -> content of its results file, for the notebooks that have been run in a folder, in order."""
    return {name: read(folder, name) for name in parameters.NOTEBOOKS if _file(folder, name).is_file()}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table with its index as mappings, without missing values."""
    rows = table.reset_index().to_dict("records")
    return [{name: value for name, value in row.items() if value is not None and value == value} for row in rows]


def _file(folder: Path, notebook: str) -> Path:
    return folder / "results" / f"{notebook}.json"


def _refuse_nan(value: Any, place: str) -> None:
    """Raise a ValueError that names the place if there is a NaN or an infinite number anywhere in a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nan(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _refuse_nan(item, f"{place}[{i}]")
    elif hasattr(value, "tolist"):
        _refuse_nan(value.tolist(), place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} is {value}; leave a figure out when it was not measured")
