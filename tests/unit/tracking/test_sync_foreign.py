"""Runs from stores that others made: nothing outside of them is read, nothing in them changes, and what is damaged is
named while the rest is carried."""

import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from alembic import command
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from conftest import error
from mlflow_stores import Server
from textlab.__main__ import main
from textlab.errors import IncompleteError
from textlab.machine import processes
from textlab.tracking import queries, registry, server, store, sync
from textlab.tracking.sync.artifacts import Artifacts
from textlab.tracking.sync.source import Source


@pytest.fixture
def stores(tmp_path, empty_store):
    """A foreign store with two runs that have a file each, and an empty one: their addresses."""
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name)
    source = store.store_uri(tmp_path / "from")
    client = store.open_client(source)
    place = store.use_experiment(client, "texts")
    for number in range(2):
        run = client.create_run(place, number + 1, run_name=f"run {number}").info.run_id
        client.log_batch(run, [Metric("loss", 0.5, 1, 0)], [Param("lr", "0.1")])
        client.log_text(run, f"file {number}", "a.txt")
        client.set_terminated(run, "FINISHED", 99)
    return source, store.store_uri(tmp_path / "to")


@pytest.fixture
def secret(tmp_path):
    """A folder of this machine that no store holds."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret.txt").write_text("CANARY")
    return tmp_path / "home"


def sql(uri, *statements):
    with closing(sqlite3.connect(store.file_of(uri))) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            database.execute(statement)


def arrived(uri):
    """Return run name -> status, metrics, parameters and the names of its files."""
    client = store.open_client(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {
        run.info.run_name: (
            run.info.status,
            run.data.metrics,
            run.data.params,
            sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        )
        for run in client.search_runs(experiments)
    }


WHOLE = ("FINISHED", {"loss": 0.5}, {"lr": "0.1"}, ["a.txt"])
WITHOUT_FILES = (*WHOLE[:3], [])


FIRST = "(SELECT run_uuid FROM runs WHERE name = 'run 0')"


def reason(source, target):
    with pytest.raises(IncompleteError) as caught:
        sync.sync(source, target)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1600
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_files_of_this_machine_outside_of_a_foreign_store_are_never_read(stores, secret, tmp_path, packed):
    source, target = stores
    sql(source, f"UPDATE runs SET artifact_uri = '{secret.as_uri()}' WHERE name = 'run 1'")
    given = shutil.make_archive(str(tmp_path / "runs"), "zip", tmp_path / "from") if packed else source
    assert "1 could not be carried, all else was: files of run run 1" in (line := reason(given, target))
    assert "outside of the store's folder" in line and ": never read" in line
    assert arrived(target) == {"run 0": WHOLE, "run 1": WITHOUT_FILES}
    assert not [file for file in (tmp_path / "to").rglob("*") if file.is_file() and b"CANARY" in file.read_bytes()]
    assert "files of run run 1" in reason(given, target)  # it is tried again, and named again


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/1",
        "gs://bucket/1",
        "sftp://host/1",
        "wasbs://c@a.blob.core.windows.net/1",
        "r2://bucket@account.r2.cloudflarestorage.com/1",
        "http://127.0.0.1:9/1",
        "mlflow-artifacts:/1",
        "runs:/0123456789abcdef0123456789abcdef/x",
        "{from}/../home",
        "file://{from}/artifacts/../../home",
        "file://host/share",
        "../home",
        "{from}/link",
        "",
        None,
        "http://[",
        "/" + "x" * 5000,
        "nowhere://x",
        "\x00",
    ],
)
def test_artifacts_that_lie_elsewhere_or_nowhere_are_named_and_the_run_is_carried(stores, secret, tmp_path, address):
    source, target = stores
    (tmp_path / "from" / "link").symlink_to(secret)
    if address is not None:
        address = address.replace("{from}", str(tmp_path / "from"))
    with closing(sqlite3.connect(store.file_of(source))) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ? WHERE name = 'run 0'", [address])
    assert "1 could not be carried, all else was: files of run run 0" in reason(source, target)
    assert arrived(target) == {"run 0": WITHOUT_FILES, "run 1": WHOLE}


def test_a_link_among_the_files_that_leads_out_of_the_store_is_not_followed(stores, secret, tmp_path):
    source, target = stores
    folder = next((tmp_path / "from").rglob("a.txt")).parent
    (folder / "b.txt").symlink_to(secret / "secret.txt")
    assert "'b.txt' among them is a link out of their folder: never read" in reason(source, target)
    assert not list((tmp_path / "to").rglob("b.txt"))


def test_a_server_does_not_say_which_files_of_this_machine_are_read(secret):
    there = Source(MlflowClient("http://127.0.0.1:9"))
    assert there.folder_of("mlflow-artifacts:/1/2/artifacts") is there.folder_of("s3://bucket/1") is None
    for address in (secret.as_uri(), str(secret), "http://127.0.0.1:9/x", "", None, "runs:/1/x"):
        assert "not with the server: never read" in error(there.folder_of, address)


def test_a_server_of_another_machine_does_not_say_which_files_of_this_one_are_written(secret):
    there = Artifacts(MlflowClient("http://mlflow.example:5000"), secret.as_uri())
    assert "start it with --artifacts-destination" in error(there.listing)


def test_files_of_a_store_that_was_moved_are_found_by_the_end_of_their_path(stores, tmp_path):
    source, target = stores
    client = store.open_client(source)
    for run in client.search_runs(["1"]):
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        end = f"1/{run.info.run_id}/artifacts"
        shutil.copytree(folder, tmp_path / "from" / "mlruns" / end)
        sql(
            source,
            f"UPDATE runs SET artifact_uri = 'file:///elsewhere/mlruns/{end}' WHERE name = '{run.info.run_name}'",
        )
    sync.sync(source, target)
    assert arrived(target) == {"run 0": WHOLE, "run 1": WHOLE}


def old_store(folder, revision):
    """Write a store in the schema of an older MLflow, with a run and a registered version as that wrote them."""
    (folder / "mlruns" / "0" / "abc" / "artifacts" / "model").mkdir(parents=True)
    (folder / "mlruns" / "0" / "abc" / "artifacts" / "model" / "MLmodel").write_text("flavors: {}")
    engine = create_engine(f"sqlite:///{folder / 'mlflow.db'}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(str(engine.url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if revision:
            command.upgrade(config, revision)
    engine.dispose()
    uri, home = store.store_uri(folder), (folder / "mlruns" / "0").as_uri()
    sql(
        uri,
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
        f"VALUES (0, 'Default', '{home}', 'active')",
        "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, user_id, lifecycle_stage, "
        "artifact_uri, experiment_id) VALUES ('abc', 'old', 'LOCAL', 'FINISHED', 1, 99, 'me', 'active', "
        f"'{home}/abc/artifacts', 0)",
        "INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.runName', 'old', 'abc')",
        "INSERT INTO params (key, value, run_uuid) VALUES ('lr', '0.1', 'abc')",
        "INSERT INTO metrics (key, value, timestamp, run_uuid) VALUES ('loss', 0.5, 1, 'abc')",
    )
    if revision:
        sql(
            uri,
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "VALUES ('loss', 0.5, 1, 0, 0, 'abc')",
            "INSERT INTO registered_models (name) VALUES ('emotion')",
            "INSERT INTO model_versions (name, version, source, run_id, current_stage, status) VALUES "
            f"('emotion', 1, '{home}/abc/artifacts/model', 'abc', 'None', 'READY')",
        )
    return uri


@pytest.mark.parametrize("revision", ["", "39d1c3be5f05", "f5a4f2784254", "400f98739977", "75868b020152"])
def test_the_store_of_an_older_mlflow_is_read_from_a_copy_and_stays_as_it_was(stores, tmp_path, revision):
    (tmp_path / "old").mkdir()
    source = old_store(tmp_path / "old", revision)
    before = store.file_of(source).read_bytes()
    sync.sync(str(tmp_path / "old"), stores[1])
    assert "nothing, all was there" in sync.sync(str(tmp_path / "old"), stores[1])
    assert store.file_of(source).read_bytes() == before
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["mlruns", "mlflow.db"]
    assert arrived(stores[1]) == {"old": ("FINISHED", {"loss": 0.5}, {"lr": "0.1"}, ["model"])}
    if revision:
        client = store.open_client(stores[1])
        (version,) = client.search_model_versions("name = 'emotion'")
        (run,) = client.search_runs(["0"])
        assert version.source == f"runs:/{run.info.run_id}/model" and version.run_id == run.info.run_id


def test_no_other_command_upgrades_the_store_of_an_older_mlflow(stores, tmp_path):
    (tmp_path / "old").mkdir()
    old = old_store(tmp_path / "old", "f5a4f2784254")
    before = store.file_of(old).read_bytes()
    for use in (
        lambda: server.serve(old),
        lambda: sync.sync(stores[0], old),
        lambda: queries.recorded("abc", old),
        lambda: registry.model_folder("abc", tmp_path / "into", old),
    ):
        assert f"sync --from {tmp_path / 'old'} --to NEW_FOLDER" in error(use)
    assert store.file_of(old).read_bytes() == before
    renamed = store.file_of(old).rename(tmp_path / "old" / "group.db")
    assert f"sync --from sqlite:///{renamed} --to NEW_FOLDER" in error(store.open_client, f"sqlite:///{renamed}")


def test_the_store_of_a_newer_mlflow_and_a_database_of_something_else_are_refused(stores, tmp_path):
    source, target = stores
    sql(source, "UPDATE alembic_version SET version_num = 'fedcba987654'")
    assert "was written by another MLflow, and this one cannot read it: " in error(sync.sync, source, target)
    other = tmp_path / "other" / "mlflow.db"
    other.parent.mkdir()
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE studies (name)")
    for pair in ((str(other), target), (target, str(other))):
        assert "is no store of MLflow but a database with the tables ['studies']" in error(sync.sync, *pair)


def test_the_folder_of_mlflows_file_store_is_carried(stores, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    runs = tmp_path / "project" / "mlruns"
    client = MlflowClient(runs.as_uri(), runs.as_uri())
    place = client.create_experiment("texts")
    for number in range(3):
        run = client.create_run(place, number, run_name=f"run {number}").info.run_id
        client.log_batch(run, [Metric("loss", 1.0, 1, 0), Metric("loss", 0.5, 2, 1)], [Param("lr", "0.1")])
        client.log_text(run, "one", "a.txt")
        client.set_terminated(run, "FINISHED", 99)
    client.create_registered_model("emotion")
    client.create_model_version("emotion", f"{client.get_run(run).info.artifact_uri}/a.txt", run)
    client.set_registered_model_alias("emotion", "champion", "1")
    before = digest_of(runs)
    moved = tmp_path / "elsewhere" / "mlruns"
    shutil.copytree(runs, moved)
    zipped = shutil.make_archive(str(tmp_path / "mlruns"), "zip", tmp_path / "project")
    shutil.rmtree(tmp_path / "project")
    for number, given in enumerate((moved, moved.parent, zipped)):
        target = store.store_uri(tmp_path / f"to {number}")
        sync.sync(str(given), target)
        assert "nothing, all was there" in sync.sync(str(given), target)
        assert arrived(target) == {f"run {number}": WHOLE for number in range(3)}
        there = store.open_client(target)
        version = there.get_model_version_by_alias("emotion", "champion")
        (last,) = there.search_runs([there.get_experiment_by_name("texts").experiment_id], "run_name = 'run 2'")
        assert version.source == f"runs:/{last.info.run_id}/a.txt"
        assert len(there.get_metric_history(last.info.run_id, "loss")) == 2
    assert digest_of(moved) == before
    some = sorted(path.parent for path in moved.glob(f"{place}/*/meta.yaml"))
    (some[0] / "metrics" / "loss").write_text("what?")
    (some[1] / "meta.yaml").write_text("")
    (some[2] / "params" / "stolen").symlink_to(stores[0].removeprefix("sqlite:///"))
    line = reason(str(moved), stores[1])
    assert line.startswith("3 could not be carried, all else was: ")
    assert f"run {some[0].name}: Malformed metric line" in line
    assert arrived(stores[1]) == {}


def test_no_store_is_made_among_the_runs_of_a_file_store_and_one_that_is_there_has_to_move(stores, tmp_path):
    runs = tmp_path / "mlruns"
    (runs / "0").mkdir(parents=True)
    (runs / "0" / "meta.yaml").write_text("")
    assert f"sync --from {runs} --to NEW_FOLDER" in error(store.open_client, store.store_uri(runs))
    assert [path.name for path in runs.iterdir()] == ["0"]
    shutil.copy(store.file_of(stores[0]), runs)
    assert f"the runs of {runs}: they are in files beside the database; move mlflow.db" in reason(str(runs), stores[1])


def digest_of(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "statement, named",
    [
        ("UPDATE runs SET status = 'ODD' WHERE name = 'run 0'", "run run 0"),
        ("UPDATE runs SET start_time = 'noon' WHERE name = 'run 0'", "run "),
        ("UPDATE runs SET lifecycle_stage = 'active', status = NULL WHERE name = 'run 0'", "run "),
        (
            f"UPDATE metrics SET value = 'high' WHERE run_uuid = {FIRST}",
            "run ",
        ),
        (
            f"UPDATE metrics SET step = 'x' WHERE run_uuid = {FIRST}",
            "run ",
        ),
    ],
)
def test_a_run_that_mlflow_cannot_read_is_named_and_the_others_are_carried(stores, statement, named):
    source, target = stores
    sql(source, statement)
    assert f"all else was: {named}" in reason(source, target)
    assert arrived(target)["run 1"] == WHOLE


@pytest.mark.parametrize(
    "owner", ["x", "here one 2", "{host} 1", "{host} x y", "{host} 1 2 3", "{host} 99999999999999999999 1", ""]
)
def test_an_owner_that_is_none_of_ours_leaves_the_run_open(stores, owner):
    source, target = stores
    client = store.open_client(source)
    client.create_run("1", 3, {store.OWNER_TAG: owner.replace("{host}", socket.gethostname())}, "open")
    sync.sync(source, target)
    assert arrived(target)["open"][0] == "RUNNING" and not processes.gone(owner)


@pytest.mark.parametrize("name", ["it's", "my model", ' a "b"', " "])
def test_registered_models_of_any_name(stores, name):
    source, target = stores
    client = store.open_client(source)
    run = client.search_runs(["1"], "run_name = 'run 0'")[0].info.run_id
    quoted = "'" + name.replace("'", "''") + "'"
    sql(
        source,
        f"INSERT INTO registered_models (name, workspace) VALUES ({quoted}, 'default')",
        "INSERT INTO model_versions (name, version, source, run_id, current_stage, status, workspace) "
        f"VALUES ({quoted}, 1, 'runs:/{run}/a.txt', '{run}', 'None', 'READY', 'default')",
    )
    if not name.strip():
        assert "registered model " in reason(source, target)
    else:
        sync.sync(source, target)
        assert "nothing, all was there" in sync.sync(source, target)
        (version,) = store.open_client(target).search_model_versions()
        assert version.name == name and version.run_id
    assert arrived(target) == {"run 0": WHOLE, "run 1": WHOLE}


def test_versions_without_a_number_are_named(stores):
    source, target = stores
    client = store.open_client(source)
    run = client.search_runs(["1"], "run_name = 'run 0'")[0].info.run_id
    for name in ("one", "two"):
        client.create_registered_model(name)
        client.create_model_version(name, f"runs:/{run}/a.txt", run)
    sql(source, "PRAGMA foreign_keys = OFF", "UPDATE model_versions SET version = 'new' WHERE name = 'one'")
    assert "one" in reason(source, target)
    assert [version.name for version in store.open_client(target).search_model_versions()] == ["two"]
    assert arrived(target) == {"run 0": WHOLE, "run 1": WHOLE}


def test_tags_with_quotation_marks_are_no_conditions(stores):
    source, target = stores
    client = store.open_client(source)
    for number, origin in enumerate(["it's", "x' OR name = 'y"]):
        client.create_run("1", 3, {store.SOURCE_TAG: origin}, f"odd {number}")
    client.create_run("1", 3, {store.SOURCE_TAG: "'\""}, "odd 2")
    assert "1 could not be carried, all else was: run odd 2" in reason(source, target)
    assert set(arrived(target)) == {"run 0", "run 1", "odd 0", "odd 1"}


@pytest.mark.parametrize("damage", ["cut", "zeros", "no table", "no database", "empty"])
def test_damaged_databases_are_one_line(stores, damage, capfd):
    source, target = stores
    file = store.file_of(source)
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 3])
    elif damage == "zeros":
        file.write_bytes(content[:8192] + bytes(len(content) - 8192))
    elif damage == "no table":
        sql(source, "DROP TABLE latest_metrics", "DROP TABLE tags")
    else:
        file.write_bytes(b"no database at all\n" * 50 if damage == "no database" else b"")
    try:
        main(["sync", "--from", str(file.parent), "--to", str(store.file_of(target).parent)])
    finally:
        out, err = capfd.readouterr()
        print(damage, out, err)
    assert len((out + err).splitlines()) == 1 and "Traceback" not in err, err
    assert damage == "empty" or err.startswith("textlab: ")


@pytest.mark.parametrize("kind", ["encrypted", "method", "cut", "long", "huge", "nothing", "surrogate"])
def test_odd_zips_are_one_line(tmp_path, stores, kind):
    packed = tmp_path / "runs.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x/" * 1_000 + "y" * 3_000 if kind == "long" else "runs.txt", "x" * 100)
    content = bytearray(packed.read_bytes())
    central = content.index(b"PK\x01\x02")
    if kind == "encrypted":
        content[6] |= 1
        content[central + 8] |= 1
    elif kind == "method":
        content[8] = content[central + 10] = 99
    elif kind == "cut":
        content[35:60] = bytes(25)
    elif kind == "huge":
        content[central + 24 : central + 28] = b"\xf0\xff\xff\xff"
        content = content[:central] + content[central:]
    packed.write_bytes(content)
    line = error(sync.sync, str(packed), stores[1])
    assert line.startswith("runs.zip"), line


def test_a_path_of_5000_characters_is_one_line(stores, capsys):
    long = "/" + "x" * 5000
    for arguments in (
        ["--from", long, "--to", "out"],
        ["--from", stores[0], "--to", long],
        ["--from", "y/" * 2500, "--to", "z"],
    ):
        assert main(["sync", *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_names_that_a_server_cannot_hold_are_named_and_all_others_arrive_truly(stores, tmp_path):
    source, _ = stores
    client = store.open_client(source)
    run = client.search_runs(["1"], "run_name = 'run 0'")[0].info.run_id
    held = ["what?.txt", "a?b", "100 %.txt", "a b;c&d=e+f.txt", "ü/ß.txt", "100%?.txt"]
    lost = [
        "run#1.txt",
        "run#2.txt",
        "50%20done.txt",
        "%2e%2e/x.txt",
        "new\nline.txt",
        "sub#/y.txt",
        "sub?/x.txt",
        "?" * 120,
    ]
    folder = tmp_path / "files"
    for name in held + lost:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    client.log_artifacts(run, str(folder))
    there = Server(tmp_path / "server")
    try:
        assert f"{len(lost)} files of run run 0" in reason(source, there.uri)
        copies = MlflowClient(there.uri)
        (copy,) = copies.search_runs([copies.get_experiment_by_name("texts").experiment_id], "run_name = 'run 0'")
        listing = Artifacts(copies, copy.info.artifact_uri).listing()
        assert set(listing) == {"a.txt", *held}
        back = store.store_uri(tmp_path / "back")
        sync.sync(there.uri, back)
        client = store.open_client(back)
        (copy,) = client.search_runs([client.get_experiment_by_name("texts").experiment_id], "run_name = 'run 0'")
        files = Path(copy.info.artifact_uri.removeprefix("file://"))
        assert {name: (files / name).read_text() for name in held} == {name: name for name in held}
    finally:
        there.stop()


def test_ui_that_is_killed_leaves_no_server_behind(stores, tmp_path):
    command = [sys.executable, "-m", "textlab", "ui", str(tmp_path / "from"), "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(children, 10)
    assert not alive


@pytest.mark.parametrize(
    "host, own",
    [
        *(
            (host, True)
            for host in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", "0.0.0.0", "LAB-7", "lab-7.example")
        ),
        *((host, False) for host in ("lab-8", "lab-7.example.org", "127.0.0.1.example", "127.example", "10.0.0.1", "")),
    ],
)
def test_a_server_under_a_name_of_this_machine_keeps_files_in_a_folder_here(tmp_path, monkeypatch, host, own):
    monkeypatch.setattr(socket, "gethostname", lambda: "Lab-7")
    monkeypatch.setattr(socket, "getfqdn", lambda: "Lab-7.example")
    (tmp_path / "a.txt").write_text("a")
    there = Artifacts(MlflowClient(f"http://{host}:5000"), tmp_path.as_uri())
    assert list(there.listing()) == ["a.txt"] if own else "of its own machine" in error(there.listing)


def test_runs_in_files_beside_a_database_are_named_and_carried_from_their_folder(stores, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    source, target = stores
    beside = tmp_path / "from" / "mlruns"
    client = MlflowClient(beside.as_uri(), beside.as_uri())
    client.set_terminated(client.create_run(client.create_experiment("texts"), 1, run_name="older").info.run_id)
    assert f"1 could not be carried, all else was: the runs of {beside}: " in (line := reason(source, target))
    assert "give that folder as --from" in line and arrived(target) == {"run 0": WHOLE, "run 1": WHOLE}
    sync.sync(str(beside), target)
    assert arrived(target) == {"run 0": WHOLE, "run 1": WHOLE, "older": ("FINISHED", {}, {}, [])}


@pytest.mark.parametrize("folder, address", [("mlartifacts/a b", "mlflow-artifacts:/a%20b"), ("mlruns", "/old/mlruns")])
def test_files_that_a_server_or_a_moved_store_kept_are_found_and_a_run_without_files_needs_no_folder(
    stores, tmp_path, folder, address
):
    source, target = stores
    place = tmp_path / "from" / folder / "1"
    (place / "first" / "artifacts").mkdir(parents=True)
    (place / "first" / "artifacts" / "a.txt").write_text("first")
    for run, name in (("first", "run 0"), ("second", "run 1")):
        sql(source, f"UPDATE runs SET artifact_uri = '{address}/1/{run}/artifacts' WHERE name = '{name}'")
    sync.sync(source, target)
    assert arrived(target) == {"run 0": WHOLE, "run 1": WITHOUT_FILES}


def test_a_store_in_a_home_folder_does_not_open_what_is_hidden_there_nor_the_folder_itself(secret, tmp_path):
    (secret / ".ssh" / "keys").mkdir(parents=True)
    (secret / "runs" / ".cache").mkdir(parents=True)
    (secret / "mlartifacts").mkdir()
    (secret / "link").symlink_to(secret / ".ssh")
    there = Source(MlflowClient("http://127.0.0.1:9"), secret)
    for inside in (".", "..", ".ssh", ".ssh/keys", "runs/.cache", "link", "link/keys", "runs/.."):
        assert ": never read" in error(there.folder_of, f"{secret}/{inside}")
    for address in ("/", "file:///", "/elsewhere/.ssh/keys", "mlflow-artifacts:/../.ssh"):
        assert ": never read" in error(there.folder_of, address)
    assert ": never read" in error(Source(there.client, Path("/")).folder_of, "file:///")
    hidden = Source(there.client, secret / "runs" / ".cache")  # where the store itself lies is its owner's choice
    assert hidden.folder_of("1/x") == hidden.root / "1/x" and there.folder_of("runs/1") == secret / "runs/1"


def test_a_link_among_the_files_to_what_is_hidden_in_the_store_is_not_followed(stores, tmp_path):
    source, target = stores
    (tmp_path / "from" / ".ssh").mkdir()
    (tmp_path / "from" / ".ssh" / "key").write_text("CANARY")
    (next((tmp_path / "from").rglob("a.txt")).parent / "b.txt").symlink_to(tmp_path / "from" / ".ssh" / "key")
    assert "'b.txt' among them is a link" in reason(source, target)
    assert not list((tmp_path / "to").rglob("b.txt"))
