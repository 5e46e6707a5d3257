"""What is different in Google Colab: pages are seen through its port proxy, and files leave it as a download."""

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from urllib.parse import urlsplit

from . import store


def inside() -> bool:
    """Tell whether this runs in Colab."""
    return "google.colab" in sys.modules


def pages(uri: str) -> str:
    """Return in a sentence where MLflow's pages are; in Colab, a server of this machine's store is started for them.

    Args:
        uri: of the store.
    """
    if not store.is_local(uri):
        return f"MLflow's own pages are those of {store.short(uri)}."
    if not inside():
        folder = "" if uri == store.default_uri() else f" {Path(store.short(uri.removeprefix('sqlite:///'))).parent}"
        return f"To see all this in MLflow's own pages: python -m textlab ui{folder}"
    from google.colab import output

    port = store.free_port(5000)
    try:
        address = output.eval_js(f"google.colab.kernel.proxyPort({port})", timeout_sec=60)
    except Exception as error:  # whatever Colab raises when no browser answers
        return f"MLflow's own pages cannot be shown: no browser answers ({type(error).__name__}); run this cell again."
    server = store.start_server(uri, port, [urlsplit(address).netloc])
    atexit.register(store.stop, server)
    if not store.wait_for_server(server, port):
        return f"MLflow's own pages cannot be shown: the server stopped with status {server.returncode}."
    return f"MLflow's own pages, as long as this notebook runs: {address}"


def download(uri: str, file: Path) -> str:
    """Let the browser download a store of this machine as one zip, in Colab; return in a sentence what to do with it.

    Args:
        uri: of the store.
        file: where the zip is made.
    """
    if not inside() or not store.is_local(uri):
        return "Nothing to download: " + (f"the runs are on {store.short(uri)}." if not store.is_local(uri) else
                                          "this is not Colab, and the runs are on this machine already.")
    from google.colab import files

    files.download(str(store.pack(uri, file)))
    return f"Downloading {file.name}. At home: python -m textlab sync --from {file.name} --to outputs"
