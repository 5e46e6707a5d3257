"""Hosted machines, with a stand-in for Colab's own module: what is installed, the pages and the zip of a store."""

import importlib.util
import os
import re
import subprocess
import sys
import types
import urllib.error
import urllib.request

import pytest

from conftest import ROOT
from mlflow_stores import content, fill
from textlab.errors import InputError
from textlab.machine import colab, processes
from textlab.notebooks import address
from textlab.tracking import server, store, sync

HOST = "abc-5000.colab.example"


@pytest.fixture
def in_colab(monkeypatch):
    """Return what is downloaded, and the ports that pages were asked for."""
    downloads, ports = [], []

    def eval_js(code, timeout_sec):
        ports.append(int(re.fullmatch(r"google\.colab\.kernel\.proxyPort\((\d+)\)", code)[1]))
        return f"https://{HOST}/"

    module = types.ModuleType("google.colab")
    module.output, module.files = (
        types.SimpleNamespace(eval_js=eval_js),
        types.SimpleNamespace(download=downloads.append),
    )
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return downloads, ports


def test_a_store_leaves_colab_as_one_zip_and_is_carried_on_at_home(tmp_path, in_colab):
    here, home = f"sqlite:///{tmp_path / 'vm' / 'runs.db'}", store.store_uri(tmp_path / "home")
    fill(here)
    said = server.download(here, tmp_path / "runs.zip")
    assert in_colab[0] == [str(tmp_path / "runs.zip")] and "sync --from runs.zip --to outputs" in said
    sync.sync(in_colab[0][0], home)
    assert content(home) == content(here)


def test_pages_are_served_to_the_proxy_and_to_nobody_else(tmp_path, in_colab, monkeypatch):
    servers = []
    monkeypatch.setattr(server.atexit, "register", lambda stop, started: servers.append(started))
    uri = store.store_uri(tmp_path)
    store.open_client(uri)
    try:
        assert server.pages(uri) == f"MLflow's own pages, as long as this notebook runs: https://{HOST}/"

        def status(host, **headers):
            request = urllib.request.Request(
                f"http://127.0.0.1:{in_colab[1][0]}/api/2.0/mlflow/experiments/search",
                b'{"max_results": 1}',
                {"Host": host, "Content-Type": "application/json"} | headers,
            )
            try:
                return urllib.request.urlopen(request, timeout=30).status
            except urllib.error.HTTPError as error:
                return error.code

        assert status(HOST, Origin=f"https://{HOST}") == 200
        assert status("evil.example") == 403 and status(HOST, Origin="https://evil.example") == 403
    finally:
        for started in servers:
            processes.stop(started)
    assert len(servers) == 1


def test_without_a_browser_there_is_a_sentence_and_no_error(tmp_path, in_colab, monkeypatch):
    def eval_js(code, timeout_sec):
        raise TimeoutError

    monkeypatch.setattr(sys.modules["google.colab"].output, "eval_js", eval_js)
    assert "no browser answers (TimeoutError)" in server.pages(store.store_uri(tmp_path))


def test_elsewhere_it_says_what_to_do(tmp_path):
    uri = store.store_uri(tmp_path)
    assert server.pages(uri).endswith(f"python -m textlab ui {tmp_path}") and "not Colab" in server.download(
        uri, tmp_path / "x.zip"
    )
    assert (
        server.pages("https://user:secret@mlflow.example")
        == "MLflow's own pages are those of https://***@mlflow.example."
    )
    assert not (tmp_path / "x.zip").exists()


# The set-up cell


#: The address to clone from, on this machine; none, where a zip was uploaded; one that does not answer.
ADDRESSES = {"clone": ROOT.as_uri(), "zip": "", "offline": "file:///nowhere"}


@pytest.fixture
def commands(monkeypatch):
    """Gather the commands that would be run, instead of running them."""
    gathered = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: gathered.append(list(map(str, command))))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return gathered


@pytest.mark.parametrize("way", ADDRESSES)
def test_the_set_up_cell_installs_nothing_where_all_is_there(way, in_colab, commands, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(address.set_up_cell(ADDRESSES[way]), {})
    assert commands == [] and capsys.readouterr().out == "All packages are here.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ADDRESSES)
def test_the_set_up_cell_does_nothing_elsewhere(way, commands, capsys):
    path = [*sys.path]
    exec(address.set_up_cell(ADDRESSES[way]), {})
    assert (commands, sys.path, capsys.readouterr().out) == ([], path, "")


def hosted(folder, way):
    """Run a set-up cell in a bare Python in a folder, as on a hosted machine; what pip would do is only printed."""
    before = (
        "import sys, types, subprocess\n"
        "sys.modules['google.colab'], real = types.ModuleType('google.colab'), subprocess.run\n"
        "subprocess.run = lambda c, **o: real(c, **o) if c[0] == 'git' else print('would run', c[3:5], c[-1])\n"
    )
    code = before + address.set_up_cell(ADDRESSES[way]) + "\nimport textlab; print(textlab.__file__)"
    bare = folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    packaging = os.path.dirname(importlib.util.find_spec("packaging").origin)
    (site,) = bare.glob("lib/python3*/site-packages")
    os.symlink(packaging, site / "packaging")  # as pip brings it on those machines
    return subprocess.run(
        [bare / "bin" / "python", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )


def check_fetched(done, project):
    """Check that a set-up cell has found the project in a folder and would install what is missing."""
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert printed[0].startswith("Installing what is missing here")
    assert "transformers==" in printed[0] and "jupyterlab" not in printed[0]
    assert printed[-2].endswith(str(project)) and printed[-1].startswith(str(project / "lib"))


def archive(file, prefix):
    """Write a zip of the project, as git and GitHub make it."""
    subprocess.run(["git", "-C", ROOT, "archive", f"--prefix={prefix}", "-o", file, "HEAD"], check=True)


def test_the_set_up_cell_clones_the_project_where_it_is_missing(tmp_path):
    check_fetched(hosted(tmp_path, "clone"), tmp_path / "textlab-project")


@pytest.mark.parametrize(
    "upload, prefix", [("textlab.zip", "textlab/"), ("textlab-main.zip", "textlab-main/"), ("textlab (1).zip", "")]
)
def test_the_set_up_cell_unpacks_an_uploaded_zip_of_the_project(tmp_path, upload, prefix):
    archive(tmp_path / upload, prefix)
    check_fetched(hosted(tmp_path, "zip"), tmp_path / "textlab-project" / prefix.rstrip("/"))


def test_of_several_zips_the_newest_is_unpacked(tmp_path):
    archive(tmp_path / "textlab (1).zip", "textlab/")
    (tmp_path / "textlab.zip").write_text("the upload before, which broke off")
    os.utime(tmp_path / "textlab.zip", (0, 0))
    check_fetched(hosted(tmp_path, "zip"), tmp_path / "textlab-project" / "textlab")


def test_the_set_up_cell_says_what_to_upload_where_there_is_no_zip(tmp_path):
    done = hosted(tmp_path, "zip")
    assert done.returncode == 1 and not (tmp_path / "textlab-project").exists()
    assert done.stderr.splitlines()[-1] == (
        "FileNotFoundError: Upload the project as textlab.zip to this notebook's working directory, "
        "made by: git archive --prefix=textlab/ -o textlab.zip HEAD"
    )


def test_the_set_up_cell_says_what_to_do_where_nothing_can_be_cloned(tmp_path):
    done = hosted(tmp_path, "offline")
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "ConnectionError: git could not clone file:///nowhere; in Kaggle switch Internet on, then run this cell again"
    )


def test_what_pip_cannot_install_is_told_in_one_line(monkeypatch):
    def fail(command, check):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setattr(colab, "needed", lambda text: ["never-heard-of==1"])
    told = "^pip could not install never-heard-of==1, see above; in Kaggle switch Internet on, "
    with pytest.raises(InputError, match=told):
        colab.install()
    with pytest.raises(InputError, match="^pip could not install /the/project, see above"):
        colab._pip_install("--no-deps", "-e", "/the/project")


def test_what_a_machine_lacks(monkeypatch):
    here = {"newer": "2.1", "older": "1.9.1", "same": "1.0", "torch": "2.2.0+cu121", "jupyterlab": "1.0"}

    def version(name):
        if name not in here:
            raise colab.importlib.metadata.PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(colab.importlib.metadata, "version", version)
    wanted = [
        "newer==2.0",
        "older==1.10",
        "same==1.0",
        "torch==2.13.0",
        "absent[extra]==3.0",
        "numpy==2.0",
        "jupyterlab==4.0",
        "-e .",
    ]
    assert colab.needed("# all of them\n" + "  # why\n".join(wanted)) == [
        "older==1.10",
        "absent[extra]==3.0",
        "numpy==2.0",
    ]


def test_a_package_that_this_session_has_loaded_already_needs_a_new_session(commands, monkeypatch):
    monkeypatch.setattr(colab, "needed", lambda text: ["PyTest[dev]==1.0", "never-heard-of==1"])
    with pytest.raises(InputError, match="^PyTest was replaced, .* restart the session"):
        colab.install()
    assert len(commands) == 1 and commands[0][-2:] == ["PyTest[dev]==1.0", "never-heard-of==1"]
