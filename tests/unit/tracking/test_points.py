"""Points that are carried many at a time: in the store they are what MLflow itself would have written."""

import math
import random
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from textlab.errors import InputError
from textlab.tracking import store
from textlab.tracking.sync import points
from textlab.tracking.sync.source import Source


@pytest.fixture
def stores(tmp_path, empty_store):
    """Clients of two empty stores, each with a run, and the ids of the runs."""
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name)
        client = store.open_client(store.store_uri(tmp_path / name))
        found.append((client, client.create_run(store.use_experiment(client, "points")).info.run_id))
    return found


def rows(client: MlflowClient, table: str) -> list[tuple]:
    query = f"SELECT key, value, timestamp, step, is_nan FROM {table} ORDER BY key, timestamp, step, value, is_nan"
    with closing(sqlite3.connect(store.file_of(client.tracking_uri))) as database:
        return database.execute(query).fetchall()


def as_row(point: Metric) -> points.Row:
    largest, missing = sys.float_info.max, math.isnan(point.value)
    value = 0.0 if missing else max(-largest, min(largest, point.value))
    return point.key, value, point.timestamp, point.step, missing


def odd_points(seed: int) -> list[Metric]:
    dice = random.Random(seed)
    values = [0.25, -3.0, 1e300, math.nan, math.inf, -math.inf]
    return [
        Metric(dice.choice("abc"), dice.choice(values), dice.choice([5, 1000, 2000]), dice.choice([0, 1, 7, -2]))
        for _ in range(dice.choice([1, 40, 150]))
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_store_holds_what_mlflow_would_have_written(stores, seed):
    (plain, plain_run), (ours, our_run) = stores
    first, second = odd_points(seed), odd_points(seed + 100)
    for batch in (first, second, second):  # the last one brings nothing new
        plain.log_batch(plain_run, metrics=batch)
        points.log(ours, our_run, [as_row(point) for point in batch], [], [])
    assert rows(ours, "metrics") == rows(plain, "metrics")
    assert rows(ours, "latest_metrics") == rows(plain, "latest_metrics")


def test_all_points_are_read_from_a_copy_as_mlflow_reads_them(stores):
    (client, run_id), _ = stores
    client.log_batch(run_id, metrics=[point for seed in range(6) for point in odd_points(seed)])
    run = client.get_run(run_id)
    usual = points.read(Source(client), run)
    copy = Source(client, copy=store.file_of(client.tracking_uri))
    assert len(usual) > 20 and sorted(points.read(copy, run)) == sorted(usual)


def test_a_foreign_point_is_carried_as_mlflow_would_have_written_it(stores):
    (client, run_id), _ = stores
    for key in ("endless", "missing"):
        client.log_metric(run_id, key, 0.5, 1000, 3)
    run, file = client.get_run(run_id), store.file_of(client.tracking_uri)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE metrics SET value = 9e999 WHERE key = 'endless'")
        database.execute("UPDATE metrics SET is_nan = 1 WHERE key = 'missing'")
    found = points.read(Source(client, copy=file), run)
    assert found == [("endless", sys.float_info.max, 1000, 3, False), ("missing", 0.0, 1000, 3, True)]


@pytest.mark.parametrize(
    "column, value", [("value", b"\x00"), ("timestamp", "soon"), ("step", 1.5)], ids=["value", "time", "step"]
)
def test_a_point_that_is_no_number_is_named(stores, column, value):
    (client, run_id), _ = stores
    client.log_metric(run_id, "loss", 0.5, 1000, 3)
    run, file = client.get_run(run_id), store.file_of(client.tracking_uri)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"UPDATE metrics SET {column} = ?", [value])
    with pytest.raises(InputError, match="'loss' has a point that is no number"):
        points.read(Source(client, copy=file), run)
