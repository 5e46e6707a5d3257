"""A page as a Space: pushed to a stand-in Hub, and run with its own files and the packages that it names alone."""

import importlib.metadata
import os
import re
import subprocess
import sys
import time
import uuid

import httpx2
import pytest
import yaml
from packaging.requirements import Requirement

from conftest import error, save_tiny, serve
from standin_hub import repository
from textlab import __main__, hub, workflows
from textlab.hub import push
from textlab.machine import processes
from textlab.workflows.demo import space, start

LABELS = ["bad", "good"]
TEXTS = ["so good", "far away from all that, and <b>long</b>", "x"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny classifier that did not pass its checks, with its card and a file that is not pushed."""
    folder = tmp_path_factory.mktemp("run") / "model"
    save_tiny(folder, LABELS, TEXTS, guards=["It predicts a single class."])
    measured = {"data": {"source": "mine.csv", "rows": {"test": 3}}, "model": {"source": "tiny"}, "seed": 1}
    hub.card.write_card(folder, measured | {"test": {"accuracy": 0.75}}, LABELS, [])
    (folder / "optimizer.pt").write_bytes(b"pickle")
    return folder


def pushed(model, repo="owner/mine", public=False, agree=lambda question: False):
    return workflows.push_space(model, repo, public, agree)


def test_a_space_is_private_and_says_what_it_is(token, model):
    assert pushed(model) == f"{token.address}/spaces/owner/mine"
    [made] = token.repositories
    assert (made["kind"], made["id"], made["private"], made["sdk"]) == ("space", "owner/mine", True, "gradio")
    _, front, text = made["files"]["README.md"].decode().split("---\n", 2)
    front = yaml.safe_load(front)
    assert (front["sdk"], front["app_file"], front["title"]) == ("gradio", "app.py", "mine")
    demo = [one for one in importlib.metadata.requires("textlab") if "demo" in one]
    assert demo[0].startswith(f"gradio=={front['sdk_version']};") and re.fullmatch(r"3\.\d+", front["python_version"])
    for fact in ("bad, good", "Accuracy 0.75", "owner/mine did not pass its checks: It predicts a single class."):
        assert fact in text, fact


def test_what_lies_in_it_is_the_model_and_the_library_and_no_other_file(token, model):
    pushed(model)
    files = token.repositories[0]["files"]
    assert {name for name in files if "/" not in name} == {"README.md", "app.py", "requirements.txt"}
    assert files["model/model.safetensors"] == (model / "model.safetensors").read_bytes()
    assert "model/README.md" in files and "model/optimizer.pt" not in files
    assert {name.rpartition(".")[2] for name in files if name.startswith("textlab/")} == {
        "py",
        "css",
        "textlab/LICENSE",
    }
    assert str(model.parent).encode() not in b"".join(files.values())


def test_a_public_one_only_when_asked(token, model):
    pushed(model, public=True)
    assert not token.repositories[0]["private"]


def test_one_that_is_there_is_asked_about_and_keeps_its_other_files(token, model):
    files = {"README.md": b"mine", "app.py": b"mine", "data.csv": b"mine", "textlab/gone.py": b"of an earlier page"}
    there, asked = serve(token, repository("space", "owner/mine", files)), []
    message = error(pushed, model, agree=asked.append)
    assert "owner/mine is there already, and nothing was uploaded; give --yes to overwrite app.py" in message
    assert there["files"] == files
    assert asked == [
        "owner/mine is there already. Overwrite app.py, README.md, requirements.txt and the folders model and textlab "
        "in it? Its other files stay."
    ]
    pushed(model, agree=lambda question: True)
    assert there["files"]["data.csv"] == b"mine" and there["files"]["app.py"] != b"mine"
    assert "textlab/gone.py" not in there["files"] and "textlab/errors.py" in there["files"]


def test_a_model_of_the_same_name_is_another_repository(token, model):
    other = serve(token, repository("model", "owner/mine", {"config.json": b"old"}))
    pushed(model)
    assert other["files"] == {"config.json": b"old"} and token.repositories[1]["kind"] == "space"


def test_what_a_space_needs(standin, model, monkeypatch, tmp_path):
    assert "put it into HF_TOKEN" in error(pushed, model) and standin.requests == []
    assert "accepted is owner/name" in error(pushed, model, "mine")
    assert "give the folder `model` of a run" in error(pushed, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_marker")  # one that the Hub does not know
    serve(standin, repository("space", "other/theirs", {}))
    for repo in ("owner/mine", "other/theirs"):
        message = error(pushed, model, repo, agree=lambda question: True)
        assert f"refuses {repo}" in message and "hf_marker" not in message
    assert [repo["files"] for repo in standin.repositories] == [{}]


def test_a_model_that_cannot_be_used_is_not_pushed(token, tmp_path):
    for name in push.MODEL_FILES:
        (tmp_path / name).write_text("{}")
    assert "cannot be loaded" in error(pushed, tmp_path) and token.repositories == []


def test_the_verb(token, model, capsys):
    assert __main__.main(["push", str(model), "owner/mine", "--space"]) == 0
    assert capsys.readouterr().out == f"{token.address}/spaces/owner/mine\n"
    assert [repo["kind"] for repo in token.repositories] == ["space"]


def packages(folder, requirements):
    """Make a folder that holds some packages, with what they require, and no other one."""
    wanted, done = [Requirement(line) for line in requirements], set()
    while wanted:
        one = wanted.pop()
        if one.name.lower() in done or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        done.add(one.name.lower())
        found = importlib.metadata.distribution(one.name)
        for part in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            if not (folder / part).exists():
                (folder / part).symlink_to(found.locate_file(part))
        wanted += [Requirement(line) for line in found.requires or []]


@pytest.fixture
def running(model, tmp_path):
    """The address of a Space that runs offline, with its own files and the packages that it names alone."""
    pytest.importorskip("gradio", reason="the optional group `demo` is not installed")
    here, library = tmp_path / "space", tmp_path / "packages"
    here.mkdir(), library.mkdir()
    space.write_space(here, model, start.learn(model, "owner/mine"))
    packages(library, [*(here / "requirements.txt").read_text().split(), "gradio"])
    address = f"http://127.0.0.1:{processes.free_port(0)}"
    dead = dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9") | {"NO_PROXY": "127.0.0.1"}
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "app.py"],
            cwd=here,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ
            | dead
            | {"PYTHONPATH": str(library), "SPACE_ID": "owner/mine", "GRADIO_SERVER_PORT": address.rpartition(":")[2]},
        )
    deadline = time.monotonic() + 120
    while not answers(address):
        assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.5)
    yield address
    process.kill()
    process.wait()


def answers(address):
    try:
        return httpx2.get(address).status_code == 200
    except httpx2.ConnectError:
        return False


def ask(address, text):
    """Return what the page shows for a sentence: its paragraph, label -> probability, and the marked words."""
    config = httpx2.get(f"{address}/config").json()
    [function] = [one["id"] for one in config["dependencies"] if len(one["inputs"]) == 1 and len(one["outputs"]) == 3]
    session = uuid.uuid4().hex
    question = {"data": [text], "fn_index": function, "session_hash": session}
    assert httpx2.post(f"{address}/gradio_api/queue/join", json=question).status_code == 200
    stream = httpx2.get(f"{address}/gradio_api/queue/data", params={"session_hash": session}, timeout=60).text
    [done] = [line for line in stream.splitlines() if '"process_completed"' in line]
    told, chances, words = yaml.safe_load(done.removeprefix("data: "))["output"]["data"]
    return told, {one["label"]: one["confidence"] for one in chances["confidences"]}, words


def test_the_pushed_page_runs_alone_and_answers_as_predict_does(running, model):
    shown = httpx2.get(f"{running}/config").text
    assert "owner/mine" in shown and "It predicts a single class." in shown and "Accuracy 0.75" in shown
    wanted = workflows.predict(str(model), TEXTS)
    for text, (_, row) in zip(TEXTS, wanted.iterrows()):
        told, chances, words = ask(running, text)
        assert chances == pytest.approx({label: row[f"p_{label}"] for label in LABELS}, abs=1e-5)
        assert max(chances, key=chances.get) == row["label"] and row["label"] in told
        assert "".join(one["token"] for one in words) == text
