"""Pushing a model to a stand-in Hub: private, over nothing unasked, and with a clear line where it cannot be."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from conftest import error, serve
from standin_hub import repository
from textlab import __main__
from textlab.hub import push


@pytest.fixture(autouse=True)
def no_cache(hub_at):
    """Let every test begin with an empty cache and a Hub that refuses."""


@pytest.fixture
def model(tmp_path):
    """A folder as training.save makes it, with a card and what may lie beside a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "README.md", "training_args.bin"):
        (folder / name).write_bytes(b"{}")
    return folder


def test_a_push_makes_a_private_repository(token, model):
    address = push.push_model(model, "owner/mine", public=False, agree=lambda question: False)
    made = token.repositories[-1]
    assert address.startswith(f"{token.address}/owner/mine/commit/") and made["private"] is True
    assert sorted(made["files"]) == ["README.md", "config.json", "model.safetensors"]
    assert made["files"]["README.md"] == (model / "README.md").read_bytes()


def test_a_public_one_only_when_asked(token, model):
    push.push_model(model, "owner/mine", public=True, agree=lambda question: False)
    assert not token.repositories[-1]["private"]


def test_it_asks_before_it_overwrites(token, model):
    old = serve(token, repository("model", "owner/mine", {"config.json": b"old"}))
    asked = []
    message = error(push.push_model, model, "owner/mine", public=False, agree=lambda question: asked.append(question))
    assert "nothing was uploaded" in message and "--yes" in message and old["files"] == {"config.json": b"old"}
    assert asked == ["owner/mine is there already. Overwrite the model in it? Its other files stay."]
    push.push_model(model, "owner/mine", public=False, agree=lambda question: True)
    assert old["files"]["config.json"] == b"{}"


def test_what_a_push_needs(standin, model, monkeypatch, tmp_path):
    assert "put it into HF_TOKEN" in error(push.push_model, model, "owner/mine", False, None) and standin.requests == []
    assert "accepted is owner/name" in error(push.push_model, model, "mine", False, None)
    assert "has no config.json, model.safetensors, README.md" in error(
        push.push_model, tmp_path, "owner/mine", False, None
    )
    monkeypatch.setenv("HF_TOKEN", "hf_marker")  # one that the Hub does not know
    message = error(push.push_model, model, "owner/mine", False, None)
    assert "refuses owner/mine" in message and "hf_marker" not in message


def test_the_verb(token, model, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    assert __main__.main(["push", str(model), "owner/mine"]) == 0
    assert __main__.main(["push", str(model), "owner/mine"]) == 2  # nobody there to ask
    assert __main__.main(["push", str(model), "owner/mine", "--yes"]) == 0
    shown = capsys.readouterr()
    assert (
        shown.out.count("/owner/mine/commit/") == 2
        and "give --yes" in shown.err
        and "hf_marker" not in shown.out + shown.err
    )


@pytest.mark.parametrize("stdin", [None, SimpleNamespace(isatty=lambda: True)], ids=["closed", "ctrl-d"])
def test_no_answer_is_a_no(token, model, capsys, monkeypatch, stdin):
    def refuse(question):
        raise EOFError

    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("builtins.input", refuse)
    assert [__main__.main(["push", str(model), "owner/mine"]) for _ in range(2)] == [0, 2]
    assert "give --yes" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--space"]])
def test_without_a_hub_nothing_hangs(model, more):
    done = subprocess.run(
        [sys.executable, "-m", "textlab", "push", model, "owner/mine", *more],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"HF_TOKEN": "hf_marker"},
    )
    assert done.returncode == 2 and "nothing was uploaded" in done.stderr and "hf_marker" not in done.stderr
