"""Runs notebooks through papermill, safely: checked parameters, whole files, the failing cell named."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from .. import data, machine
from ..errors import InputError
from ..settings import parameters
from ..tracking import store
from . import display, pages, results

#: Error names with which a notebook says that the input, not the job, was wrong.
INPUT_ERRORS = ("InputError",)


@dataclass(frozen=True)
class Outcome:
    """How a notebook run ended; `error` is one line, empty when it completed."""

    notebook: str
    seconds: float
    error: str = ""
    status: int = 0  # exit status: 0 completed, 1 failed, 2 bad input, 130 interrupted


def prepare(notebook: str, chosen: Mapping[str, Any], folder: Path, own_store: bool) -> dict[str, Any]:
    """Return the parameters of a run, its data checked as far as that is possible before a kernel starts.

    Args:
        notebook: full name.
        chosen: what `parameters.gather` returned.
        folder: where everything of the run goes.
        own_store: keep tracked runs in that folder too, unless the parameters name a store.

    Raises:
        InputError: a parameter or the data that it names cannot be used.
    """
    values = dict(chosen)
    rules = parameters.NOTEBOOKS[notebook]
    if values.get("output_dir"):
        raise InputError(
            f"output_dir: got {values['output_dir']!r}, but everything of a run goes into one folder here; use --out DIR"
        )
    values["output_dir"] = str(folder)
    if own_store and "tracking_uri" in rules and not values.get("tracking_uri"):
        values["tracking_uri"] = f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}"
    if own_store and "sweep_options" in rules:
        values["sweep_options"] = {"storage": f"sqlite:///{folder / 'studies.db'}"} | values.get("sweep_options", {})
    if values.get("dataset", "practice") != "practice":
        data.check(values["dataset"], values.get("text_column", ""), values.get("label_column", ""))
    return values


def run(notebook: str, values: Mapping[str, Any], folder: Path) -> Outcome:
    """Run one notebook and write it, its HTML page, log and results file into `folder`, each whole or not at all.

    Args:
        notebook: full name.
        values: what `prepare` returned.
        folder: made if missing.

    Returns:
        The outcome; a failed run also leaves notebook, page, log and a results file that says `failed`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{notebook}.draft.ipynb"
    started, clock = datetime.datetime.now().astimezone(), time.monotonic()
    error, status = "", 0
    try:
        papermill.execute_notebook(
            machine.project_root() / "notebooks" / f"{notebook}.ipynb",
            draft,
            parameters=dict(values),
            progress_bar={"file": sys.stderr, "leave": False} if sys.stderr.isatty() else False,
        )
    except PapermillExecutionError as failure:
        error = f"{_name_cell(failure.exec_count, failure.source)}: {failure.ename}: {_one_line(failure.evalue)}"
        status = 2 if failure.ename in INPUT_ERRORS else 1
    except KeyboardInterrupt:
        error, status = f"{_last_cell(draft)}: interrupted by Ctrl-C", 130
    except Exception as failure:  # the kernel died or could not start: whatever it was, the run is reported as failed
        error, status = f"{_last_cell(draft)}: {type(failure).__name__}: {_one_line(str(failure))}", 1
    outcome = Outcome(notebook, time.monotonic() - clock, error, status)
    _publish(draft, folder, outcome, values, started)
    return outcome


def run_all(jobs: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Outcome]:
    """Run prepared notebooks in order until one fails; after each, write the run's index page and say how it ended."""
    outcomes = []
    for notebook, values in jobs.items():
        print(f"{notebook}: running", file=sys.stderr, flush=True)
        outcomes.append(outcome := run(notebook, values, folder))
        pages.write_index(folder)
        state = f"failed in {outcome.error}" if outcome.error else f"completed in {machine.duration(outcome.seconds)}"
        print(f"{notebook}: {state}", file=sys.stderr, flush=True)
        if outcome.error:
            break
    return outcomes


def provide_runs(tracking_uri: str, experiment: str) -> None:
    """Run notebook 3 with its defaults, if it is its runs in the project's own store that are wanted and there is no store yet.

    Args:
        tracking_uri, experiment: parameters of notebook 4.

    Raises:
        InputError: notebook 3 failed.
    """

    notebook = "03_mlflow_tracking"
    if tracking_uri or experiment != parameters.defaults(notebook)["experiment"] or store.exists(store.default_uri()):
        return
    print("There are no runs yet, so notebook 3 makes some first. That takes about 3 minutes.", flush=True)
    folder = machine.output_dir("", notebook)
    outcome = run(notebook, prepare(notebook, {}, folder, own_store=False), folder)
    if outcome.error:
        raise InputError(f"notebook 3, which makes the runs for this one, failed in {outcome.error}")


def _publish(
    draft: Path, folder: Path, outcome: Outcome, values: Mapping[str, Any], started: datetime.datetime
) -> None:
    """Turn papermill's draft into the files of the run."""

    if outcome.error:
        results.write(folder, outcome.notebook, status="failed", error=outcome.error, params=dict(values))
    book = None
    if draft.is_file():
        book = nbformat.read(draft, as_version=4)
        _mark(book, outcome)
        machine.write_text(folder / f"{outcome.notebook}.ipynb", nbformat.writes(book) + "\n")
        machine.write_text(folder / f"{outcome.notebook}.html", pages.notebook_page(book, outcome.notebook))
        draft.unlink()
    machine.write_text(folder / "logs" / f"{outcome.notebook}.log", _log(book, outcome, values, started))


def _mark(book: nbformat.NotebookNode, outcome: Outcome) -> None:
    """Say truthfully in the notebook's metadata how it ended: papermill calls every cell of a dead kernel completed."""
    ran_last = max(_begun(book.cells), default=-1)
    for i, cell in enumerate(book.cells):
        # Time stamps of cells and of the run are in the log; without them two equal runs give equal notebooks.
        cell.metadata.pop("execution", None)
        state = cell.metadata.pop("papermill", {})
        if outcome.error and cell.cell_type == "code" and i > ran_last:
            state = {"status": "pending"}
        if outcome.error and state.get("status") in ("pending", "failed"):
            cell.metadata["papermill"] = {"status": state["status"]}
    if outcome.error:
        book.metadata.setdefault("papermill", {}).update(exception=True, error=outcome.error)


def _last_cell(draft: Path) -> str:
    """Name the cell that a run had come to when it ended without a word."""

    cells = nbformat.read(draft, as_version=4).cells if draft.is_file() else []
    begun = _begun(cells)
    return _name_cell(len(begun), cells[begun[-1]].source) if begun else "start of the kernel"


def _begun(cells: list[nbformat.NotebookNode]) -> list[int]:
    """Return the places of the code cells that were begun; a kernel may die before it has counted its last one."""
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
    """Return the run's log: parameters, what the cells printed or said in a box, how it ended."""
    lines = [f"{started.isoformat(timespec='seconds')} {outcome.notebook} started"]
    lines += [f"  {name}: {value!r}" for name, value in values.items()]
    for cell in book.cells if book else []:
        outputs = cell.get("outputs", [])
        printed = "".join(out.text for out in outputs if out.output_type == "stream")
        printed += "".join(
            f"{text}\n"
            for out in outputs
            if (text := out.get("data", {}).get("text/plain", "")).startswith(display.NOTICE)
        )
        if printed.strip():
            lines += [f"[{cell.execution_count}] {line}" for line in printed.splitlines()]
    ended = started + datetime.timedelta(seconds=outcome.seconds)
    lines.append(
        f"{ended.isoformat(timespec='seconds')} {'failed: ' + outcome.error if outcome.error else 'completed'}"
        f" after {machine.duration(outcome.seconds)}"
    )
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
