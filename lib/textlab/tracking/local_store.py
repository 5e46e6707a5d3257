"""The SQLite file of a local store: made whole, mended when its folder was moved, analysed, and packed into a zip."""

from __future__ import annotations

import os
import sqlite3
import zipfile
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from mlflow import MlflowClient

from .. import machine

#: The tag of an experiment whose artifacts lie beside the store's file and move with it.
PORTABLE_TAG = "textlab.portable"
#: How a store's file is called, unless a user names another one in an SQLite URI.
FILE_NAME = "mlflow.db"
_ADDRESS_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


def artifacts_uri(file: Path) -> str:
    """Return the address of the artifacts that belong to a store's file."""
    return (file.parent / "artifacts").as_uri()


def prepare(file: Path) -> None:
    """Make a store's file when it is missing, else mend it when its folder was moved.

    Raises:
        sqlite3.Error: it is a file of another kind.
    """
    if file.is_file():
        _bring_home(file)
    else:
        _make(file)


def analyse(file: Path) -> None:
    """Let SQLite analyse what a store's file holds; without that it looks for a run's curve among those of all runs.

    With a thousand runs, reading the hundred curves of one took 1.4 seconds, and takes 0.06 afterwards.
    """
    _analyse(file, file.stat().st_size.bit_length())


def pack(file: Path, target: Path) -> Path:
    """Write a store, as it is at this moment, with all its files into one zip; return the path of the zip."""
    with machine.whole_file(target) as draft, TemporaryDirectory() as scratch, zipfile.ZipFile(draft, "w") as packed:
        snapshot = Path(scratch) / file.name
        with closing(sqlite3.connect(file, timeout=60)) as store, closing(sqlite3.connect(snapshot)) as copy:
            store.backup(copy)
        packed.write(snapshot, FILE_NAME, zipfile.ZIP_DEFLATED)
        for path in sorted(path for path in (file.parent / "artifacts").rglob("*") if path.is_file()):
            packed.write(path, path.relative_to(file.parent))
    return target


def _make(file: Path) -> None:
    """Make an empty store aside and put it in its place when it is whole: MLflow cannot go on with a half-made one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with FileLock(f"{file}.lock"):
            if file.exists():  # another process was faster
                return
            MlflowClient(f"sqlite:///{draft}").set_experiment_tag("0", PORTABLE_TAG, "yes")  # MLflow's own "Default"
            with closing(sqlite3.connect(draft)) as store, store:
                store.execute("UPDATE experiments SET artifact_location = ?", (artifacts_uri(file),))
            draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def _bring_home(file: Path) -> None:
    """Rewrite, in one transaction, the artifact addresses of a store whose folder was moved, copied or unzipped.

    MLflow records absolute addresses. The experiments with the portable tag say where the artifacts were.
    """
    home = artifacts_uri(file)
    try:
        with closing(sqlite3.connect(file, timeout=60)) as store, store:
            homes = store.execute(
                "SELECT DISTINCT artifact_location FROM experiments JOIN experiment_tags USING (experiment_id) "
                "WHERE key = ? AND artifact_location != ?",
                (PORTABLE_TAG, home),
            ).fetchall()
            for (old,) in homes:
                for table, column in _ADDRESS_COLUMNS:
                    store.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR "
                        f"substr({column}, 1, ?) = ?",
                        (home, len(old) + 1, old, len(old) + 1, old + "/"),
                    )
    except sqlite3.Error as error:
        if "no such table" not in str(error):  # a file that MLflow has not filled yet
            raise


@lru_cache
def _analyse(file: Path, magnitude: int) -> None:  # again when the file has doubled
    with (
        suppress(sqlite3.OperationalError),  # a file that is read-only is slow, but can be read
        closing(sqlite3.connect(file, timeout=60)) as store,
        store,
    ):
        # Of fewer rows SQLite infers curves shorter than they are, and goes on as before.
        store.execute("PRAGMA analysis_limit = 20000")
        store.execute("ANALYZE")
