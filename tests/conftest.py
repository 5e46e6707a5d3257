"""What all tests share: outputs go to a private folder, and a Hub that nobody answers for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ["01_hub_exploration", "02_fine_tuning", "03_mlflow_tracking", "04_sweep_analysis"]


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
    from textlab import tracking

    folder = tmp_path_factory.mktemp("empty-store")
    tracking.connect(tracking.store_uri(folder), "Default")
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path, empty_store):
    """A private MLflow store: the address to connect to."""
    from textlab import tracking

    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_store, tmp_path / "mlflow")
    return tracking.store_uri(tmp_path / "mlflow")
