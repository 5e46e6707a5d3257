"""A run as it is made: begun, filled with what was measured, and ended."""

from __future__ import annotations

import math
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ..data import Data
from ..errors import InputError, first_line
from ..machine import environment, processes
from . import store

#: The tags that say which sweep a run belongs to and what it is there, and the metric that runs are compared by.
STUDY_TAG, ROLE_TAG, SELECTION_METRIC = "study", "role", "validation_macro_f1"


def connect(uri: str, experiment: str, create: bool = True) -> str:
    """Use a store and an experiment from here on; return the store's address.

    Runs that a process of this machine left open when it was killed are closed as KILLED.

    Args:
        uri: any MLflow tracking URI, or a folder with a store; empty means the project's own local store.
        experiment: its name.
        create: make store and experiment when they are missing; off, for those who only read.

    Raises:
        InputError: the store or the experiment is not there, is deleted, or does not answer.
    """
    uri = store.locate(uri)
    client = store.open_client(uri, create)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    with store.one_line_errors(uri):
        experiment_id = store.use_experiment(client, experiment, create)
        if create:
            store.close_stale(client, [experiment_id])
        mlflow.set_experiment(experiment)
    return uri


@contextmanager
def run(
    name: str,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
    killed_by: tuple[type[BaseException], ...] = (),
) -> Iterator[Run]:
    """Record what happens inside as a run: FINISHED, KILLED after Ctrl-C or SIGTERM, or FAILED after any other exception,
    with its message as the tag `error` and its traceback as `error.txt`. A server that does not answer is waited for, unless
    the run has failed: then that is what is told.

    After a kill -9 the next `connect` closes it. Load and memory of the machine are recorded too.

    Args:
        name: shown in the UI.
        parent: run id of the parent, for the trials of a sweep.
        tags: added to the run.
        run_id: of a run to go on with, instead of a new one.
        killed_by: exceptions that end the run as KILLED, as Ctrl-C does, because it was not to go on.
    """
    active = store.patient(mlflow.start_run)(
        run_id=run_id,
        run_name=name,
        parent_run_id=parent,
        nested=parent is not None,
        tags={**(tags or {}), store.OWNER_TAG: processes.owner()},
        log_system_metrics=run_id is None,
    )
    main = threading.current_thread() is threading.main_thread()
    usual = signal.signal(signal.SIGTERM, signal.default_int_handler) if main else None
    status = "FAILED"
    try:
        yield active
        store.patient(MlflowClient().set_terminated)(active.info.run_id)  # end_run forgets the run before it is told
        status = "FINISHED"
    except (KeyboardInterrupt, *killed_by):
        status = "KILLED"
        raise
    except Exception as error:
        with _if_it_answers("why the run failed"):
            mlflow.set_tags({"error": store.short(first_line(error))})
            mlflow.log_text("".join(traceback.format_exception(error)), "error.txt")
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, usual or signal.SIG_DFL)
        with _if_it_answers("how the run ended"):
            mlflow.end_run(status)


@contextmanager
def _if_it_answers(what: str) -> Iterator[None]:
    """Record something on a run that did not come to its end, without hiding why it did not when the server is down."""
    try:
        yield
    except MlflowException as error:
        if not store.unanswered(error):
            raise
        _missed(what, error)


def _missed(what: str, error: BaseException) -> None:
    print(f"tracking: {what} could not be recorded: {store.short(first_line(error))}", file=sys.stderr)


def make_run(name: str, values: Mapping[str, Any], tables: Mapping[str, Any]) -> str:
    """Make a run that others will be children of, with parameters and JSON artifacts; return its id."""
    with run(name, tags={STUDY_TAG: name}) as made:
        log_params(values)
        for file, content in tables.items():
            log_table(content, file)
    return made.info.run_id


def require_run(run_id: str, study: str) -> None:
    """Check that a study's run is in the store that is connected.

    Raises:
        InputError: it is not.
    """
    try:
        MlflowClient().get_run(run_id)
    except MlflowException:
        raise InputError(
            f"study: {study!r} is known, but its runs are not in this tracking store; choose another name for the "
            "study, or another storage in sweep_options"
        ) from None


@store.patient
def outcome(parent: str, name: str) -> tuple[str, str, float, str] | None:
    """Return state, run id, validation score and reason of a trial's run that ended, or None; an ended one left open is closed."""
    condition = f"tags.mlflow.parentRunId = '{parent}' AND attributes.run_name = '{name}' AND tags.trial_state != ''"
    found = mlflow.search_runs(
        search_all_experiments=True, filter_string=condition, output_format="list", max_results=1
    )
    if not found:
        return None
    info, tags = found[0].info, found[0].data.tags
    state = tags["trial_state"]
    if info.status == "RUNNING" or info.end_time is None:
        MlflowClient().set_terminated(info.run_id, {"complete": "FINISHED", "pruned": "KILLED"}.get(state, "FAILED"))
    return state, info.run_id, found[0].data.metrics.get(SELECTION_METRIC, math.nan), tags.get("error", "")


@store.patient
def close_lost(run_id: str) -> None:
    """Close a run that is still open although its worker, on whatever machine, has died."""
    client = MlflowClient()
    if (run := client.get_run(run_id)).info.status == "RUNNING":
        store.close_run(client, run)


@store.patient
def log_params(values: Mapping[str, Any]) -> None:
    """Log parameters of the active run; None is logged as such, so that every run shows every parameter."""
    mlflow.log_params({name: str(value) if value is None else value for name, value in values.items()})


@store.patient
def log_scores(split: str, scores: Mapping[str, float | Sequence[float]]) -> None:
    """Log the result of `evaluation.score` as metrics `<split>_<name>`; intervals as `..._low` and `..._high`."""
    mlflow.log_metrics(flat(split, scores))


def flat(split: str, scores: Mapping[str, float | Sequence[float]]) -> dict[str, float]:
    """Return scores as `log_scores` names them."""
    flat = {}
    for name, value in scores.items():
        if isinstance(value, (list, tuple)):
            flat |= {f"{split}_{name}_low": value[0], f"{split}_{name}_high": value[1]}
        else:
            flat[f"{split}_{name}"] = value
    return flat


@store.patient
def log_point(name: str, value: float, step: int) -> None:
    """Log a point of a curve of the active run."""
    mlflow.log_metric(name, value, step=step)


@store.patient
def log_table(content: Mapping[str, Any], file: str) -> None:
    """Log a mapping as a JSON artifact of the active run."""
    mlflow.log_dict(dict(content), file)


@store.patient
def set_tags(**tags: str) -> None:
    """Put tags on the active run."""
    mlflow.set_tags(tags)


def log_environment() -> None:
    """Log the environment's fingerprint as `environment.json`, and its git commit as a tag."""
    facts = environment.fingerprint()
    log_table(facts, "environment.json")
    set_tags(**{name: facts[name] for name in ("git_commit", "git_dirty", "device", "precision") if name in facts})


def data_inputs(data: Data) -> dict[str, PandasDataset]:
    """Return each split, by its name, as an MLflow dataset with the source's digest."""
    source = CodeDatasetSource(tags={"source": data.source.id, "sha256": data.source.sha256})
    names, found = data.labels, {}
    for split, rows in data.splits.items():
        frame = pd.DataFrame({"text": rows["text"][:], "label": [names[i] for i in rows["label"]]})
        found[split] = mlflow.data.from_pandas(frame, source=source, targets="label", name=data.source.id)
    return found


@store.patient
def log_inputs(inputs: Mapping[str, PandasDataset]) -> None:
    """Log what `data_inputs` returned as inputs of the active run, the splits' names as context."""
    mlflow.log_inputs(list(inputs.values()), contexts=list(inputs), tags_list=[None] * len(inputs))


@store.patient
def log_frame(table: pd.DataFrame, file: str) -> None:
    """Log a table as a CSV artifact of the active run."""
    mlflow.log_text(table.to_csv(), file)


@store.patient
def log_card(folder: Path | None) -> None:
    """Log the card of the pretrained model as `pretrained_card.md`, where its folder has one."""
    if folder and (card := folder / "README.md").is_file():
        mlflow.log_text(card.read_text(encoding="utf-8"), "pretrained_card.md")


def log_predictions(answers: Mapping[str, Any], split: str, baseline: str = "") -> None:
    """Log the answers for a split, as `record.predictions` makes them, as `predictions/<split>[_<baseline>].json`.

    They let `promote` and `sweep_analysis.against` compare two models row by row.
    """
    log_table(answers, f"predictions/{split}{baseline and '_' + baseline}.json")


@store.patient
def log_figure(figure: Figure, name: str) -> None:
    """Log a figure as `figures/<name>.png`."""
    mlflow.log_figure(figure, f"figures/{name}.png")


def attach(run_id: str, file: Path, **tags: str) -> None:
    """Add a file and tags to a run of the store that is connected."""
    MlflowClient().log_artifact(run_id, str(file))
    for name, value in tags.items():
        MlflowClient().set_tag(run_id, name, value)
