"""Points of metrics, all of a run at a time: MLflow reads one metric after the other, and inserts row by row."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from ...errors import InputError, show
from .. import store
from .source import Source

_QUERY = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, timestamp, step"
_INSERT = (
    "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)


def read(source: Source, run: Run) -> list[Metric]:
    """Return all points of a run.

    Raises:
        InputError: what the store holds of them is no number.
    """
    if not source.copy:
        names, client = run.data.metrics, source.client
        return [point for name in names for point in client.get_metric_history(run.info.run_id, name)]
    with closing(sqlite3.connect(source.copy)) as database:
        rows = database.execute(_QUERY, [run.info.run_id]).fetchall()
    for key, value, *moments, _ in rows:
        if not isinstance(value, int | float) or not all(isinstance(moment, int) for moment in moments):
            raise InputError(f"its metric {show(key)} has a point that is no number")
    return [Metric(key, math.nan if missing else value, *moments) for key, value, *moments, missing in rows]


def log(
    target: MlflowClient, run_id: str, points: Sequence[Metric], tags: Sequence[RunTag], params: Sequence[Param]
) -> None:
    """Log points, tags and parameters to a run; points that it has already are left out.

    In a store on this machine, MLflow logs the last point of each metric, which it also keeps as its latest; the others
    are inserted in one statement.
    """
    file = store.file_of(target.tracking_uri)
    last = {point.key: point for point in sorted(points, key=_moment)} if file else {}
    target.log_batch(run_id, metrics=list(last.values()) if file else points, tags=tags, params=params)
    if rest := [(run_id, *_row(point)) for point in points if last.get(point.key) is not point] if file else []:
        with closing(sqlite3.connect(file, timeout=60)) as database, database:
            database.executemany(_INSERT, rest)


def _moment(point: Metric) -> tuple[int, int, float]:
    """Return what MLflow compares points by, to tell which is the latest of a metric."""
    _, value, timestamp, step, _ = _row(point)
    return step, timestamp, value


def _row(point: Metric) -> tuple[str, float, int, int, bool]:
    """Return a point as MLflow stores it: not-a-number by a mark, infinity as the largest number."""
    value = 0.0 if math.isnan(point.value) else min(max(point.value, -sys.float_info.max), sys.float_info.max)
    return point.key, value, point.timestamp, point.step, math.isnan(point.value)
