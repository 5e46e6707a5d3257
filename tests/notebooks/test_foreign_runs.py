"""Notebook 4 with runs that other programs recorded: as far as they go, and to the end."""

import json
import subprocess
import sys

import mlflow
import pytest
from mlflow import MlflowClient

from textlab import tracking


@pytest.fixture
def foreign(store):
    """A store of runs without names and intervals, whose parameters are called as columns of the table of runs."""
    tracking.connect(store, "foreign")
    for rate, score in ((0.1, 0.7), (0.2, 0.9), (0.3, 0.5), (0.4, 0.6)):
        with mlflow.start_run(tags={"guards": "passed"}) as active:
            mlflow.log_params({"lr": rate, "width": 10 * rate, "status": score})
            mlflow.log_metrics({"validation_macro_f1": score, "validation_accuracy": score, "minutes": 5})
        MlflowClient().delete_tag(active.info.run_id, "mlflow.runName")
    return store


def test_runs_of_other_programs_are_analysed_to_the_end(foreign, tmp_path):
    options = ["-p", "tracking_uri", foreign, "-p", "experiment", "foreign", "-p", "registered_model", "mine"]
    command = [sys.executable, "-m", "textlab", "run", "04", *options, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "results" / "04_sweep_analysis.json").read_text())
    assert found["validation"] == {"fine-tuned": {"accuracy": 0.9, "macro_f1": 0.9}} and len(found["over_seeds"]) == 4
    told = "Registered model mine. No version was promoted: mine has no version of the winner."
    assert found["promotion"] == told and "champion" not in found
    assert f"<p>{told}</p>" in (tmp_path / "out" / "index.html").read_text()
