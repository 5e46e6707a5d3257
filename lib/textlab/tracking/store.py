"""Where runs are kept: an MLflow store is found, opened, and mended when its folder was moved."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sqlite3
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from .. import machine
from ..errors import InputError, first_line
from ..machine import processes

#: Tags of runs: the process that records it, and, on a copy in another store, what it is a copy of.
OWNER_TAG, SOURCE_TAG = "textlab.owner", "textlab.source"
#: The tag of an experiment whose artifacts lie beside the store's file and move with it.
PORTABLE_TAG = "textlab.portable"
PROBE_SECONDS = 5
#: Minutes that a result waits for a server that does not answer, and seconds between two attempts.
PATIENCE, PAUSE = 60, 5


def default_uri() -> str:
    """Return the address of the project's own store, an SQLite file under the outputs folder."""
    return store_uri(machine.outputs_root() / "mlflow")


def store_uri(folder: Path) -> str:
    """Return the address of the SQLite store in a folder."""
    return f"sqlite:///{Path(folder).absolute() / 'mlflow.db'}"


def exists(uri: str) -> bool:
    """Tell whether a local store has been made."""
    return file_of(uri).is_file()


def locate(text: str, unpacked: Path | None = None) -> str:
    """Return the address of a store that is given as a person would name it.

    Args:
        text: an MLflow URI, or the path of a store's file, of a folder (the store's own, a run's, the outputs folder) or of
            a zip of one; empty means the project's own.
        unpacked: an empty folder for the content of a zip; without one, a zip is refused.

    Raises:
        InputError: it is a file of another kind, or an address without http://.
    """
    if not text:
        return default_uri()
    if "://" in text or text == "databricks":
        return text
    if re.fullmatch(r"[\w.-]+:\d+(/.*)?", text):
        raise InputError(f"{text} is no store; the address of a server begins with http:// or https://")
    path = Path(text).expanduser().absolute()
    if zipfile.is_zipfile(path):
        if not unpacked:
            raise InputError(
                f"{path.name} is a zip; carry its runs into a store first: python -m textlab sync --from {path.name} "
                "--to outputs"
            )
        try:
            with zipfile.ZipFile(path) as packed:
                packed.extractall(unpacked)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path.name} is damaged ({first_line(error)}); download or make it again") from None
        found = sorted(unpacked.rglob("mlflow.db"), key=lambda file: len(file.parts))
        if not found:
            raise InputError(
                f"{path.name}: no mlflow.db is in this zip; accepted is the zip of a folder that holds a store"
            )
        return store_uri(found[0].parent)
    if path.is_file():
        if path.name != "mlflow.db":
            raise InputError(
                f"{path.name} is no store; accepted are an MLflow URI, a folder with mlflow.db, or a zip of one"
            )
        return store_uri(path.parent)
    below = [
        folder for folder in (path, path / "mlflow", path / "outputs" / "mlflow") if (folder / "mlflow.db").is_file()
    ]
    return store_uri(below[0] if below else path)


def open_client(uri: str, create: bool = True) -> MlflowClient:
    """Return a client of a store that is ready: a local one is made when missing, and mended when its folder was moved.

    Raises:
        InputError: there is no such store, or no answer within a few seconds.
    """
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    file = file_of(uri)
    if file and file.is_file():
        _bring_home(file)
    elif file and not create:
        raise InputError(f"there is no tracking store yet ({short(uri)}): run notebook 03_mlflow_tracking first")
    elif file:
        _make(file)
    patient = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PROBE_SECONDS)}
    usual = {name: os.environ[name] for name in patient}
    os.environ.update(patient)
    try:
        with one_line_errors(uri):
            client = MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
    finally:
        os.environ.update(usual)
    return client


def _make(file: Path) -> None:
    """Make an empty store aside and put it in its place when it is whole: MLflow cannot go on with a half-made one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with one_line_errors(f"sqlite:///{file}"), FileLock(f"{file}.lock"):
            if not file.exists():  # else another process was faster
                MlflowClient(f"sqlite:///{draft}").set_experiment_tag(
                    "0", PORTABLE_TAG, "yes"
                )  # MLflow's own "Default"
                with closing(sqlite3.connect(draft)) as store, store:
                    store.execute("UPDATE experiments SET artifact_location = ?", (_home(file),))
                draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def use_experiment(client: MlflowClient, name: str, create: bool = True, tags: Mapping[str, str] | None = None) -> str:
    """Return the id of an experiment, made when it is missing; in a local store its artifacts lie beside the file.

    Raises:
        InputError: it is deleted, or missing and not to be made.
    """
    home = _home(file) if (file := file_of(client.tracking_uri)) else None
    found = client.get_experiment_by_name(name)
    if not found and not create:
        names = ", ".join(e.name for e in client.search_experiments())
        raise InputError(f"experiment: the store has no {name!r}; it has {names}")
    if not found:
        try:
            return client.create_experiment(name, home, dict(tags or {}) | ({PORTABLE_TAG: "yes"} if home else {}))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    if found.lifecycle_stage == "deleted":
        raise InputError(f"experiment: {name!r} is in the store's trash; restore it or choose another name")
    if create and found.artifact_location == home and PORTABLE_TAG not in found.tags:
        client.set_experiment_tag(found.experiment_id, PORTABLE_TAG, "yes")
    return found.experiment_id


def is_local(uri: str) -> bool:
    """Tell whether a store is an SQLite file."""
    return file_of(uri) is not None


def pack(uri: str, target: Path) -> Path:
    """Write a local store, as it is at this moment, with all its files into one zip; return its path."""
    file = file_of(uri)
    with (
        machine.whole_file(target) as draft,
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(draft, "w") as packed,
    ):
        with (
            closing(sqlite3.connect(file, timeout=60)) as store,
            closing(sqlite3.connect(Path(scratch) / file.name)) as copy,
        ):
            store.backup(copy)
        packed.write(Path(scratch) / file.name, "mlflow.db", zipfile.ZIP_DEFLATED)
        artifacts = file.parent / "artifacts"
        for path in sorted(path for path in artifacts.rglob("*") if path.is_file()):
            packed.write(path, path.relative_to(file.parent))
    return target


def file_of(uri: str) -> Path | None:
    """Return the file of an SQLite store, or None for any other."""
    local = re.fullmatch(r"sqlite:///(?P<file>.+)", uri)
    return Path(local["file"]).absolute() if local else None


def _home(file: Path) -> str:
    """Return the address of the artifacts that belong to a store's file."""
    return (file.parent / "artifacts").as_uri()


def _bring_home(file: Path) -> None:
    """Rewrite, in one transaction, the artifact addresses of a store whose folder was moved, copied or unzipped.

    MLflow records absolute addresses. The experiments that `use_experiment` made say where the artifacts were.
    """
    columns = {
        "experiments": ["artifact_location"],
        "runs": ["artifact_uri"],
        "logged_models": ["artifact_location"],
        "model_versions": ["source", "storage_location"],
        "trace_tags": ["value"],
    }
    try:
        with closing(sqlite3.connect(file, timeout=60)) as store, store:
            homes = store.execute(
                "SELECT DISTINCT artifact_location FROM experiments JOIN experiment_tags USING (experiment_id) "
                "WHERE key = ? AND artifact_location != ?",
                (PORTABLE_TAG, _home(file)),
            ).fetchall()
            for (old,) in homes:
                for table, column in [(table, column) for table in columns for column in columns[table]]:
                    store.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR "
                        f"substr({column}, 1, ?) = ?",
                        (_home(file), len(old) + 1, old, len(old) + 1, old + "/"),
                    )
    except sqlite3.Error as error:
        if "no such table" not in str(error):  # a file that MLflow has not filled yet
            raise InputError(f"tracking store: {short(str(file))} cannot be used: {error}") from None


def count(uri: str) -> None:
    """Let SQLite count what a local store holds; until then it looks for a run's curve among those of all runs.

    With a thousand runs, reading the hundred curves of one took 1.4 seconds, and takes 0.06 afterwards.
    """
    if (file := file_of(uri)) and file.is_file():
        _count(file, file.stat().st_size.bit_length())


@lru_cache
def _count(file: Path, magnitude: int) -> None:  # again when it has doubled
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(file, timeout=60)) as store,
        store,
    ):  # read-only, it is but slow
        store.execute(
            "PRAGMA analysis_limit = 20000"
        )  # of few rows it infers curves shorter than they are, and goes on as before
        store.execute("ANALYZE")


@contextmanager
def one_line_errors(uri: str, what: str = "tracking store") -> Iterator[None]:
    """Turn what a database that is none, or a store that does not answer, makes libraries raise into one line."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        text = first_line(error)
        if unanswered(error):
            text = (
                f"no answer within {PROBE_SECONDS} seconds; start the server; without one, an empty tracking_uri records "
                "runs here, and `python -m textlab sync` carries them to a server later"
            )
        raise InputError(f"{what}: {short(uri)} cannot be used: {short(text)}") from None


def unanswered(error: BaseException) -> bool:
    """Tell whether an error of MLflow's says that its server does not answer."""
    return isinstance(error, MlflowException) and "failed with exception" in str(error)


def patient(record: Callable) -> Callable:
    """Return a function that waits for a server that does not answer, so that what it was to record is not lost."""

    @wraps(record)
    def waiting(*args: Any, **options: Any) -> Any:
        started, told = time.monotonic(), False
        while True:
            try:
                return record(*args, **options)
            except MlflowException as error:
                if not unanswered(error) or time.monotonic() - started > 60 * PATIENCE:
                    raise
            if not told:
                print(
                    f"tracking: the store does not answer; what is to be recorded waits for it, up to {PATIENCE} minutes",
                    file=sys.stderr,
                )
            told = True
            time.sleep(PAUSE)

    return waiting


def close_stale(client: MlflowClient, experiments: Sequence[str]) -> None:
    """Close the runs that killed processes of this machine left open."""
    left = [
        run
        for run in paged(client.search_runs, list(experiments), "attributes.status = 'RUNNING'")
        if SOURCE_TAG not in run.data.tags and processes.gone(run.data.tags.get(OWNER_TAG, ""))
    ]
    for run in sorted(left, key=lambda run: "mlflow.parentRunId" not in run.data.tags):  # children first
        close_run(client, run)


def close_run(client: MlflowClient, run: Run) -> None:
    """Close a run whose process has died as KILLED, when its last metric was logged or its last child ended."""
    run_id = run.info.run_id
    times = [point.timestamp for name in run.data.metrics for point in client.get_metric_history(run_id, name)]
    times += [
        child.info.end_time
        for child in paged(client.search_runs, [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
        if child.info.end_time
    ]
    client.set_terminated(run_id, "KILLED", max(times, default=run.info.start_time))


def paged(search: Callable, *arguments: Any, **options: Any) -> Iterator[Any]:
    """Yield everything that a search of MlflowClient finds, page after page."""
    token = None
    while True:
        page = search(*arguments, page_token=token, **options)
        yield from page
        if not (token := page.token):
            return


def short(uri: str) -> str:
    """Return an address for messages: the project's own folder by its short name, and no password."""
    uri = uri.replace(f"{machine.project_root()}/", "<project>/")
    return re.sub(r"//[^/@]+@", "//***@", uri)


def named(uri: str) -> str:
    """Return a store as one names it on the command line in the project's folder; without a password."""
    if not (file := file_of(uri)):
        return shlex.quote(short(uri))
    folder = file.parent.parent if uri == default_uri() else file.parent
    root = machine.project_root()
    return shlex.quote(str(folder.relative_to(root) if folder.is_relative_to(root) else folder))


@contextmanager
def as_global(uri: str) -> Iterator[None]:
    """Set MLflow's global stores for a moment: some of its functions look there, whatever they were told."""
    usual = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(usual[0])
        mlflow.set_registry_uri(usual[1])
