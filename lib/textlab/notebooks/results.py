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

#: The ends of a 95 % interval.
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class Scores(TypedDict):
    """What a model reaches on a split."""

    accuracy: strict_json.Share
    macro_f1: strict_json.Share
    weighted_f1: NotRequired[strict_json.Share]
    accuracy_ci95: NotRequired[Interval]
    macro_f1_ci95: NotRequired[Interval]
    micro_f1: NotRequired[strict_json.Share]  # with several labels a text; accuracy is then that of whole answers
    micro_f1_ci95: NotRequired[Interval]


Baseline = Literal["majority", "tfidf_svm", "linear_probe"]


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
    """What is kept of a data set; with folds, test holds all of its rows."""

    rows: Rows
    labels: NotRequired[Literal["several", "ordered"]]  # a text has one label otherwise
    folds: NotRequired[strict_json.Count]
    kept_rows: NotRequired[strict_json.Count]


class People(TypedDict):
    """How often one person agrees with the others, on the rows that the model was scored on."""

    accuracy: strict_json.Share
    accuracy_ci95: Interval


class Gap(TypedDict):
    """How much more accurate a model is than a baseline on the same rows."""

    baseline: Baseline
    difference_ci95: Interval
    p_value: strict_json.Share  # of McNemar's test
    macro_f1_difference_ci95: NotRequired[Interval]


class BesidePerson(TypedDict):
    """How much more often a model is right than one person, on the same texts."""

    difference: float
    difference_ci95: Interval


class Record(TypedDict, total=False):
    """What is read of the record of a training."""

    splits: dict[str, strict_json.Sha256]


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
    baselines: Required[dict[Baseline, Scores]]
    validation: Scores
    test: Scores
    seed: int
    seeds: list[int]
    params: dict[str, Any]
    train: dict[str, Any]
    people: People
    beside_person: BesidePerson
    versus: Gap
    weights_sha256: strict_json.Sha256
    record: Record


class Candidates(TypedDict):
    """What was compared on the Hub."""

    models: list[Any]
    datasets: list[Any]


class Fault(TypedDict):
    """A line of the quality report."""

    problem: str
    rows: int


class Exploration(Results, total=False):
    """What is read of a results file of notebook 1."""

    model: Facts
    candidates: Candidates
    quality: list[Fault]


class Training(TypedDict):
    """A registered run of notebook 3."""

    run_id: str
    version: str
    guards: NotRequired[list[str]]
    weights_sha256: NotRequired[strict_json.Sha256]


class Trial(TypedDict):
    """A trial of a sweep."""

    state: str


class Sweep(TypedDict):
    """What is read of a sweep."""

    trials: list[Trial]
    confirmed: list[dict[str, Any]]
    best: NotRequired[Training | None]


class SweepParams(TypedDict, total=False):
    """What is read of the parameters of notebook 3."""

    search_space: dict[str, Any]


class Tracking(Results, total=False):
    """What is read of a results file of notebook 3."""

    model: Facts
    params: SweepParams
    first_run: Training
    sweep: Sweep
    record: Record


class Version(TypedDict):
    """A version in the model registry."""

    name: str
    version: int


class Trained(Record):
    """What is read of the record of the champion's training."""

    data: Required[DataFacts]
    model: Required[Facts]
    seed: int
    weights_sha256: strict_json.Sha256


class Winner(TypedDict):
    """The best run of an experiment."""

    run_id: str


class Test(TypedDict):
    """A paired test of the better final run against another: the interval is of its accuracy minus the other's."""

    index: str
    split: str
    low: float
    high: float
    p_value: strict_json.Share


class AnalysisParams(TypedDict, total=False):
    """What is read of the parameters of notebook 4."""

    tracking_uri: str


class Analysis(Results, total=False):
    """What is read of a results file of notebook 4."""

    params: AnalysisParams
    champion: Version  # the winner is it
    stays: Version  # the champion, where the winner was not promoted
    trained: Trained
    conclusion: str
    promotion: str
    winner: Winner
    tests: list[Test]
    validation: dict[str, Scores]
    test: dict[str, Scores]


#: Notebook -> what is read of its results file.
_FORMS = {
    "01_hub_exploration": Exploration,
    "02_fine_tuning": FineTuning,
    "03_mlflow_tracking": Tracking,
    "04_sweep_analysis": Analysis,
}


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
    unscored = notebook == "02_fine_tuning" and not {"validation", "test"} & {*content}
    return content if unscored else strict_json.check_form(content, _FORMS.get(notebook, Results), str(path))


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
