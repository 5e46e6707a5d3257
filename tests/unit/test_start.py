"""What is not needed is not imported: a person waits for it at every command."""

import subprocess
import sys

import pytest

from conftest import ROOT

HEAVY = {"torch", "transformers", "datasets", "mlflow", "pandas", "sklearn", "matplotlib", "papermill", "optuna"}


def imported(code: str, *arguments: str) -> set[str]:
    """Return which of the heavy packages a process has imported at the end of some code."""
    tail = "\nimport sys; print('imported', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + tail, *arguments], capture_output=True, text=True, cwd=ROOT)
    *_, last = done.stdout.splitlines()
    assert last.startswith("imported "), done.stderr
    return HEAVY & set(last.split())


def test_importing_the_rooms_imports_nothing_heavy_and_says_nothing():
    rooms = "machine, settings, hub, data, training, evaluation, tracking, notebooks, workflows"
    done = subprocess.run([sys.executable, "-c", f"from textlab import {rooms}"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout + done.stderr == ""
    assert imported(f"from textlab import {rooms}") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["predict", "--help"], ["demo", "--help"], ["run", "02", "-p", "epochs", "many"]]
)
def test_help_and_an_error_about_a_parameter_are_there_at_once(arguments):
    code = "from textlab.__main__ import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    assert imported(code, *arguments) == set()


def test_a_prediction_with_a_folder_needs_no_mlflow_and_nothing_that_trains():
    answer = "    workflows.predict('nowhere/at/all', ['a'])"
    code = f"from textlab import workflows\ntry:\n{answer}\nexcept ValueError:\n    pass"
    assert imported(code) <= {"torch", "transformers", "pandas"}


def test_that_a_push_needs_a_token_is_said_without_torch(tmp_path, monkeypatch):
    for name in ("config.json", "model.safetensors", "README.md"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code = "import sys\nfrom textlab.__main__ import main\nassert main(sys.argv[1:]) == 2"
    assert imported(code, "push", str(tmp_path), "owner/name", "--space") <= {"pandas"}
