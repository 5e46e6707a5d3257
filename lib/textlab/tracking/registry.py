"""Models: logged with a run, registered in versions, and loaded again."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import mlflow
import pandas as pd
from huggingface_hub import ModelCard
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from transformers import PreTrainedModel, PreTrainedTokenizerBase, pipeline

from ..errors import InputError, first_line
from ..training import gives_several
from . import store
from .patience import patient
from .queries import equals

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of type hints of its own
    import mlflow.pyfunc.model


@patient
def log_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    example: Sequence[str],
    register_as: str,
    tags: Mapping[str, str],
    metrics: Sequence[str],
    step: int,
    card: str = "",
    beside: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Log and register a model with signature, example, pinned requirements and card; return its version.

    The new version is now the `candidate`.

    Args:
        model, tokenizer: what a training made.
        example: texts stored as the input example.
        register_as: name in the registry.
        tags: of the registered version, such as the metrics and the data it stands on.
        metrics: names of those of the active run that are the model's, beside those of this step.
        step: of the training that made it.
        card: as `card.text` returns it.
        beside: file name -> content, for the folder with the weights.
    """
    client, run_id = MlflowClient(), mlflow.active_run().info.run_id
    logged = add_model(run_id, "model", model, tokenizer, step, metrics, list(example), card, beside)
    use_registered_model(client, register_as)
    tags = {key: str(value) for key, value in tags.items()}
    version = client.create_model_version(register_as, logged.model_uri, run_id, tags, model_id=logged.model_id)
    listed = json.dumps([{"name": register_as, "version": int(version.version)}])  # a server does that by itself
    client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": listed})
    set_alias(register_as, "candidate", version.version)
    return str(version.version)


def add_model(
    run_id: str,
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    step: int,
    metrics: Sequence[str] = (),
    example: list[str] | None = None,
    card: str = "",
    beside: Mapping[str, str] = MappingProxyType({}),
) -> LoggedModel:
    """Log a model of a run with the run's metrics of this step and, of those named, the last points.

    In a local store it is moved to its place when it is whole; MLflow's own `log_model` would copy it there, in twice
    the time.

    Args:
        run_id: of the run.
        name: of the model.
        model, tokenizer, step, metrics, example, card, beside: see `log_model`.
    """
    client = MlflowClient()
    run = client.get_run(run_id)
    logged, status = client.create_logged_model(run.info.experiment_id, name, run_id, params=run.data.params), "FAILED"
    try:
        _write_model(client, logged, model, tokenizer, example, card, beside)
        points = _points(client, run, step, metrics)
        client.log_batch(
            run_id, [Metric(p.key, p.value, p.timestamp, p.step, logged.model_id, run_id=run_id) for p in points]
        )
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step)])
        status = "READY"
    finally:
        client.finalize_logged_model(logged.model_id, status)
    return logged


def _points(client: MlflowClient, run: Run, step: int, metrics: Sequence[str]) -> list[Metric]:
    """Return the points of a run's curves at a step and, of the metrics named, the last ones."""
    names = [name for name in run.data.metrics if not name.startswith("system/")]
    curves = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    return [
        point
        for name, curve in curves.items()
        for point in curve
        if point.step == step or name in metrics and point is curve[-1]
    ]


def _write_model(
    client: MlflowClient,
    logged: LoggedModel,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    example: list[str] | None,
    card: str,
    beside: Mapping[str, str],
) -> None:
    """Write a model in MLflow's form, with pinned requirements, to where the store keeps it."""
    requirements = [
        f"{package}=={importlib.metadata.version(package)}" for package in ("torch", "transformers", "mlflow")
    ]
    whole = pipeline("text-classification", model=model, tokenizer=tokenizer, device=model.device)
    location, model_id = logged.artifact_location, logged.model_id
    about = Model(artifact_path=location, run_id=logged.source_run_id, model_uuid=model_id, model_id=model_id)
    with TemporaryDirectory() as scratch:
        place = Path(local_file_uri_to_path(location)) if is_local_uri(location) else None
        draft = place.with_name(".draft") if place else Path(scratch) / "model"
        mlflow.transformers.save_model(
            whole,
            draft,
            mlflow_model=about,
            pip_requirements=requirements,
            input_example=example,
            model_config=_asked(model, tokenizer),
            model_card=ModelCard(card) if card else None,
        )
        for name, content in beside.items():
            (draft / "model" / name).write_text(content, encoding="utf-8")
        # MLflow makes up a licence, for the folder that the model was loaded from.
        (draft / "LICENSE.txt").unlink(missing_ok=True)
        if place:
            draft.rename(place)
        else:
            client.log_model_artifacts(model_id, str(draft))


def _asked(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return what a pipeline is asked where MLflow serves it: texts cut as in training; of several labels, all."""
    each = {"top_k": model.config.num_labels} if gives_several(model) else {}
    return {"truncation": True, "max_length": tokenizer.model_max_length} | each


def load_model(uri: str):
    """Return a callable text-classification pipeline from a model URI such as `models:/emotion@champion`.

    It cuts texts as the model's training did; MLflow's own `load_model` does so with `truncation=True` only. Loading
    runs code from the store: load only from stores that you trust.
    """
    return mlflow.transformers.load_model(uri, truncation=True)


def model_folder(uri: str, into: Path, tracking_uri: str = "") -> Path:
    """Copy a logged model with its tokenizer into a folder; return the folder that `from_pretrained` loads.

    Code from the store is not run.

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
            folder = Path(mlflow.artifacts.download_artifacts(full, dst_path=str(into)))
    except (MlflowException, OSError) as error:
        raise InputError(f"model: {uri} cannot be had from {store.short(address)}: {first_line(error)}") from None
    if not (folder / "model" / "config.json").is_file():
        raise InputError(f"model: {uri} is no transformers model with its own weights; use one that notebook 3 logged")
    shutil.copytree(folder / "components" / "tokenizer", folder / "model", dirs_exist_ok=True)
    return folder / "model"


def model_versions(name: str) -> pd.DataFrame:
    """Return the registered versions of a model, indexed by version number: their tags, run_id and aliases.

    A tag that is called version, run_id or aliases is left out.
    """
    try:  # aliases come with the model, not with the versions of a search
        aliases = MlflowClient().get_registered_model(name).aliases
    except MlflowException:
        aliases = {}
    rows = [
        one.tags
        | {"version": int(one.version), "run_id": one.run_id}
        | {"aliases": ", ".join(sorted(alias for alias, version in aliases.items() if version == one.version))}
        for one in MlflowClient().search_model_versions(equals("name", name))
    ]
    table = pd.DataFrame(rows, columns=None if rows else ["version", "run_id", "aliases"])
    return table.set_index("version").sort_index()


def version_of(name: str, run_id: str) -> int | None:
    """Return the newest registered version of a model that a run made, or None."""
    versions = model_versions(name)
    mine = versions.index[versions["run_id"] == run_id]
    return int(mine.max()) if len(mine) else None


@patient
def require_version(name: str, version: str, study: str) -> None:
    """Check that a version that a study has registered is in the store that is connected.

    Raises:
        InputError: it was deleted.
    """
    try:
        MlflowClient().get_model_version(name, version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise InputError(
            f"study: {study!r} is known, but version {version} of {name}, which it registered, was deleted; choose "
            "another name for the study"
        ) from None


def champion_of(name: str) -> int | None:
    """Return the version of a registered model that has the alias `champion`, or None."""
    aliases = model_versions(name)["aliases"]
    return next((int(version) for version, some in aliases.items() if "champion" in some.split(", ")), None)


def set_alias(name: str, alias: str, version: int | str) -> None:
    """Point an alias of a registered model at a version."""
    MlflowClient().set_registered_model_alias(name, alias, str(version))


def use_registered_model(
    client: MlflowClient, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
) -> None:
    """Make a registered model unless it is there already.

    Args:
        client: of the store.
        name: in the registry.
        tags, description: of a model that is made.
    """
    try:
        client.create_registered_model(name, tags, description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
