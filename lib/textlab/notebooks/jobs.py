"""Runs notebooks through papermill, safely: checked parameters, whole files, the failing cell named."""

from __future__ import annotations

import datetime
import errno
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from filelock import FileLock, Timeout
from papermill.exceptions import PapermillExecutionError

from .. import data, machine, tracking
from ..errors import InputError
from ..settings import parameters
from ..tracking import addresses
from . import pages, results
from .notices import Notice

#: Kind of an outcome -> exit status; any other kind is a failed job.
_STATUS = {"": 0, InputError.__name__: 2, KeyboardInterrupt.__name__: 130}
#: What a file system without locks answers, such as that of a network drive.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Outcome:
    """How the run of a notebook ended."""

    notebook: str
    seconds: float
    kind: str = ""  # name of the error, such as InputError or TrainingError; empty when the run completed
    error: str = ""  # where and why it failed, in one line that names the kind too; empty when it completed

    @property
    def status(self) -> int:
        """Exit status: 0 completed, 1 failed, 2 bad input, 130 interrupted."""
        return _STATUS.get(self.kind, 1)


def prepare(notebook: str, chosen: Mapping[str, Any], folder: Path, own_store: bool) -> dict[str, Any]:
    """Return the parameters of a run; its data is checked as far as that is possible before a kernel starts.

    Args:
        notebook: full name, such as `02_fine_tuning`.
        chosen: what `parameters.gather` returned.
        folder: where everything of the run goes.
        own_store: keep tracked runs and studies in that folder too, unless the parameters name a store.

    Raises:
        InputError: a parameter or the data that it names cannot be used.
    """
    values = dict(chosen)
    rules = parameters.NOTEBOOKS[notebook]
    if values.get("output_dir"):
        raise InputError(
            f"output_dir: got {values['output_dir']!r}, but everything of a run goes into one folder; use --out DIR"
        )
    values["output_dir"] = str(folder)
    if own_store and "tracking_uri" in rules and not values.get("tracking_uri"):
        values["tracking_uri"] = addresses.store_uri(folder / "mlflow")
    if own_store and "sweep_options" in rules:
        own = {"storage": addresses.sqlite_uri(folder / "studies.db")}
        values["sweep_options"] = own | values.get("sweep_options", parameters.defaults(notebook)["sweep_options"])
    if "dataset" in values:
        asked = {name: values[name] for name in ("text_column", "label_column", "labels") if name in values}
        data.check(values["dataset"], **asked)
        _refuse_own_folder(values["dataset"], folder)
    return values


def _refuse_own_folder(dataset: str, folder: Path) -> None:
    """Raise an InputError if a run would write into the folder of its dataset: its files would be read as data."""
    if data.form_of(dataset) == "path" and machine.expanded(dataset).resolve() == folder.resolve():
        raise InputError(f"{folder} is the folder of the dataset; choose another for the run with --out")


def run(notebook: str, values: Mapping[str, Any], folder: Path) -> Outcome:
    """Run one notebook and write it, its HTML page, log and results file into `folder`, each whole or not at all.

    Args:
        notebook: full name.
        values: what `prepare` returned.
        folder: is there.

    Returns:
        The outcome. A failed run also leaves its files; its results file says `failed`.
    """
    draft = folder / f".{notebook}.draft.ipynb"
    started, clock = datetime.datetime.now().astimezone(), time.monotonic()
    kind = error = ""
    try:
        papermill.execute_notebook(
            machine.project_root() / "notebooks" / f"{notebook}.ipynb",
            draft,
            parameters=dict(values),
            progress_bar={"file": sys.stderr, "leave": False} if sys.stderr.isatty() else False,
        )
    except PapermillExecutionError as failure:
        kind = failure.ename
        error = f"{_name_cell(failure.exec_count, failure.source)}: {kind}: {_one_line(failure.evalue)}"
    except KeyboardInterrupt as stop:  # Ctrl-C, a batch queue's stop or a closed terminal
        kind, error = type(stop).__name__, f"{_last_cell(draft)}: interrupted"
    except Exception as failure:  # the kernel died or could not start: whatever it was, the run is reported as failed
        kind = type(failure).__name__
        error = f"{_last_cell(draft)}: {kind}: {_one_line(str(failure))}"
    outcome = Outcome(notebook, time.monotonic() - clock, kind, error)
    _publish(draft, folder, outcome, values, started)
    return outcome


def run_all(jobs: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Outcome]:
    """Run prepared notebooks in order until one fails; after each, write the index and print to stderr how it ended.

    Args:
        jobs: full name of a notebook -> what `prepare` returned.
        folder: for all files of the run; made if missing.

    Returns:
        The outcomes, as many as notebooks were run.

    Raises:
        InputError: the folder cannot be made, or another run is writing into it.
    """
    outcomes = []
    with _alone(folder):
        for notebook, values in jobs.items():
            print(f"{notebook}: running", file=sys.stderr, flush=True)
            outcomes.append(outcome := run(notebook, values, folder))
            pages.write_index(folder)
            took = machine.duration(outcome.seconds)
            state = f"failed in {outcome.error}" if outcome.error else f"completed in {took}"
            print(f"{notebook}: {state}", file=sys.stderr, flush=True)
            if outcome.error:
                break
    return outcomes


def _alone(folder: Path) -> AbstractContextManager:
    """Keep other runs out of a folder until the context ends; a run that was killed keeps nobody out."""
    try:
        return FileLock(machine.make_folder(folder) / ".run.lock").acquire(timeout=0)
    except Timeout:
        raise InputError(f"another run is writing into {folder}; wait until it ends, or choose another --out") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        print(f"{folder} cannot be kept for this run alone ({error.strerror})", file=sys.stderr)
        return nullcontext()


def provide_runs(tracking_uri: str, experiment: str) -> None:
    """Run notebook 3 with its defaults if notebook 4 wants those runs and the project's own store has none of them.

    Args:
        tracking_uri, experiment: parameters of notebook 4.

    Raises:
        InputError: notebook 3 failed.
    """
    notebook = "03_mlflow_tracking"
    usual = not tracking_uri and experiment == parameters.defaults(notebook)["experiment"]
    if not usual or tracking.store.has_experiment(addresses.default_uri(), experiment):
        return
    print("There are no runs yet, so notebook 3 makes some first. That takes some minutes.", flush=True)
    folder = machine.output_dir("", notebook)
    outcome = run(notebook, prepare(notebook, {}, folder, own_store=False), folder)
    if outcome.error:
        raise InputError(f"notebook 3, which makes the runs for this one, failed in {outcome.error}")


def _publish(
    draft: Path, folder: Path, outcome: Outcome, values: Mapping[str, Any], started: datetime.datetime
) -> None:
    """Turn papermill's draft into the files of the run."""
    book = _read(draft)
    draft.unlink(missing_ok=True)  # on a full disk it makes room for what says so
    if outcome.error:
        results.write(folder, outcome.notebook, status="failed", error=outcome.error, params=dict(values))
    if book:
        _mark(book, outcome)
        machine.write_text(folder / f"{outcome.notebook}.ipynb", nbformat.writes(book) + "\n")
        machine.write_text(folder / f"{outcome.notebook}.html", pages.notebook_page(book, outcome.notebook))
    machine.write_text(folder / "logs" / f"{outcome.notebook}.log", _log(book, outcome, values, started))


def _read(draft: Path) -> nbformat.NotebookNode | None:
    """Return papermill's draft; None where there is none, or where a full disk has cut it off."""
    try:
        return nbformat.read(draft, as_version=4)
    except (OSError, ValueError):  # no file, no JSON, half a letter
        return None


def _mark(book: nbformat.NotebookNode, outcome: Outcome) -> None:
    """Record in the notebook's metadata how it really ended: papermill calls every cell of a dead kernel completed."""
    last = max(_started(book.cells), default=-1)
    for i, cell in enumerate(book.cells):
        # Time stamps of cells and of the run are in the log; without them two equal runs give equal notebooks.
        cell.metadata.pop("execution", None)
        state = cell.metadata.pop("papermill", {})
        if outcome.error and cell.cell_type == "code" and i > last:
            state = {"status": "pending"}
        if outcome.error and state.get("status") in ("pending", "failed"):
            cell.metadata["papermill"] = {"status": state["status"]}
    if outcome.error:
        book.metadata.setdefault("papermill", {}).update(exception=True, error=outcome.error)


def _last_cell(draft: Path) -> str:
    """Name the cell that a run had reached when it ended without an error of that cell."""
    book = _read(draft)
    cells = book.cells if book else []
    started = _started(cells)
    return _name_cell(len(started), cells[started[-1]].source) if started else "start of the kernel"


def _started(cells: list[nbformat.NotebookNode]) -> list[int]:
    """Return the positions of the code cells that were started; a kernel may die before it has counted its last one."""
    return [
        i
        for i, cell in enumerate(cells)
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time")
    ]


def _name_cell(number: int | None, source: str) -> str:
    lines = [text.strip() for text in source.splitlines()]
    line = next((text for text in lines if text and not text.startswith("#")), "")
    return f"cell {number} (`{line[:60]}`)"


def _log(
    book: nbformat.NotebookNode | None, outcome: Outcome, values: Mapping[str, Any], started: datetime.datetime
) -> str:
    """Return the run's log: parameters, what the cells printed or showed as a notice, how the run ended."""
    lines = [f"{started.isoformat(timespec='seconds')} {outcome.notebook} started"]
    lines += [f"  {name}: {value!r}" for name, value in values.items()]
    for cell in book.cells if book else []:
        texts = "".join(_text(output) for output in cell.get("outputs", []))
        lines += [f"[{cell.execution_count}] {line}" for line in texts.splitlines()] if texts.strip() else []
    ended = started + datetime.timedelta(seconds=outcome.seconds)
    end = f"failed: {outcome.error}" if outcome.error else "completed"
    lines.append(f"{ended.isoformat(timespec='seconds')} {end} after {machine.duration(outcome.seconds)}")
    return "\n".join(lines) + "\n"


def _text(output: nbformat.NotebookNode) -> str:
    """Return what an output adds to the log: all that was printed, and of what was displayed only notices."""
    shown = output.get("data", {}).get("text/plain", "")
    return output.get("text", f"{shown}\n" if shown.startswith(Notice.MARK) else "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
