"""Addresses of stores and databases: SQLite's are built and read here alone, by SQLAlchemy, whatever a path holds."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .. import machine
from ..errors import InputError

#: How a store's file is called, unless a user names another one in an SQLite URI.
FILE_NAME = "mlflow.db"
#: The most letters of an address.
LONGEST = 2000


def default_uri() -> str:
    """Return the address of the project's own store, an SQLite file under the outputs folder."""
    return store_uri(machine.outputs_root() / "mlflow")


def store_uri(folder: Path) -> str:
    """Return the address of the SQLite store in a folder."""
    return sqlite_uri(Path(folder) / FILE_NAME)


def exists(uri: str) -> bool:
    """Tell whether a local store has been made."""
    return file_of(uri).is_file()


def sqlite_uri(file: Path) -> str:
    """Return the address of an SQLite file.

    >>> sqlite_uri(Path("/my runs/mlflow.db")), sqlite_uri(Path("/my%20runs/Ä?/mlflow.db"))
    ('sqlite:////my runs/mlflow.db', 'sqlite+pysqlite:////my%2520runs/%C3%84%3F/mlflow.db')

    Raises:
        InputError: the path is not UTF-8.
    """
    url = URL.create("sqlite", database=str(Path(file).absolute()))
    try:
        text = str(url)
    except UnicodeEncodeError:
        raise InputError(f"{file} is not UTF-8, and no store can lie there; choose another name") from None
    # MLflow would make a folder of the escaped name, unless the address names SQLite's usual driver.
    return str(url.set(drivername="sqlite+pysqlite")) if "%" in text else text


def file_of(uri: str) -> Path | None:
    """Return the file of an SQLite store, or None for any other store.

    Raises:
        InputError: the address names no file, or may name either of two.
    """
    if not re.match(r"sqlite(\+\w+)?:", uri):
        return None
    url, literal = parsed(uri), Path(uri.partition(":///")[2]).absolute()
    if not url.database or url.database.startswith((":memory:", "file:")) or "?" in uri:
        raise InputError(f"{uri} names no file; accepted is sqlite:///FILE, with %3F for a question mark, or a path")
    file = Path(url.database).absolute()
    other = literal if literal.parent == file.parent else literal.parent
    if url.drivername == "sqlite" and literal != file and other.exists():
        raise InputError(f"{uri} may mean {file} or {literal}; write {sqlite_uri(file)} or {sqlite_uri(literal)}")
    return file


def parsed(address: str) -> URL:
    """Return an address in its parts.

    Raises:
        InputError: it is no address, or what its user name and password hold cannot be told from the rest.
    """
    if len(address) > LONGEST:
        raise InputError(f"an address of {len(address):,} letters is none of a store; accepted are {LONGEST:,}")
    user = re.match(r"[\w+.-]+://([^/?#]*:(?!\d+[/?#]).*)@", address, re.DOTALL)
    if (user and re.search("[/?#@]", user[1])) or (re.search(r"\s", address) and not address.startswith("sqlite")):
        raise InputError(
            "the address of a store has a blank, or one of @ / ? # in its password; write %20, %40, %2F, %3F or %23"
        )
    try:
        return make_url(address)
    except (ArgumentError, ValueError) as error:  # a port that is no number
        raise InputError(f"{address} is no address of a store ({error}); an example is http://127.0.0.1:5000") from None
