"""The SQLite file of a local store: made whole, mended when its folder was moved, copied, and packed into a zip."""

from __future__ import annotations

import lzma
import os
import shlex
import shutil
import sqlite3
import struct
import zipfile
import zlib
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.store.db.utils import _get_latest_schema_revision, _upgrade_db
from sqlalchemy import create_engine

from .. import machine
from ..errors import InputError, first_line, show
from .addresses import FILE_NAME, sqlite_uri

#: The tag of an experiment whose artifacts lie beside the store's file and move with it.
PORTABLE_TAG = "textlab.portable"
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
        InputError: it is a database of another version of MLflow, or of something else, or would lie in a file store.
        sqlite3.Error: it is a file of another kind.
    """
    if file.is_file():
        if not _is_current(file, file):
            place = str(file.parent) if file.name == FILE_NAME else sqlite_uri(file)
            raise InputError(
                f"{file} was written by another version of MLflow, which could not open it after an upgrade; carry its "
                f"runs into a new store: python -m textlab sync --from {shlex.quote(place)} --to NEW_FOLDER"
            )
        _bring_home(file, artifacts_uri(file))
        return
    if file_store_of(file.parent) == file.parent:
        raise InputError(
            f"{file.parent} holds runs in files, as older versions of MLflow wrote them; carry them into a new store: "
            f"python -m textlab sync --from {shlex.quote(str(file.parent))} --to NEW_FOLDER"
        )
    _make(file)


def file_store_of(folder: Path) -> Path | None:
    """Return MLflow's file store that a folder is or holds under the name `mlruns`; None when there is none."""
    for place in (folder, folder / "mlruns"):
        if any(file.parent.name.isdecimal() for file in place.glob("*/meta.yaml")):
            return place
    return None


def snapshot(file: Path, copy: Path) -> None:
    """Copy a store's file as it is at this moment; what the copy held before is replaced."""
    with closing(sqlite3.connect(file, timeout=60)) as store, closing(sqlite3.connect(copy, timeout=60)) as there:
        store.backup(there)


def modernise(copy: Path, original: Path) -> None:
    """Bring the copy of a store's file into the schema of this MLflow, with the addresses of artifacts mended.

    Args:
        copy: of the file.
        original: the file, beside which the artifacts lie.

    Raises:
        InputError: this MLflow does not know its schema, or it is no store.
    """
    with closing(sqlite3.connect(copy)) as store:  # as SQLite takes any file of less than a page
        if not store.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise InputError(f"{original} is no store of MLflow: it holds no tables; give the folder of one")
    if not _is_current(copy, original):
        engine = create_engine(sqlite_uri(copy))
        try:
            _upgrade_db(engine)
        except Exception as error:  # whatever a migration meets in foreign data, or a schema that it does not know
            reason = first_line(error)
            raise InputError(
                f"{original} was written by another MLflow, and this one cannot read it: {reason}"
            ) from None
        finally:
            engine.dispose()
    _bring_home(copy, artifacts_uri(original))
    _analyse(copy)


def _is_current(file: Path, name: Path) -> bool:
    """Tell whether a file has the schema of this MLflow, or no tables yet.

    Args:
        file: to look at.
        name: messages call it.

    Raises:
        InputError: it is a database of something else.
    """
    with closing(sqlite3.connect(file, timeout=60)) as store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not {"experiments", "runs"} <= tables:
            raise InputError(f"{name} is no store of MLflow but a database with the tables {show(sorted(tables))}")
        if "alembic_version" not in tables:
            return not tables
        return store.execute("SELECT version_num FROM alembic_version").fetchall() == [(_latest_schema(),)]


@lru_cache
def _latest_schema() -> str:
    return _get_latest_schema_revision()


def analyse(file: Path) -> None:
    """Let SQLite analyse what a store's file holds; without that it looks for a run's curve among those of all runs.

    With a thousand runs, reading the hundred curves of one took 1.4 seconds, and takes 0.06 afterwards.
    """
    _analyse_once(file, file.stat().st_size.bit_length())


def pack(file: Path, target: Path) -> Path:
    """Write a store, as it is at this moment, with all its files into one zip; return the path of the zip."""
    with machine.whole_file(target) as draft, TemporaryDirectory() as scratch, zipfile.ZipFile(draft, "w") as packed:
        copy = Path(scratch) / FILE_NAME
        snapshot(file, copy)
        packed.write(copy, FILE_NAME, zipfile.ZIP_DEFLATED)
        for path in sorted(path for path in (file.parent / "artifacts").rglob("*") if path.is_file()):
            packed.write(path, path.relative_to(file.parent))
    return target


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a zip into a folder; return the folder in it that holds a store.

    Raises:
        InputError: it is damaged, encrypted, packed in a way that cannot be read here, too large, or holds no store.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as packed:
            size, free = sum(entry.file_size for entry in packed.infolist()), shutil.disk_usage(folder).free
            if size > free:
                raise InputError(f"{path.name} would take {size:,} bytes in {folder}, where {free:,} are free")
            packed.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error) as error:
        raise InputError(f"{path.name} is damaged ({first_line(error)}); download or make it again") from None
    except (RuntimeError, OSError, ValueError) as error:  # encrypted, an unknown method, names that no file can have
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} cannot be unpacked ({first_line(error)}); make a plain zip of it") from None
    places = [file.parent for file in folder.rglob(FILE_NAME)]
    places = places or [file.parents[1] for file in folder.rglob("meta.yaml") if file.parent.name.isdecimal()]
    if not places:
        raise InputError(
            f"{path.name}: no {FILE_NAME} and no mlruns is in this zip; accepted is the zip of a folder with a store"
        )
    return min(places, key=lambda place: (len(place.parts), str(place)))


def _make(file: Path) -> None:
    """Make an empty store aside and put it in its place when it is whole: MLflow cannot go on with a half-made one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with FileLock(f"{file}.lock"):
            if file.exists():  # another process was faster
                return
            MlflowClient(sqlite_uri(draft)).set_experiment_tag("0", PORTABLE_TAG, "yes")  # MLflow's own "Default"
            with closing(sqlite3.connect(draft)) as store, store:
                store.execute("UPDATE experiments SET artifact_location = ?", (artifacts_uri(file),))
            draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def _bring_home(file: Path, home: str) -> None:
    """Rewrite, in one transaction, the artifact addresses of a store whose folder was moved, copied or unzipped.

    MLflow records absolute addresses. The experiments with the portable tag say where the artifacts were; `home` is
    where they are.
    """
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
def _analyse_once(file: Path, magnitude: int) -> None:  # again when the file has doubled
    _analyse(file)


def _analyse(file: Path) -> None:
    with (
        suppress(sqlite3.DatabaseError),  # a file that is read-only, or damaged there, is slow but can be read
        closing(sqlite3.connect(file, timeout=60)) as store,
        store,
    ):
        # Of fewer rows SQLite infers curves shorter than they are, and goes on as before.
        store.execute("PRAGMA analysis_limit = 20000")
        store.execute("ANALYZE")
