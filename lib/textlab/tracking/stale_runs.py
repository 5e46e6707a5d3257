"""Runs that a killed process has left open."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Run

from ..machine import processes
from .store import OWNER_TAG, SOURCE_TAG, paged


def close_stale(client: MlflowClient, experiments: Sequence[str]) -> None:
    """Close the runs that killed processes of this machine left open.

    Args:
        client: of the store.
        experiments: ids of those to look through.
    """
    stale = [
        run
        for run in paged(client.search_runs, list(experiments), "attributes.status = 'RUNNING'")
        if SOURCE_TAG not in run.data.tags and processes.gone(run.data.tags.get(OWNER_TAG, ""))
    ]
    for run in sorted(stale, key=lambda run: "mlflow.parentRunId" not in run.data.tags):  # children first
        close_run(client, run)


def close_run(client: MlflowClient, run: Run) -> None:
    """Close a run whose process has died as KILLED, at the time of its last metric or of its last child's end."""
    run_id = run.info.run_id
    times = [point.timestamp for name in run.data.metrics for point in client.get_metric_history(run_id, name)]
    children = paged(client.search_runs, [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    times += [child.info.end_time for child in children if child.info.end_time]
    client.set_terminated(run_id, "KILLED", max(times, default=run.info.start_time))
