"""Addresses of SQLite files, whatever their paths hold; and what is secret in an address stays secret."""

import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing

import pytest

from textlab import tracking
from textlab.__main__ import main
from textlab.errors import InputError
from textlab.notebooks import jobs
from textlab.settings import parameters
from textlab.tracking import store
from textlab.workflows.sweep.job_queue import JobQueue, check_storage

#: Names of folders that an address has to escape, or that something on the way would read as something else.
ODD = ["my%20project", "100%25", "what?", "c#d&e;f", "it's Müller's 数", "a@b:c\n"]


def kept(file, query="SELECT key FROM params"):
    with closing(sqlite3.connect(file)) as database:
        return [value for (value,) in database.execute(query)]


@pytest.mark.parametrize("name", ODD)
def test_a_run_lands_in_the_folder_of_its_name_and_in_no_other(tmp_path, name):
    plain = tmp_path / "my project"
    store.open_client(store.store_uri(plain))
    uri = store.locate(str(tmp_path / name))
    assert store.file_of(uri) == tmp_path / name / "mlflow.db" and store.locate(uri) == uri
    client = store.open_client(uri)
    run = client.create_run(store.use_experiment(client, "e")).info
    client.log_param(run.run_id, "mine", 1)
    client.log_text(run.run_id, "text", "a/note.txt")
    assert kept(tmp_path / name / "mlflow.db") == ["mine"] and kept(plain / "mlflow.db") == []
    assert sorted(os.listdir(tmp_path)) == sorted(["my project", name])  # MLflow makes no folder of the escaped name
    assert next((tmp_path / name / "artifacts").rglob("note.txt")).read_text() == "text"
    os.rename(tmp_path / name, tmp_path / "moved")
    moved = store.open_client(store.locate(str(tmp_path / "moved")))
    assert moved.list_artifacts(run.run_id, "a")[0].path == "a/note.txt"


@pytest.mark.parametrize("name", ODD[:3])
def test_a_study_lands_in_the_folder_of_its_name(tmp_path, name):
    JobQueue(store.sqlite_uri(tmp_path / name / "studies.db"), "mine", {"a": 1})
    assert kept(tmp_path / name / "studies.db", "SELECT study_name FROM studies") == ["mine"]
    assert os.listdir(tmp_path) == [name]


def test_the_folder_of_a_run_may_be_called_anything(tmp_path):
    folder = tmp_path / "my%20project?"
    values = parameters.gather(
        "03_mlflow_tracking", [], jobs.prepare("03_mlflow_tracking", {}, folder, own_store=True) | {"output_dir": "x"}
    )
    assert store.file_of(values["tracking_uri"]) == folder / "mlflow" / "mlflow.db"
    assert store.file_of(check_storage(values["sweep_options"]["storage"])) == folder / "studies.db"


def test_an_address_is_read_as_sqlalchemy_does_unless_that_may_be_another_folder(tmp_path):
    escaped = f"sqlite:///{tmp_path}/my%20project/mlflow.db"
    assert store.locate(escaped) == f"sqlite:///{tmp_path}/my project/mlflow.db"
    (tmp_path / "my%20project").mkdir()
    with pytest.raises(InputError, match="may mean .*my project/mlflow.db or .*my%20project/mlflow.db; write") as told:
        store.locate(escaped)
    for address in str(told.value).partition("; write ")[2].split(" or "):
        assert store.file_of(address).parent.name in ("my project", "my%20project")


@pytest.mark.parametrize(
    "address",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:////a/what?/mlflow.db", "sqlite:///file:x?uri=true"],
)
def test_an_address_without_a_file_is_refused(address):
    for door in (store.locate, check_storage):
        with pytest.raises(InputError, match="names no file; accepted is sqlite:///FILE"):
            door(address)


@pytest.mark.slow
def test_mlflows_pages_are_those_of_the_odd_folder(tmp_path):
    uri = store.store_uri(tmp_path / "my%20project?")
    store.use_experiment(store.open_client(uri), "only here")
    process = subprocess.Popen(
        [sys.executable, "-m", "textlab", "ui", str(tmp_path / "my%20project?"), "--no-browser", "--port", "5923"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().split()[0]
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/experiments/search",
            b'{"max_results": 9}',
            {"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            assert b"only here" in answer.read()
    finally:
        process.terminate()
        process.wait(60)
    assert os.listdir(tmp_path) == ["my%20project?"]


@pytest.mark.parametrize(
    "address",
    [
        "http://me:p@hunter2@127.0.0.1:9",
        "http://me:p/hunter2@127.0.0.1:9",
        "http://me:p hunter2@127.0.0.1:9",
        "http://me:hunter2@127.0.0.1:9",
        "http://me:hunter2@127.0.0.1:nine",
        "http://hunter2@127.0.0.1:9",
        "me:hunter2@127.0.0.1:9",
        "http://127.0.0.1:9?token=hunter2",
        "databricks://hunter2",
        "databricks://token:hunter2@host",
        "postgresql://me:hunter2@127.0.0.1:9/db",
        "postgresql://me:p@hunter2@127.0.0.1:9/db",
        "postgresql://127.0.0.1:9/db?password=hunter2",
    ],
)
def test_a_store_that_cannot_be_used_is_one_line_without_hunter2s_in_seconds(address, capsys):
    start = time.monotonic()
    assert main(["sync", "--from", address, "--to", "nowhere"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "hunter2" not in told.err + told.out and time.monotonic() - start < 20


def test_a_password_that_cannot_be_told_from_the_address_is_refused_before_anyone_shows_its_half():
    for address in ("postgresql://me:half@hunter2@host/db", "postgresql://me:half/hunter2@host/db"):
        with pytest.raises(InputError, match="write %20, %40, %2F") as told:
            check_storage(address)
        assert "half" not in str(told.value) and "hunter2" not in str(told.value)
    assert check_storage("postgres://me:a%40b@host/db") == "postgresql+psycopg://me:a%40b@host/db"
    socket = "postgresql://me@/db?host=/tmp/folder"
    assert check_storage(socket) == "postgresql+psycopg://me@/db?host=%2Ftmp%2Ffolder"


@pytest.mark.parametrize("address", ["http://host:5000/a@b", "http://me@host:5000/a@b", "http://host:5000?a@b"])
def test_an_at_sign_behind_a_port_belongs_to_no_password(address):
    assert store.locate(address) == address
    for secret in ("http://me:5000hunter2@host:5000/a@b", "http://me:hunter2@host:5000/a@b"):
        with pytest.raises(InputError, match="write %20, %40, %2F") as told:
            store.locate(secret)
        assert "hunter2" not in str(told.value)


def test_the_traceback_of_a_failed_run_holds_no_password(tmp_path):
    tracking.connect(store.store_uri(tmp_path), "mine")
    with pytest.raises(ValueError), tracking.run("fails") as run:
        raise ValueError("no answer from http://me:hunter2@host/x")
    text = next((tmp_path / "artifacts").rglob("error.txt")).read_text()
    assert "hunter2" not in text and "no answer from http://***@host/x" in text
    assert "hunter2" not in str(
        tracking.store.open_client(store.store_uri(tmp_path)).get_run(run.info.run_id).data.tags
    )
