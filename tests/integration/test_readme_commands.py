"""The READMEs' commands, run as they are written and in their order, in a folder that looks like a clone.

What names other machines is replaced by servers on this one, and trainings are made shorter. No command is left out but
those of NOT_RUN, each with the reason and with the place where a README says so.
"""

import functools
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

import readme
from conftest import ROOT
from mlflow_stores import Server
from standin_hub import StandInHub, emotion_data, tiny_model
from textlab import data
from textlab.hub import packaged_data
from textlab.tracking import local_store, store

pytestmark = pytest.mark.slow
COMMANDS = readme.commands()
SPANS = [span for span in readme.spans() if span.startswith("textlab.")]
BY_HAND = re.compile(r"(?:\.venv/bin/python )?(tests/benchmarks/\w+\.py) ")  # minutes to hours

#: How a command begins -> why it is not run here, and what the READMEs say of it.
NOT_RUN = {
    ".venv/bin/python -m textlab.notebooks.address": (
        "needs a remote on GitHub",
        "The badges need the project's own address on GitHub",
    ),
    "git ": ("needs the history of the project", "Make it here by `git archive"),
    ".venv/bin/ruff ": ("would change the files of the project", "and runs ruff and pytest"),
    "tests/run.sh": ("is this test suite", "`tests/run.sh` takes about 20 minutes"),
    "PYTHON=python3.12 ./run_all.sh": ("needs a second Python", "Python 3.11 or newer is needed"),
    ".venv/bin/python -m textlab run 02 --profile emotion-cpu": (
        "needs the Hub",
        "| `emotion-cpu` | `dair-ai/emotion` from the Hub",
    ),
    ".venv/bin/pip install -e": ("changes the environment that the tests run in", "(install `.venv/bin/pip"),
    "sbatch ": ("needs Slurm", "`sbatch`, `kubectl` and Airflow are not"),
    "kubectl ": ("needs Kubernetes", "`sbatch`, `kubectl` and Airflow are not"),
    "BashOperator(": ("needs Airflow", "`sbatch`, `kubectl` and Airflow are not"),
    "RAY_ADDRESS=": (
        "needs a Ray cluster, which test_sweep_workers.py has",
        "The papermill line and the Ray form are run by `tests/integration/test_sweep_workers.py`",
    ),
}
TINY = "-p model tiny -p max_train_rows 60"
SHORT = f"{TINY} -p epochs 1 -p n_trials 3 -p sweep_options '{{confirm_seeds: 1}}'"
#: What makes a command shorter, or fit for a machine without a desktop: how it is found -> what is added.
ADDED = {
    r"textlab run 02(?!.*outputs/mine)": TINY,
    r"textlab run 03": SHORT,
    r"textlab sweep": f"{TINY} -p epochs 1 -p n_trials 3",
    r"papermill notebooks/02": f"{TINY} --no-progress-bar",
    r"papermill notebooks/03": f"{TINY} -p epochs 1 -p n_trials 3 --no-progress-bar",
    r"textlab run all -p dataset": "-p epochs 1 -p n_trials 3 -p sweep_options '{confirm_seeds: 1}'",
    r"textlab lab": "--no-browser",
}
#: What a command is replaced by: the installation before it is what has made the environment of these tests.
REPLACED = {
    "./run_all.sh": f".venv/bin/python -m textlab run all {SHORT}",
    "textlab ui DIR": ".venv/bin/python -m textlab ui outputs/try",
}
#: A pattern for the command -> the files that README promises, and an expression for what has to stand in its output.
PROMISED = {
    r"run_all\.sh": (
        ["outputs/demo/index.html", "outputs/demo/results/02_fine_tuning.json", "outputs/mlflow/mlflow.db"],
        "index.html",
    ),
    r"--out outputs/mine$": (["outputs/mine/model/model.safetensors"], "outputs/mine/index.html"),
    r"textlab predict": (["labelled.csv"], "labelled.csv"),
    r"--out outputs/try": (
        ["outputs/try/index.html", "outputs/try/mlflow/mlflow.db", "outputs/try/logs/*.log"],
        "index.html",
    ),
    r"papermill notebooks": (["out.ipynb"], ""),
    r"--help-notebook": ([], "learning_rate: "),
    r"sync ": ([], r"carried to .*: \d"),
    r"textlab sweep": ([], "learning_rate"),
    r"reproduce (?!.*--only-check)": (
        ["outputs/reproduced/*/receipt.txt", "outputs/reproduced/*/receipt.json"],
        "REPRODUCED",
    ),
    r"tests/house\.py": ([], r"boxes \d+, floors \d+"),
    r"bundle create": (["emotion.zip"], "dair-ai/emotion"),
    r"bundle add": ([], "owner/name"),
    r"textlab push (?!.*--space)": ([], "commit"),
    r"textlab push .*--space": ([], "/spaces/owner/name"),
}


class Clone:
    """A folder with the project in it, its own outputs, and servers that stand for the other machines in README."""

    def __init__(self, folder, server, hub):
        self.folder, self.server, self.hub = folder, server, hub
        for name in ("notebooks", "params", "tests", "lib"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(sys.prefix)
        self.environment = os.environ | {
            "TEXTLAB_OUTPUTS": str(folder / "outputs"),
            "HF_HOME": str(folder / "hf"),
            "HF_TOKEN": hub.token,
            "NO_PROXY": "127.0.0.1",
            "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        (folder / "hf" / "textlab").mkdir(parents=True)
        packaged = packaged_data().path  # fetched once, not for each of these machines
        (folder / "hf" / "textlab" / packaged.name).symlink_to(packaged)
        texts = data.load("packaged").splits
        own = texts["train"].select(range(200)).to_pandas()
        own["label"] = texts["train"].features["label"].int2str(own["label"].tolist())
        own.to_csv(folder / "my_texts.csv", index=False)
        texts["test"].select_columns("text").select(range(200)).to_pandas().to_csv(
            folder / "new_texts.csv", index=False
        )
        (folder / "my_sweep.yaml").write_text(readme.blocks("yaml")[0], encoding="utf-8")

    def here(self, command):
        """Return a command with the addresses, ids and short trainings of this place."""
        added = "".join(f" {more}" for found, more in ADDED.items() if re.search(found, command))
        command = REPLACED.get(command, command + added).replace("http://mlflow.example:5000", self.server.uri)
        if "0123456789abcdef" in command:
            client = store.open_client(self.server.uri)
            found = client.search_runs(
                [one.experiment_id for one in client.search_experiments()], "tags.role = 'winner'"
            )
            command = command.replace("0123456789abcdef0123456789abcdef", found[0].info.run_id)
        for (
            repo
        ) in self.hub.repositories:  # not at the pinned revisions, whose digests these small files could not have
            command = command.replace(f"--{repo['kind']} {repo['id']}", f"--{repo['kind']} {repo['id']}@{repo['sha']}")
        return command.replace("https://mirror.example", self.hub.address)

    def run(self, command):
        return subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=1200,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )

    def visit(self, command):
        """Start a command that serves pages, open the address that it prints, and stop it with Ctrl-C.

        Returns:
            Its exit status and its output.
        """
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # jobs in the background ignore it
        watchdog = threading.Timer(300, process.kill)
        watchdog.start()
        said, status = "", 0
        try:
            for line in process.stdout:
                said += line
                if found := re.search(r"http://127\.0\.0\.1:\S+", line):
                    status = status_of(found[0])
                    break
        finally:
            watchdog.cancel()
            process.send_signal(
                signal.SIGTERM if "textlab lab" in command else signal.SIGINT
            )  # jupyter asks whether that is meant
            said += process.communicate(timeout=60)[0]
        return status, said


def status_of(address):
    """Return the status of an answer; Jupyter prints its address a moment before it listens."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return answer.status
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.1)
    return 0


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    server = Server(folder.parent / "mlflow-server")
    with StandInHub([tiny_model("owner/name"), emotion_data("dair-ai/emotion")]) as hub:
        hub.token = "hf_AToken"
        yield Clone(folder, server, hub)
    server.stop()


@functools.cache
def help_of(program, clone):
    return clone.run(f".venv/bin/python {program} --help")


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith(tuple(NOT_RUN))])
def test_a_command_does_what_readme_says(command, clone):
    if by_hand := BY_HAND.match(command):
        done = help_of(by_hand[1], clone)
        assert done.returncode == 0 and "usage: " in done.stdout, done.stderr[-2000:]
        return
    here = clone.here(command)
    if command.startswith("export "):
        name, _, value = shlex.split(here)[1].partition("=")
        clone.environment[name] = clone.hub.token if value == "…" else value
        return
    if "runs.zip" in command:  # comes from Colab
        local_store.pack(clone.folder / "outputs" / "try" / "mlflow" / "mlflow.db", clone.folder / "runs.zip")
    if "textlab push" in command:
        clone.hub.repositories.clear()  # else the model of README's bundle, of the same name, is there already
    if re.search(r"textlab (lab|ui|demo)", here):
        status, said = clone.visit(here)
        assert status == 200, said
        return
    done = clone.run(here)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    for found, (files, words) in PROMISED.items():
        if re.search(found, command):
            assert [pattern for pattern in files if not list(clone.folder.glob(pattern))] == []
            assert re.search(words, done.stdout + done.stderr)


def test_what_is_not_run_is_in_a_readme_which_says_why_not():
    text = " ".join(readme.TEXT.split())
    for start, (_, said) in NOT_RUN.items():
        assert any(command.startswith(start) for command in COMMANDS), f"no README has {start} any more"
        assert said in text, said
    assert all(any(re.search(found, command) for command in COMMANDS) for found in [*ADDED, *PROMISED])
    assert set(REPLACED) <= set(COMMANDS) and "**Benchmarks**, run by hand" in text


def test_the_answers_come_as_readme_says(clone):
    table = pd.read_csv(clone.folder / "labelled.csv")
    labels = [name.removeprefix("p_") for name in table if name.startswith("p_")]
    assert list(table)[:2] == ["text", "label"] and len(table) == 200 and set(table["label"]) <= set(labels)
    assert table["text"].tolist() == pd.read_csv(clone.folder / "new_texts.csv")["text"].tolist()
    assert SPANS
    for span in SPANS:
        done = clone.run(f".venv/bin/python -c {shlex.quote(f'import textlab; print(*{span}.columns)')}")
        assert done.stdout.split() == list(table), done.stderr[-2000:]


def test_the_model_loads_as_readme_says(clone):
    from transformers import AutoModelForSequenceClassification

    assert (
        AutoModelForSequenceClassification.from_pretrained(
            Path(clone.folder / "outputs" / "mine" / "model")
        ).config.num_labels
        == 6
    )
