"""What a store holds of runs, as tables and plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ..errors import InputError
from ..evaluation import BASELINES
from . import store


def models(run_id: str) -> pd.DataFrame:
    """Return the models that a run has logged, by step: columns step and their metrics, indexed by name."""
    client, rows = MlflowClient(), []
    for made in client.get_run(run_id).outputs.model_outputs:
        model = client.get_logged_model(made.model_id)
        rows.append(
            {"model": model.name, "step": made.step} | {point.key: point.value for point in model.metrics or []}
        )
    return pd.DataFrame(rows, columns=None if rows else ["model", "step"]).set_index("model").sort_values("step")


def runs(experiment: str, only_finished: bool = True) -> pd.DataFrame:
    """Return the runs of an experiment, newest first.

    Returns:
        Columns run_id, name, status, parent, started, minutes, then params.*, metrics.* and tags.* as MLflow names
        them; empty, with these columns, when there are none.
    """
    condition = "attributes.status = 'FINISHED'" if only_finished else ""
    found = mlflow.search_runs(experiment_names=[experiment], filter_string=condition, max_results=50_000)
    if found.empty:
        return pd.DataFrame(columns=["run_id", "name", "status", "parent", "started", "minutes"])
    table = found.rename(
        columns={"tags.mlflow.runName": "name", "tags.mlflow.parentRunId": "parent", "start_time": "started"}
    )
    table["minutes"] = (found["end_time"] - found["start_time"]).dt.total_seconds() / 60
    if "parent" not in table:
        table["parent"] = None
    first = ["run_id", "name", "status", "parent", "started", "minutes"]
    return table[
        first
        + [
            c
            for c in table
            if c.startswith(("params.", "metrics.", "tags.")) and "mlflow." not in c and "textlab." not in c
        ]
    ]


def search_space(table: pd.DataFrame) -> dict[str, Any]:
    """Return the search space of the newest sweep among the runs of a table; empty when none belongs to a sweep of ours.

    Returns:
        Setting name -> a mapping, as `search_space.check_space` returns it, whichever form it was recorded in.
    """
    parents = table["parent"].dropna()
    try:
        space = mlflow.artifacts.load_dict(f"runs:/{parents.iloc[-1]}/search_space.json") if len(parents) else {}
    except (MlflowException, OSError):
        return {}
    return {name: {"choices": spec} if isinstance(spec, list) else spec for name, spec in space.items()}


def final_scores(row: Mapping[str, Any]) -> tuple[str, dict[str, dict]]:
    """Return the split that a registered run was finally scored on, and its scores and the baselines' on it.

    Args:
        row: of the table of `sweep_analysis.read`.
    """
    split = "test" if pd.notna(row.get("test_macro_f1")) else "validation"
    names = {words: f"{split}_{name}" for name, words in BASELINES.items()} | {"fine-tuned": split}
    scores = {}
    for name, prefix in names.items():
        found = {
            metric: row[f"{prefix}_{metric}"]
            for metric in ("accuracy", "macro_f1")
            if pd.notna(row.get(f"{prefix}_{metric}"))
        }
        bounds = {
            f"{metric}_ci95": [row[f"{prefix}_{metric}_ci95_low"], row[f"{prefix}_{metric}_ci95_high"]]
            for metric in found
            if pd.notna(row.get(f"{prefix}_{metric}_ci95_low"))
        }
        if found:
            scores[name] = found | bounds
    return split, scores


def guards_of(row: Mapping[str, Any]) -> list[str]:
    """Return what the guards found when a run's model was registered; a run without a model has not been checked."""
    found = row.get("tags.guards")
    return (
        ["This run has no registered model, so it was not checked."]
        if pd.isna(found)
        else []
        if found == "passed"
        else [found]
    )


def metric_history(run_id: str, metric: str) -> pd.DataFrame:
    """Return a metric's points as columns step and value, in order; empty when it was never logged."""
    points = MlflowClient().get_metric_history(run_id, metric)
    return pd.DataFrame([(p.step, p.value) for p in points], columns=["step", "value"]).sort_values(
        "step", ignore_index=True
    )


def predictions(run_id: str, split: str) -> dict[str, Any] | None:
    """Return what `log_predictions` recorded with a run, or None."""
    try:
        return mlflow.artifacts.load_dict(f"runs:/{run_id}/predictions/{split}.json")
    except (MlflowException, OSError):
        return None


def recorded(run_id: str, uri: str) -> dict[str, Any]:
    """Return what a store holds of a run: run_id, params, metrics, record and predictions (split -> content).

    Args:
        run_id: its id, or the id of the run that it is a copy of.
        uri: of the store.

    Raises:
        InputError: there is no such store or run.
    """
    client = store.open_client(uri, create=False)
    with store.one_line_errors(uri), TemporaryDirectory() as scratch:
        experiments = [found.experiment_id for found in store.paged(client.search_experiments)]
        conditions = f"attributes.run_id = '{run_id}'", f"tags.`{store.SOURCE_TAG}` = '{run_id}'"
        found = next((run for condition in conditions for run in client.search_runs(experiments, condition)), None)
        if found is None:
            raise InputError(f"{store.short(uri)} has no run {run_id}; --tracking-uri names another store")

        def read(file: str) -> dict[str, Any]:
            try:
                content = json.loads(
                    Path(client.download_artifacts(found.info.run_id, file, scratch)).read_text(encoding="utf-8")
                )
            except ValueError:
                return {}
            return content if isinstance(content, dict) else {}

        there = [
            file.path
            for folder in ("", "predictions")
            for file in client.list_artifacts(found.info.run_id, folder or None)
        ]
        kept = {split: file for split in ("validation", "test") if (file := f"predictions/{split}.json") in there}
        return {
            "run_id": found.info.run_id,
            "params": found.data.params,
            "metrics": found.data.metrics,
            "record": read("record.json") if "record.json" in there else {},
            "predictions": {split: read(file) for split, file in kept.items()},
        }
