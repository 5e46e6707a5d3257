"""The store that runs come from: it is read from a copy, and of this machine only what lies in its folder is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from ...errors import InputError, show
from .. import local_store, store
from . import file_store

#: Where the files of a server's runs may be: with the server itself, or in a cloud that it names.
_WITH_A_SERVER = ("mlflow-artifacts", "s3", "gs", "wasb", "wasbs", "abfs", "abfss", "r2", "dbfs", "hdfs")


@dataclass(frozen=True)
class Source:
    """A store that is read, and never written to.

    Args:
        client: of the store or of its copy.
        root: the folder of a store on this machine, the only one whose files are read; None for a server.
        copy: the database that the client reads, if it is a copy.
        failed: what could not be copied -> why.
    """

    client: MlflowClient
    root: Path | None = None
    copy: Path | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def folder_of(self, address: str | None) -> Path | None:
        """Return the folder of artifacts on this machine; None when they are with the server.

        Args:
            address: of the artifacts, as the store holds it.

        Raises:
            InputError: they are somewhere else; a foreign store must not say which files of this machine are copied.
        """
        parts = urlsplit(address or "")
        if self.root is None and parts.scheme in _WITH_A_SERVER:
            return None
        if self.root is None:
            advice = "give --from the folder of the server's store"
            raise InputError(f"they are at {show(address)}, not with the server: never read; {advice}")
        served = self.root / "mlartifacts"  # where a server keeps them by default
        schemes = ("", "file", "mlflow-artifacts") if served.is_dir() else ("", "file")
        if address and parts.scheme in schemes and parts.netloc in ("", "localhost"):
            if parts.scheme == "mlflow-artifacts":
                path = served / unquote(parts.path).lstrip("/")
            else:
                path = self.root / local_file_uri_to_path(address)
            if folder := next((one for one in (path, *self._moved(path)) if self.may_hold(one)), None):
                return folder
        raise InputError(f"they are at {show(address)}, outside of the store's folder {self.root}: never read")

    def may_hold(self, path: Path) -> bool:
        """Tell whether a path is below the store's folder, wherever links on the way lead.

        That folder may be a home folder: what is hidden in it is not the store's.
        """
        path, root = path.resolve(), self.root.resolve()
        inside = path.relative_to(root).parts if path.is_relative_to(root) else ()
        return bool(inside) and not any(part.startswith(".") for part in inside)

    def listed(self, what: str, search: Callable, *arguments: Any, rows: Rows, attempt: Callable) -> list[Any]:
        """Return everything that a search returns; what MLflow cannot read of a copy is left out and named.

        Args:
            what: is searched for.
            search, arguments: of the client.
            rows: where the same stands in the copy.
            attempt: calls a function, and remembers under a name why it failed.
        """
        try:
            return list(store.paged(search, *arguments))
        except Exception:  # MLflow raises whatever it meets in a damaged row
            if not self.copy:
                raise
        found: list[Any] = []
        for key in rows.keys(self.copy):
            attempt(f"{what} {' '.join(map(str, key))}", lambda key: found.append(rows.get(*key)), key)
        return found

    def _moved(self, path: Path) -> list[Path]:
        """Return where files of a store that was moved may be: under the last parts of their path, two at least."""
        parts = path.parts
        candidates = [self.root.joinpath(*parts[start:]) for start in range(1, len(parts) - 1) if ".." not in parts]
        # A run without files has no folder, but that of its experiment may be there.
        empty = [one for one in candidates if self.root not in (one.parent, one.parents[1]) and one.parents[1].is_dir()]
        return [one for one in candidates if one.is_dir()] or empty


@dataclass(frozen=True)
class Rows:
    """Rows of a table, which can be read one by one.

    Args:
        query: SQL that selects their keys.
        get: returns what a key stands for.
        values: of the query.
    """

    query: str
    get: Callable[..., Any]
    values: Sequence[Any] = ()

    def keys(self, file: Path) -> list[tuple]:
        with closing(sqlite3.connect(file)) as database:
            return database.execute(self.query, self.values).fetchall()


def open_source(uri: str, scratch: Path) -> Source:
    """Open a store to read from; one on this machine is copied first, in the schema of this MLflow.

    Args:
        uri: address of the store.
        scratch: folder for the copy; the same one may be used again for the same store.

    Raises:
        InputError: there is no such store, no answer, or no MLflow could read it.
    """
    if not (file := store.file_of(uri)):
        return Source(store.open_client(uri, create=False))
    copy, failed = scratch / local_store.FILE_NAME, {}
    with store.one_line_errors(uri):
        if file.is_file():
            local_store.snapshot(file, copy)
            if others := local_store.file_store_of(file.parent):
                among_them = f"move {file.name} and artifacts out of it"
                advice = among_them if others == file.parent else "give that folder as --from"
                failed = {f"the runs of {others}": f"they are in files beside the database; {advice}"}
        elif runs := local_store.file_store_of(file.parent):
            failed = file_store.convert(runs, scratch / "converted.db")
            local_store.snapshot(scratch / "converted.db", copy)
        else:
            return Source(store.open_client(uri, create=False))  # it says that there is none
        local_store.modernise(copy, file)
        address = store.store_uri(scratch)
        return Source(MlflowClient(address, address), file.parent, copy, failed)
