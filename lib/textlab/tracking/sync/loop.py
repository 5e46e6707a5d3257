"""A sync on request: once, watching until it is stopped, or in a process of its own beside a training."""

from __future__ import annotations

import os
import select
import shlex
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ...errors import IncompleteError, InputError, NoAnswerError, first_line
from ...machine import processes
from .. import store
from .once import carry

#: Seconds between two passages of a sync that watches.
_PAUSE = 10
#: The exit status of a sync beside a training that ends because a server does not answer.
NO_ANSWER = 3


def sync(source: str, target: str, experiment: str = "", watch: bool = False, until_eof: bool = False) -> str:
    """Carry what the target does not have yet, and return in one sentence what that was.

    Args:
        source, target: stores, as `store.locate` takes them.
        experiment: the only one to carry; empty means all, with all registered models.
        watch: go on, and carry what comes, until Ctrl-C.
        until_eof: with watch, stop when the standard input ends, after carrying the rest.

    Raises:
        InputError: a store or the experiment is not there, or does not answer, which is a `NoAnswerError`; with watch,
            only the last passage raises it, and those before print it.
        IncompleteError: something could not be carried.
    """
    if target.lower().endswith(".zip"):
        raise InputError(
            f"--to: {target} is a zip; accepted is a folder, an SQLite URI or a server; zip the folder afterwards"
        )
    with TemporaryDirectory(prefix="store-") as unpacked, TemporaryDirectory(prefix="copy-") as scratch:
        uris = [store.locate(text, Path(unpacked)) for text in (source, target)]
        if uris[0].rstrip("/") == uris[1].rstrip("/"):
            raise InputError(f"--from and --to are the same store, {store.short(uris[0])}")
        if watch:
            _watch(*uris, experiment, Path(scratch), until_eof)
        try:
            return carry(*uris, experiment, Path(scratch))
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            kind = NoAnswerError if store.unanswered(error) else InputError
            raise kind(store.short(first_line(error))) from None


def _watch(source: str, target: str, experiment: str, scratch: Path, until_eof: bool) -> None:
    """Carry again and again until the standard input ends, or for ever; print what was carried when it differs."""
    last_line, ended = "", False
    while not ended:
        try:
            line = carry(source, target, experiment, scratch)
        except (IncompleteError, InputError, MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            line = f"waiting: {store.short(first_line(error))}"
        if line != last_line:
            print(line, flush=True)
        last_line, ended = line, _pause(until_eof)


def _pause(until_eof: bool) -> bool:
    """Wait; return at once, and True, when the standard input ends."""
    if until_eof:
        return bool(select.select([sys.stdin], [], [], _PAUSE)[0])
    time.sleep(_PAUSE)
    return False


class Live:
    """A sync in a process of its own beside a training, to which a target that does not answer costs nothing.

    Args:
        source: the store that is recorded in.
        target: where the runs go; empty means that they stay.
        experiment: the one to carry.
        log: file for what it prints.

    Raises:
        InputError: the target is the source, or no store at all.
    """

    def __init__(self, source: str, target: str, experiment: str, log: Path) -> None:
        self.target, self.process, self._log = target, None, log
        there = store.locate(target) if target else ""
        if there.rstrip("/") == source.rstrip("/"):
            raise InputError(f"sync_to: {store.short(there)} is the store that is recorded in; name another, or none")
        to = store.named(there) if there else "STORE"
        options = f"--from {store.named(source)} --to {to} --experiment {shlex.quote(experiment)}"
        self._later = f"python -m textlab sync {options}"
        if target:
            self.process = _start(["--from", source, "--to", target, "--experiment", experiment], log)

    def finish(self, seconds: float = 60) -> str:
        """Let it carry the rest, for a bounded time, and return in one sentence what is left to do."""
        if not self.process:
            return f"The runs are in this store only. To carry them to another: {self._later}"
        self.process.stdin.close()
        try:
            status = self.process.wait(seconds)
            if status == 0:
                return f"All runs have been carried to {store.short(self.target)}."
            when = "it answers" if status == NO_ANSWER else f"what {self._log.name} names is mended"
        except subprocess.TimeoutExpired:
            when = "it answers"
            processes.stop(self.process)
        return f"{store.short(self.target)} does not have all runs yet. Once {when}: {self._later}"


def _start(options: list[str], log: Path) -> subprocess.Popen:
    """Start a sync that watches until its standard input ends."""
    command = [sys.executable, "-m", "textlab", "sync", *options, "--watch", "--until-eof"]
    with log.open("w", encoding="utf-8") as lines:
        # It has no session of its own: Linux would give that as much time as the training.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=lines, stderr=lines, process_group=0)
    if os.name == "posix":
        psutil.Process(process.pid).nice(19)  # training goes first
    return process
