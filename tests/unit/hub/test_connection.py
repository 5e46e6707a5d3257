"""Tests of textlab.reach: the probe, and calls that end in bounded time, against a stand-in Hub on this machine."""

import multiprocessing
import socket
import threading
import time

import huggingface_hub
import pytest
from huggingface_hub import constants

from conftest import error, refused_port, serve
from standin_hub import repository
from textlab import hub
from textlab.hub import connection, download

FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 400}


@pytest.fixture(autouse=True)
def no_cache(hub_at):
    """Let every test begin with an empty cache and a Hub that refuses."""


def test_unreachable_says_why_and_asks_once(black_hole, standin):
    assert connection.unreachable(standin.address) == connection.unreachable(standin.address) == ""
    assert standin.requests == ["GET /api/models"]
    assert connection.unreachable(f"http://127.0.0.1:{refused_port()}") == "Connection refused"
    start = time.monotonic()
    assert connection.unreachable(black_hole, timeout=0.5) == "no answer within 0.5 s"
    assert time.monotonic() - start < 1
    assert "http" in connection.unreachable("localhost:1") and connection.unreachable("http://[")


def test_a_page_that_blocks_is_not_the_hub(standin, monkeypatch):
    monkeypatch.setattr("standin_hub._Handler._list", lambda handler, *_: handler._send(200, b"<h1>blocked</h1>"))
    assert connection.unreachable(standin.address) == "HTTP 200, not an answer of a Hub"


def test_unreachable_bounds_all_addresses_of_a_name_together(black_hole, monkeypatch):
    port = int(black_hole.rsplit(":", 1)[1])
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 3
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or addresses)
    start = time.monotonic()
    assert connection.unreachable("http://slow.example", timeout=0.5) == "no answer within 0.5 s"
    assert time.monotonic() - start < 0.8


def test_unreachable_in_offline_mode(standin, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert connection.unreachable(standin.address) == "HF_HUB_OFFLINE is set"
    message = error(hub.resolve_model, "owner/m")
    assert "HF_HUB_OFFLINE is set" in message and standin.requests == []


def test_calls_of_the_client_are_bounded(black_hole):
    def call() -> None:
        with pytest.raises(connection.GaveUp):
            huggingface_hub.utils.get_session().get(black_hole, timeout=None)
        bounded.append(True)

    bounded = []
    connection.bound_calls(0.3)
    thread = threading.Thread(target=call, daemon=True)  # else a call without a limit would hold up the tests for ever
    thread.start()
    thread.join(2)
    assert bounded


def test_one_line_says_online_mirror_or_offline(standin, hub_at, monkeypatch):
    assert connection.line() == f"mirror: {standin.address} answers"
    monkeypatch.setattr(connection, "unreachable", lambda address: "")
    hub_at("https://huggingface.co")
    assert connection.line() == "online: https://huggingface.co answers"
    monkeypatch.undo()


def test_offline_line_has_the_reason_and_no_password(hub_at):
    hub_at(f"http://me:secret@127.0.0.1:{refused_port()}")
    assert "secret" not in connection.line() and connection.line().startswith("offline: http://***@127.0.0.1")
    assert "Connection refused" in connection.line() and "secret" not in error(hub.resolve, "owner/m", kind="model")


# --- faults ---------------------------------------------------------------------------------------


@pytest.fixture
def model(standin):
    return serve(standin, repository("model", "owner/m", FILES))


@pytest.mark.parametrize("path", ["GET /api/models/owner/m", "/tree/", "/resolve/"])
@pytest.mark.parametrize("fault", ["busy", "wait", "reset"])
def test_a_short_fault_is_overcome(standin, model, monkeypatch, path, fault):
    monkeypatch.setattr(connection, "WAITS", (0.01, 0.01))
    standin.fail(path, fault, times=2, seconds=0)
    found = hub.resolve("owner/m", kind="model")
    assert sorted(found.files) == sorted(FILES) and found.revision == model["sha"]


@pytest.mark.parametrize("path", ["GET /api/models/owner/m", "/tree/", "/resolve/"])
@pytest.mark.parametrize(
    "fault, words",
    [
        ("busy", "(HTTP 503; tried 3 times)"),
        ("wait", "(HTTP 429, asks to wait 3600 s)"),
        ("hang", "(no answer within 1 s)"),
        ("reset", ""),
    ],
)
def test_a_lasting_fault_is_given_up_in_time(standin, model, monkeypatch, path, fault, words):
    monkeypatch.setattr(connection, "WAITS", (0.1, 0.2))
    monkeypatch.setattr(connection, "LIMIT", 1)
    standin.fail(path, fault, seconds=3600)
    start = time.monotonic()
    message = error(hub.resolve, "owner/m", kind="model")
    assert time.monotonic() - start < 3
    assert "cannot be reached" in message and words in message and "bundle add" in message
    assert download.MANIFEST not in [
        path.name for path in download.snapshot_folder("owner/m", "model", model["sha"]).glob("*")
    ]


def test_retry_after_is_respected(standin, model):
    standin.fail("GET /api/models/owner/m", "wait", times=1, seconds=2)
    start = time.monotonic()
    hub.resolve("owner/m", kind="model")
    assert 2 <= time.monotonic() - start < 6


def test_the_defaults_end_within_15_seconds():
    assert 3 + connection.LIMIT < 15 and len(connection.WAITS) == 2


def test_an_interrupted_download_goes_on_where_it_stopped(standin, model, monkeypatch):
    standin.fail("GET /owner/m/resolve", "reset")
    monkeypatch.setattr(connection, "WAITS", ())
    error(hub.resolve, "owner/m", kind="model")
    have = [part.stat().st_size for part in download.snapshot_folder("owner/m", "model", model["sha"]).glob(".parts/*")]
    assert sum(have) > 0
    standin.faults.clear()
    standin.ranges.clear()
    found = hub.resolve("owner/m", kind="model")
    assert standin.ranges == [f"bytes={have[0]}-"]
    assert (found.path / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (found.path / ".parts").exists()


@pytest.mark.parametrize("fault", ["altered", "truncated"])
@pytest.mark.parametrize("name", sorted(FILES))
def test_what_is_not_what_the_hub_lists_is_refused(standin, model, name, fault):
    standin.fail(f"GET /owner/m/resolve/{model['sha']}/{name}", fault)
    message = error(hub.resolve, "owner/m", kind="model")
    file = download.snapshot_folder("owner/m", "model", model["sha"]) / name
    assert f"what came as {name} has digest " in message and "run again" in message and not file.exists()
    standin.faults.clear()
    good = hub.resolve("owner/m", kind="model")
    assert (
        f"but the Hub lists {download._digest_like('-' * (64 if name.endswith('s') else 40), good.path / name)}"
        in message
    )


def test_a_mirror_with_nonsense_for_digests(standin, model, monkeypatch):
    monkeypatch.setattr("standin_hub._blob_id", lambda content: "../../evil")
    assert "it lists '../../evil' as a digest" in error(hub.resolve, "owner/m", kind="model")


def test_processes_that_want_the_same_download_it_once(standin, model):
    assert connection.unreachable(standin.address) == ""
    standin.fail("GET /owner/m/resolve", "slow")
    children = [
        multiprocessing.get_context("fork").Process(target=hub.resolve, args=("owner/m", "model")) for _ in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0] and len(standin.downloads()) == 2


def test_a_slow_hub_is_waited_for(standin, model, monkeypatch):
    monkeypatch.setattr(connection, "LIMIT", 0.7)  # for each piece, not for the file, which takes a second
    standin.fail("GET /owner/m/resolve", "slow")
    assert len(hub.resolve("owner/m", kind="model").files) == 2


def test_progress_is_shown(standin, model, capsys):
    hub.resolve("owner/m", kind="model")
    assert capsys.readouterr().err == "owner/m: 0.1 MB are here\n"
