"""MLflow's pages of a local store: in a browser on this machine, and in Colab."""

from __future__ import annotations

import atexit
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import InputError
from ..machine import colab, processes
from . import local_store, store
from .stale_runs import close_stale


def serve(uri: str, port: int = 5000, browse: bool = True) -> int:
    """Serve a local store's pages on this machine alone, until Ctrl-C or SIGTERM; return the exit status.

    Args:
        uri: address of the store.
        port: wanted; a free one is taken when something listens there already.
        browse: open the address in the browser of a desktop.

    Raises:
        InputError: the store is a server itself.
    """
    port = processes.free_port(port)
    server = start_server(uri, port)
    try:
        if not processes.wait_for_server(server, port):
            print(f"textlab: the server stopped with status {server.returncode}", file=sys.stderr)
            return 1
        processes.announce(f"http://127.0.0.1:{port}", browse)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        processes.stop(server)


def start_server(uri: str, port: int, hosts: Sequence[str] = ()) -> subprocess.Popen:
    """Start a server of a local store's pages for this machine alone.

    `processes.stop` ends it, and so does the end of this process, whatever that is.

    Args:
        uri: address of the store.
        port: a free one.
        hosts: further names, with their port if they have one, under which a proxy hands its requests on.

    Raises:
        InputError: the store is a server itself, or is not there.
    """
    file = store.file_of(uri)
    if not file:
        raise InputError(
            f"{store.short(uri)} is not a store on this machine; if it is a server, open its address in a browser"
        )
    client = store.open_client(uri, create=False)
    local_store.analyse(file)
    close_stale(client, [experiment.experiment_id for experiment in client.search_experiments()])
    options = {
        "--backend-store-uri": uri,
        "--default-artifact-root": local_store.artifacts_uri(file),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        # Exact hosts, since MLflow's own patterns accept names that merely look like private addresses.
        "--allowed-hosts": ",".join([f"127.0.0.1:{port}", f"localhost:{port}", *hosts]),
    }
    if hosts:
        options["--cors-allowed-origins"] = ",".join(f"https://{host}" for host in hosts)
    return processes.start_bound(
        "mlflow", ["server", *chain(*options.items())], MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
    )


def pages(uri: str) -> str:
    """Return in a sentence where MLflow's pages are; in Colab, a server of this machine's store is started for them.

    Args:
        uri: address of the store.
    """
    if not store.file_of(uri):
        return f"MLflow's own pages are those of {store.short(uri)}."
    if not colab.inside():
        folder = "" if uri == store.default_uri() else f" {store.named(uri)}"
        return f"For MLflow's own pages, in a terminal: python -m textlab ui{folder}"
    from google.colab import output  # Colab alone has it

    port = processes.free_port(5000)
    try:
        address = output.eval_js(f"google.colab.kernel.proxyPort({port})", timeout_sec=60)
    except Exception as error:  # whatever Colab raises when no browser answers
        return f"MLflow's own pages cannot be shown: no browser answers ({type(error).__name__}); run this cell again."
    server = start_server(uri, port, [urlsplit(address).netloc])
    atexit.register(processes.stop, server)
    if not processes.wait_for_server(server, port):
        return f"MLflow's own pages cannot be shown: the server stopped with status {server.returncode}."
    return f"MLflow's own pages, as long as this notebook runs: {address}"


def download(uri: str, file: Path) -> str:
    """Let the browser download a store of this machine as one zip, in Colab; return in a sentence what to do with it.

    Args:
        uri: address of the store.
        file: where the zip is made.
    """
    local = store.file_of(uri)
    if not local:
        return f"Nothing to download: the runs are on {store.short(uri)}."
    if not colab.inside():
        return "Nothing to download: this is not Colab, and the runs are on this machine already."
    from google.colab import files  # Colab alone has it

    files.download(str(local_store.pack(local, file)))
    return f"Downloading {file.name}. At home: python -m textlab sync --from {file.name} --to outputs"
