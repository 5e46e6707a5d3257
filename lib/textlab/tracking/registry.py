"""Logged and registered models."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import pandas as pd
from huggingface_hub import ModelCard
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from transformers import PreTrainedModel, PreTrainedTokenizerBase, pipeline

from ..errors import InputError, first_line
from . import store


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
    use_registered_model(client, register_as)
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


def use_registered_model(
    client: MlflowClient, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
) -> None:
    """Make a registered model unless it is there."""
    try:
        client.create_registered_model(name, tags, description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
