"""What is not needed is not imported: a person waits for it at every command."""

import subprocess
import sys

import pytest

from conftest import ROOT, save_tiny
from textlab.__main__ import OBJECTS

HEAVY = {"torch", "transformers", "datasets", "mlflow", "pandas", "sklearn", "matplotlib", "papermill", "optuna"}
HEAVY |= {"pydantic", "nbconvert", "gradio", "sqlalchemy"}
#: The command line, which ends with an exit status in place of the process.
MAIN = "from textlab.__main__ import main\ntry:\n    main()\nexcept SystemExit:\n    pass"


def imported(code: str, *arguments: str) -> set[str]:
    """Return which of the heavy packages a process has imported at the end of some code."""
    tail = "\nimport sys; print('imported', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + tail, *arguments], capture_output=True, text=True, cwd=ROOT)
    *_, last = done.stdout.splitlines()
    assert last.startswith("imported "), done.stderr
    return HEAVY & set(last.split())


def test_importing_the_rooms_imports_nothing_heavy_and_says_nothing():
    rooms = "machine, settings, hub, data, evaluation, training, tracking, notebooks, workflows"
    done = subprocess.run([sys.executable, "-c", f"from textlab import {rooms}"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout + done.stderr == ""
    assert imported(f"from textlab import {rooms}") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["predict", "--help"], ["demo", "--help"], ["run", "02", "-p", "epochs", "many"]]
)
def test_help_and_an_error_about_a_parameter_are_there_at_once(arguments):
    assert imported(MAIN, *arguments) == set()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny classifier, and beside it a file with two texts."""
    folder = tmp_path_factory.mktemp("run") / "model"
    save_tiny(folder, ["bad", "good"])
    (folder.parent / "texts.txt").write_text("one\ntwo\n", encoding="utf-8")
    return folder


def test_a_prediction_with_a_folder_needs_no_mlflow_and_nothing_that_trains(model):
    texts, answers = model.parent / "texts.txt", model.parent / "answers.csv"
    assert imported(MAIN, "predict", str(model), str(texts), "-o", str(answers)) <= {
        "torch",
        "transformers",
        "pandas",
        "pydantic",
    }
    assert answers.read_text(encoding="utf-8").startswith("text,label,p_bad,p_good\none,")


@pytest.mark.parametrize("verb", ["predict", "suggest"])
def test_what_is_wrong_with_a_file_or_the_name_of_a_model_is_said_before_torch_is_imported(model, verb):
    texts, answers = model.parent / "texts.txt", model.parent / f"{verb}.csv"
    for arguments in ([model, "missing.txt", "-o", answers], [model.parent / "nothing", texts, "-o", answers]):
        assert imported(MAIN, verb, *map(str, arguments)) <= {"pandas", "pydantic"}


def test_a_notebook_as_a_job_begins_without_what_its_kernel_imports_itself(tmp_path):
    """Down to the line that says that it runs: the kernel imports the rest, and what runs it waits."""
    code = "from textlab.notebooks import jobs\njobs.prepare('03_mlflow_tracking', {'dataset': 'packaged'}, "
    heavy = imported(f"import pathlib\n{code}pathlib.Path({str(tmp_path)!r}), own_store=True)")
    assert heavy <= {"papermill", "pandas", "pydantic", "sqlalchemy"}


def test_a_start_is_not_spent_on_looking_for_garbage():
    found = subprocess.run(
        [sys.executable, "-c", f"{MAIN}\nimport gc\nprint(gc.get_threshold()[0])", "--version"],
        capture_output=True,
        text=True,
    )
    assert found.stdout.splitlines()[-1] == str(OBJECTS)


def test_an_end_is_not_spent_on_looking_for_garbage():
    code = (
        "import atexit, gc, runpy\natexit.register(lambda: print('frozen', gc.get_freeze_count()))\n"
        "runpy.run_module('textlab', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and int(done.stdout.rpartition("frozen ")[2]) > 10_000, done.stderr


def test_that_a_push_needs_a_token_is_said_without_torch(tmp_path, monkeypatch):
    for name in ("config.json", "model.safetensors", "README.md"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code = "import sys\nfrom textlab.__main__ import main\nassert main(sys.argv[1:]) == 2"
    assert imported(code, "push", str(tmp_path), "owner/name", "--space") <= {"pandas", "pydantic"}
