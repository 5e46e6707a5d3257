"""The pages and the zip of a store in Colab, with a stand-in for Colab's own module."""

import re
import sys
import types
import urllib.error
import urllib.request

import pytest

from mlflow_stores import content, fill
from textlab import colab, store, sync

HOST = "abc-5000.colab.example"


@pytest.fixture
def in_colab(monkeypatch):
    """Return what is downloaded, and the ports that pages were asked for."""
    downloads, ports = [], []

    def eval_js(code, timeout_sec):
        ports.append(int(re.fullmatch(r"google\.colab\.kernel\.proxyPort\((\d+)\)", code)[1]))
        return f"https://{HOST}/"
    module = types.ModuleType("google.colab")
    module.output, module.files = types.SimpleNamespace(eval_js=eval_js), types.SimpleNamespace(download=downloads.append)
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return downloads, ports


def test_a_store_leaves_colab_as_one_zip_and_is_carried_on_at_home(tmp_path, in_colab):
    here, home = f"sqlite:///{tmp_path / 'vm' / 'runs.db'}", store.store_uri(tmp_path / "home")
    fill(here)
    said = colab.download(here, tmp_path / "runs.zip")
    assert in_colab[0] == [str(tmp_path / "runs.zip")] and "sync --from runs.zip --to outputs" in said
    sync.sync(in_colab[0][0], home)
    assert content(home) == content(here)


def test_pages_are_served_to_the_proxy_and_to_nobody_else(tmp_path, in_colab, monkeypatch):
    servers = []
    monkeypatch.setattr(colab.atexit, "register", lambda stop, server: servers.append(server))
    uri = store.store_uri(tmp_path)
    store.open_client(uri)
    try:
        assert colab.pages(uri) == f"MLflow's own pages, as long as this notebook runs: https://{HOST}/"

        def status(host, **headers):
            request = urllib.request.Request(f"http://127.0.0.1:{in_colab[1][0]}/api/2.0/mlflow/experiments/search", b"{\"max_results\": 1}",
                                             {"Host": host, "Content-Type": "application/json"} | headers)
            try:
                return urllib.request.urlopen(request, timeout=30).status
            except urllib.error.HTTPError as error:
                return error.code
        assert status(HOST, Origin=f"https://{HOST}") == 200
        assert status("evil.example") == 403 and status(HOST, Origin="https://evil.example") == 403
    finally:
        for server in servers:
            store.stop(server)
    assert len(servers) == 1


def test_without_a_browser_there_is_a_sentence_and_no_error(tmp_path, in_colab, monkeypatch):
    def eval_js(code, timeout_sec):
        raise TimeoutError

    monkeypatch.setattr(sys.modules["google.colab"].output, "eval_js", eval_js)
    assert "no browser answers (TimeoutError)" in colab.pages(store.store_uri(tmp_path))


def test_elsewhere_it_says_what_to_do(tmp_path):
    uri = store.store_uri(tmp_path)
    assert colab.pages(uri).endswith(f"python -m textlab ui {tmp_path}") and "not Colab" in colab.download(uri, tmp_path / "x.zip")
    assert colab.pages("https://user:secret@mlflow.example") == "MLflow's own pages are those of https://***@mlflow.example."
    assert not (tmp_path / "x.zip").exists()
