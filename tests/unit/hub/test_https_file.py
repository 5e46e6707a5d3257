"""Data sets from addresses: checked, gone on with where they broke, kept; what cannot be had is told in a line."""

import hashlib
import io
import json
import re
import shutil
import ssl
import stat
import subprocess
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from conftest import error, refused_port
from textlab import data, hub
from textlab.data import formats
from textlab.hub import connection, https_file, kept

CSV = b"text,label\n" + b"".join(b"sentence %d,%s\n" % (i, (b"a", b"b")[i % 2]) for i in range(20000))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Server(ThreadingHTTPServer):
    """Files by path, with Range and If-Range; `cut` answers break in their middle, `answers` are other ones."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.answers, self.asked, self.cut = {"/d.csv": CSV}, {}, [], 0
        self.address = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """Stay quiet about clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        status, headers = self.server.answers.get(self.path, (200, {}))
        content = self.server.files.get(self.path.partition("?")[0])
        if content is None:
            status, content = (404, b"gone") if status == 200 else (status, b"")
        start, etag = 0, f'"{sha256(content)}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and status == 200 and self.headers["If-Range"] == etag:
            start, total = int(wanted[1]), len(content)
            status = 206 if start < total else 416
            place = f"{start}-{total - 1}/{total}" if start < total else f"*/{total}"
            headers = {"Content-Range": f"bytes {place}"} | headers
        body = content[start:]
        self.send_response(status)
        for name, value in ({"ETag": etag, "Content-Length": str(len(body))} | headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.server.cut:
            self.server.cut -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay quiet."""


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(hub_at, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(connection, "WAITS", (0.0, 0.0))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(Server()) as standin:
        yield standin


def contents(source):
    return {name: (source.path / name).read_bytes() for name in source.files}


def kept_folders():
    return [path.name for path in kept.root().glob("https-*")]


def test_a_file_is_downloaded_once_and_then_used_without_its_server(server):
    source = hub.https_data(f"{server.address}/d.csv?download=1")
    assert contents(source) == {"data.csv": CSV} and source.sha256 == sha256(CSV)
    assert source.record() == {"source": f"{server.address}/d.csv?***", "sha256": sha256(CSV)}
    manifest = json.loads((source.path / ".manifest.json").read_text())
    assert manifest["from"] == [{"address": source.id, "version": f'"{sha256(CSV)}"', "sha256": sha256(CSV)}]
    server.files.clear()
    assert hub.https_data(f"{server.address}/d.csv?download=1") == source
    assert server.asked == [("/d.csv?download=1", "")] and not list((kept.root() / ".parts").iterdir())


def test_a_kept_file_that_was_altered_is_refused(server):
    file = hub.https_data(f"{server.address}/d.csv").path / "data.csv"
    file.write_bytes(b"text,label\nother,a\n")
    message = error(hub.https_data, f"{server.address}/d.csv")
    assert sha256(CSV) in message and sha256(file.read_bytes()) in message and "delete the folder" in message


def test_parts_become_one_folder_with_the_names_of_the_splits(server):
    server.files |= {"/a.csv": CSV, "/b.tsv": b"text\tlabel\nx\ta\n"}
    source = hub.https_data(
        f" validation={server.address}/b.tsv#sha256={sha256(server.files['/b.tsv'])}\ntrain={server.address}/a.csv "
    )
    assert contents(source) == {"train.csv": CSV, "validation.tsv": server.files["/b.tsv"]}
    assert source.id == f"validation={server.address}/b.tsv train={server.address}/a.csv"


def test_a_download_that_breaks_goes_on_where_it_stopped(server):
    server.cut = 2
    assert contents(hub.https_data(f"{server.address}/d.csv")) == {"data.csv": CSV}
    half = len(CSV) // 2
    assert [wanted for _, wanted in server.asked] == ["", f"bytes={half}-", f"bytes={half + (len(CSV) - half) // 2}-"]


def broken_off(server):
    """Let a download break until it is given up, and forget what was asked."""
    server.cut = 100
    server.files["/d.csv"] = CSV[:2]  # a break of one byte: the second half is empty
    message = error(hub.https_data, f"{server.address}/d.csv")
    assert "cannot be reached" in message and "give its path" in message and not kept_folders()
    server.cut, server.asked[:] = 0, []


def test_a_later_call_goes_on_if_the_file_is_the_same(server):
    broken_off(server)
    assert contents(hub.https_data(f"{server.address}/d.csv")) == {"data.csv": CSV[:2]}
    assert server.asked == [("/d.csv", "bytes=1-")]


def test_a_later_call_starts_again_if_the_file_is_another(server):
    broken_off(server)
    server.files["/d.csv"] = CSV
    assert contents(hub.https_data(f"{server.address}/d.csv")) == {"data.csv": CSV}


def test_what_does_not_go_on_where_it_broke_off_is_not_appended(server):
    broken_off(server)
    server.files["/d.csv"], server.answers["/d.csv"] = CSV[:2], (200, {"Content-Range": "bytes 0-1/2"})
    assert contents(hub.https_data(f"{server.address}/d.csv")) == {"data.csv": CSV[:2]}
    assert [wanted for _, wanted in server.asked] == ["bytes=1-", ""]


def test_parts_that_are_whole_are_not_downloaded_again(server):
    spec = f"train={server.address}/d.csv test={server.address}/late.csv"
    assert "there is no file at" in error(hub.https_data, spec)
    server.files["/late.csv"], server.asked[:] = CSV, []
    assert set(hub.https_data(spec).files) == {"train.csv", "test.csv"}
    assert server.asked == [("/d.csv", f"bytes={len(CSV)}-"), ("/late.csv", "")]


def test_a_pinned_file_is_taken_and_another_one_dropped(server):
    spec = f"{server.address}/d.csv#sha256={sha256(CSV)}"
    server.files["/d.csv"] = CSV[:-2] + b"c\n"
    message = error(hub.https_data, spec)
    assert sha256(CSV) in message and sha256(server.files["/d.csv"]) in message
    assert not kept_folders() and not list((kept.root() / ".parts").rglob("data"))
    server.files["/d.csv"] = CSV
    assert hub.https_data(spec).revision == sha256(CSV)


@pytest.mark.parametrize(
    "answer, words",
    [
        ((404, {}), "there is no file at"),
        ((403, {}), "is not open to all (HTTP 403)"),
        ((418, {}), "answers with HTTP 418"),
        ((503, {}), "cannot be reached (HTTP 503)"),
        ((200, {"Content-Type": "Text/HTML; charset=utf-8"}), "is a web page, not a file"),
        ((302, {"Location": "http://192.0.2.1/d.csv"}), "http://192.0.2.1 is not safe on its way; accepted is https"),
        ((302, {"Location": "file:///etc/passwd"}), "file://127.0.0.1 is not safe on its way"),
        ((302, {"Location": "/d.csv?token=1"}), "Exceeded maximum allowed redirects"),
        ((200, {"Content-Length": "2000000001"}), "has more than 2,000 MB, the limit"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_told_in_a_line_and_nothing_is_kept(server, answer, words):
    server.answers |= {"/d.csv?x=1": answer, "/d.csv?token=1": answer}
    message = error(hub.https_data, f"{server.address}/d.csv?x=1")
    assert words in message and "x=1" not in message and "token=1" not in message
    assert not kept_folders()


def test_a_page_that_does_not_say_that_it_is_one_is_seen(server):
    server.files["/d.csv"] = b"\xef\xbb\xbf\n<!DOCTYPE html><html>log in</html>"
    assert "is a web page" in error(hub.https_data, f"{server.address}/d.csv") and not kept_folders()


def test_a_file_that_hides_its_size_ends_at_the_limit(server, monkeypatch):
    monkeypatch.setattr(https_file, "LARGEST", 100_000)
    server.answers["/d.csv"] = (200, {"Content-Length": None})
    assert "the limit" in error(hub.https_data, f"{server.address}/d.csv")
    assert not kept_folders() and not list(kept.root().rglob("data"))


def test_a_server_that_is_not_there_is_told(server):
    message = error(hub.https_data, f"https://localhost:{refused_port()}/d.csv")
    assert "cannot be reached (" in message and "refused" in message


def test_a_certificate_that_nobody_vouches_for_is_told(server, tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout k -out c"
    )
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    with serving(Server()) as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        message = error(hub.https_data, f"https://localhost:{secure.server_address[1]}/d.csv")
    assert "CERTIFICATE_VERIFY_FAILED" in message and "set SSL_CERT_FILE" in message


def test_a_full_disk_is_told(server, monkeypatch):
    monkeypatch.setattr(https_file, "_check_size", lambda *_: open("/dev/full", "wb").write(b"x" * 10_000))
    assert "make room, or set HF_HOME" in error(hub.https_data, f"{server.address}/d.csv")


def test_no_token_is_sent_to_strangers(server, monkeypatch):
    seen = []
    send = Handler.send_response
    monkeypatch.setattr(Handler, "send_response", lambda self, *a: (seen.append(dict(self.headers)), send(self, *a)))
    hub.https_data(f"{server.address}/d.csv")
    assert seen and "hf_secret" not in str(seen)


def test_two_at_once_download_it_once(server):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: hub.https_data(f"{server.address}/d.csv"), range(2))
    assert one == other and len(server.asked) == 1


def packed(files, **options):
    """Return a zip of (name, content); a content of None is a link."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, content in files:
            member = zipfile.ZipInfo(name)
            member.compress_type = archive.compression
            member.external_attr = (stat.S_IFREG if content is not None else stat.S_IFLNK) << 16
            archive.writestr(member, content or b"/etc/passwd")
    return stream.getvalue()


def test_a_zip_gives_its_data_files_without_their_folders(server):
    inside = [
        ("x/train.csv", CSV),
        ("x/Test.TSV", b"t"),
        ("x/__MACOSX/._train.csv", b"m"),
        ("x/run.py", b"p"),
        ("../../val.csv", b"v"),
        ("/abs/notes.txt", b"n"),
        ("..\\w.jsonl", b"w"),
        ("x/", b""),
    ]
    server.files["/d.zip"] = packed(inside, compression=zipfile.ZIP_DEFLATED)
    source = hub.https_data(f"{server.address}/d.zip#sha256={sha256(server.files['/d.zip'])}")
    expected = {"train.csv": CSV, "Test.TSV": b"t", "val.csv": b"v", "notes.txt": b"n", "w.jsonl": b"w"}
    assert contents(source) == expected
    assert {file.name for file in source.path.iterdir()} == {*expected, ".manifest.json"}
    assert {file.name for file in kept.root().iterdir()} == {source.path.name, ".parts"}


def damaged():
    content = bytearray(packed([("train.csv", CSV)]))
    content[1000] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    "archive, words",
    [
        (packed([("train.csv", None)]), "'train.csv' is encrypted, no plain file"),
        (packed([("train.csv", b"x")], compression=zipfile.ZIP_LZMA), "not packed as usual"),
        (packed([("a/train.csv", b"x"), ("b/Train.csv", b"y")]), "it holds 'Train.csv' twice"),
        (packed([("run.py", b"x")]), "it holds no file that ends in .parquet, .csv"),
        (packed([("train.csv", b"x" * 500_001)], compression=zipfile.ZIP_DEFLATED), "has more than 0 MB, the limit"),
        (damaged(), "Bad CRC-32"),
        (b"no zip", "File is not a zip file"),
    ],
    ids=["link", "lzma", "twice", "nothing", "bomb", "damaged", "other"],
)
def test_a_zip_that_is_odd_is_refused_and_nothing_of_it_kept(server, monkeypatch, archive, words):
    monkeypatch.setattr(https_file, "LARGEST", 500_000)
    server.files["/d.zip"] = archive
    assert words in error(hub.https_data, f"{server.address}/d.zip")
    assert not kept_folders() and not [
        file for file in kept.root().rglob("*") if file.suffix != ".version" and file.is_file()
    ]


@pytest.mark.parametrize(
    "spec, words",
    [
        ("http://example.org/d.csv", "http://example.org is not safe on its way; accepted is https"),
        ("https://example.org/d", "accepted are addresses of files that end in .parquet, .csv"),
        ("https://example.org/d.csv.gz", "accepted are addresses of files that end in"),
        ("https://example.org/d.csv#head", "accepted behind # is sha256= and 64 hexadecimal digits"),
        ("https://example.org/d.csv#sha256=12", "accepted behind # is sha256="),
        ("https:///d.csv", "it has no host"),
        ("https://example.org:port/d.csv", "which is no address"),
        ("https:example.org/d.csv", "accepted is one address https://"),
        ("https://me:word@example.org/d.csv", "holds a password or token"),
        ("https://example.org/d.csv?X-Amz-Signature=word", "holds a password or token"),
        ("https://example.org/d.csv?a=1&token=word", "holds a password or token"),
        ("https://github.com/me/x/blob/main/a/d.csv", "https://raw.githubusercontent.com/me/x/main/a/d.csv"),
        (
            "https://huggingface.co/datasets/me/x/blob/main/d.csv",
            "https://huggingface.co/datasets/me/x/resolve/main/d.csv",
        ),
        ("https://gitlab.com/me/x/-/blob/main/d.csv", "https://gitlab.com/me/x/-/raw/main/d.csv"),
        ("https://example.org/a.csv https://example.org/b.csv", "or the parts train=https://"),
        ("test=https://example.org/a.csv", "or the parts train=https://"),
        ("train=https://example.org/a.csv train=https://example.org/b.csv", "or the parts train=https://"),
        ("train=https://example.org/a.csv https://example.org/b.csv", "or the parts train=https://"),
        ("train=https://example.org/a.csv dev=https://example.org/b.csv", "or the parts train=https://"),
        ("train=https://example.org/a.zip", "accepted are addresses of files that end in .parquet"),
    ],
)
def test_another_spelling_is_refused_without_asking_anybody(spec, words):
    message = error(hub.is_address, spec)
    assert words in message and "word@" not in message and "=word" not in message


def test_what_is_an_address_and_what_is_none():
    assert hub.is_address("https://example.org/d.CSV?download=1") and hub.is_address("HTTPS://example.org/d.zip")
    assert not any(map(hub.is_address, ("packaged", "owner/name", "./https.csv", "a=b", "")))


def test_a_data_set_is_read_from_addresses_and_checked_by_their_spelling_alone(server):
    server.files |= {
        "/v.tsv": b"text\tlabel\nx\ta\ny\tb\n",
        "/d.zip": packed([("x/train.csv", CSV), ("x/val.csv", CSV)]),
    }
    parts = f"train={server.address}/d.csv validation={server.address}/v.tsv"
    for spec in (f"{server.address}/d.csv", parts, f"{server.address}/d.zip"):
        data.check(spec)
    assert "is not safe on its way" in error(data.check, "http://example.org/d.csv") and not server.asked
    one = data.load(f"{server.address}/d.csv")
    assert (
        one.rows() == {"train": 16000, "validation": 2000, "test": 2000} and one.source.id == f"{server.address}/d.csv"
    )
    assert f"is kept in {one.source.path}; delete that folder to download it anew." in one.notes[0]
    assert data.load(parts).rows() == {"train": 20000, "validation": 2}
    assert data.load(f"{server.address}/d.zip").rows() == {"train": 20000, "validation": 20000}


def test_files_of_a_zip_that_may_be_a_split_and_are_not_read_are_told(server):
    inside = [("s/train.csv", CSV), ("s/val.json", b"{}"), ("s/test.xlsx", b"x"), ("s/run.py", b"p"), ("._test", b"m")]
    server.files["/d.zip"] = packed(inside)
    for _ in range(2):  # as it comes, and as it is kept
        assert data.load(f"{server.address}/d.zip").notes[1] == "Files that are not used: val.json, test.xlsx."


def test_every_format_that_can_be_read_is_taken():
    assert {*https_file.ENDINGS} == {*formats.FORMATS}
