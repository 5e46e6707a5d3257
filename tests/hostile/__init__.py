"""Odd inputs for the command line, each with the exit status that it has to get, and a child process to try them in.

A case fills a folder of its own and gives the arguments. The child is a fork of a process that has imported everything,
so that a case costs what the command itself does. A terminal that says yes to every question is its standard input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import constants

from textlab import __main__, data, hub, settings, training
from textlab.errors import InputError, first_line
from textlab.machine import environment
from textlab.notebooks import jobs

#: Stands in secrets: passwords in addresses, and files outside the folders that a command is given.
CANARY = "kanarienvogel"
#: A command that takes longer hangs.
SECONDS = 20
#: Memory, beside that of the imports, that a case may take.
MEMORY = 4 << 30


@dataclass(frozen=True)
class Place:
    """The folder of a case: what is given to the command, what it may write, and a secret that is none of its business.

    Args:
        root: the working directory of the command.
        stock: what is made once for all cases: a model, a store, a record.
    """

    root: Path
    stock: Path

    @property
    def given(self) -> Path:
        return self.root / "given"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def secret(self) -> Path:
        return self.root / "secret" / "secret.txt"

    @property
    def marker(self) -> Path:
        """Exists if code of an input was run."""
        return self.root / "marker"

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file into the given folder and return its path."""
        file = self.given / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return str(file)


@dataclass(frozen=True)
class Case:
    """An odd input.

    Args:
        kind: of input, such as `settings`.
        name: of the case within its kind.
        arguments: fills a place, and returns the arguments of the command.
        exits: the exit statuses that are right.
        report: the command prints a report of many lines by intention.
        writes: files outside its output folder that it may change.
        stdout: `file`, or one that cannot be written: `closed`, `full`, `pipe`.
    """

    kind: str
    name: str
    arguments: Callable[[Place], list[str]]
    exits: tuple[int, ...] = (2,)
    report: bool = False
    writes: tuple[str, ...] = ()
    stdout: str = "file"

    @property
    def id(self) -> str:
        return f"{self.kind}-{re.sub(r'[^a-zA-Z0-9_.=-]+', '_', self.name)[:80]}"


@dataclass
class Done:
    """What came of a case."""

    arguments: list[str]
    status: int  # exit status; 70 an exception, 124 it hung, negative: the signal that ended it
    out: str
    err: str
    faults: list[str] = field(default_factory=list)  # what is wrong, a sentence each


def run(case: Case, place: Place) -> Done:
    """Run a case in a child, and return what came of it and what is wrong with that."""
    for folder in (place.given, place.out, place.root / "home", place.root / "tmp", place.secret.parent):
        folder.mkdir(parents=True)
    place.secret.write_text(f"{CANARY}\n")
    arguments = case.arguments(place)
    before = _files(place.root)
    status = _fork(case, place, arguments)
    out, err = ((place.root / "home" / name).read_text("utf-8", "replace") for name in ("stdout", "stderr"))
    done = Done(arguments, status, out, err)
    done.faults += [f"exit status {status} instead of {' or '.join(map(str, case.exits))}"] * (status not in case.exits)
    done.faults += ["a traceback"] * ("Traceback (most" in out + err)
    lines = [line for line in (err if case.report or status == 0 else out + err).splitlines() if line.strip()]
    done.faults += [f"{len(lines)} lines"] * (len(lines) > 3 and not (case.report and status == 0))
    done.faults += ["a line of more than 1600 characters"] * any(len(line) > 1600 for line in lines)
    done.faults += ["no word about it"] * (status not in (0, 124) and not (out + err).strip() and case.stdout == "file")
    done.faults += ["control characters are shown"] * bool(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", err))
    done.faults += ["the secret is shown"] * (CANARY in out + err)
    after = _files(place.root)
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    mine = ("out/", "home/")
    done.faults += [f"{name} was written or changed" for name in changed if not name.startswith((*mine, *case.writes))][
        :3
    ]
    written = [place.root / name for name in after if name.startswith(mine) and after[name][0] == "file"]
    done.faults += [f"{file} holds the secret" for file in written if CANARY.encode() in file.read_bytes()][:3]
    return done


def _files(root: Path) -> dict[str, tuple]:
    """Return path -> what changes when a file does. Files of SQLite beside a database may come and go."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            kind = "file" if os.path.isfile(path) and not os.path.islink(path) else "other"
            if not name.endswith(("-wal", "-shm", "-journal")):
                found[os.path.relpath(path, root)] = (kind, facts.st_size, facts.st_mtime_ns)
    return found


def _fork(case: Case, place: Place, arguments: list[str]) -> int:
    master, slave = os.openpty()
    os.write(master, b"y\n" * 20)
    sys.stdout.flush(), sys.stderr.flush()
    child = os.fork()
    if not child:
        try:
            os._exit(_child(case, place, arguments, slave))
        finally:  # whatever happens, this process is not the parent
            os._exit(71)
    os.close(slave)
    end, state = time.monotonic() + SECONDS, 0
    pause = 0.005
    while not (found := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(master)
            return 124
        time.sleep(pause)
        pause = min(0.05, pause * 1.2)
    state = found[1]
    with contextlib.suppress(ProcessLookupError):  # what it has started ends with it
        os.killpg(child, signal.SIGKILL)
    os.close(master)
    return os.waitstatus_to_exitcode(state)


def _child(case: Case, place: Place, arguments: list[str], stdin: int) -> int:
    """Be the command, in a process that has nothing of the test's: streams, folders, warnings, signals."""
    status = 70
    try:
        os.setsid()
        _take_streams(case, place, stdin)
        _go_home(place)
        with warnings.catch_warnings():  # as the interpreter has them at its start
            warnings.resetwarnings()
            for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", kind)
            try:
                status = __main__.main(arguments)
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except OSError:
        status = 120  # as the interpreter does
    return status


def _take_streams(case: Case, place: Place, stdin: int) -> None:
    os.dup2(stdin, 0)
    os.dup2(os.open(place.root / "home" / "stderr", os.O_WRONLY | os.O_CREAT), 2)
    os.dup2(os.open(place.root / "home" / "stdout", os.O_WRONLY | os.O_CREAT), 1)
    if case.stdout == "closed":
        os.close(1)
    elif case.stdout == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    elif case.stdout == "pipe":
        reading, writing = os.pipe()
        os.dup2(writing, 1), os.close(reading), os.close(writing)
    sys.stdin = open(0, closefd=False)
    sys.stdout = None if case.stdout == "closed" else open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    for logger in [logging.root, *loggers]:
        for handler in list(logger.handlers):
            if type(handler).__module__.startswith("_pytest"):
                logger.removeHandler(handler)
            elif type(handler) is logging.StreamHandler:
                handler.stream = sys.stderr


def _go_home(place: Place) -> None:
    """Let everything that is written for itself go to the case's home: outputs, the Hub's cache, temporary files."""
    home = place.root / "home"
    constants.HF_HUB_CACHE, constants.HF_TOKEN_PATH = str(home / "hub"), str(home / "token")
    constants.ENDPOINT = "http://127.0.0.1:9"
    constants.HUGGINGFACE_CO_URL_TEMPLATE = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    os.environ.update(HOME=str(home), TEXTLAB_OUTPUTS=str(home / "outputs"), TMPDIR=str(place.root / "tmp"))
    tempfile.tempdir = None
    os.chdir(place.root)
    with open("/proc/self/statm") as pages:
        used = int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _stand_in_for_kernels()


def _stand_in_for_kernels() -> None:
    """Let the notebooks' first cells be done here: parameters, data and model are read, and nothing is trained."""

    def run(notebook: str, values: dict) -> None:
        cfg = settings.parameters.check(notebook, settings.parameters.defaults(notebook) | values)
        environment.quiet()
        if notebook != "02_fine_tuning":
            return
        texts = data.load(cfg.dataset, cfg.text_column, cfg.label_column, cfg.seed, cfg.max_train_rows, None)
        if cfg.model != "packaged":
            source = hub.resolve_model(cfg.model)
            tokenizer = training.load_tokenizer(source)
            recipe, _ = training.suit(settings.from_params(cfg), texts.splits["train"], tokenizer, source)
            data.tokenize(texts.splits, tokenizer, recipe.max_length)
            training.load_model(source, texts.labels, recipe, cfg.seed)

    def run_all(prepared, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for notebook, values in prepared.items():
            try:
                run(notebook, values)
            except InputError as error:
                print(first_line(error), file=sys.stderr)
                return [jobs.Outcome(notebook, 0, "InputError", str(error))]
        return [jobs.Outcome("all", 0)]

    jobs.run_all = run_all
