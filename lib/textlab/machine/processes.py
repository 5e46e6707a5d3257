"""Processes of this machine: their identity, whether they still run, how they are ended, and free ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

from ..errors import InputError

#: Runs a module, and ends it with all that it started when the pipe from its parent closes: at the parent's end.
_BOUND = """
import os, runpy, signal, sys, threading

def watch():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=watch, daemon=True).start()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def owner() -> str:
    """Return host, process id and start time of this process: together, no later process has them."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.2f}"


def gone(owner: str) -> bool:
    """Return whether the process that `owner` names has ended; False for those of other machines, and other texts."""
    named = re.fullmatch(r"(\S+) (\d{1,9}) (\d+\.\d+)", owner)
    if not named or named[1] != socket.gethostname():
        return False
    pid, started = named[2], named[3]
    try:
        known = psutil.Process(int(pid))
        return known.status() == psutil.STATUS_ZOMBIE or abs(known.create_time() - float(started)) > 2
    except psutil.NoSuchProcess:
        return True


def start_bound(module: str, arguments: Sequence[str], **environment: str) -> subprocess.Popen:
    """Start a module of Python, without output, that ends with this process, even if that is killed.

    It leads a session of its own; `stop` ends it earlier.

    Args:
        module: to run, as `python -m` does.
        arguments: of the module.
        environment: variables for it beside those of this process.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _BOUND, module, *arguments],
        env=os.environ | environment,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_server(server: subprocess.Popen, port: int) -> bool:
    """Wait until a server answers; return False when it has stopped instead."""
    while server.poll() is None and not _answers(port):
        time.sleep(0.2)
    return server.poll() is None


def stop(process: subprocess.Popen, seconds: float = 10) -> None:
    """End a process that leads a session of its own, and all that it started: with SIGTERM, then with SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(seconds)


@contextmanager
def ends_softly() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    usual = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)
    if stop.is_set():
        raise KeyboardInterrupt


def free_port(wanted: int) -> int:
    """Return a port that nothing on this machine listens on: the wanted one if it is free."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return listener.getsockname()[1]
    raise InputError("no port of this machine is free")


def announce(address: str, browse: bool) -> None:
    """Print the address of a server that runs until Ctrl-C, and open it in the browser of a desktop if wanted."""
    print(f"{address}  (Ctrl-C stops it)", flush=True)
    if browse and (sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)):
        webbrowser.open(address)


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
