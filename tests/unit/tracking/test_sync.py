"""Runs carried between stores: complete, nothing twice, whoever disturbs it."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, Metric, ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mlflow_stores import Server, content, fill
from textlab.errors import IncompleteError, InputError
from textlab.tracking import store, sync
from textlab.tracking.sync.artifacts import Artifacts
from textlab.tracking.sync.digest import STATE_TAG
from textlab.tracking.sync.passage import one_copy
from textlab.tracking.sync.source import Source, open_source


@pytest.fixture(scope="module")
def full_store(tmp_path_factory, empty_store):
    """A store that holds one of everything; tests take copies."""
    folder = tmp_path_factory.mktemp("full") / "a store, ü # 1"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    fill(store.store_uri(folder))
    return folder


@pytest.fixture
def full(full_store, tmp_path):
    shutil.copytree(full_store, tmp_path / "from")
    return store.store_uri(tmp_path / "from")


@pytest.fixture
def empty(tmp_path, empty_store):
    (tmp_path / "to").mkdir()
    shutil.copy(empty_store, tmp_path / "to")
    return store.store_uri(tmp_path / "to")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


def test_everything_arrives_and_repeating_changes_nothing(full, empty):
    assert "3 runs" in sync.carry(full, empty)
    assert content(empty) == content(full)
    assert len(content(empty)["runs"]) == 3 and len(content(empty)["versions"]) == 2
    assert "nothing, all was there" in sync.carry(full, empty)
    assert content(empty) == content(full)


def test_to_a_server_and_back_into_another_store(full, server, tmp_path):
    sync.carry(full, server.uri)
    assert content(server.uri) == content(full)
    assert "nothing, all was there" in sync.carry(full, server.uri)
    back = store.store_uri(tmp_path / "back")
    sync.carry(server.uri, back)
    assert content(back) == content(full)
    assert "nothing, all was there" in sync.carry(server.uri, back)
    assert "nothing, all was there" in sync.carry(back, full)  # the originals are known again and left alone
    assert content(back) == content(full)


def test_a_run_that_goes_on_is_carried_on(full, empty):
    client, place = store.open_client(full), store.use_experiment(store.open_client(full), "live")
    run = client.create_run(place, 1).info.run_id
    client.log_batch(run, [Metric("loss", 1.0, 5, step) for step in range(3)])
    sync.carry(full, empty)
    copy = store.open_client(empty).search_runs([store.use_experiment(store.open_client(empty), "live")])[0]
    assert copy.info.status == "RUNNING" and copy.data.metrics == {"loss": 1.0}
    client.log_batch(run, [Metric("loss", 1.0, 5, step) for step in range(2, 2_503)])  # the last value does not change
    sync.carry(full, empty)
    assert content(empty) == content(full)
    client.log_text(run, "late", "late.txt")
    client.set_terminated(run, "FAILED", 77)
    sync.carry(full, empty)
    client.update_run(run, "RUNNING")  # taken up again, as the best trial of a sweep is
    sync.carry(full, empty)
    assert content(empty) == content(full)
    client.log_text(run, "LATE", "late.txt")  # as long as before
    client.set_terminated(run, "FINISHED", 99)
    sync.carry(full, empty)
    assert content(empty) == content(full)


def test_a_later_run_that_measures_an_earlier_model(full, empty):
    client = store.open_client(full)
    place = store.use_experiment(client, "sweep")
    model = client.search_logged_models([place])[0].model_id
    later = client.create_run(place, 99_000).info.run_id
    client.log_inputs(later, models=[LoggedModelInput(model)])
    client.log_batch(later, [Metric("robustness", 0.25, 99_001, 0, model)])
    sync.carry(full, empty)
    assert content(empty) == content(full)
    copy = next(run.info.run_id for run in content_of_runs(empty) if run.info.start_time == 99_000)
    assert len(store.open_client(empty).get_run(copy).inputs.model_inputs) == 1
    assert "nothing, all was there" in sync.carry(full, empty)


def test_a_run_whose_model_was_deleted_is_carried_and_then_done_with(full, empty):
    client = store.open_client(full)
    client.delete_logged_model(client.search_logged_models([store.use_experiment(client, "sweep")])[0].model_id)
    assert "3 runs" in sync.carry(full, empty)
    assert all(STATE_TAG in run.data.tags for run in content_of_runs(empty))


@pytest.mark.parametrize("deleted_in_the_target", [False, True])
def test_a_run_whose_model_was_measured_by_a_run_that_was_deleted_is_done_with(full, empty, deleted_in_the_target):
    client, there = store.open_client(full), store.open_client(empty)
    place = store.use_experiment(client, "sweep")
    later = client.create_run(place, 99_000).info.run_id
    client.log_batch(later, [Metric("worth", 0.5, 99_001, 0, client.search_logged_models([place])[0].model_id)])
    if deleted_in_the_target:
        copy = there.create_run(store.use_experiment(there, "sweep"), tags={store.SOURCE_TAG: later}).info.run_id
        there.delete_run(copy)
    else:
        client.delete_run(later)
    line = sync.carry(full, empty)
    assert "3 runs" in line and "1 points of models left behind, since the run that measured them was deleted" in line
    assert all(STATE_TAG in run.data.tags for run in content_of_runs(empty))


def test_only_the_experiment_asked_for(full, empty):
    client = store.open_client(full)
    client.create_run(store.use_experiment(client, "other"), 1)
    sync.carry(full, empty, "sweep")
    assert {run[0] for run in content(empty)["runs"].values()} == {"sweep"}
    with pytest.raises(InputError, match="the store has no 'swep'"):
        sync.carry(full, empty, "swep")


def test_one_run_that_cannot_be_carried_does_not_hold_back_the_others(full, empty):
    client = store.open_client(full)
    broken = client.create_run(store.use_experiment(client, "sweep"), 1, run_name="broken").info.run_id
    client.create_run(store.use_experiment(client, "later"), 2)
    sql(full, f"UPDATE runs SET artifact_uri = 'nowhere://x' WHERE run_uuid = '{broken}'")
    taker = store.open_client(empty)
    taker.delete_experiment(store.use_experiment(taker, "later"))
    for _ in range(2):
        with pytest.raises(
            IncompleteError,
            match=rf"^2 could not be carried, all else was: .*files of run broken \({broken}\): .*nowhere.*",
        ):
            sync.carry(full, empty)
        assert len(content(empty)["versions"]) == 2 and len(content_of_runs(empty)) == 4
    taker.restore_experiment(taker.get_experiment_by_name("later").experiment_id)
    home = store.open_client(full).get_experiment_by_name("sweep").artifact_location
    sql(full, f"UPDATE runs SET artifact_uri = '{home}/{broken}/artifacts' WHERE run_uuid = '{broken}'")
    sync.carry(full, empty)
    assert content(empty) == content(full)


def test_beside_a_training_a_target_that_answers_is_not_called_silent(full, empty, tmp_path):
    run = content_of_runs(full)[0].info.run_id
    sql(full, "UPDATE runs SET artifact_uri = '/nowhere' WHERE run_uuid = ?", (run,))
    told = sync.Live(full, empty, "sweep", tmp_path / "sync.log").finish(300)
    assert "does not have all runs yet. Once what sync.log names is mended: python -m textlab sync --from" in told
    assert f"({run}): they are at" in (tmp_path / "sync.log").read_text()


def test_beside_a_training_a_target_that_is_no_store_is_not_called_silent(full, tmp_path):
    (tmp_path / "other").mkdir()
    sql(store.store_uri(tmp_path / "other"), "CREATE TABLE studies (name)")
    told = sync.Live(full, str(tmp_path / "other"), "sweep", tmp_path / "sync.log").finish(300)
    assert "Once what sync.log names is mended: " in told
    assert "is no store of MLflow" in (tmp_path / "sync.log").read_text()


def test_beside_a_training_a_server_that_is_down_is_called_silent(full, tmp_path):
    told = sync.Live(full, "http://127.0.0.1:9", "sweep", tmp_path / "sync.log").finish(300)
    assert "http://127.0.0.1:9 does not have all runs yet. Once it answers: python -m textlab sync --from" in told


def test_runs_are_not_synced_to_the_store_that_they_are_recorded_in(full, tmp_path):
    with pytest.raises(InputError, match="^sync_to: .* is the store that is recorded in"):
        sync.Live(full, str(tmp_path / "from"), "sweep", tmp_path / "sync.log")


def test_what_has_no_place_in_a_run_is_named_as_left_behind(full, empty):
    client = store.open_client(full)
    client.create_model_version("emotions", "s3://bucket/model", content_of_runs(full)[0].info.run_id)
    client.create_model_version("emotions", "s3://bucket/model")
    client.create_logged_model(store.use_experiment(client, "sweep"), "alone")
    for _ in range(2):
        summary = sync.carry(full, empty)
        for words in (
            "1 versions of emotions left behind, since no carried run is known to have their files",
            "1 versions of emotions left behind, since no run has made them",
            "1 models left behind, since no run",
        ):
            assert words in summary


def test_a_parent_keeps_its_own_experiment_and_one_in_the_trash_is_left_there(full, empty):
    client = store.open_client(full)
    places = [store.use_experiment(client, name) for name in ("sweep", "other")]
    elsewhere, gone = (client.create_run(place, 1).info.run_id for place in (places[1], places[0]))
    for parent in (elsewhere, gone):
        client.create_run(places[0], 2, {"mlflow.parentRunId": parent})
    made = client.create_logged_model(places[1], "model", elsewhere)
    client.finalize_logged_model(made.model_id, "READY")
    client.delete_run(gone)
    for experiment in ("sweep", ""):
        sync.carry(full, empty, experiment)
        taker = store.open_client(empty)
        (parent,) = taker.search_runs([store.use_experiment(taker, "other")])
        children = [run for run in content_of_runs(empty) if run.info.start_time == 2]
        assert sorted(run.data.tags.get("mlflow.parentRunId", "") for run in children) == ["", parent.info.run_id]
        assert len(content_of_runs(empty)) == 5
        assert [model.name for model in taker.search_logged_models([parent.info.experiment_id])] == ["model"]


def test_a_parent_in_another_experiment_that_came_from_the_target_is_not_sent_back_as_a_copy(full, empty):
    client = store.open_client(full)
    parent = client.create_run(store.use_experiment(client, "other"), 1).info.run_id
    client.create_run(store.use_experiment(client, "sweep"), 2, {"mlflow.parentRunId": parent})
    sync.carry(full, empty)
    back = store.open_client(empty)
    (copy,) = back.search_runs([store.use_experiment(back, "other")])
    back.create_run(store.use_experiment(back, "sweep"), 3, {"mlflow.parentRunId": copy.info.run_id})
    sync.carry(empty, full, "sweep")
    assert [run.info.run_id for run in client.search_runs([store.use_experiment(client, "other")])] == [parent]
    (late,) = client.search_runs([store.use_experiment(client, "sweep")], "attributes.start_time = 3")
    assert late.data.tags["mlflow.parentRunId"] == parent


def test_files_that_were_carried_are_not_fetched_from_the_server_again_and_again(tmp_path):
    """An open run is synced every ten seconds."""
    fetched = []

    class Remote(Artifacts):
        def listing(self):
            return {"a.txt": (3, "")}

        def fetch(self, path, folder):
            fetched.append(path)
            return tmp_path / "there.txt"

    (tmp_path / "here").mkdir()
    for name in ("here/a.txt", "there.txt"):
        (tmp_path / name).write_text("one")
    here, there = Artifacts(None, (tmp_path / "here").as_uri(), Source(None, tmp_path)), Remote(None, "http://x/1")
    assert [here.carry(there, here.listing()) for _ in range(3)] == [(0, [])] * 3 and fetched == ["a.txt"]


def test_a_runs_curves_are_not_searched_for_among_those_of_all_runs(full, tmp_path):
    client, asked = store.open_client(full), []
    run = client.create_run("0").info.run_id
    client.log_batch(run, [Metric("loss", 1.0, step, step) for step in range(100)])
    with closing(sqlite3.connect(full.removeprefix("sqlite:///"))) as database, database:
        database.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, 1, ?, ?, ?, 0)",
            [
                (key, step, f"{number:032x}", step)
                for number in range(200)
                for key in ("loss", "accuracy", "rate")
                for step in range(100)
            ],
        )

    def plan(client) -> str:
        """Return how SQLite answers the question that MLflow asks it for a curve."""
        with watched(Engine, "before_cursor_execute", lambda *call: asked.append(call[2:4])):
            client.get_metric_history(run, "loss")
        ((statement, values),) = [one for one in asked if "FROM metrics" in one[0]]
        asked.clear()
        return str(sql(client.tracking_uri, f"EXPLAIN QUERY PLAN {statement}", values))

    assert "index_metrics_run_uuid_key" not in plan(client)  # what SQLite does by itself
    assert "index_metrics_run_uuid_key" in plan(open_source(full, tmp_path).client)


def test_what_was_deleted_in_the_target_stays_deleted(full, empty):
    sync.carry(full, empty)
    client = store.open_client(empty)
    gone = client.search_runs([store.use_experiment(client, "sweep")], "status = 'FAILED'")[0].info.run_id
    client.delete_run(gone)
    sync.carry(full, empty)
    assert len(content_of_runs(empty)) == 2


def sql(uri, statement, values=()):
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        return database.execute(statement, values).fetchall()


@contextmanager
def watched(target, name, listener):
    event.listen(target, name, listener)
    try:
        yield
    finally:
        event.remove(target, name, listener)


def content_of_runs(uri):
    client = store.open_client(uri)
    return client.search_runs([store.use_experiment(client, "sweep")])


def test_a_champion_that_the_source_does_not_know_stays(full, empty):
    sync.carry(full, empty)
    client = store.open_client(empty)
    run = content_of_runs(empty)[0].info.run_id
    client.log_text(run, "x", "model/MLmodel")
    own = client.create_model_version("emotions", f"runs:/{run}/model", run).version
    client.set_registered_model_alias("emotions", "champion", own)
    source = store.open_client(full)
    source.set_registered_model_alias("emotions", "candidate", "1")
    summary = sync.carry(full, empty)
    assert "1 alias champion of emotions left as the target has it" in summary
    there = client.get_registered_model("emotions").aliases
    assert str(there["champion"]) == str(own) and str(there["candidate"]) == "1"


def test_a_champion_of_another_experiment_of_the_source_makes_way(full, empty):
    fill(full, "another", children=1)  # registers version 3, the others are of the experiment "sweep"
    source, there = store.open_client(full), store.open_client(empty)
    for experiment, number in (("sweep", "1"), ("another", "3")):
        source.set_registered_model_alias("emotions", "champion", number)
        assert "left as the target has it" not in sync.carry(full, empty, experiment)
        version, copy = (one.get_model_version_by_alias("emotions", "champion") for one in (source, there))
        assert copy.tags[store.SOURCE_TAG] == f"{version.source} {version.creation_timestamp}"


def test_two_syncs_at_once_leave_nothing_twice(full, empty, tmp_path):
    fill(full, "another", children=6)
    command = [sys.executable, "-m", "textlab", "sync", "--from", str(tmp_path / "from"), "--to", str(tmp_path / "to")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(one.communicate(), one.returncode) for one in both]
    assert [code for _, code in ends] == [0, 0], ends
    assert content(empty) == content(full)


def test_files_can_be_sent_to_one_place_by_two_at_once(empty, tmp_path):
    client = MlflowClient(empty, empty)
    (tmp_path / "from" / "a" / "b").mkdir(parents=True)
    for i in range(20):
        (tmp_path / "from" / "a" / "b" / f"{i}.bin").write_bytes(bytes(10_000))
    there = Artifacts(client, (tmp_path / "from").as_uri())
    listing, start = there.listing(), threading.Barrier(2)

    def send(number):
        start.wait()
        return there.carry(Artifacts(client, (tmp_path / "to" / str(number)).as_uri()), listing)

    with ThreadPoolExecutor(2) as pool:
        for number in range(30):
            assert all(not lost for _, lost in pool.map(send, [number] * 2))
            assert Artifacts(client, (tmp_path / "to" / str(number)).as_uri()).listing() == listing


@pytest.mark.parametrize(
    "before, made, expected, deleted",
    [
        ([3], [], 3, []),
        ([3, 1, 2], [], 1, [2, 3]),
        ([], [5], 5, []),
        ([], [5, 4], 4, [5]),  # another sync has made one at the same moment
    ],
)
def test_of_all_copies_the_first_is_kept(before, made, expected, deleted):
    copies, gone = list(before), []
    kept = one_copy(lambda: copies, lambda copy: copy, gone.append, lambda: copies.extend(made))
    assert kept == expected and gone == deleted


def test_a_copy_that_another_sync_deletes_at_once_is_noticed_and_none_is_made_unasked():
    with pytest.raises(MlflowException, match="another sync is at work on the same copy"):
        one_copy(list, int, int, lambda: None)
    assert one_copy(list, int, int) is None


def test_two_threads_that_make_the_same_copy_agree(full, empty, monkeypatch):
    """Both search, find nothing and create; the barrier makes the worst case certain."""
    barrier, create = threading.Barrier(2, timeout=20), MlflowClient.create_run

    def together(self, *arguments, **options):
        with suppress(threading.BrokenBarrierError):  # the other one has found a copy already
            barrier.wait(0.5)
        return create(self, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "create_run", together)
    with ThreadPoolExecutor(2) as pool:
        [job.result() for job in [pool.submit(sync.carry, full, empty) for _ in range(2)]]
    sync.carry(full, empty)
    assert content(empty) == content(full)
    client = store.open_client(empty)
    assert client.search_runs([store.use_experiment(client, "sweep")], "", ViewType.DELETED_ONLY)  # the race did happen


def test_a_torn_or_foreign_file_is_replaced(full, empty):
    sync.carry(full, empty)
    copy = next(run for run in content_of_runs(empty) if run.info.run_name == "trial 0")
    torn = next(
        file for file in Path(copy.info.artifact_uri.removeprefix("file://")).rglob("*.txt") if file.stat().st_size
    )
    torn.write_bytes(torn.read_bytes()[:10])
    store.open_client(empty).delete_tag(copy.info.run_id, STATE_TAG)  # as when it was cut off
    sync.carry(full, empty)
    assert content(empty) == content(full)


def test_a_moved_a_copied_and_a_zipped_store_open_as_before(full_store, tmp_path, empty):
    shutil.copytree(full_store, tmp_path / "x" / "outputs" / "mlflow")
    moved = tmp_path / "y z % ü"
    (tmp_path / "x" / "outputs").rename(moved)
    uri = store.locate(str(moved))
    client = store.open_client(uri)
    for run in client.search_runs([store.use_experiment(client, "sweep")]):
        assert run.info.artifact_uri.startswith((moved / "mlflow" / "artifacts").as_uri() + "/")
    assert (content(uri)) == content(store.store_uri(full_store))
    assert client.get_model_version_download_uri("emotions", "1").startswith((moved / "mlflow").as_uri())
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", moved)
    assert "3 runs" in sync.sync(packed, empty)
    assert content(empty) == content(uri)


@pytest.mark.parametrize(
    "source, target, message",
    [
        ("{from}", "{from}", "--from and --to are the same store"),
        ("{from}", "out.zip", "--to: out.zip is a zip; accepted is a folder"),
        ("{tmp}/nothing", "{tmp}/to", "there is no tracking store yet"),
        ("{tmp}/page.txt", "{tmp}/to", "page.txt is no store; accepted are"),
        ("{from}", "http://127.0.0.1:9", "http://127.0.0.1:9 cannot be used: no answer within 5 seconds"),
    ],
)
def test_wrong_stores_are_named_in_one_line(full, tmp_path, source, target, message):
    (tmp_path / "page.txt").write_text("no store")
    names = {"from": full, "tmp": tmp_path}
    with pytest.raises(InputError, match=message.replace("(", r"\(")) as error:
        sync.sync(source.format(**names), target.format(**names))
    assert "\n" not in str(error.value)


def test_a_store_that_never_answers_is_refused_soon(full):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and says nothing
        began = time.monotonic()
        with pytest.raises(InputError, match="no answer within 5 seconds"):
            sync.carry(full, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < 12
