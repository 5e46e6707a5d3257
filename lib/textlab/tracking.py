"""Records runs in MLflow, with a truthful status, finds them again, and keeps the registry."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import math
import re
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from huggingface_hub import ModelCard
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, pipeline

from . import (
    InputError,
    evaluation,
    first_line,
    record,
    runtime,
    store,
)  # before mlflow: store sets what MLflow reads at its import
from .data import Data

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of type hints of its own
    import mlflow.pyfunc.model

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
        tags={**(tags or {}), store.OWNER_TAG: store.owner()},
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
    facts = runtime.environment()
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


def log_predictions(data: Data, split: str, predicted: Sequence[int], baseline: str = "") -> dict[str, Any]:
    """Log the answers for a split as `predictions/<split>[_<baseline>].json`; return what `record.predictions` makes of them.

    They let `promote` and `analysis.against` compare two models row by row.
    """
    content = record.predictions(data, split, predicted)
    log_table(content, f"predictions/{split}{baseline and '_' + baseline}.json")
    return content


@store.patient
def log_figure(figure: Figure, name: str) -> None:
    """Log a figure as `figures/<name>.png`."""
    mlflow.log_figure(figure, f"figures/{name}.png")


@store.patient
def log_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    example: Sequence[str],
    register_as: str,
    tags: Mapping[str, str],
    metrics: Sequence[str],
    step: int,
    card: str = "",
) -> str:
    """Log a model with signature, example, pinned requirements and card; return its new version, which is now the `candidate`.

    Args:
        example: texts stored as the input example.
        register_as: name in the registry.
        tags: put on the registered version, such as the metrics and the data it stands on.
        metrics: names of those of the active run that are the model's, beside those of this step.
        step: of the training that made it.
        card: as `card.text` returns it.
    """
    client, run_id = MlflowClient(), mlflow.active_run().info.run_id
    made = _log_model(run_id, "model", model, tokenizer, step, metrics, list(example), card)
    store.use_registered_model(client, register_as)
    version = client.create_model_version(
        register_as,
        made.model_uri,
        run_id,
        model_id=made.model_id,
        tags={key: str(value) for key, value in tags.items()},
    )
    listed = json.dumps([{"name": register_as, "version": int(version.version)}])  # a server does that by itself
    client.set_logged_model_tags(made.model_id, {"mlflow.modelVersions": listed})
    set_alias(register_as, "candidate", version.version)
    return str(version.version)


def _log_model(
    run_id: str,
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    step: int,
    metrics: Sequence[str] = (),
    example: list[str] | None = None,
    card: str = "",
) -> LoggedModel:
    """Log a model of a run with the run's metrics of this step and, of those named, the last points.

    In a local store it is moved to its place when it is whole; MLflow's own `log_model` would copy it there, in twice the time.
    """
    client = MlflowClient()
    run = client.get_run(run_id)
    made, status = client.create_logged_model(run.info.experiment_id, name, run_id, params=run.data.params), "FAILED"
    try:
        _write_model(client, made, model, tokenizer, example, card)
        curves = {
            key: client.get_metric_history(run_id, key) for key in run.data.metrics if not key.startswith("system/")
        }
        points = [
            point
            for key, curve in curves.items()
            for point in curve
            if point.step == step or key in metrics and point is curve[-1]
        ]
        client.log_batch(
            run_id, [Metric(p.key, p.value, p.timestamp, p.step, made.model_id, run_id=run_id) for p in points]
        )
        client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step)])
        status = "READY"
    finally:
        client.finalize_logged_model(made.model_id, status)
    return made


def _write_model(
    client: MlflowClient,
    made: LoggedModel,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    example: list[str] | None,
    card: str,
) -> None:
    """Write a model in MLflow's form, with pinned requirements, to where the store keeps it."""
    requirements = [
        f"{package}=={importlib.metadata.version(package)}" for package in ("torch", "transformers", "mlflow")
    ]
    whole = pipeline("text-classification", model=model, tokenizer=tokenizer, device=model.device)
    about = Model(
        artifact_path=made.artifact_location,
        run_id=made.source_run_id,
        model_uuid=made.model_id,
        model_id=made.model_id,
    )
    with TemporaryDirectory() as scratch:
        place = Path(local_file_uri_to_path(made.artifact_location)) if is_local_uri(made.artifact_location) else None
        draft = place.with_name(".draft") if place else Path(scratch) / "model"
        mlflow.transformers.save_model(
            whole,
            draft,
            mlflow_model=about,
            pip_requirements=requirements,
            input_example=example,
            model_card=ModelCard(card) if card else None,
        )
        (draft / "LICENSE.txt").unlink(
            missing_ok=True
        )  # MLflow makes one up, for the folder that the model was loaded from
        if place:
            draft.rename(place)
        else:
            client.log_model_artifacts(made.model_id, str(draft))


def models(run_id: str) -> pd.DataFrame:
    """Return the models that a run has logged, by step: columns step and their metrics, indexed by name."""
    client, rows = MlflowClient(), []
    for made in client.get_run(run_id).outputs.model_outputs:
        model = client.get_logged_model(made.model_id)
        rows.append(
            {"model": model.name, "step": made.step} | {point.key: point.value for point in model.metrics or []}
        )
    return pd.DataFrame(rows, columns=None if rows else ["model", "step"]).set_index("model").sort_values("step")


def load_model(uri: str):
    """Return a callable text-classification pipeline from a model URI such as `models:/emotion@champion`.

    Loading runs code from the store: load only from stores that you trust.
    """
    return mlflow.transformers.load_model(uri)


def model_folder(uri: str, into: Path, tracking_uri: str = "") -> Path:
    """Copy a logged model with its tokenizer into a folder and return the part that `from_pretrained` loads; runs no code.

    Args:
        uri: `models:/name@alias`, `models:/name/3`, `runs:/<run id>[/<model>]` or a run id.
        into: an empty folder.
        tracking_uri: of the store, or its folder; empty means the project's own.

    Raises:
        InputError: there is no such store or model.
    """
    address = store.locate(tracking_uri)
    store.open_client(address, create=False)
    full = uri if uri.startswith("models:/") else f"runs:/{uri.removeprefix('runs:/')}"
    if re.fullmatch(r"runs:/[^/]+/?", full):
        full = f"{full.rstrip('/')}/model"
    try:
        with store.as_global(address):
            found = Path(mlflow.artifacts.download_artifacts(full, dst_path=str(into)))
    except (MlflowException, OSError) as error:
        raise InputError(f"model: {uri} cannot be had from {store.short(address)}: {first_line(error)}") from None
    if not (found / "model" / "config.json").is_file():
        raise InputError(f"model: {uri} is no transformers model with its own weights; use one that notebook 3 logged")
    shutil.copytree(found / "components" / "tokenizer", found / "model", dirs_exist_ok=True)
    return found / "model"


def runs(experiment: str, only_finished: bool = True) -> pd.DataFrame:
    """Return the runs of an experiment, newest first.

    Returns:
        Columns run_id, name, status, parent, started, minutes, then params.*, metrics.* and tags.* as MLflow names
        them; empty, with these columns, when there are none.
    """
    condition = "attributes.status = 'FINISHED'" if only_finished else ""
    found = mlflow.search_runs(experiment_names=[experiment], filter_string=condition, max_results=50_000)
    if found.empty:
        return pd.DataFrame(columns=["run_id", "name", "status", "parent", "started", "minutes"])
    table = found.rename(
        columns={"tags.mlflow.runName": "name", "tags.mlflow.parentRunId": "parent", "start_time": "started"}
    )
    table["minutes"] = (found["end_time"] - found["start_time"]).dt.total_seconds() / 60
    if "parent" not in table:
        table["parent"] = None
    first = ["run_id", "name", "status", "parent", "started", "minutes"]
    return table[
        first
        + [
            c
            for c in table
            if c.startswith(("params.", "metrics.", "tags.")) and "mlflow." not in c and "textlab." not in c
        ]
    ]


def search_space(table: pd.DataFrame) -> dict[str, Any]:
    """Return the search space of the newest sweep among the runs of a table; empty when none belongs to a sweep of ours.

    Returns:
        Setting name -> a mapping, as `params.check_space` returns it, whichever form it was recorded in.
    """
    parents = table["parent"].dropna()
    try:
        space = mlflow.artifacts.load_dict(f"runs:/{parents.iloc[-1]}/search_space.json") if len(parents) else {}
    except (MlflowException, OSError):
        return {}
    return {name: {"choices": spec} if isinstance(spec, list) else spec for name, spec in space.items()}


def final_scores(row: Mapping[str, Any]) -> tuple[str, dict[str, dict]]:
    """Return the split that a registered run was finally scored on, and its scores and the baselines' on it.

    Args:
        row: of the table of `analysis.read`.
    """
    split = "test" if pd.notna(row.get("test_macro_f1")) else "validation"
    names = {"majority": f"{split}_majority", "TF-IDF + SVM": f"{split}_tfidf_svm", "fine-tuned": split}
    scores = {}
    for name, prefix in names.items():
        found = {
            metric: row[f"{prefix}_{metric}"]
            for metric in ("accuracy", "macro_f1")
            if pd.notna(row.get(f"{prefix}_{metric}"))
        }
        bounds = {
            f"{metric}_ci95": [row[f"{prefix}_{metric}_ci95_low"], row[f"{prefix}_{metric}_ci95_high"]]
            for metric in found
            if pd.notna(row.get(f"{prefix}_{metric}_ci95_low"))
        }
        if found:
            scores[name] = found | bounds
    return split, scores


def guards_of(row: Mapping[str, Any]) -> list[str]:
    """Return what the guards found when a run's model was registered; a run without a model has not been checked."""
    found = row.get("tags.guards")
    return (
        ["This run has no registered model, so it was not checked."]
        if pd.isna(found)
        else []
        if found == "passed"
        else [found]
    )


def metric_history(run_id: str, metric: str) -> pd.DataFrame:
    """Return a metric's points as columns step and value, in order; empty when it was never logged."""
    points = MlflowClient().get_metric_history(run_id, metric)
    return pd.DataFrame([(p.step, p.value) for p in points], columns=["step", "value"]).sort_values(
        "step", ignore_index=True
    )


def model_versions(name: str) -> pd.DataFrame:
    """Return the registered versions of a model: columns run_id, aliases and tags, indexed by version number."""
    try:  # aliases come with the model, not with the versions of a search
        aliases = MlflowClient().get_registered_model(name).aliases
    except MlflowException:
        aliases = {}
    rows = [
        {
            "version": int(v.version),
            "run_id": v.run_id,
            **v.tags,
            "aliases": ", ".join(sorted(a for a, version in aliases.items() if version == v.version)),
        }
        for v in MlflowClient().search_model_versions(f"name='{name}'")
    ]
    return (
        pd.DataFrame(rows, columns=None if rows else ["version", "run_id", "aliases"]).set_index("version").sort_index()
    )


def version_of(name: str, run_id: str) -> int | None:
    """Return the newest registered version of a model that a run made, or None."""
    versions = model_versions(name)
    mine = versions.index[versions["run_id"] == run_id]
    return int(mine.max()) if len(mine) else None


def set_alias(name: str, alias: str, version: int | str) -> None:
    """Point an alias of a registered model at a version."""
    MlflowClient().set_registered_model_alias(name, alias, str(version))


def promote(name: str, version: int, split: str) -> tuple[bool, str]:
    """Make a version the `champion` unless it is not better than the present one; return whether it is, and a sentence.

    Better means more right answers on the same rows by a paired test (`evaluation.compare`, p below 0.05).

    Args:
        name: of the registered model.
        version: the one to promote.
        split: whose predictions decide, as `log_predictions` recorded them with the runs of both versions.
    """
    versions = model_versions(name)
    champions = versions.index[versions["aliases"].str.split(", ").map(lambda aliases: "champion" in aliases)]
    if len(champions) and champions[0] == version:
        return True, f"Version {version} is the champion already."
    if len(champions):
        old, new = (predictions(versions.loc[number, "run_id"], split) for number in (champions[0], version))
        if not old or not new or old["rows_sha256"] != new["rows_sha256"] or old["labels"] != new["labels"]:
            return False, (
                f"Version {version} was not promoted: it and the champion, version {champions[0]}, were not scored on the "
                f"same {split} rows. Choose another registered_model, or set the alias by hand."
            )
        found = evaluation.compare(
            new["true"], new["predicted"], old["predicted"]
        )  # the difference is first minus second
        measured = "difference {:+.3f}, 95 % interval {:+.3f} to {:+.3f}, p {:.2g}".format(
            found["difference"], *found["difference_ci95"], found["p_value"]
        )
        if found["difference"] <= 0 or found["p_value"] >= 0.05:
            return (
                False,
                f"Version {version} is not shown to be better than the champion, version {champions[0]} ({measured}).",
            )
    set_alias(name, "champion", version)
    return True, f"Version {version} is the champion" + (
        f" instead of {champions[0]} ({measured})." if len(champions) else "."
    )


def predictions(run_id: str, split: str) -> dict[str, Any] | None:
    """Return what `log_predictions` recorded with a run, or None."""
    try:
        return mlflow.artifacts.load_dict(f"runs:/{run_id}/predictions/{split}.json")
    except (MlflowException, OSError):
        return None


def recorded(run_id: str, uri: str) -> dict[str, Any]:
    """Return what a store holds of a run: run_id, params, metrics, record and predictions (split -> content).

    Args:
        run_id: its id, or the id of the run that it is a copy of.
        uri: of the store.

    Raises:
        InputError: there is no such store or run.
    """
    client = store.open_client(uri, create=False)
    with store.one_line_errors(uri), TemporaryDirectory() as scratch:
        experiments = [found.experiment_id for found in store.paged(client.search_experiments)]
        conditions = f"attributes.run_id = '{run_id}'", f"tags.`{store.SOURCE_TAG}` = '{run_id}'"
        found = next((run for condition in conditions for run in client.search_runs(experiments, condition)), None)
        if found is None:
            raise InputError(f"{store.short(uri)} has no run {run_id}; --tracking-uri names another store")

        def read(file: str) -> dict[str, Any]:
            try:
                content = json.loads(
                    Path(client.download_artifacts(found.info.run_id, file, scratch)).read_text(encoding="utf-8")
                )
            except ValueError:
                return {}
            return content if isinstance(content, dict) else {}

        there = [
            file.path
            for folder in ("", "predictions")
            for file in client.list_artifacts(found.info.run_id, folder or None)
        ]
        kept = {split: file for split in ("validation", "test") if (file := f"predictions/{split}.json") in there}
        return {
            "run_id": found.info.run_id,
            "params": found.data.params,
            "metrics": found.data.metrics,
            "record": read("record.json") if "record.json" in there else {},
            "predictions": {split: read(file) for split, file in kept.items()},
        }


def attach(run_id: str, file: Path, **tags: str) -> None:
    """Add a file and tags to a run of the store that is connected."""
    MlflowClient().log_artifact(run_id, str(file))
    for name, value in tags.items():
        MlflowClient().set_tag(run_id, name, value)


class RunLogger(TrainerCallback):
    """Sends what the Trainer logs to a run: per-step loss and learning rate, per-epoch validation metrics, and checkpoints.

    Points are collected and sent in one call whenever an epoch was validated, with the times they were measured at. A
    store that does not answer never ends a training: the points are kept and sent again, after a minute, and waited for at the end.
    Models are written beside the training, from a copy of the weights: it does not wait for the disk.

    Args:
        run_id: of the active run.
        checkpoints: log the model of each epoch, but for the last, as `checkpoint-<step>` with the metrics of its validation.
    """

    def __init__(self, run_id: str, checkpoints: bool = False) -> None:
        self.run_id, self.checkpoints, self._points, self._again = run_id, checkpoints, [], 0.0
        self._writer, self._models = ThreadPoolExecutor(1), {}

    def on_log(self, args, state, control, logs=None, **kwargs):
        now = int(time.time() * 1000)
        for name, value in (logs or {}).items():
            if name in ("loss", "learning_rate", "grad_norm"):  # not to be taken for the parameter of that name
                self._points.append(Metric(f"train_{name}", float(value), now, state.global_step))
            elif name.startswith("eval_") and not name.endswith(("_runtime", "_per_second")):
                self._points.append(Metric(name, float(value), now, state.global_step))

    def on_evaluate(self, args, state, control, model=None, processing_class=None, **kwargs):
        self._send()
        if not self.checkpoints or state.global_step == state.max_steps:
            return
        if self._points:  # the store does not answer
            _missed(f"the checkpoint of step {state.global_step}", self._error)
            return
        wait(self._models.values())  # so that one copy is in memory
        frozen = {id(weight): weight for weight in model.parameters() if not weight.requires_grad}  # need no copy
        self._models[state.global_step] = self._writer.submit(
            _log_model,
            self.run_id,
            f"checkpoint-{state.global_step}",
            copy.deepcopy(model, frozen),
            processing_class,
            state.global_step,
        )

    def on_train_end(self, args, state, control, **kwargs):
        for step, written in self._models.items():
            if error := written.exception():
                _missed(f"the checkpoint of step {step}", error)
        self._again = 0.0
        self._send(patient=True)
        if self._points:
            _missed(f"{len(self._points)} points of the curves", self._error)

    def _send(self, patient: bool = False) -> None:
        if time.monotonic() < self._again:
            return
        try:
            store.patient(self._flush)() if patient else self._flush()
        except Exception as error:  # whatever a store may raise: the training is worth more than its curves
            self._again, self._error = time.monotonic() + 60, error

    def _flush(self) -> None:
        while self._points:
            MlflowClient().log_batch(self.run_id, metrics=self._points[:1000])  # MLflow's limit for one batch
            del self._points[:1000]
