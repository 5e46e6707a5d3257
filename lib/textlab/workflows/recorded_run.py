"""A run that was recorded, in a folder or in a store, after all that is kept of it was compared with its record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from .. import machine, tracking
from ..errors import InputError
from ..settings import strict_json
from ..tracking import store
from .record import fault, form_fault, from_results, prediction_fault

ACCEPTED = "accepted are an MLflow run id, a results file, or the output folder of a run"


@dataclass(frozen=True)
class RecordedRun:
    """A run that is to be repeated, or was."""

    name: str  # run id, or path of the results file
    record: dict[str, Any]
    predictions: dict[str, dict[str, Any]]  # split -> content of the file, where it is there
    faults: list[str]  # what was altered since, or is missing; a sentence each
    place: str  # folder of the run, or address of its store
    tracked: bool = False  # in an MLflow store


def find(run: str, tracking_uri: str = "") -> RecordedRun:
    """Return the run of an MLflow run id, a results file or an output folder.

    Args:
        tracking_uri: store of a run id; empty means the project's own.

    Raises:
        InputError: there is no such run.
    """
    path = machine.expanded(run)
    if path.is_dir():
        names = [f"results/{name}.json" for name in ("02_fine_tuning", "03_mlflow_tracking")]
        path = next((path / name for name in names if (path / name).is_file()), None)
        if path is None:
            raise InputError(f"{run} has no {' or '.join(names)}; {ACCEPTED}")
    if path.is_file():
        return _in_folder(path)
    if not re.fullmatch(r"(runs:/)?[0-9a-f]{32}", run):
        raise InputError(f"got {run!r}, which is no file or folder here; {ACCEPTED}")
    return _in_store(run.removeprefix("runs:/"), store.locate(tracking_uri))


def _in_store(run_id: str, uri: str) -> RecordedRun:
    """Return the run of a store, whose metrics and parameters have to be those of its record."""
    stored = tracking.recorded(run_id, uri)
    record, name, place = stored["record"], stored["run_id"], store.short(uri)
    if flaw := fault(record) or form_fault(record):
        return RecordedRun(name, {}, {}, [flaw], place, True)
    metrics = tracking.flat("validation", record.get("validation", {})) | tracking.flat("test", record.get("test", {}))
    params = record["params"]["resolved"] | {"seed": record["seed"]}
    faults = _differences(stored["metrics"], metrics) + _differences(
        stored["params"], {name: str(value) for name, value in params.items()}
    )
    faults += _prediction_faults(record, stored["predictions"])
    return RecordedRun(name, record, stored["predictions"], faults, place, True)


def _differences(stored: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that the store does not give as the record does."""
    return [
        f"the store says {name} {stored.get(name)}, its record {value}"
        for name, value in recorded.items()
        if stored.get(name) != value
    ]


class _Sweep(TypedDict):
    best: NotRequired[dict[str, Any] | None]


class _ResultsFile(TypedDict):
    record: NotRequired[dict[str, Any] | None]
    sweep: NotRequired[_Sweep | None]


def _in_folder(path: Path) -> RecordedRun:
    """Return the run of a results file; predictions and the saved model beside it have to be those of its record."""
    content = strict_json.read_json(path, _ResultsFile, str(path))
    record, folder = from_results(content), path.absolute().parent.parent
    if flaw := fault(record) or form_fault(record):
        return RecordedRun(str(path), {}, {}, [flaw], str(folder))
    predictions, faults = {}, []
    if record["notebook"] == "02_fine_tuning":
        predictions = _predictions_in(folder, record)
        faults = _model_faults(folder / "model", record)
    elif ((content.get("sweep") or {}).get("best") or {}).get("validation") != record.get("validation"):
        faults.append(f"the figures of the best run in {path.name} are not those of its record")
    return RecordedRun(str(path), record, predictions, faults + _prediction_faults(record, predictions), str(folder))


def _predictions_in(folder: Path, record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return split -> content of its predictions file, where it is there; a damaged one is empty."""
    found = {}
    for split in record["predictions"]:
        file = folder / "predictions" / f"{split}.json"
        try:
            found |= {split: strict_json.read_json(file, dict[str, Any], str(file))} if file.is_file() else {}
        except InputError:
            found[split] = {}
    return found


def _model_faults(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Return in what a saved model is not the one of a record: its weights, and the labels in its config."""
    faults = []
    weights, config = folder / "model.safetensors", folder / "config.json"
    if weights.is_file() and machine.sha256(weights) != record["weights_sha256"]:
        faults.append(f"{weights} is not the model that was trained: its SHA-256 differs from the record's")
    if config.is_file():
        try:
            values = strict_json.read_json(config, dict[str, Any], str(config))
        except InputError as error:
            return [*faults, str(error)]
        by_id = {str(number): label for number, label in enumerate(record["labels"])}
        by_label = {label: number for number, label in enumerate(record["labels"])}
        if values.get("id2label") != by_id or values.get("label2id", by_label) != by_label:
            faults.append(f"{config} is not that of the model that was trained: its labels are not the recorded ones")
    return faults


def _prediction_faults(record: Mapping[str, Any], predictions: Mapping[str, dict]) -> list[str]:
    found = [prediction_fault(split, content, record) for split, content in predictions.items()]
    return [flaw for flaw in found if flaw]
