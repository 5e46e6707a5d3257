"""Carrying runs to a server that is killed, by a sync that is killed, on SQLite and PostgreSQL, and beside a training.

Repeats are few by default; `TEXTLAB_REPEATS=50 tests/run.sh -m slow tests/integration/test_sync_server.py` does more.
"""

import datetime
import ipaddress
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mlflow.entities import Metric

from mlflow_stores import Server, content, fill
from textlab.errors import InputError
from textlab.tracking import store, sync

pytestmark = pytest.mark.slow
REPEATS = int(os.environ.get("TEXTLAB_REPEATS", 5))


@pytest.fixture
def full(tmp_path):
    uri = store.store_uri(tmp_path / "from")
    fill(uri, children=4, points=300)
    return uri


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request, tmp_path):
    backend = "" if request.param == "sqlite" else request.getfixturevalue(request.param)
    server = Server(tmp_path / "server", backend.replace("postgresql://", "postgresql+psycopg://"))
    yield server
    server.stop()


def start_sync(source, target, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "textlab", "sync", "--from", source, "--to", target, *options],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_sync_killed_at_any_moment_is_completed_by_the_next(full, server):
    dice, clock = random.Random(1), time.monotonic()
    start_sync(full, str(Path(full.removeprefix("sqlite:///")).parent / "rehearsal")).wait()
    usual = time.monotonic() - clock  # with the start of Python, in which there is nothing to break
    cut = 0
    for _ in range(REPEATS):
        process = start_sync(full, server.uri)
        try:
            process.wait(dice.uniform(usual * 0.4, usual * 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            cut += 1
        process.wait()
        fill(full, f"more {random.random()}", children=1, points=300)
    assert cut
    sync.carry(full, server.uri)
    assert content(server.uri) == content(full)
    assert "nothing, all was there" in sync.carry(full, server.uri)


def test_a_server_killed_while_runs_are_recorded_loses_and_doubles_nothing(tmp_path, server):
    source, experiment = store.store_uri(tmp_path / "from"), "sweep"
    client = store.open_client(source)
    place = store.use_experiment(client, experiment)
    live = sync.Live(source, server.uri, experiment, tmp_path / "sync.log")
    over = threading.Event()

    def torment():
        dice = random.Random(2)
        for _ in range(REPEATS):
            over.wait(dice.uniform(0.5, 4))
            server.kill()
            over.wait(dice.uniform(0.1, 2))
            server.start()
            server.wait()

    tormentor = threading.Thread(target=torment)
    tormentor.start()
    step, waits = 0, []
    while tormentor.is_alive():
        run = client.create_run(place, 1).info.run_id
        for _ in range(20):
            clock = time.monotonic()
            client.log_batch(
                run, [Metric("loss", 1 / (step + 1), 1_000 + step, step), Metric("rate", 0.1, 1_000 + step, step)]
            )
            waits.append(time.monotonic() - clock)
            step += 1
            time.sleep(0.1)
        client.log_text(run, f"{step}\n" * 1_000, "log.txt")
        client.set_terminated(run)
    tormentor.join()
    print(live.finish(120), f"{len(waits)} points, slowest {max(waits):.2f} s")
    sync.carry(source, server.uri, experiment)
    assert content(server.uri) == content(source)
    assert max(waits) < 5  # whatever happened to the server


def test_a_dead_target_ends_the_wait_in_time_and_is_named(tmp_path):
    source = store.store_uri(tmp_path / "from")
    fill(source, children=1)
    live = sync.Live(source, "http://127.0.0.1:9", "sweep", tmp_path / "sync.log")
    clock = time.monotonic()
    message = live.finish(30)
    assert time.monotonic() - clock < 45
    left = f"python -m textlab sync --from {tmp_path / 'from'} --to http://127.0.0.1:9 --experiment sweep"
    assert message == f"http://127.0.0.1:9 does not have all runs yet. Once it answers: {left}"


def test_two_at_once_and_back(full, server, tmp_path):
    both = [start_sync(full, server.uri) for _ in range(2)]
    printed = [one.communicate()[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], printed
    assert content(server.uri) == content(full)
    back = store.store_uri(tmp_path / "back")
    sync.carry(server.uri, back)
    assert content(back) == content(full)


def test_with_a_password(full, tmp_path, monkeypatch):
    pytest.importorskip("flask_wtf", reason="mlflow's basic-auth app needs Flask-WTF")
    ini = tmp_path / "auth.ini"
    ini.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{tmp_path / 'auth.db'}\n"
        "admin_username = admin\nadmin_password = a-long-enough-one\n"
    )
    server = Server(
        tmp_path / "server",
        "",
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(ini),
        MLFLOW_FLASK_SERVER_SECRET_KEY="x",
    )
    try:
        with pytest.raises(InputError, match="cannot be used: .*401"):
            sync.carry(full, server.uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-long-enough-one")
        sync.carry(full, server.uri)
        assert content(server.uri) == content(full)
    finally:
        server.stop()


def test_over_tls(full, tmp_path, monkeypatch):
    key, certificate = tls_files(tmp_path)
    server = Server(tmp_path / "server", "", "--uvicorn-opts", f"--ssl-keyfile {key} --ssl-certfile {certificate}")
    uri = server.uri.replace("http://", "https://")
    try:
        with pytest.raises(InputError, match="cannot be used"):
            sync.carry(full, uri)  # nobody vouches for this certificate
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
        sync.carry(full, uri)
        assert content(uri) == content(full)
    finally:
        server.stop()


def tls_files(folder):
    """Return the paths of a key and of a certificate for 127.0.0.1 that it signs itself."""
    now, key = datetime.datetime.now(datetime.UTC), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files[1].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return files
