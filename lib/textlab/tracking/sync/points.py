"""Points of metrics, all of a run at a time: MLflow reads one metric after the other, and inserts row by row.

A point is a row here, as MLflow's database has it: key, value, timestamp in milliseconds, step, whether it is not a
number. MLflow's own objects of ten thousand points take longer to make than the points take to write.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from operator import itemgetter

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from ...errors import InputError, show
from .. import store
from .source import Source

Row = tuple[str, float, int, int, bool]

_QUERY = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, timestamp, step"
_INSERT = "INSERT INTO {} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?) "
_POINT = _INSERT.format("metrics") + "ON CONFLICT DO NOTHING"
_LATEST = _INSERT.format("latest_metrics") + (
    "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, "
    "step = excluded.step, is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value) > "
    "(latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)"
)
#: What MLflow compares points by, to tell which is the latest of a metric: step, timestamp, value.
_MOMENT = itemgetter(3, 2, 1)


def read(source: Source, run: Run) -> list[Row]:
    """Return all points of a run.

    Raises:
        InputError: what the store holds of them is no number.
    """
    if not source.copy:
        return histories(source.client, run.info.run_id, run.data.metrics)
    with closing(sqlite3.connect(source.copy)) as database:
        rows = database.execute(_QUERY, [run.info.run_id]).fetchall()
    for key, value, timestamp, step, _ in rows:
        if not (isinstance(value, (int, float)) and isinstance(timestamp, int) and isinstance(step, int)):
            raise InputError(f"its metric {show(key)} has a point that is no number")
    return [(key, _value(value, missing), *moments, bool(missing)) for key, value, *moments, missing in rows]


def histories(client: MlflowClient, run_id: str, names: Iterable[str]) -> list[Row]:
    """Return the points of some metrics of a run, as a store gives them metric by metric."""
    return [_row(point) for name in names for point in client.get_metric_history(run_id, name)]


def log(
    target: MlflowClient, run_id: str, points: Sequence[Row], tags: Sequence[RunTag], params: Sequence[Param]
) -> None:
    """Log points, tags and parameters to a run; points that it has already are left out.

    In a store on this machine, the points are inserted in one transaction, with the latest of each metric, which MLflow
    keeps in a table of its own.
    """
    file = store.file_of(target.tracking_uri)
    target.log_batch(run_id, metrics=[] if file else [_metric(point) for point in points], tags=tags, params=params)
    if file:
        latest = {point[0]: point for point in sorted(points, key=_MOMENT)}
        with closing(sqlite3.connect(file, timeout=60)) as database, database:
            database.executemany(_POINT, [(*point, run_id) for point in points])
            database.executemany(_LATEST, [(*point, run_id) for point in latest.values()])


def _metric(point: Row) -> Metric:
    key, value, timestamp, step, missing = point
    return Metric(key, math.nan if missing else value, timestamp, step)


def _row(point: Metric) -> Row:
    """Return a point as MLflow stores it: not-a-number by a mark, infinity as the largest number."""
    missing = math.isnan(point.value)
    return point.key, _value(point.value, missing), point.timestamp, point.step, missing


def _value(value: float, missing: bool) -> float:
    return 0.0 if missing else min(max(value, -sys.float_info.max), sys.float_info.max)
