"""A store as people name it, mended after a move, with truthful runs, and served to this machine alone."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.model_utils import env_var_tracker

from textlab import machine
from textlab.__main__ import main
from textlab.errors import InputError
from textlab.machine import processes
from textlab.tracking import local_store, patience, server, stale_runs, store

RECORDER = """
import sys, time, mlflow
from textlab import tracking
tracking.connect(sys.argv[1], "tests")
with tracking.run(sys.argv[2]):
    mlflow.log_metric("loss", 1.0)
    print("recording", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def store_uri(store_file):
    return store.store_uri(store_file.parent)


@pytest.fixture
def store_file(tmp_path, empty_store):
    (tmp_path / "mlflow").mkdir()
    return Path(shutil.copy(empty_store, tmp_path / "mlflow"))


def test_a_killed_run_says_so(store_uri):
    """SIGINT and SIGTERM at once, SIGKILL at the next start; a run that is still going is left alone."""
    names = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL, "alive": None}
    client = store.open_client(store_uri)
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", RECORDER, store_uri, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name in names
    }
    try:
        for name, process in started.items():
            assert process.stdout.readline() == "recording\n"
            if names[name]:
                process.send_signal(names[name])
                process.wait(60)
        place = store.use_experiment(client, "tests")

        def status():
            return {run.info.run_name: run.info.status for run in client.search_runs([place])}

        assert status() == {"SIGINT": "KILLED", "SIGTERM": "KILLED", "SIGKILL": "RUNNING", "alive": "RUNNING"}
        stale_runs.close_stale(client, [place])
        assert status() == {"SIGINT": "KILLED", "SIGTERM": "KILLED", "SIGKILL": "KILLED", "alive": "RUNNING"}
        killed = client.search_runs([place], "run_name = 'SIGKILL'")[0]
        assert killed.info.start_time <= killed.info.end_time <= time.time() * 1000
        assert killed.info.end_time >= client.get_metric_history(killed.info.run_id, "loss")[0].timestamp
    finally:
        for process in started.values():
            process.kill()


def test_a_killed_sweep_ends_when_its_last_training_did(store_uri):
    client, tags = store.open_client(store_uri), {store.OWNER_TAG: f"{socket.gethostname()} {os.getpid()} 1.00"}
    parent = client.create_run("0", 1_000, tags).info.run_id
    child = client.create_run("0", 2_000, tags | {"mlflow.parentRunId": parent}).info.run_id
    client.log_metric(child, "loss", 1.0, 9_000)
    stale_runs.close_stale(client, ["0"])
    ended = [client.get_run(run).info for run in (child, parent)]
    assert [(info.status, info.end_time) for info in ended] == [("KILLED", 9_000)] * 2


@pytest.mark.parametrize(
    "owner, gone",
    [
        (processes.owner(), False),
        (f"{socket.gethostname()} {os.getpid()} 1.00", True),
        ("elsewhere 1 1.00", False),
        ("", False),
        (f"{socket.gethostname()} 4194999 1.00", True),
    ],
    ids=["this one", "another of its number", "elsewhere", "nobody", "one that is gone"],
)
def test_only_processes_of_this_machine_are_known_to_be_gone(owner, gone):
    assert processes.gone(owner) is gone


def test_stores_are_found_as_people_name_them(store_file, tmp_path):
    here = store.store_uri(store_file.parent)
    for name in (store_file, store_file.parent, tmp_path):
        assert store.locate(str(name)) == here
    assert store.locate("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert store.locate(str(tmp_path / "new")) == store.store_uri(tmp_path / "new")
    (tmp_path / "runs.csv").write_text("a,b")
    with pytest.raises(InputError, match="^127.0.0.1:5000 is no store; the address of a server begins with http://"):
        store.locate("127.0.0.1:5000")
    with pytest.raises(InputError, match="runs.csv is no store; accepted are"):
        store.locate(str(tmp_path / "runs.csv"))


def test_logging_a_model_does_not_watch_variables_that_other_threads_read():
    """MLflow's thread for the machine's load reads some every few seconds; the set of those seen must not grow then."""
    with env_var_tracker() as seen:
        assert os.environ["PATH"] and not seen


def test_a_damaged_zip_is_named(store_file, tmp_path):
    packed = local_store.pack(store_file, tmp_path / "runs.zip")
    content = bytearray(packed.read_bytes())
    content[200:260] = bytes(60)
    packed.write_bytes(content)
    with pytest.raises(InputError, match="runs.zip is damaged .*; download or make it again"):
        store.locate(str(packed), tmp_path / "unpacked")


def test_mlflows_own_first_experiment_keeps_its_files_beside_the_store_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = store.open_client(store.store_uri(tmp_path / "first"))
    client.log_text(client.create_run("0").info.run_id, "kept", "note.txt")
    shutil.move(tmp_path / "first", tmp_path / "second")
    client = store.open_client(store.store_uri(tmp_path / "second"))
    (run,) = client.search_runs(["0"])
    assert Path(client.download_artifacts(run.info.run_id, "note.txt")).read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["second"]


def test_a_store_is_named_as_a_command_takes_it(monkeypatch, tmp_path):
    outside = store.store_uri(tmp_path / "my runs")
    of_its_own_name = f"sqlite:///{tmp_path}/my runs/group.db"
    for uri in (outside, of_its_own_name):
        assert store.locate(shlex.split(store.named(uri))[0]) == uri
    assert store.named("http://me:secret@mlflow.example:5000") == "'http://***@mlflow.example:5000'"
    monkeypatch.delenv("TEXTLAB_OUTPUTS")
    monkeypatch.chdir(machine.project_root())
    assert store.named(store.default_uri()) == "outputs"
    inside = store.store_uri(machine.project_root() / "outputs" / "mine" / "mlflow")
    assert store.named(inside) == "outputs/mine/mlflow" and store.locate(store.named(inside)) == inside


def test_ports_and_files_that_cannot_be_are_one_line(capsys, monkeypatch, tmp_path):
    with pytest.raises(SystemExit) as end:
        main(["ui", "--port", "70000"])
    assert end.value.code == 2 and "got '70000'; accepted is a number from 0 to 65535" in capsys.readouterr().err

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server, "serve", full)
    assert main(["ui", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "textlab: [Errno 28] No space left on device\n"


def ask(port, host):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search",
        b'{"max_results": 1}',
        {"Host": host, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "end", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=SLOW), pytest.param(signal.SIGHUP, marks=SLOW)]
)
def test_ui_takes_a_free_port_refuses_foreign_hosts_and_stops_cleanly(store_file, end):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        command = [sys.executable, "-m", "textlab", "ui", str(store_file.parent), "--no-browser", "--port", str(taken)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            port = int(re.match(r"http://127\.0\.0\.1:(\d+)  \(Ctrl-C stops it\)\n", process.stdout.readline())[1])
            assert port != taken
            assert ask(port, f"127.0.0.1:{port}") == 200
            assert ask(port, "10.attacker.example") == ask(port, "attacker.example") == 403
            listening = {
                link.laddr.ip
                for child in psutil.Process(process.pid).children(recursive=True)
                for link in child.net_connections("tcp")
                if link.status == psutil.CONN_LISTEN
            }
            assert listening == {"127.0.0.1"}
            children = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(end)
            process.wait(60)
        assert process.returncode == 0 and process.stderr.read() == ""
        time.sleep(0.2)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        stranger.settimeout(0.1)
        with pytest.raises(TimeoutError):  # nobody has called the stranger
            stranger.accept()


def test_ui_of_a_server_or_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a store on this machine"):
        server.serve("http://127.0.0.1:5000")
    with pytest.raises(InputError, match="there is no tracking store yet"):
        server.serve(store.store_uri(tmp_path / "nothing"))


def test_what_is_to_be_recorded_waits_for_a_server_that_does_not_answer(monkeypatch, capsys):
    down, calls = MlflowException("API request to http://there failed with exception refused"), []

    def record(times, error=down):
        calls.append(error)
        if len(calls) <= times:
            raise error
        return "recorded"

    monkeypatch.setattr(patience, "PAUSE", 0)
    assert patience.patient(record)(3) == "recorded" and len(calls) == 4
    assert capsys.readouterr().err.count("does not answer; what is to be recorded waits for it, up to 60 minutes") == 1
    calls.clear()
    with pytest.raises(MlflowException, match="no such run"):  # the server has answered
        patience.patient(record)(1, MlflowException("no such run"))
    monkeypatch.setattr(patience, "PATIENCE", 0)
    calls.clear()
    with pytest.raises(MlflowException, match="refused"):
        patience.patient(record)(1)
