"""What is different on a hosted machine such as Colab: packages are there already, pages are seen through a proxy, files
leave it as a download."""

from __future__ import annotations

import atexit
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from . import InputError, runtime  # nothing that is not there before `install`

#: Packages that a hosted machine ships and its other packages rely on: whatever version is there stays.
KEPT = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "matplotlib",
    "ipykernel",
    "ipywidgets",
    "psutil",
    "PyYAML",
    "Jinja2",
)
#: Packages that are only of use on a machine of one's own.
LEFT_OUT = ("jupyterlab", "nbval")


def install() -> None:
    """Install the project here and what the machine lacks, and say what that was; packages that are newer stay as they are.

    Raises:
        InputError: a package was replaced that this session has loaded already.
    """
    wanted = needed((runtime.project_root() / "requirements.txt").read_text(encoding="utf-8"))
    print(
        f"Installing what is missing here, a minute or two: {', '.join(wanted)}"
        if wanted
        else "All packages are here.",
        flush=True,
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    if wanted:
        subprocess.run([*pip, *wanted], check=True)
    try:
        importlib.metadata.version("textlab")
    except importlib.metadata.PackageNotFoundError:  # it is wanted by the processes that notebooks start
        subprocess.run([*pip, "--no-deps", "-e", str(runtime.project_root())], check=True)
    if loaded := [
        name for name in (re.split(r"[\[=]", one)[0] for one in wanted) if name.lower().replace("-", "_") in sys.modules
    ]:
        raise InputError(
            f"{', '.join(loaded)} was replaced, and this session has the old one: restart the session and run all again"
        )


def needed(requirements: str) -> list[str]:
    """Return which requirements, lines of `name==version`, a machine lacks: not there, or older and not one of `KEPT`."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    found = []
    for line in (text.partition("#")[0].strip() for text in requirements.splitlines()):
        if not line or line.startswith("-") or (wanted := Requirement(line)).name in LEFT_OUT:
            continue
        try:
            here = Version(importlib.metadata.version(wanted.name))
        except importlib.metadata.PackageNotFoundError:
            here = None
        (pin,) = wanted.specifier
        if here is None or (here < Version(pin.version) and wanted.name not in KEPT):
            found.append(line)
    return found


def inside() -> bool:
    """Tell whether this runs in Colab."""
    return "google.colab" in sys.modules


def pages(uri: str) -> str:
    """Return in a sentence where MLflow's pages are; in Colab, a server of this machine's store is started for them.

    Args:
        uri: of the store.
    """
    from . import store

    if not store.is_local(uri):
        return f"MLflow's own pages are those of {store.short(uri)}."
    if not inside():
        folder = "" if uri == store.default_uri() else f" {store.named(uri)}"
        return f"For MLflow's own pages, in a terminal: python -m textlab ui{folder}"
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
    from . import store

    if not inside() or not store.is_local(uri):
        return "Nothing to download: " + (
            f"the runs are on {store.short(uri)}."
            if not store.is_local(uri)
            else "this is not Colab, and the runs are on this machine already."
        )
    from google.colab import files

    files.download(str(store.pack(uri, file)))
    return f"Downloading {file.name}. At home: python -m textlab sync --from {file.name} --to outputs"
