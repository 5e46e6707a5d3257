"""Data sets from https addresses: files, or a zip of files, downloaded once and kept with their digests."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import httpx2
from typing_extensions import TypedDict

from .. import machine
from ..errors import InputError, show, without_secrets
from ..settings import strict_json
from . import connection, kept
from .download import FILES, MANIFEST
from .sources import Source

#: Bytes of a file, and of all files of a zip, at most.
LARGEST = 2_000_000_000
#: Endings of the files that are taken.
ENDINGS = tuple(pattern[1:] for pattern in FILES["dataset"] if pattern.startswith("*"))

_HERE = ("127.0.0.1", "localhost", "::1")
_SPLITS = ("train", "validation", "test")
_WORD = re.compile(rf"(?:({'|'.join(_SPLITS)})=)?(https?://.+)", re.IGNORECASE)
#: Names of fields in addresses that open a door.
_SECRET = re.compile(r"(?:^|[&;])[^=&;]*(?:pass|pwd|token|secret|key|sig|auth|credential)[^=&;]*=", re.IGNORECASE)
#: Addresses of pages that show a file -> the address of the file.
_PAGES = (
    (r"https://github\.com/([^/]+/[^/]+)/blob/", r"https://raw.githubusercontent.com/\1/"),
    (r"(https://gitlab\.com/.+/-)/blob/", r"\1/raw/"),
    (r"(https://huggingface\.co/.+)/blob/", r"\1/resolve/"),
)
_INSTEAD = "download the file in another way and give its path"


class _Brought(TypedDict, total=False):
    """What a manifest holds of a zip."""

    left_out: list[str]


@dataclass(frozen=True)
class _File:
    """A file at an address."""

    split: str  # train, validation or test; data if it is the only one
    url: httpx2.URL
    sha256: str  # that it has to have; empty: any

    @property
    def ending(self) -> str:
        return PurePosixPath(self.url.path).suffix.lower()

    @property
    def public(self) -> str:
        """The address for people, without what may be secret."""
        return without_secrets(str(self.url))


def is_address(spec: str) -> bool:
    """Tell whether a `dataset` parameter means https addresses, as `https_data` takes them.

    Raises:
        InputError: it does, but they are not of the accepted form.
    """
    meant = bool(re.match(r"\s*(\w+=)?https?:", spec, re.IGNORECASE))
    if meant:
        _files(spec)
    return meant


def https_data(spec: str) -> Source:
    """Return the data set at one or several addresses as a folder: as it is kept here, else downloaded.

    A file becomes `data.<ending>`, the parts of a data set become `train.<ending>` and so on; the files of a zip keep
    their names. A download that breaks goes on where it stopped, also in a later call.

    Args:
        spec: `https://.../file.csv`, or a zip of such files, or `train=https://... validation=https://...
            test=https://...`; each with `#sha256=<64 digits>` behind it if the file has to be that one.

    Raises:
        InputError: an address is not of that form; there is no such file, or it may not be had, is too large, a web
            page or another than the pinned one; the server cannot be reached; the disk is full.
    """
    files = _files(spec)
    key = " ".join(f"{file.split} {file.url} {file.sha256}" for file in files)
    name = f"https-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    called = files[0].public if len(files) == 1 else " ".join(f"{file.split}={file.public}" for file in files)
    pinned = files[0].sha256 or None if len(files) == 1 else None
    return kept.keep(name, called, pinned, partial(_bring, files, kept.root() / ".parts" / name))


def left_out(source: Source) -> list[str]:
    """Return the names of the files of a zip that were not kept with a data set, since they are of other formats."""
    file = source.path / MANIFEST
    return strict_json.read_json(file, _Brought, f"the manifest {file}").get("left_out", [])


def _files(spec: str) -> list[_File]:
    """Return the files that a `dataset` parameter names."""
    found = [_WORD.fullmatch(word) for word in spec.split()]
    splits = [match and (match[1] or "data").lower() for match in found]
    if splits != ["data"] and (len({*splits}) < len(splits) or not {"train"} <= {*splits} <= {*_SPLITS}):
        raise InputError(
            f"dataset: got {show(spec)}; accepted is one address https://..., or the parts train=https://... "
            "validation=https://... test=https://... (without the last one or two if there are none)"
        )
    return [_file(split, match[2]) for split, match in zip(splits, found, strict=True)]


def _file(split: str, address: str) -> _File:
    """Return the file at an address of the accepted form."""
    got = f"dataset: got {show(address)}"
    try:
        url = httpx2.URL(address)
        _check_place(url)
    except httpx2.InvalidURL as error:
        raise InputError(f"{got}, which is no address ({connection.reason(error)}); check its spelling") from None
    if url.userinfo or _SECRET.search(url.query.decode()):
        raise InputError(f"{got}; it holds a password or token, which results would keep: {_INSTEAD}")
    for page, file in _PAGES:
        if re.match(page, address):
            raise InputError(f"{got}; this is a web page, use the raw address: {re.sub(page, file, address)}")
    pin = re.fullmatch(r"(?:sha256=([0-9a-fA-F]{64}))?", url.fragment)
    if not pin:
        raise InputError(f"{got}; accepted behind # is sha256= and 64 hexadecimal digits")
    file = _File(split, url.copy_with(fragment=None), (pin[1] or "").lower())
    accepted = ENDINGS + (".zip",) * (split == "data")
    if file.ending not in accepted:
        raise InputError(f"{got}; accepted are addresses of files that end in {', '.join(accepted)}: {_INSTEAD}")
    return file


def _check_place(url: httpx2.URL) -> None:
    """Raise an InputError for what could be altered on its way."""
    if not url.host:
        raise httpx2.InvalidURL("it has no host")
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _HERE):
        raise InputError(f"dataset: {url.scheme}://{url.host} is not safe on its way; accepted is https: {_INSTEAD}")


def _bring(files: list[_File], parts: Path, folder: Path) -> Mapping[str, object]:
    """Download files into a folder and return where they came from; `parts` holds what has come of them so far."""
    parts.mkdir(parents=True, exist_ok=True)
    came, left_out = [_fetch(file, parts / file.split) for file in files], []
    for file in files:
        if file.ending == ".zip":
            left_out = _unpack(parts / file.split, folder, file.public)
        else:
            (parts / file.split).replace(folder / f"{file.split}{file.ending}")
    shutil.rmtree(parts)
    return {"from": came, "left_out": left_out}


def _fetch(file: _File, part: Path) -> dict[str, str]:
    """Download a file into `part`, which may hold its beginning, and return its address, version and SHA-256."""

    def check_request(request: httpx2.Request) -> None:  # also one that a redirect leads to
        _check_place(request.url)

    line, version = machine.ProgressLine(), part.with_suffix(".version")
    options = {"timeout": connection.LIMIT, "event_hooks": {"request": [check_request]}, "follow_redirects": True}
    try:
        with httpx2.Client(headers={"Accept-Encoding": "identity"}, **options) as client:
            connection.go_on(part, partial(_ask, client, file, part, version, line))
    except InputError:
        part.unlink()
        raise
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        why = connection.reason(error)
        remedy = "set SSL_CERT_FILE to the certificates of your network" if "SSL" in why else "check the connection"
        raise InputError(f"dataset: {file.public} cannot be reached ({why}); {remedy}, or {_INSTEAD}") from None
    line.show(f"{file.public}: {part.stat().st_size / 1e6:,.1f} MB are here", final=True)
    digest = machine.sha256(part)
    with part.open("rb") as stream:
        beginning = stream.read(500).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        part.unlink()
        raise _web_page(file)
    if file.sha256 not in ("", digest):
        part.unlink()
        raise InputError(
            f"dataset: what came from {file.public} has SHA-256 {digest}, but {file.sha256} is expected; it was "
            "dropped: check the digest, or whether the address is that of the same file"
        )
    return {"address": file.public, "version": version.read_text(encoding="utf-8"), "sha256": digest}


def _ask(client: httpx2.Client, file: _File, part: Path, version: Path, line: machine.ProgressLine, have: int) -> None:
    """Ask for a file, or for what is missing of it if its version is still the same, and append what comes."""
    known = version.read_text(encoding="utf-8") if have and version.is_file() else ""
    headers = {"Range": f"bytes={have}-", "If-Range": known} if known else {}
    with client.stream("GET", file.url, headers=headers) as answer:
        status, place = answer.status_code, answer.headers.get("content-range", "")
        if known and status == 416 and place == f"bytes */{have}":  # all of it is here
            return
        goes_on = bool(known) and place.startswith(f"bytes {have}-") and _version(answer) in ("", known)
        if status in (206, 416) and not goes_on:
            part.write_bytes(b"")
            raise httpx2.NetworkError("what came does not go on where the file was broken off")
        if status in connection.BUSY:
            raise httpx2.NetworkError(f"HTTP {status}")
        _check_answer(file, answer, have if goes_on else 0)
        if not goes_on:
            part.write_bytes(b"")
            version.write_text(_version(answer), encoding="utf-8")
        with part.open("ab") as stream:
            for chunk in answer.iter_bytes():
                stream.write(chunk)
                _check_size(file.public, stream.tell())
                line.show(f"{file.public}: {stream.tell() / 1e6:,.0f} MB")


def _version(answer: httpx2.Response) -> str:
    """Return what tells a file from later ones at its address, as `If-Range` takes it; empty if nothing does."""
    etag = answer.headers.get("etag", "W/")
    stated = answer.headers.get("last-modified", "") if etag.startswith("W/") else etag
    return stated if stated.isascii() and "content-encoding" not in answer.headers else ""  # packed, bytes are others


def _check_answer(file: _File, answer: httpx2.Response, have: int) -> None:
    """Raise an InputError if an answer is not a file, or one that is too large."""
    status = answer.status_code
    if status in (404, 410):
        raise InputError(f"dataset: there is no file at {file.public} (HTTP {status}); check the address")
    if status in (401, 403):
        raise InputError(f"dataset: {file.public} is not open to all (HTTP {status}): log in, {_INSTEAD}")
    if status not in (200, 206):
        raise InputError(f"dataset: {file.public} answers with HTTP {status}; try again later, or {_INSTEAD}")
    if answer.headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml")):
        raise _web_page(file)
    length = answer.headers.get("content-length", "")
    _check_size(file.public, have + int(length) if length.isdecimal() else have)


def _check_size(what: str, size: int) -> None:
    if size > LARGEST:
        raise InputError(f"dataset: {what} has more than {LARGEST / 1e6:,.0f} MB, the limit; {_INSTEAD}")


def _web_page(file: _File) -> InputError:
    return InputError(
        f"dataset: {file.public} is a web page, not a file; use the raw address, to which its download button leads"
    )


def _unpack(archive: Path, folder: Path, address: str) -> list[str]:
    """Write the data files of a zip into a folder, by their names without folders, and delete the zip.

    What is no data file is left out; the names of these files are returned.
    """

    def refusal(why: object) -> InputError:
        return InputError(f"dataset: the zip at {address} is refused: {why}; unpack it yourself and give the folder")

    names, left_out = set(), []
    try:
        with zipfile.ZipFile(archive) as pack:
            _check_size(f"what the zip at {address} holds", sum(member.file_size for member in pack.infolist()))
            for member in pack.infolist():
                name = PurePosixPath(member.filename.replace("\\", "/")).name
                if member.is_dir():
                    continue
                if name.startswith(".") or PurePosixPath(name).suffix.lower() not in ENDINGS:
                    left_out.append(name)
                    continue
                plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG) and not member.flag_bits & 1
                if not plain or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise refusal(f"{show(member.filename)} is encrypted, no plain file, or not packed as usual")
                if name.lower() in names:
                    raise refusal(f"it holds {show(name)} twice")
                names.add(name.lower())
                with pack.open(member) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise refusal(connection.reason(error)) from None
    finally:
        archive.unlink()
    if not names:
        raise refusal(f"it holds no file that ends in {', '.join(ENDINGS)}")
    return left_out
