"""What a user sees of a real notebook run: MLflow's pages in a real browser, and the registered model behind HTTP."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

import browser
from textlab import tracking
from textlab.machine import processes
from textlab.tracking import store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The folder of a run of notebook 3."""
    folder = tmp_path_factory.mktemp("recorded")
    subprocess.run(
        [sys.executable, "-m", "textlab", "run", "03", "--profile", "smoke", "--out", folder],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def pages(recorded):
    """The address of `textlab ui` on that run."""
    server = subprocess.Popen(
        [sys.executable, "-m", "textlab", "ui", recorded, "--no-browser"], stdout=subprocess.PIPE, text=True
    )
    address = re.match(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
    yield address
    server.terminate()
    assert server.wait(30) in (0, 130)


@browser.needed
@pytest.mark.parametrize("page", ["experiment", "run", "curves", "model"])
def test_mlflows_pages_show_the_runs(recorded, pages, tmp_path, page):
    tracking.connect(store.store_uri(recorded / "mlflow"), "smoke", create=False)
    runs = tracking.runs("smoke", only_finished=False)
    first = runs[runs["name"] == "default settings"].iloc[0]
    experiment = MlflowClient().get_experiment_by_name("smoke").experiment_id
    path, words = {
        "experiment": (f"experiments/{experiment}/runs", ["sweep-"]),
        "run": (
            f"experiments/{experiment}/runs/{first['run_id']}",
            ["default settings", "validation_macro_f1", "data_sha256"],
        ),
        "curves": (
            f"experiments/{experiment}/runs/{first['run_id']}/model-metrics",
            ["eval_accuracy", "eval_macro_f1"],
        ),
        "model": ("models/smoke", ["smoke", "candidate"]),
    }[page]
    with browser.Browser(tmp_path) as chromium, chromium.open(f"{pages}/#/{path}") as shown:
        for word in words:
            shown.wait(f"document.body.innerText.includes({word!r})")
        assert shown.picture(browser.picture_folder(tmp_path) / f"{page}.png").stat().st_size > 20_000


def test_a_foreign_host_header_is_refused(pages):
    request = urllib.request.Request(
        f"{pages}/api/2.0/mlflow/experiments/search", headers={"Host": "10.attacker.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403


def test_the_champion_answers_over_http_from_a_folder_that_was_moved(recorded, tmp_path):
    shutil.copytree(recorded / "mlflow", tmp_path / "moved")
    uri = tracking.connect(store.store_uri(tmp_path / "moved"), "smoke", create=False)
    tracking.set_alias("smoke", "champion", tracking.model_versions("smoke").index.min())
    (recorded / "mlflow").rename(recorded / "away")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, *"-m mlflow models serve -m models:/smoke@champion --env-manager local".split()]
        + ["--host", "127.0.0.1", "--port", str(port)],
        env=os.environ
        | {"MLFLOW_TRACKING_URI": uri, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "the server did not start"
                time.sleep(1)
        texts = ["i am so glad that you are here", "this makes me sad"]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": texts}).encode(),
            {"Content-Type": "application/json"},
        )
        answered = json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
        expected = [answer["label"] for answer in tracking.load_model("models:/smoke@champion")(texts)]
    finally:
        processes.stop(server)
        (recorded / "away").rename(recorded / "mlflow")
    assert [answer["label"] for answer in answered] == expected
