"""Tests of textlab.bundle: carried from one folder to another, and refused whole when anything about it is wrong."""

import json
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest
from huggingface_hub import constants

from conftest import altered, error, refused_port, serve
from standin_hub import emotion_data, repository, tiny_model
from textlab import __main__, data, hub
from textlab.errors import InputError
from textlab.hub import bundle, candidates

TASK = "text-classification"


@pytest.fixture(autouse=True)
def home(hub_at, monkeypatch, tmp_path):
    """Let every test begin with an empty cache, a Hub that refuses, and outputs of its own."""
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path / "outputs"))


@pytest.fixture
def elsewhere(hub_at, monkeypatch, tmp_path):
    """Return a function that goes to another machine: empty cache, no Hub."""

    def go() -> None:
        hub_at(f"http://127.0.0.1:{refused_port()}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "other-cache"))
        monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path / "other-outputs"))

    return go


def test_what_was_bundled_works_by_its_name_where_there_is_no_hub(standin, elsewhere, tmp_path):
    serve(standin, tiny_model("owner/tiny", tags=[TASK], downloads=3))
    serve(standin, emotion_data("owner/emotion", tags=[f"task_categories:{TASK}"]))
    file = tmp_path / "b.zip"
    bundle.create(file, ["owner/tiny"], ["owner/emotion"], TASK)
    model, texts = hub.resolve_model("owner/tiny"), data.load("owner/emotion")
    elsewhere()
    assert "bundle add" in error(hub.resolve_model, "owner/tiny")
    bundle.read(file)
    assert not Path(constants.HF_HUB_CACHE).exists()
    contents = bundle.add(file)
    found, carried = hub.resolve_model("owner/tiny"), data.load("owner/emotion")
    assert (found.files, found.revision, found.record()) == (model.files, model.revision, model.record())
    assert carried.source.record() == texts.source.record() and carried.digests == texts.digests
    assert hub.resolve_model(f"owner/tiny@{model.revision}") == found
    assert list(candidates.find("model", TASK, "downloads", 5)[0].index) == ["owner/tiny"]
    assert candidates.card(found) == "A tiny model."
    assert f"model owner/tiny@{model.revision}: 5 files" in bundle.describe(contents)
    assert "listing of text-classification" in bundle.describe(bundle.read(file))
    assert bundle.add(file) == contents  # once more does no harm
    assert [*Path(constants.HF_HUB_CACHE).glob(".bundle*")] == []


def test_a_bundle_can_be_made_offline_from_what_is_here(standin, hub_at, tmp_path):
    serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    hub.resolve_model("owner/m")
    hub_at(f"http://127.0.0.1:{refused_port()}")
    contents = bundle.create(tmp_path / "b.zip", ["owner/m"], [], TASK)
    assert contents["listing"] is None and list(contents["sources"][0]["files"]) == ["config.json", "model.safetensors"]


def test_a_bundle_of_main_brings_the_newest(standin, elsewhere, tmp_path):
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    serve(standin, repository("model", "owner/m", files))
    bundle.create(tmp_path / "old.zip", ["owner/m"], [], TASK)
    standin.repositories.clear()
    new = serve(standin, repository("model", "owner/m", files | {"vocab.txt": b"a"}))["sha"]
    bundle.create(tmp_path / "new.zip", ["owner/m@main"], [], TASK)
    elsewhere()
    bundle.add(tmp_path / "old.zip")
    bundle.add(tmp_path / "new.zip")
    assert hub.resolve_model("owner/m").revision == hub.resolve_model("owner/m@main").revision == new


@pytest.mark.parametrize("specs", [("owner/m", "owner/m@main"), ("owner/m@main", "owner/m")])
def test_a_pinned_revision_beside_main_is_not_the_newest(standin, elsewhere, monkeypatch, tmp_path, specs):
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    old = serve(standin, repository("model", "owner/m", files))["sha"]
    monkeypatch.setitem(hub.PINNED, "owner/m", (old, {}))
    hub.resolve_model("owner/m")
    standin.repositories.clear()
    new = serve(standin, repository("model", "owner/m", files | {"vocab.txt": b"a"}))["sha"]
    bundle.create(tmp_path / "b.zip", specs, [], TASK)
    elsewhere()
    bundle.add(tmp_path / "b.zip")
    assert [hub.resolve_model(spec).revision for spec in ("owner/m", "owner/m@main")] == [old, new]


def test_a_branch_that_was_bundled_works_by_its_name(standin, hub_at, elsewhere, tmp_path):
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    sha = serve(standin, repository("model", "owner/m", files))["sha"]
    hub.resolve_model("owner/m")
    (Path(constants.HF_HUB_CACHE) / "models--owner--m" / "refs" / "v2").write_text(sha)  # as the branch came
    hub_at(f"http://127.0.0.1:{refused_port()}")
    bundle.create(tmp_path / "b.zip", ["owner/m@v2"], [], TASK)
    elsewhere()
    bundle.add(tmp_path / "b.zip")
    assert hub.resolve_model("owner/m@v2").revision == sha


@pytest.mark.parametrize("ref", ["../x", "/x", "a/../x", "", "x/", ".x"])
def test_a_name_of_a_revision_that_leads_out_of_its_folder_is_refused(tmp_path, ref):
    source = {"id": "owner/m", "kind": "model", "revision": SHA, "files": {"config.json": "0" * 64}, "refs": [ref]}
    assert "at sources.0.refs.0: " in error(bundle.add, make(tmp_path / "b.zip", contents={"sources": [source]}))


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
def test_a_revision_that_was_asked_for_does_not_take_the_place_of_the_newest(standin, elsewhere, tmp_path, order):
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    old = serve(standin, repository("model", "owner/m", files))["sha"]
    hub.resolve_model("owner/m")
    standin.repositories.clear()
    new = serve(standin, repository("model", "owner/m", files | {"vocab.txt": b"a"}))["sha"]
    bundle.create(tmp_path / "new.zip", ["owner/m"], [], TASK)
    bundle.create(tmp_path / "old.zip", [f"owner/m@{old}"], [], TASK)
    elsewhere()
    for number, name in enumerate(order):
        bundle.add(tmp_path / f"{name}.zip")
        assert hub.resolve_model("owner/m").revision == (new if number else {"old": old, "new": new}[name])
    assert hub.resolve_model(f"owner/m@{old}").revision == old


def test_a_revision_that_was_asked_for_is_used_where_another_program_has_left_a_part(standin, elsewhere, tmp_path):
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    sha = serve(standin, repository("model", "owner/m", files))["sha"]
    bundle.create(tmp_path / "b.zip", [f"owner/m@{sha}"], [], TASK)
    elsewhere()
    part = Path(constants.HF_HUB_CACHE) / "models--owner--m"
    (part / "snapshots" / SHA).mkdir(parents=True)
    (part / "snapshots" / SHA / "config.json").write_text("{}")
    (part / "refs").mkdir()
    (part / "refs" / "main").write_text(SHA)
    bundle.add(tmp_path / "b.zip")
    assert hub.resolve_model("owner/m").revision == sha


def test_a_bundle_completes_a_download_that_broke(standin, monkeypatch, tmp_path):
    repo = serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": WEIGHTS}))
    standin.fail("model.safetensors", "truncated")
    error(hub.resolve_model, "owner/m")
    bundle.add(make(tmp_path / "b.zip", revision=repo["sha"]))
    assert list(hub.resolve_model(f"owner/m@{repo['sha']}").files) == ["config.json", "model.safetensors"]
    assert "owner/m" in candidates.on_this_machine("model").index


def test_a_bundle_whose_files_were_cut_off_on_their_way_is_not_taken_for_whole(monkeypatch, elsewhere, tmp_path):
    elsewhere()
    file = make(tmp_path / "b.zip", {"a.csv": b"text,label\n", "b.csv": b"text,label\n"}, kind="dataset")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut_off := Mock(side_effect=[None, KeyboardInterrupt]))
        with pytest.raises(KeyboardInterrupt):
            bundle.add(file)
    assert cut_off.call_count == 2
    assert "lacks files that were not yet downloaded" in error(hub.resolve, f"owner/m@{SHA}", "dataset")
    bundle.add(file)
    assert [*hub.resolve(f"owner/m@{SHA}", "dataset").files] == ["a.csv", "b.csv"]


# --- what is refused, and leaves nothing behind ---------------------------------------------------

SHA = "ab" * 20
WEIGHTS = b"weights"


def make(
    file,
    files=None,
    members=None,
    contents=None,
    compression=zipfile.ZIP_STORED,
    id="owner/m",
    revision=SHA,
    kind="model",
):
    """Write a bundle by hand: `files` name -> content; `members` and `contents` change what is in it."""
    import hashlib

    files = {"config.json": b"{}", "model.safetensors": WEIGHTS} if files is None else files
    source = {
        "id": id,
        "kind": kind,
        "revision": revision,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    stored = {"bundle.json": json.dumps({"format": 1, "sources": [source], "listing": None} | (contents or {}))}
    stored |= {f"{kind}/{id}/{revision}/{name}": content for name, content in files.items()} | (members or {})
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in stored.items():
            if content is not None:
                archive.writestr(name, content)
    return file


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name not in ("b.zip", "cache"))


def test_the_bundle_made_by_hand_is_a_good_one(tmp_path):
    bundle.add(make(tmp_path / "b.zip"))
    assert sorted(hub.resolve("owner/m", "model").files) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"files": {"../model.safetensors": WEIGHTS}}, "may not hold"),
        ({"files": {"/model.safetensors": WEIGHTS}}, "may not hold"),
        ({"files": {"a/../../model.safetensors": WEIGHTS}}, "may not hold"),
        ({"files": {"pytorch_model.bin": WEIGHTS}}, "may not hold"),
        ({"files": {"modeling.py": WEIGHTS}}, "may not hold"),
        ({"files": {".manifest.json": b"{}"}}, "may not hold"),
        ({"members": {"../evil.txt": b"x"}}, "'../evil.txt'"),
        ({"members": {"/evil.txt": b"x"}}, "not those of its list"),
        ({"members": {f"model/owner/m/{SHA}/config.json": None}}, "not those of its list"),
        ({"members": {f"model/owner/m/{SHA}/model.safetensors": b"weighty"}}, "SHA-256"),
        ({"members": {f"model/owner/m/{SHA}/model.safetensors": b"weigh"}}, "SHA-256"),
        ({"compression": zipfile.ZIP_DEFLATED}, "compressed"),
        ({"id": "../.."}, "no owner/name"),
        ({"revision": "main"}, "at sources.0.revision: "),
        ({"revision": "../" + SHA}, "at sources.0.revision: "),
        ({"kind": "space"}, "at sources.0.kind: Input should be 'model' or 'dataset', got 'space'"),
        ({"contents": {"format": 2}}, "at format: Input should be 1, got 2"),
        ({"contents": {"sources": None}}, "at sources: "),
        ({"contents": {"listing": {"task": 1}}}, "at listing.task: "),
        ({"members": {"bundle.json": b"no json"}}, "line 1"),
        ({"members": {"bundle.json": None}}, "bundle.json"),
    ],
)
def test_a_bundle_that_is_not_as_it_should_be(tmp_path, options, words):
    file = make(tmp_path / "b.zip", **options)
    assert words in error(bundle.add, file)
    assert left_behind(tmp_path) == []
    error(bundle.read, file)


def test_a_link(tmp_path):
    file = make(tmp_path / "b.zip", members={f"model/owner/m/{SHA}/config.json": None})
    link = zipfile.ZipInfo(f"model/owner/m/{SHA}/config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "no plain file" in error(bundle.add, file) and left_behind(tmp_path) == []


def test_a_file_twice(tmp_path):
    file = make(tmp_path / "b.zip")
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning):
        archive.writestr(f"model/owner/m/{SHA}/config.json", "{}")
    assert "a file twice" in error(bundle.add, file) and left_behind(tmp_path) == []


def test_a_bomb_of_overlapping_files(tmp_path):
    """Many entries that point at the same bytes: the list promises more than the file can hold."""
    big = b"0" * 1_000_000
    file = make(tmp_path / "b.zip", files={"config.json": b"{}", "model.safetensors": big})
    content = bytearray(file.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # the last entry of the directory: its two sizes stand at 20 and 24
    content[place + 20 : place + 28] = (4_000_000).to_bytes(4, "little") * 2
    file.write_bytes(content)
    assert "more room than it has" in error(bundle.add, file) and left_behind(tmp_path) == []


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_an_altered_byte_and_a_cut_file(tmp_path, place):
    file = make(tmp_path / "b.zip", files={"config.json": b"{}", "model.safetensors": bytes(100_000)})
    good = file.read_bytes()
    altered = bytearray(good)
    altered[int(len(good) * place)] ^= 1
    file.write_bytes(altered)
    assert "refused" in error(bundle.add, file) and left_behind(tmp_path) == []
    file.write_bytes(good[: int(len(good) * place)])
    assert "refused" in error(bundle.add, file) and left_behind(tmp_path) == []
    file.write_bytes(good)
    bundle.add(file)


def test_no_bundle(tmp_path):
    assert "No such file" in error(bundle.add, tmp_path / "nowhere.zip")
    (tmp_path / "b.zip").write_text("text")
    assert "not a zip file" in error(bundle.read, tmp_path / "b.zip")
    assert "nothing to bundle" in error(bundle.create, tmp_path / "b.zip", [], [], TASK)
    assert "accepted is owner/name[@revision]" in error(bundle.create, tmp_path / "b.zip", ["packaged"], [], TASK)


def test_a_false_copy_of_what_is_pinned(tmp_path, monkeypatch):
    monkeypatch.setitem(hub.PINNED, "owner/m", (SHA, {"model.safetensors": "11" * 32}))
    assert "11" * 32 in error(bundle.add, make(tmp_path / "b.zip")) and left_behind(tmp_path) == []


def test_what_is_here_is_not_replaced_by_something_else(tmp_path):
    bundle.add(make(tmp_path / "b.zip"))
    before = hub.resolve("owner/m", "model")
    other = make(tmp_path / "other.zip", files={"config.json": b"{}", "model.safetensors": b"poison!"})
    assert "is expected of model.safetensors" in error(bundle.add, other)
    assert hub.resolve("owner/m", "model") == before


@pytest.mark.parametrize("depth", [150, 300, 100_000])
def test_a_deep_list_of_contents(tmp_path, depth):
    file = make(tmp_path / "b.zip", members={"bundle.json": "[" * depth + "]" * depth})
    for look in (bundle.read, bundle.add):
        assert "is refused" in error(look, file)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("target", ["../w.safetensors", "/w.safetensors", "a/w.safetensors", "w.bin", "..", 5, None])
def test_an_index_of_weights_that_points_elsewhere(tmp_path, target):
    index = json.dumps({"metadata": {}, "weight_map": {"a": target}}).encode()
    file = make(tmp_path / "b.zip", files={"config.json": b"{}", "model.safetensors.index.json": index})
    assert "model.safetensors.index.json" in error(bundle.read, file)
    assert "model.safetensors.index.json" in error(bundle.add, file) and left_behind(tmp_path) == []


def test_contents_that_were_altered_anywhere_end_in_one_line_for_all_alike(tmp_path):
    row = dict.fromkeys(("id", *candidates.COLUMNS))
    listing = {"task": TASK, "endpoint": "e", "recorded": "r", "model": [row | {"id": "a/b"}], "dataset": []}
    good = make(tmp_path / "b.zip", contents={"listing": listing})
    with zipfile.ZipFile(good) as archive:
        contents = json.loads(archive.read("bundle.json"))
    bundle.read(good)
    refused = 0
    for number, other in enumerate(altered(contents)):
        text = json.dumps(other).replace("Infinity", "1e999")
        file = make(tmp_path / f"{number}.zip", contents={"listing": listing}, members={"bundle.json": text})
        verdicts = set()
        for look in (bundle.read, bundle.add):
            try:
                bundle.describe(look(file))
                verdicts.add("taken")
            except InputError as caught:
                assert "\n" not in str(caught) and len(str(caught)) < 600
                verdicts.add("refused")
        assert len(verdicts) == 1, text
        refused += verdicts == {"refused"}
        file.unlink()
    assert refused > 400


def test_a_source_that_is_named_twice_is_bundled_once(standin, tmp_path):
    sha = serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": WEIGHTS}))["sha"]
    contents = bundle.create(tmp_path / "b.zip", ["owner/m", "owner/m", f"owner/m@{sha}"], [], TASK)
    assert len(contents["sources"]) == 1 and bundle.add(tmp_path / "b.zip") == contents


def test_bundles_that_are_added_at_the_same_time(tmp_path):
    first = make(tmp_path / "b.zip", files={"config.json": b"{}", "model.safetensors": bytes(1_000_000)})
    row = dict.fromkeys(("id", *candidates.COLUMNS)) | {"id": "a/b"}
    listing = {"task": TASK, "endpoint": "e", "recorded": "r", "model": [row] * 500, "dataset": []}
    second = make(tmp_path / "c.zip", id="owner/other", contents={"listing": listing})
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(bundle.add, [first, second] * 8))
    assert added[0] == bundle.read(first) and added[1] == bundle.read(second)
    assert sorted(hub.resolve("owner/m", "model").files) == ["config.json", "model.safetensors"]


# --- the command line -----------------------------------------------------------------------------


def test_the_verbs(standin, elsewhere, tmp_path, capsys):
    serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": WEIGHTS}))
    file = str(tmp_path / "b.zip")
    assert __main__.main(["bundle", "create", "--model", "owner/m", "-o", file]) == 0
    elsewhere()
    for action in ("verify", "list", "add"):
        assert __main__.main(["bundle", action, file]) == 0
    assert capsys.readouterr().out.count("model owner/m@") == 4
    assert __main__.main(["bundle", "list"]) == 0
    shown = capsys.readouterr().out
    assert "owner/m@" in shown and shown.count(" packaged ") == 2
    assert __main__.main(["bundle", "verify", file + "x"]) == 2
    assert capsys.readouterr().err.startswith("textlab: bundle ")


def test_help_has_examples():
    done = subprocess.run(
        [sys.executable, "-m", "textlab", "bundle", "--help"], capture_output=True, text=True, timeout=60
    )
    assert "python -m textlab bundle create --model" in done.stdout and done.returncode == 0
