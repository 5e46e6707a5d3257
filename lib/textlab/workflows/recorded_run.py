"""A run that was recorded, in a folder or in a store, after all that is kept of it was compared with its record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import machine, tracking
from ..errors import InputError, first_line
from ..tracking import store
from .record import digest, fault, from_results

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
    path = Path(run).expanduser()
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
    record = stored["record"]
    metrics = tracking.flat("validation", record.get("validation", {})) | tracking.flat("test", record.get("test", {}))
    params = record.get("params", {}).get("resolved", {}) | ({"seed": record.get("seed")} if record else {})
    faults = _differences(stored["metrics"], metrics) + _differences(
        stored["params"], {name: str(value) for name, value in params.items()}
    )
    faults = _faults(record, stored["predictions"], faults)
    return RecordedRun(stored["run_id"], record, stored["predictions"], faults, store.short(uri), True)


def _differences(stored: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that the store does not give as the record does."""
    return [
        f"the store says {name} {stored.get(name)}, its record {value}"
        for name, value in recorded.items()
        if stored.get(name) != value
    ]


def _in_folder(path: Path) -> RecordedRun:
    """Return the run of a results file; predictions and the saved model beside it have to be those of its record."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record, folder = from_results(content), path.absolute().parent.parent
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path} is no results file ({first_line(error)})") from None
    predictions, faults = {}, []
    if content.get("notebook") == "02_fine_tuning":
        for split in record.get("predictions", {}):
            file = folder / "predictions" / f"{split}.json"
            try:
                predictions |= {split: json.loads(file.read_text(encoding="utf-8"))} if file.is_file() else {}
            except ValueError:
                predictions[split] = {}
        weights = folder / "model" / "model.safetensors"
        if weights.is_file() and machine.hash_files(weights)[weights.name] != record.get("weights_sha256"):
            faults.append(f"{weights} is not the model that was trained: its SHA-256 differs from the record's")
    elif record and content.get("sweep", {}).get("best", {}).get("validation") != record.get("validation"):
        faults.append(f"the figures of the best run in {path.name} are not those of its record")
    return RecordedRun(str(path), record, predictions, _faults(record, predictions, faults), str(folder))


def _faults(record: Mapping[str, Any], predictions: Mapping[str, dict], others: list[str]) -> list[str]:
    """Return what is wrong with a record and what is kept with it; without a good record, nothing else can be said."""
    if flaw := fault(record):
        return [flaw]
    return others + [
        f"the predictions file of {split} was altered: its SHA-256 is not the recorded one"
        for split, content in predictions.items()
        if digest(content) != record["predictions"].get(split)
    ]
