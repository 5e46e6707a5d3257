"""The same bits again: from a copy of the project, with another hash seed, on a busy machine, and from a server.

The committed figures come again too. Ten repeats take a quarter of an hour;
`TEXTLAB_REPEATS=3 tests/run.sh -m slow tests/integration/test_repeats.py` does fewer.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from conftest import ROOT
from mlflow_stores import Server
from textlab.notebooks import results
from textlab.tracking import store
from textlab.workflows import receipt

pytestmark = pytest.mark.slow
REPEATS = int(os.environ.get("TEXTLAB_REPEATS", 10))


def textlab(*arguments, project=ROOT, **environment):
    return subprocess.run(
        [sys.executable, "-m", "textlab", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(project / "lib")} | environment,
    )


@pytest.fixture
def copied(tmp_path):
    """A copy of the project in another folder, without outputs."""
    for name in ("lib", "notebooks", "params"):
        shutil.copytree(ROOT / name, tmp_path / "another place" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "another place"


@pytest.fixture
def load():
    """Processes that keep every core busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pow(3, 100_000)"]) for _ in range(os.cpu_count())]
    yield
    for process in busy:
        process.kill()
        process.wait()


def test_every_repeat_has_the_same_bits(tmp_path, copied, load):
    done = textlab("run", "02", "--profile", "smoke", "--out", tmp_path / "first")
    assert done.returncode == 0, done.stderr
    weights = {results.read(tmp_path / "first", "02_fine_tuning")["weights_sha256"]}
    for number in range(REPEATS):
        out = tmp_path / f"repeat {number}"
        done = textlab(
            "reproduce",
            tmp_path / "first",
            "--out",
            out,
            project=copied,
            PYTHONHASHSEED=str(1000 + number),
            TEXTLAB_OUTPUTS=str(tmp_path / f"outputs {number}"),
        )
        assert done.returncode == 0 and done.stdout.strip().endswith("\nREPRODUCED"), done.stdout + done.stderr
        assert all(row["same"] != "no" for row in json.loads((out / "receipt.json").read_text())["same"])
        weights.add(results.read(out, "02_fine_tuning")["weights_sha256"])
    assert len(weights) == 1


def test_a_run_on_a_server_is_repeated_by_its_id_on_a_folder_that_never_saw_it(tmp_path, copied):
    done = textlab("run", "03", "--profile", "smoke", "--out", tmp_path / "first")
    assert done.returncode == 0, done.stderr
    server = Server(tmp_path / "server")
    try:
        assert textlab("sync", "--from", tmp_path / "first", "--to", server.uri).returncode == 0
        shutil.rmtree(tmp_path / "first")
        client = store.open_client(server.uri)
        runs = client.search_runs([client.get_experiment_by_name("smoke").experiment_id])
        trial = next(run for run in runs if run.data.tags.get("trial_state") == "complete")
        winner = next(run for run in runs if run.data.tags.get("role") == "winner")
        for run in (trial, winner):
            done = textlab(
                "reproduce",
                run.info.run_id,
                "--tracking-uri",
                server.uri,
                "--out",
                tmp_path / run.info.run_name,
                project=copied,
                TEXTLAB_OUTPUTS=str(tmp_path / "empty"),
                PYTHONHASHSEED="5",
            )
            assert done.returncode == 0 and done.stdout.strip().endswith("\nREPRODUCED"), done.stdout + done.stderr
        client.log_metric(winner.info.run_id, "test_accuracy", 0.99)
        done = textlab("reproduce", winner.info.run_id, "--tracking-uri", server.uri, "--only-check")
        assert (
            done.returncode == 2 and "CANNOT BE REPEATED: the store says test_accuracy 0.99, its record" in done.stdout
        )
    finally:
        server.stop()


def test_the_committed_notebook_comes_out_again(tmp_path):
    """The figures that notebook 2 shows equal those of a run now, within the tolerance and half a digit of rounding."""
    book = nbformat.read(ROOT / "notebooks" / "02_fine_tuning.ipynb", as_version=4)
    shown = "\n".join(out.get("text", "") for cell in book.cells if cell.cell_type == "code" for out in cell.outputs)
    figures = re.findall(r"^(validation|test): accuracy (0\.\d{4}), macro F1 (0\.\d{4})$", shown, re.MULTILINE)
    assert len(figures) == 2, "the committed notebook has no outputs"
    done = textlab("run", "02", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    found, limits = results.read(tmp_path / "run", "02_fine_tuning"), receipt.TOLERANCE["other precision"]
    for split, accuracy, macro_f1 in figures:
        assert abs(found[split]["accuracy"] - float(accuracy)) <= limits["accuracy"] + 5e-5
        assert abs(found[split]["macro_f1"] - float(macro_f1)) <= limits["macro_f1"] + 5e-5
    assert textlab("reproduce", tmp_path / "run", "--only-check").returncode == 0
