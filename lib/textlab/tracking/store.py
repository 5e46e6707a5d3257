"""MLflow stores: how people name them, how they are opened, and what is said of one that cannot be used."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from .. import machine
from ..errors import InputError, NoAnswerError, first_line, without_secrets
from . import local_store
from .addresses import FILE_NAME, default_uri, exists, file_of, parsed, sqlite_uri, store_uri

#: Tags of runs: the process that records it, and, on a copy in another store, what it is a copy of.
OWNER_TAG, SOURCE_TAG = "textlab.owner", "textlab.source"
#: Seconds within which a store has to answer when it is opened.
PROBE_SECONDS = 5
#: Databases that MLflow would try for two minutes, by drivers that take a limit of seconds.
PROBED = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2", "mysql", "mysql+pymysql", "mysql+mysqldb")


def locate(text: str, unpacked: Path | None = None) -> str:
    """Return the address of a store that is given as a person would name it.

    Args:
        text: an MLflow URI, or the path of a store's file, of a folder (the store's own, a run's, the outputs folder)
            or of a zip of one; empty means the project's own.
        unpacked: an empty folder for the content of a zip; without one, a zip is refused.

    Raises:
        InputError: it is a file of another kind, or an address without http://.
    """
    if not text:
        return default_uri()
    if text.startswith("databricks"):
        return text
    if text.startswith("file:"):
        text = local_file_uri_to_path(text)
    if file := file_of(text):
        return sqlite_uri(file)
    if "://" in text:
        parsed(text)
        return text
    if server := re.fullmatch(r"(?:.*@)?([\w.-]+:\d+(/.*)?)", text):
        raise InputError(f"{server[1]} is no store; the address of a server begins with http:// or https://")
    path = machine.expanded(text).absolute()
    if path.is_file() and zipfile.is_zipfile(path):
        return _unpack(path, unpacked)
    if path.is_file():
        if path.name != FILE_NAME:
            raise InputError(
                f"{path.name} is no store; accepted are an MLflow URI, a folder with {FILE_NAME}, or a zip of one"
            )
        return store_uri(path.parent)
    folders = (path, path / "mlflow", path / "outputs" / "mlflow")
    return store_uri(next((folder for folder in folders if (folder / FILE_NAME).is_file()), path))


def _unpack(path: Path, folder: Path | None) -> str:
    """Unpack a zip into a folder and return the address of the store in it."""
    if not folder:
        command = f"python -m textlab sync --from {path.name} --to outputs"
        raise InputError(f"{path.name} is a zip; carry its runs into a store first: {command}")
    return store_uri(local_store.unpack(path, folder))


def open_client(uri: str, create: bool = True) -> MlflowClient:
    """Return a client of a store that is ready: a local one is made when missing, and mended when its folder was moved.

    Args:
        uri: address of the store.
        create: make a local one when it is missing.

    Raises:
        InputError: there is no such store, or no answer within a few seconds.
    """
    quieten()
    file = file_of(uri)
    if file and not create and not file.is_file():
        raise InputError(f"there is no tracking store yet ({short(uri)}): run notebook 03_mlflow_tracking first")
    with one_line_errors(uri):
        if file:
            local_store.prepare(file)
        elif "://" in uri and not uri.startswith("databricks") and (url := parsed(uri)).drivername in PROBED:
            _connect_once(url)
        client = MlflowClient(uri, uri)
        with _probing():
            client.search_experiments(max_results=1)
    return client


def quieten() -> None:
    """Let MLflow log errors only, and none that it raises too."""
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _connect_once(url: URL) -> None:
    """Raise SQLAlchemy's error if a database does not answer within a few seconds."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": PROBE_SECONDS})
    with engine.connect():
        pass


@contextmanager
def _probing() -> Iterator[None]:
    """Let MLflow ask a server once, for a few seconds."""
    probe = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PROBE_SECONDS)}
    usual = {name: os.environ[name] for name in probe}
    os.environ.update(probe)
    try:
        yield
    finally:
        os.environ.update(usual)


def use_experiment(client: MlflowClient, name: str, create: bool = True, tags: Mapping[str, str] | None = None) -> str:
    """Return the id of an experiment, made when it is missing; in a local store its artifacts lie beside the file.

    Args:
        client: of the store.
        name: of the experiment.
        create: make it when it is missing.
        tags: of an experiment that is made.

    Raises:
        InputError: it is deleted, or missing and not to be made.
    """
    home = local_store.artifacts_uri(file) if (file := file_of(client.tracking_uri)) else None
    portable = {local_store.PORTABLE_TAG: "yes"}
    experiment = client.get_experiment_by_name(name)
    if not experiment and not create:
        names = ", ".join(one.name for one in client.search_experiments())
        raise InputError(f"experiment: the store has no {name!r}; it has {names}")
    if not experiment:
        try:
            return client.create_experiment(name, home, dict(tags or {}) | (portable if home else {}))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)  # another process was faster
    if experiment.lifecycle_stage == "deleted":
        raise InputError(f"experiment: {name!r} is in the store's trash; restore it or choose another name")
    if create and experiment.artifact_location == home and not portable.keys() & experiment.tags.keys():
        client.set_experiment_tag(experiment.experiment_id, local_store.PORTABLE_TAG, "yes")
    return experiment.experiment_id


def has_experiment(uri: str, name: str) -> bool:
    """Tell whether a local store has been made and has an experiment, perhaps in its trash."""
    return exists(uri) and open_client(uri).get_experiment_by_name(name) is not None


def paged(search: Callable, *arguments: Any, **options: Any) -> Iterator[Any]:
    """Yield everything that a search of MlflowClient returns, page after page."""
    token = None
    while True:
        page = search(*arguments, page_token=token, **options)
        yield from page
        if not (token := page.token):
            return


@contextmanager
def as_global(uri: str) -> Iterator[None]:
    """Set MLflow's global stores for a moment: some of its functions use them, whatever store a client was made for."""
    usual = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(usual[0])
        mlflow.set_registry_uri(usual[1])


@contextmanager
def one_line_errors(uri: str, what: str = "tracking store") -> Iterator[None]:
    """Turn what libraries raise for a file that is no database, or a store that does not answer, into one line.

    Args:
        uri: address of the store.
        what: the store is called in the message.

    Raises:
        InputError: the inside has raised such an error; a `NoAnswerError` where a server does not answer.
    """
    try:
        yield
    except InputError:
        raise
    except (MlflowException, SQLAlchemyError, sqlite3.Error, ImportError, OSError, ValueError) as error:
        kind, text = InputError, first_line(error)
        if unanswered(error):
            kind = NoAnswerError
            text = (
                f"no answer within {PROBE_SECONDS} seconds; start the server; without one, an empty tracking_uri "
                "records runs here, and `python -m textlab sync` carries them to a server later"
            )
        if uri.startswith("databricks"):  # whose messages name the profile, or what stands in its place, piece by piece
            text = "Databricks refuses it; check its profile or secret scope, and that `databricks-sdk` is installed"
        raise kind(f"{what}: {short(uri)} cannot be used: {short(text)}") from None


def unanswered(error: BaseException) -> bool:
    """Tell whether an error of MLflow's says that its server does not answer."""
    return isinstance(error, MlflowException) and "failed with exception" in str(error)


def short(text: str) -> str:
    """Return an address, or a text with some, for messages: the project's folder by its short name, no secrets."""
    return without_secrets(text.replace(f"{machine.project_root()}/", "<project>/"))


def named(uri: str) -> str:
    """Return a store as one names it on the command line in the project's folder; without a password."""
    if not (file := file_of(uri)):
        return shlex.quote(short(uri))
    if file.name != FILE_NAME:
        return shlex.quote(sqlite_uri(file))
    folder = file.parent.parent if uri == default_uri() else file.parent
    root = machine.project_root()
    return shlex.quote(str(folder.relative_to(root) if folder.is_relative_to(root) else folder))
