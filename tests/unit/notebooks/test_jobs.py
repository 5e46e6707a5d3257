"""Running notebooks as jobs: bad input stops before a kernel starts, and a failure leaves whole, truthful files."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from conftest import error
from textlab.__main__ import main
from textlab.errors import InputError
from textlab.notebooks import jobs
from textlab.settings import parameters
from textlab.tracking import store

CSV = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(40))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with a notebook of our making in the place of 02_fine_tuning."""

    def make(*sources):
        cells = [new_code_cell('output_dir: str = ""  # where results go', metadata={"tags": ["parameters"]})]
        book = new_notebook(
            cells=cells + [new_code_cell(source) for source in sources],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        (tmp_path / "project" / "notebooks").mkdir(parents=True)
        nbformat.write(book, tmp_path / "project" / "notebooks" / "02_fine_tuning.ipynb")
        monkeypatch.setattr(jobs.machine, "project_root", lambda: tmp_path / "project")
        return tmp_path / "run"

    return make


def run(folder):
    return jobs.run_all({"02_fine_tuning": {"output_dir": str(folder)}}, folder)[0]


def test_a_run_leaves_notebook_page_log_and_index(project):
    folder = project(
        "print('hello from the kernel')",
        "from textlab import notebooks\nnotebooks.notice(['look <here>', 'twice'])",
        "from pathlib import Path\nfrom textlab.notebooks import results",
        "results.write(Path(output_dir), '02_fine_tuning', x=1)",
    )
    outcome = run(folder)
    assert (outcome.status, outcome.kind, outcome.error) == (0, "", "")
    assert {f.name for f in folder.iterdir()} == {
        "02_fine_tuning.ipynb",
        "02_fine_tuning.html",
        "logs",
        "results",
        "index.html",
        ".run.lock",
    }
    assert "hello from the kernel" in (folder / "02_fine_tuning.html").read_text()
    log = (folder / "logs" / "02_fine_tuning.log").read_text()
    assert "hello from the kernel" in log and "notice: look <here> twice" in log and "completed after" in log
    assert "look &lt;here&gt;<br" in (folder / "02_fine_tuning.html").read_text()


def test_a_failing_cell_is_named_and_the_rest_is_pending(project):
    folder = project("x = 1", "# a comment\n\nraise ValueError('too\\nbad')", "print('never')")
    outcome = run(folder)
    assert (outcome.status, outcome.kind) == (1, "ValueError")
    assert outcome.error == "cell 4 (`raise ValueError('too\\nbad')`): ValueError: too bad"
    assert json.loads((folder / "results" / "02_fine_tuning.json").read_text())["status"] == "failed"
    cells = nbformat.read(folder / "02_fine_tuning.ipynb", 4).cells
    assert cells[-1].metadata.papermill.status == "pending" and cells[-1].execution_count is None
    assert "02_fine_tuning failed in cell 4" in (folder / "index.html").read_text()


@pytest.mark.parametrize("kind", ["InputError", "NoAnswerError"])
def test_an_input_error_in_the_notebook_is_bad_input(project, kind):
    outcome = run(project(f"from textlab import errors\nraise errors.{kind}('no such thing')"))
    assert (outcome.status, outcome.kind) == (2, "InputError") and "InputError: no such thing" in outcome.error


def test_the_kind_of_an_outcome_does_not_come_from_the_words_of_its_message(project):
    outcome = run(project("raise ValueError('no TrainingError: but InputError: is what it says')"))
    assert (outcome.status, outcome.kind) == (1, "ValueError")


def test_a_training_that_went_wrong_is_an_outcome_of_that_kind(project):
    outcome = run(project("from textlab.errors import TrainingError\nraise TrainingError('the loss became nan')"))
    assert (outcome.status, outcome.kind) == (1, "TrainingError")


def test_data_that_cannot_be_used_is_bad_input_from_inside_the_kernel(project, tmp_path):
    (tmp_path / "one.csv").write_text("text,label\nx,a\ny,a\nz,a\n")
    outcome = run(project(f"from textlab import data\ndata.load({str(tmp_path / 'one.csv')!r})"))
    assert outcome.status == 2 and "InputError: dataset: the training data of " in outcome.error
    assert "has one class only (a)" in outcome.error


def test_a_dead_kernel_is_a_failure_not_a_success(project):
    folder = project("x = 1", "import os; os._exit(9)", "print('never')")
    outcome = run(folder)
    assert (outcome.status, outcome.kind) == (1, "DeadKernelError")
    assert outcome.error.startswith("cell 4 (`import os; os._exit(9)`): DeadKernelError: ")
    cells = nbformat.read(folder / "02_fine_tuning.ipynb", 4).cells
    assert cells[-1].metadata.papermill.status == "pending"


def test_a_failure_replaces_the_result_of_the_run_before(project):
    folder = project("raise SystemError('x')")
    (folder / "results").mkdir(parents=True)
    (folder / "results" / "02_fine_tuning.json").write_text('{"status": "completed", "test": {"accuracy": 1}}')
    run(folder)
    assert "test" not in json.loads((folder / "results" / "02_fine_tuning.json").read_text())


@pytest.mark.parametrize("cut", [b"", b'{"cells": [', b'{"cells": "\xc3'])
def test_a_draft_that_a_full_disk_cuts_off_leaves_a_failed_result_and_a_log(tmp_path, monkeypatch, cut):
    def execute_notebook(source, draft, **options):
        draft.write_bytes(cut)
        raise OSError(28, "No space left on device")

    def write(folder, *args, **content):
        assert not list(folder.glob(".*.ipynb"))  # which has made room
        return really(folder, *args, **content)

    really = jobs.results.write
    monkeypatch.setattr(jobs.results, "write", write)
    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "02_fine_tuning.json").write_text('{"status": "completed"}')
    assert run(tmp_path).error == "start of the kernel: OSError: [Errno 28] No space left on device"
    assert json.loads((tmp_path / "results" / "02_fine_tuning.json").read_text())["status"] == "failed"
    assert "failed: start of the kernel" in (tmp_path / "logs" / "02_fine_tuning.log").read_text()
    assert not list(tmp_path.glob(".*.ipynb"))


def test_the_kernel_talks_over_an_encrypted_connection(project):
    folder = project(
        "import glob, json, os\nfrom ipykernel.connect import get_connection_file\n"
        "connection = json.load(open(get_connection_file()))\n"
        "print('encrypted:', 'curve_publickey' in connection or connection['transport'] == 'ipc')"
    )
    run(folder)
    assert "encrypted: True" in (folder / "logs" / "02_fine_tuning.log").read_text()


@pytest.fixture
def no_kernel(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(papermill, "execute_notebook", refuse)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-p", "learning_rat", "1"], "has no parameter 'learning_rat'; did you mean 'learning_rate'?"),
        (["-p", "learning_rate", "-1"], "learning_rate: got '-1'; accepted is a number above 0"),
        (["-p", "dataset", "nowhere.csv"], "'nowhere.csv' does not exist"),
        (["-p", "dataset", "nolabel.csv"], "none of the usual columns"),
        (["--params", "typo.yaml"], "no parameter 'epoch'; did you mean 'epochs'?"),
        (["--params", "twice.yaml"], "'epochs' is given twice"),
        (["--params", "gone.yaml"], "gone.yaml does not exist"),
        (["-p", "output_dir", "here"], "use --out DIR"),
        (["-p", "epochs", "1", "-p", "epochs", "2"], "-p: epochs is given twice"),
        (["--profile", "dem"], "did you mean 'demo'?"),
    ],
)
def test_bad_input_is_one_line_and_status_2_before_any_kernel(
    no_kernel, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nolabel.csv").write_text("text,mood\na,b\n")
    (tmp_path / "typo.yaml").write_text("epoch: 1\n")
    (tmp_path / "twice.yaml").write_text("epochs: 1\nepochs: 2\n")
    assert main(["run", "02", *arguments, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["all", "-p", "n_trails", "3"], "did you mean"),
        (["07"], "no notebook is called '07'"),
        (["03", "-p", "search_space", "{lr: [1]}"], "'lr' cannot be searched"),
    ],
)
def test_bad_input_for_other_notebooks(no_kernel, capsys, tmp_path, arguments, message):
    assert main(["run", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["run", "02"], ["run", "all"], ["sweep"]])
@pytest.mark.parametrize("name, why", [("out", "File exists"), ("out/mine", "Not a directory")])
def test_an_output_folder_that_cannot_be_made_is_bad_input(no_kernel, tmp_path, capsys, verb, name, why):
    (tmp_path / "out").write_text("")
    assert main([*verb, "--out", str(tmp_path / name)]) == 2
    told = f"textlab: the output folder {tmp_path / name} cannot be made ({why}); name another\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    "number, told",
    [
        (errno.ENOLCK, "{} cannot be kept for this run alone (No locks available)\n02_fine_tuning: running\n"),
        (errno.EACCES, "textlab: [Errno 13] Permission denied\n"),
        (errno.ENOSPC, "textlab: [Errno 28] No space left on device\n"),
    ],
)
def test_a_folder_that_knows_no_locks_is_told_and_used_and_one_that_takes_no_file_is_not(
    no_kernel, tmp_path, monkeypatch, capsys, number, told
):
    def acquire(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(jobs.FileLock, "acquire", acquire)
    assert main(["run", "02", "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(told.format(tmp_path / "out"))


@pytest.mark.parametrize("name", ["mine", "link"])
def test_a_run_does_not_write_into_the_folder_of_its_dataset(no_kernel, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "texts.csv").write_text(CSV)
    (tmp_path / "link").symlink_to("mine")
    assert main(["run", "all", "-p", "dataset", "mine", "--out", name]) == 2
    assert (
        f"{tmp_path / name} is the folder of the dataset; choose another for the run with --out"
        in capsys.readouterr().err
    )
    assert os.listdir(tmp_path / "mine") == ["texts.csv"]
    assert main(["run", "02", "-p", "dataset", "mine", "--out", f"{name}/out"]) == 1  # reached the kernel


def test_one_params_file_serves_all_notebooks(no_kernel, tmp_path):
    (tmp_path / "mine.yaml").write_text("epochs: 1\nexperiment: mine\n")
    assert (
        main(["run", "all", "--params", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]) == 1
    )  # reached the kernel


def test_without_out_a_run_goes_to_a_folder_of_the_name_of_its_params_file(no_kernel, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path / "outputs"))
    for name in ("mine.yaml", "m\udcffne.yaml"):
        (tmp_path / name).write_text("epochs: 1\n")
    assert main(["run", "02", "--params", str(tmp_path / "mine.yaml")]) == 1  # reached the kernel
    assert os.listdir(tmp_path / "outputs") == ["mine"]
    capsys.readouterr()
    assert main(["run", "02", "--params", str(tmp_path / "m\udcffne.yaml")]) == 2
    assert "m\\udcffne'; accepted is a folder name in UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line, message", [("epochs: none", "epochs: got 'none'"), ("epoch: 1", "has no parameter 'epoch'")]
)
@pytest.mark.parametrize("notebook", ["02", "all"])
def test_a_fault_in_a_params_file_is_told_of_the_file(no_kernel, tmp_path, capsys, notebook, line, message):
    (tmp_path / "mine.yaml").write_text(f"{line}\n")
    assert main(["run", notebook, "--params", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"textlab: {tmp_path / 'mine.yaml'}: ") and message in told


def test_good_input_gets_to_the_kernel(no_kernel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(CSV)
    assert main(["run", "02", "-p", "dataset", "mine.csv", "--out", str(tmp_path / "out")]) == 1
    assert "a kernel was started" in (tmp_path / "out" / "results" / "02_fine_tuning.json").read_text()


def test_tracked_runs_stay_in_the_given_folder(tmp_path):
    values = jobs.prepare("03_mlflow_tracking", {}, tmp_path, own_store=True)
    assert values["tracking_uri"] == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert "tracking_uri" not in jobs.prepare("03_mlflow_tracking", {}, tmp_path, own_store=False)
    assert jobs.prepare("04_sweep_analysis", {"tracking_uri": "http://x"}, tmp_path, True)["tracking_uri"] == "http://x"
    assert "tracking_uri" not in parameters.NOTEBOOKS["02_fine_tuning"]


def test_the_sweep_of_a_run_with_its_own_folder_keeps_its_default_options(tmp_path):
    notebook, storage = "03_mlflow_tracking", {"storage": f"sqlite:///{tmp_path}/studies.db"}
    usual = jobs.prepare(notebook, {}, tmp_path, own_store=True)["sweep_options"]
    assert usual == parameters.defaults(notebook)["sweep_options"] | storage
    chosen = jobs.prepare(notebook, {"sweep_options": {"parallel": 2}}, tmp_path, own_store=True)["sweep_options"]
    assert chosen == {"parallel": 2} | storage


def test_how_a_notebook_ended_is_printed_before_the_next_one_begins(tmp_path, monkeypatch, capsys):
    ends = [jobs.Outcome("01_hub_exploration", 61.0), jobs.Outcome("02_fine_tuning", 1.0, "ValueError", "cell 2: no")]
    monkeypatch.setattr(jobs, "run", lambda *_: ends.pop(0))
    jobs.run_all(dict.fromkeys(parameters.NOTEBOOKS, {}), tmp_path)
    assert capsys.readouterr().err.splitlines() == [
        "01_hub_exploration: running",
        "01_hub_exploration: completed in 1 min 01 s",
        "02_fine_tuning: running",
        "02_fine_tuning: failed in cell 2: no",
    ]


def test_two_runs_do_not_write_into_one_folder_at_once(tmp_path, monkeypatch):
    jobs_of, told = {"02_fine_tuning": {}}, []

    def run(notebook, values, folder):
        told.append(error(jobs.run_all, jobs_of, folder))
        return jobs.Outcome(notebook, 1.0)

    monkeypatch.setattr(jobs, "run", run)
    for _ in range(2):  # the first one has ended when the second begins
        assert len(jobs.run_all(jobs_of, tmp_path / "mine")) == 1
    wanted = f"another run is writing into {tmp_path / 'mine'}; wait until it ends, or choose another --out"
    assert told == [wanted, wanted]


def test_a_run_prints_nothing_since_notebook_4_may_be_where_it_is(no_kernel, tmp_path, capsys):
    assert jobs.run("02_fine_tuning", {}, tmp_path).status == 1
    assert capsys.readouterr() == ("", "")


def test_notebook_4_has_runs_made_for_it_if_the_project_has_none_of_the_usual_experiment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path))
    notebook, made = "03_mlflow_tracking", []
    ends = [jobs.Outcome(notebook, 1.0), jobs.Outcome(notebook, 1.0, "ValueError", "cell 9: no")]
    monkeypatch.setattr(jobs, "run", lambda notebook, values, folder: made.append((notebook, values)) or ends.pop(0))
    jobs.provide_runs("http://127.0.0.1:1", "sentiment")  # of another store
    jobs.provide_runs("", "mine")  # of another experiment
    assert made == []
    jobs.provide_runs("", "sentiment")
    assert made == [("03_mlflow_tracking", {"output_dir": str(tmp_path / "03_mlflow_tracking")})]
    told = capsys.readouterr().out  # how many minutes is said in README alone
    assert "notebook 3 makes some first" in told and not re.search(r"\d+ minutes", told)
    with pytest.raises(InputError, match="notebook 3, .*, failed in cell 9: no"):
        jobs.provide_runs("", "sentiment")
    client = store.open_client(store.default_uri())
    store.use_experiment(client, "smoke")
    ends.append(jobs.Outcome(notebook, 1.0))
    jobs.provide_runs("", "sentiment")
    assert len(made) == 3
    store.use_experiment(client, "sentiment")
    jobs.provide_runs("", "sentiment")
    assert len(made) == 3


def test_lab_opens_a_notebook_with_the_kernel_of_this_environment(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    main(["lab", "03", "--no-browser"])
    ((program, command, environment),) = started
    assert program == command[0] == sys.executable and command[1:3] == ["-m", "jupyterlab"]
    assert "--LabApp.default_url=/lab/tree/notebooks/03_mlflow_tracking.ipynb" in command and "--no-browser" in command
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"
    assert main(["lab", "07"]) == 2


def test_help_has_an_example():
    done = subprocess.run([sys.executable, "-m", "textlab", "run", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "python -m textlab run 02 -p epochs 3" in done.stdout


@pytest.mark.parametrize(
    "stop", [lambda job: os.killpg(job.pid, signal.SIGINT), lambda job: job.terminate()], ids=["ctrl-c", "sigterm"]
)
def test_a_stopped_run_ends_with_130_and_a_failed_result(tmp_path, stop):
    job = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "textlab",
            "run",
            "02",
            "-p",
            "epochs",
            "900",
            "-p",
            "patience",
            "900",
            "--profile",
            "smoke",
            "--out",
            str(tmp_path),
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    draft = tmp_path / ".02_fine_tuning.draft.ipynb"
    deadline = time.monotonic() + 90
    try:
        while not (draft.is_file() and '"execution_count": 9' in draft.read_text()):  # training comes next
            assert time.monotonic() < deadline and job.poll() is None
            time.sleep(0.3)
        stop(job)
        _, errors = job.communicate(timeout=60)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode == 130, errors
    last = errors.splitlines()[-1]
    assert last.startswith("02_fine_tuning: failed in cell ") and last.endswith(": interrupted")
    assert json.loads((tmp_path / "results" / "02_fine_tuning.json").read_text())["status"] == "failed"
    assert not draft.exists()
