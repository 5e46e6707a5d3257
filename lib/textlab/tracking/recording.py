"""Recording a run: it is begun, filled with what was measured, and ended."""

from __future__ import annotations

import math
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
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

from ..data import Data, label_words
from ..errors import InputError, first_line, show, without_secrets
from ..machine import environment, processes
from . import stale_runs, store
from .patience import patient, warn_unrecorded
from .queries import equals

#: The tags that say which sweep a run belongs to and what it is there, and the metric that runs are compared by.
STUDY_TAG, ROLE_TAG, POINT_TAG, SELECTION_METRIC = "study", "role", "point", "validation_macro_f1"


def connect(uri: str, experiment: str, create: bool = True) -> str:
    """Use a store and an experiment from here on; return the store's address.

    Runs that a process of this machine left open when it was killed are closed as KILLED.

    Args:
        uri: any MLflow tracking URI, or a folder with a store; empty means the project's own local store.
        experiment: its name.
        create: make the store and the experiment when they are missing; those who only read switch this off.

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
            stale_runs.close_stale(client, [experiment_id])
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
    """Record what happens inside as a run, with the machine's load and memory.

    The run ends as FINISHED, as KILLED after Ctrl-C or SIGTERM, or as FAILED after any other exception. A failed one
    has the message as its tag `error` and the traceback as `error.txt`. After a kill -9 the next `connect` closes the
    run. A server that does not answer is waited for, unless the run has failed: then that failure is raised at once.

    Args:
        name: shown in the UI.
        parent: run id of the parent, for the trials of a sweep.
        tags: added to the run.
        run_id: of a run to go on with, instead of a new one.
        killed_by: exceptions that end the run as KILLED, as Ctrl-C does, because it was stopped on purpose.
    """
    active = patient(mlflow.start_run)(
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
        # end_run would forget the run even when the server does not answer
        patient(MlflowClient().set_terminated)(active.info.run_id)
        status = "FINISHED"
    except (KeyboardInterrupt, *killed_by):
        status = "KILLED"
        raise
    except Exception as error:
        with _if_it_answers("why the run failed"):
            mlflow.set_tags({"error": store.short(first_line(error))})
            mlflow.log_text(without_secrets("".join(traceback.format_exception(error))), "error.txt")
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, usual or signal.SIG_DFL)
        with _if_it_answers("how the run ended"):
            mlflow.end_run(status)


@contextmanager
def _if_it_answers(what: str) -> Iterator[None]:
    """Record something on a run; a server that is down costs a line, and does not hide why the run failed."""
    try:
        yield
    except MlflowException as error:
        if not store.unanswered(error):
            raise
        warn_unrecorded(what, error)


def make_run(name: str, values: Mapping[str, Any], tables: Mapping[str, Any]) -> str:
    """Make a run that others will be children of, with parameters and JSON artifacts; return its id.

    Args:
        name: of the run, and of the study.
        values: parameters.
        tables: file name -> content.
    """
    with run(name, tags={STUDY_TAG: name}) as parent:
        log_params(values)
        for file, content in tables.items():
            log_table(content, file)
    return parent.info.run_id


@patient
def require_run(run_id: str, study: str) -> None:
    """Check that a study's run is in the store that is connected.

    Raises:
        InputError: it is not, or was deleted.
    """
    try:
        info = MlflowClient().get_run(run_id).info
    except MlflowException as error:
        if store.unanswered(error):
            raise
        raise InputError(
            f"study: {study!r} is known, but its runs are not in this tracking store; choose another name for the "
            "study, or another storage in sweep_options"
        ) from None
    if info.lifecycle_stage == "deleted":
        raise InputError(
            f"study: {study!r} is known, but its run {show(info.run_name)} was deleted; restore it in MLflow's pages, "
            "or choose another name for the study"
        )


@patient
def outcome(parent: str, name: str) -> tuple[str, str, float, str] | None:
    """Return how a trial ended: state, run id, validation score and reason; None when it has not.

    A run that is still open although its trial has ended is closed.

    Args:
        parent: run id of the sweep.
        name: of the trial's run.
    """
    condition = f"tags.mlflow.parentRunId = '{parent}' AND {equals('attributes.run_name', name)}"
    condition += " AND tags.trial_state != ''"
    trials = mlflow.search_runs(
        search_all_experiments=True, filter_string=condition, output_format="list", max_results=1
    )
    if not trials:
        return None
    info, tags = trials[0].info, trials[0].data.tags
    state = tags["trial_state"]
    if info.status == "RUNNING" or info.end_time is None:
        MlflowClient().set_terminated(info.run_id, {"complete": "FINISHED", "pruned": "KILLED"}.get(state, "FAILED"))
    return state, info.run_id, trials[0].data.metrics.get(SELECTION_METRIC, math.nan), tags.get("error", "")


@patient
def close_lost(run_id: str) -> None:
    """Close a run that is still open although its worker, on whatever machine, has died."""
    client = MlflowClient()
    if (run := client.get_run(run_id)).info.status == "RUNNING":
        stale_runs.close_run(client, run)


@patient
def log_params(values: Mapping[str, Any]) -> None:
    """Log parameters of the active run; None is logged as such, so that every run shows every parameter."""
    mlflow.log_params({name: str(value) if value is None else value for name, value in values.items()})


@patient
def log_scores(split: str, scores: Mapping[str, float | Sequence[float]]) -> None:
    """Log the result of `evaluation.score` as metrics `<split>_<name>`, intervals as `..._low` and `..._high`."""
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


@patient
def log_point(name: str, value: float, step: int) -> None:
    """Log a point of a curve of the active run."""
    mlflow.log_metric(name, value, step=step)


@patient
def log_table(content: Mapping[str, Any], file: str) -> None:
    """Log a mapping as a JSON artifact of the active run."""
    mlflow.log_dict(dict(content), file)


@patient
def set_tags(**tags: str) -> None:
    """Put tags on the active run."""
    mlflow.set_tags(tags)


@patient
def mark_pick(run_id: str) -> None:
    """Put the present time on a run that a sweep has picked: of its picks, the one of the latest time counts."""
    MlflowClient().set_tag(run_id, "picked", datetime.now(UTC).isoformat(timespec="microseconds"))


def log_environment() -> None:
    """Log the environment's fingerprint as `environment.json`, and its git commit as a tag."""
    facts = environment.fingerprint()
    log_table(facts, "environment.json")
    set_tags(**{name: facts[name] for name in ("git_commit", "git_dirty", "device", "precision") if name in facts})


def data_inputs(data: Data) -> dict[str, PandasDataset]:
    """Return each split, by its name, as an MLflow dataset with the source's digest."""
    source = CodeDatasetSource(tags={"source": data.source.id, "sha256": data.source.sha256})
    inputs = {}
    for split, rows in data.splits.items():
        frame = pd.DataFrame({"text": rows["text"][:], "label": label_words(rows)})
        inputs[split] = mlflow.data.from_pandas(frame, source=source, targets="label", name=data.source.id)
    return inputs


@patient
def log_inputs(inputs: Mapping[str, PandasDataset]) -> None:
    """Log what `data_inputs` returned as inputs of the active run, the splits' names as context."""
    mlflow.log_inputs(list(inputs.values()), contexts=list(inputs), tags_list=[None] * len(inputs))


@patient
def log_frame(table: pd.DataFrame, file: str) -> None:
    """Log a table as a CSV artifact of the active run."""
    mlflow.log_text(table.to_csv(), file)


@patient
def log_card(folder: Path) -> None:
    """Log the card of the pretrained model as `pretrained_card.md`, where its folder has one."""
    if (card := folder / "README.md").is_file():
        mlflow.log_text(card.read_text(encoding="utf-8"), "pretrained_card.md")


def log_predictions(answers: Mapping[str, Any], split: str, baseline: str = "") -> None:
    """Log the answers for a split, as `record.predictions` makes them, as `predictions/<split>[_<baseline>].json`.

    They let `promote` and `sweep_analysis.against` compare two models row by row.
    """
    log_table(answers, f"predictions/{split}{baseline and '_' + baseline}.json")


@patient
def log_figure(figure: Figure, name: str) -> None:
    """Log a figure as `figures/<name>.png`."""
    mlflow.log_figure(figure, f"figures/{name}.png")


def attach(run_id: str, file: Path, **tags: str) -> None:
    """Add a file and tags to a run of the store that is connected."""
    MlflowClient().log_artifact(run_id, str(file))
    for name, value in tags.items():
        MlflowClient().set_tag(run_id, name, value)
