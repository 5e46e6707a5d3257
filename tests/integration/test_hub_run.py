"""The emotion profile as users run it, against a stand-in Hub with small repositories of the same names.

First from a cold cache; then with the Hub gone, where no connection may be tried; then from a bundle on another
machine.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import refused_port
from standin_hub import StandInHub, emotion_data, tiny_model
from textlab import evaluation
from textlab.hub import card

MARKER = "hf_MarkerThatNobodyMaySee"
MODEL, DATA = "distilbert/distilbert-base-uncased", "dair-ai/emotion"
NOTEBOOKS = ("01", "02", "03")
#: Writes down every connection that Python code in a process tries to make.
WATCH = """
import os, sys
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(f"{arguments[1][0]}:{arguments[1][1]}\\n")
sys.addaudithook(watch)
"""

pytestmark = pytest.mark.slow


class Machine:
    """A home folder with its own cache and outputs."""

    def __init__(self, folder: Path, address: str, **environment: str) -> None:
        (folder / "site").mkdir(parents=True)
        (folder / "site" / "sitecustomize.py").write_text(WATCH)
        self.folder, self.log = folder, folder / "connections"
        path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.environment = (
            os.environ
            | {
                "HF_ENDPOINT": address,
                "HF_HOME": str(folder / "hf"),
                "HF_TOKEN": MARKER,
                "CONNECTIONS": str(self.log),
                "TEXTLAB_OUTPUTS": str(folder / "outputs"),
                "PYTHONPATH": path,
                "NO_PROXY": "127.0.0.1",
            }
            | environment
        )

    def textlab(self, *arguments, **environment) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "textlab", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=900,
            env=self.environment | environment,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    def run(self, notebook: str, model: str, data: str, out: str, **environment) -> dict:
        """Run a notebook with the emotion profile and return its results."""
        self.textlab(
            "run",
            notebook,
            "--profile",
            "emotion",
            "-p",
            "model",
            model,
            "-p",
            "dataset",
            data,
            "--out",
            self.folder / out,
            **environment,
        )
        return json.loads(next((self.folder / out / "results").glob(f"{notebook}_*.json")).read_text())

    def connections(self) -> list[str]:
        """Return the connections that were tried since the last time."""
        tried = self.log.read_text().split() if self.log.exists() else []
        self.log.write_text("")
        return tried


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The results of each machine, its files and its connections."""
    folder = tmp_path_factory.mktemp("machines")
    model = tiny_model(MODEL, tags=["text-classification", "license:apache-2.0"], downloads=9, weights=989_442)
    texts = emotion_data(DATA, tags=["task_categories:text-classification"], downloads=5, size=20_000)
    # Not at the pinned revisions, whose digests these small files could not have.
    specs = f"{MODEL}@{model['sha']}", f"{DATA}@{texts['sha']}"
    bundle = folder / "b.zip"
    with StandInHub([model, texts]) as standin:
        home = Machine(folder / "home", standin.address)
        cold = {name: home.run(name, *specs, "cold") for name in NOTEBOOKS}
        requests, live = list(standin.requests), home.connections()
        card.write_card(home.folder / "cold" / "model", cold["02"], ["a", "b"], evaluation.headline_rows(cold["02"]))
        home.textlab("bundle", "create", "--model", specs[0], "--dataset", specs[1], "-o", bundle)
        address = standin.address
    home.connections()
    gone = {"01": home.run("01", *specs, "gone", HF_HUB_OFFLINE="1")} | {
        name: home.run(name, *specs, "gone") for name in NOTEBOOKS[1:]
    }
    offline = home.connections()
    away = Machine(folder / "away", f"http://127.0.0.1:{refused_port()}")
    away.textlab("bundle", "add", bundle)
    carried = {
        "02": away.run("02", MODEL + "@main", DATA + "@main", "carried"),
        "01": away.run("01", *specs, "carried"),
    }
    return {
        "folder": folder,
        "cold": cold,
        "gone": gone,
        "carried": carried,
        "requests": requests,
        "live": live,
        "offline": offline,
        "away": away.connections(),
        "hub": address.removeprefix("http://"),
        "away_hub": away.environment["HF_ENDPOINT"].removeprefix("http://"),
        "specs": specs,
    }


def test_from_a_cold_cache_each_file_is_downloaded_once(runs):
    assert {found["status"] for found in runs["cold"].values()} == {"completed"}
    downloads = [
        request for request in runs["requests"] if "/resolve/" in request and not request.endswith("README.md")
    ]
    assert (
        downloads
        and len(downloads) == len(set(downloads))
        and not any("pickle" in name or ".bin" in name for name in downloads)
    )
    first = runs["cold"]["01"]
    assert first["hub"]["state"] == "mirror" and first["choice"]["model"] and first["choice"]["dataset"]
    assert [row["id"] for row in first["candidates"]["models"]] == [MODEL]
    assert runs["hub"] in runs["live"]  # the watch does see connections


def test_without_the_hub_the_same_comes_out_and_no_connection_is_tried(runs):
    assert [place for place in runs["offline"] if not place.startswith("127.0.0.1:") or place == runs["hub"]] == []
    cold, gone = runs["cold"]["02"], runs["gone"]["02"]
    assert (gone["model"], gone["data"], gone["weights_sha256"]) == (
        cold["model"],
        cold["data"],
        cold["weights_sha256"],
    )
    assert runs["gone"]["03"]["status"] == "completed" and runs["gone"]["01"]["hub"]["state"] == "offline"


def test_a_bundle_gives_the_same_training_elsewhere(runs):
    cold, carried = runs["cold"]["02"], runs["carried"]["02"]
    for part in ("model", "data"):
        assert carried[part] == cold[part]
    assert carried["weights_sha256"] == cold["weights_sha256"] and carried["test"] == cold["test"]
    listed = runs["carried"]["01"]["candidates"]
    assert "recorded" in listed["origin"] and [row["id"] for row in listed["models"]] == [MODEL]
    assert {place for place in runs["away"] if not place.startswith("127.0.0.1")} == set()
    assert runs["away"].count(runs["away_hub"]) <= 2  # the question whether the Hub is there


def test_the_token_is_nowhere(runs):
    files = [path for path in runs["folder"].rglob("*") if path.is_file() and not path.is_symlink()]
    assert (
        any(path.suffix == ".db" for path in files)
        and any(path.suffix == ".html" for path in files)
        and len(files) > 60
    )
    assert [path.name for path in files if MARKER.encode() in path.read_bytes()] == []
    assert (runs["folder"] / "home" / "cold" / "model" / "README.md").is_file() and (runs["folder"] / "b.zip").is_file()


def test_a_black_holed_hub_costs_seconds(tmp_path):
    """The cells of notebook 1 up to its first table of candidates, from a cold start."""
    import socket

    book = json.loads((Path(__file__).parents[2] / "notebooks" / "01_hub_exploration.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    first = next(i for i, cell in enumerate(cells) if "candidates.find(" in cell)
    code = "\n".join(cells[: first + 1]).replace("notebooks.text_table", "print(len(models)); notebooks.text_table")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        machine = Machine(tmp_path / "home", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=machine.environment
        )
        seconds = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert "no answer within 3 s" in done.stdout and "compiled 2026-11-26" in done.stdout and "\n12\n" in done.stdout
    print(f"first table after {seconds:.1f} s")
    assert seconds < 30  # of which this machine takes most for imports; the Hub may take 3 of them
