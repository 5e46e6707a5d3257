"""Reading what a store holds of runs, as tables and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ..errors import InputError, show
from ..evaluation import BASELINES
from ..settings import strict_json
from . import store


def models(run_id: str) -> pd.DataFrame:
    """Return the models that a run has logged, by step: columns step and their metrics, indexed by name."""
    client, rows = MlflowClient(), []
    for output in client.get_run(run_id).outputs.model_outputs:
        model = client.get_logged_model(output.model_id)
        metrics = {point.key: point.value for point in model.metrics or []}
        rows.append({"model": model.name, "step": output.step} | metrics)
    return pd.DataFrame(rows, columns=None if rows else ["model", "step"]).set_index("model").sort_values("step")


def runs(experiment: str, only_finished: bool = True) -> pd.DataFrame:
    """Return the runs of an experiment, newest first.

    Args:
        experiment: its name.
        only_finished: leave out runs that are open, failed or killed.

    Returns:
        Columns run_id, name (the run id where a run has none), status, parent, started, minutes, then params.*,
        metrics.* and tags.* as MLflow names them; empty, with these columns, when there are none.
    """
    condition = "attributes.status = 'FINISHED'" if only_finished else ""
    table = mlflow.search_runs(experiment_names=[experiment], filter_string=condition, max_results=50_000)
    first = ["run_id", "name", "status", "parent", "started", "minutes"]
    if table.empty:
        return pd.DataFrame(columns=first)
    own = (table["end_time"] - table["start_time"]).dt.total_seconds()
    trained = table.get("metrics.train_seconds", pd.Series(index=table.index, dtype=float))
    table["minutes"] = own.where(~(trained > own), trained) / 60  # a training that was taken over took its own time
    table["name"] = table.get("tags.mlflow.runName", table["run_id"]).fillna(table["run_id"])
    table = table.rename(columns={"tags.mlflow.parentRunId": "parent", "start_time": "started"})
    if "parent" not in table:
        table["parent"] = None
    recorded = [column for column in table if column.startswith(("params.", "metrics.", "tags."))]
    return table[first + [column for column in recorded if "mlflow." not in column and "textlab." not in column]]


def search_space(table: pd.DataFrame) -> dict[str, Any]:
    """Return the search space of the newest sweep among runs; empty when none of them belongs to a sweep of notebook 3.

    Args:
        table: as `runs` returns it.

    Returns:
        Setting name -> a mapping, as `search_space.check_space` returns it, whichever form it was recorded in.
    """
    parents = table["parent"].dropna()
    try:
        space = mlflow.artifacts.load_dict(f"runs:/{parents.iloc[-1]}/search_space.json") if len(parents) else {}
    except (MlflowException, OSError):
        return {}
    return {name: {"choices": spec} if isinstance(spec, list) else spec for name, spec in space.items()}


def equals(field: str, value: str) -> str:
    """Return a condition of MLflow's search language.

    Args:
        field: such as `name` or `attributes.run_id`.
        value: wanted.

    Raises:
        InputError: that language cannot express the value.

    >>> print(equals("name", "emotion"), equals("name", "it's"), sep=", ")
    name = 'emotion', name = "it's"
    """
    mark = '"' if "'" in value else "'"
    if mark in value:
        raise InputError(f"MLflow cannot search for {show(value)}, which has both kinds of quotation marks")
    return f"{field} = {mark}{value}{mark}"


def final_scores(row: Mapping[str, Any]) -> tuple[str, dict[str, dict]]:
    """Return the split that a registered run was finally scored on, and its scores and the baselines' on it.

    Args:
        row: of the table of `sweep_analysis.comparable`.

    Returns:
        The split, and name -> accuracy, macro_f1 and, with several labels a text, micro_f1, with the intervals that
        were recorded; only those that have the first two.
    """
    split = "test" if pd.notna(row.get("test_macro_f1")) else "validation"
    names = {words: f"{split}_{name}" for name, words in BASELINES.items()} | {"fine-tuned": split}
    scores = {}
    for name, prefix in names.items():
        known = {metric: row.get(f"{prefix}_{metric}") for metric in ("accuracy", "macro_f1", "micro_f1")}
        values = {metric: value for metric, value in known.items() if pd.notna(value)}
        bounds = {
            f"{metric}_ci95": [row.get(f"{prefix}_{metric}_ci95_{end}") for end in ("low", "high")] for metric in values
        }
        if {"accuracy", "macro_f1"} <= values.keys():
            scores[name] = values | {key: ends for key, ends in bounds.items() if pd.notna(ends).all()}
    return split, scores


def guards_of(row: Mapping[str, Any]) -> list[str]:
    """Return what the guards found when a run's model was registered; a run without a model has not been checked.

    Args:
        row: of the table of `runs`.
    """
    guards = row.get("tags.guards")
    if pd.isna(guards):
        return ["This run has no registered model, so it was not checked."]
    return [] if guards == "passed" else [guards]


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
        run = _run_or_copy(client, run_id)
        if run is None:
            raise InputError(f"{store.short(uri)} has no run {run_id}; --tracking-uri names another store")
        own_id = run.info.run_id
        files = [file.path for folder in (None, "predictions") for file in client.list_artifacts(own_id, folder)]

        def read(file: str) -> dict[str, Any]:
            return _mapping(Path(client.download_artifacts(own_id, file, scratch))) if file in files else {}

        answers = {split: f"predictions/{split}.json" for split in ("validation", "test")}
        return {
            "run_id": own_id,
            "params": run.data.params,
            "metrics": run.data.metrics,
            "record": read("record.json"),
            "predictions": {split: read(file) for split, file in answers.items() if file in files},
        }


def _run_or_copy(client: MlflowClient, run_id: str) -> Run | None:
    """Return the run with an id, else the copy of the run that has it in another store."""
    experiments = [experiment.experiment_id for experiment in store.paged(client.search_experiments)]
    for condition in (equals("attributes.run_id", run_id), equals(f"tags.`{store.SOURCE_TAG}`", run_id)):
        if runs := client.search_runs(experiments, condition):
            return runs[0]
    return None


def _mapping(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file; empty when it is damaged or no mapping."""
    try:
        return strict_json.read_json(file, dict[str, Any], file.name)
    except InputError:
        return {}
