"""Models, data sets and a listing of candidates in one file, to be carried to a machine without the Hub.

A bundle is a zip file that is not compressed. It holds `bundle.json` (the sources with the SHA-256 of each file, and
the listing) and the files as `<kind>/<owner>/<name>/<revision>/<file>`. The digests show damage, but not who made the
bundle: take it from people you trust.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import constants

from .. import machine
from ..errors import InputError
from . import candidates, connection, download, sources

#: The list of what a bundle holds, and the most bytes that it may have.
CONTENTS, LARGEST_CONTENTS = "bundle.json", 20_000_000


def create(file: Path, models: Sequence[str], datasets: Sequence[str], task: str) -> dict[str, Any]:
    """Write a bundle and return its contents.

    Args:
        file: is replaced if it is there.
        models, datasets: each as `owner/name[@revision]`, from the Hub or from this machine.
        task: whose candidates are listed in the bundle, if the Hub answers.

    Raises:
        InputError: one of them cannot be had, or the file cannot be written.
    """
    chosen = [sources.resolve(spec, "model") for spec in models]
    chosen += [sources.resolve(spec, "dataset") for spec in datasets]
    if not chosen:
        raise InputError("bundle create: nothing to bundle; give --model or --dataset owner/name")
    facts = [{name: getattr(source, name) for name in ("id", "kind", "revision", "files")} for source in chosen]
    listing = None if connection.unreachable(constants.ENDPOINT) else candidates.record(task)
    contents = {"format": 1, "sources": facts, "listing": listing}
    try:
        with (
            machine.whole_file(file) as draft,
            zipfile.ZipFile(draft, "w", strict_timestamps=False) as archive,
        ):
            archive.writestr(CONTENTS, json.dumps(contents, indent=1))
            for source in chosen:
                for name in source.files:
                    archive.write(source.path / name, _member(vars(source), name))
    except OSError as error:
        raise InputError(
            f"bundle: {file} cannot be written ({connection.reason(error)}); choose another place with -o"
        ) from None
    return contents


def add(file: Path) -> dict[str, Any]:
    """Put what a bundle holds into the Hub's cache and return its contents; from then on `owner/name` works offline.

    Raises:
        InputError: the bundle is damaged or not safe to unpack, or a file differs from the pinned one or from one that
            is here under the same revision. Then nothing of it stays on this machine.
    """
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    with _opened(file) as (archive, contents), TemporaryDirectory(dir=cache, prefix=".bundle-") as draft:
        for source in contents["sources"]:
            for name in source["files"]:
                _check_digest(archive, source, name, file)
                archive.extract(_member(source, name), draft)
            revision, pinned = sources.PINNED.get(source["id"], (None, {}))
            if source["revision"] == revision:
                sources.verify(str(file), file, source["files"], pinned, "the bundle was not added")
            here = download.snapshot_folder(source["id"], source["kind"], source["revision"])
            present = {name: digest for name, digest in source["files"].items() if (here / name).is_file()}
            sources.verify(
                str(file), here, machine.hash_files(here), present, "delete the file, then add the bundle again"
            )
        if contents["listing"]:
            candidates.add_listing(contents["listing"])
        for source in contents["sources"]:
            here = download.snapshot_folder(source["id"], source["kind"], source["revision"])
            for name in source["files"]:
                (here / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(draft) / _member(source, name)).replace(here / name)
            download.write_manifest(here, source["id"], source["kind"], source["files"])
    return contents


def verify(file: Path) -> dict[str, Any]:
    """Compare every file of a bundle with its digest and return the bundle's contents.

    Raises:
        InputError: naming the first file that differs, with both digests.
    """
    with _opened(file) as (archive, contents):
        for source in contents["sources"]:
            for name in source["files"]:
                _check_digest(archive, source, name, file)
    return contents


def describe(contents: dict[str, Any]) -> str:
    """Return what a bundle holds, a line for each source."""
    lines = [f"{s['kind']} {s['id']}@{s['revision']}: {len(s['files'])} files" for s in contents["sources"]]
    if listing := contents["listing"]:
        lines.append(f"listing of {listing['task']} at {listing['endpoint']}, recorded {listing['recorded']}")
    return "\n".join(lines)


def read(file: Path) -> dict[str, Any]:
    """Return a bundle's contents, with everything but the digests checked."""
    with _opened(file) as (_, contents):
        return contents


@contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """Open a bundle whose form is safe: its members are exactly the files that it lists, plain and not compressed."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            odd = [
                m.filename
                for m in members
                if m.compress_type != zipfile.ZIP_STORED
                or m.flag_bits & 1
                or stat.S_IFMT(m.external_attr >> 16) not in (0, stat.S_IFREG)
            ]
            if odd:
                raise _refusal(file, f"{odd[0]!r} is compressed, encrypted or no plain file")
            if sum(member.file_size for member in members) > file.stat().st_size:
                raise _refusal(file, "its files would take more room than it has itself")
            contents = _contents(archive, file)
            listed = [CONTENTS, *(_member(s, name) for s in contents["sources"] for name in s["files"])]
            names = [member.filename for member in members]
            if sorted(names) != sorted(listed):
                other = next(iter({*names} ^ {*listed}), "a file twice")
                raise _refusal(file, f"its files are not those of its list ({other!r})")
            yield archive, contents
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise _refusal(file, connection.reason(error)) from None
    except OSError as error:
        raise InputError(f"bundle {file}: {connection.reason(error)}") from None


def _contents(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    """Return `bundle.json`, checked."""
    try:
        if archive.getinfo(CONTENTS).file_size > LARGEST_CONTENTS:
            raise ValueError
        contents = json.loads(archive.read(CONTENTS))
        if (
            contents["format"] != 1
            or contents["listing"] is not None
            and not candidates.is_listing(contents["listing"])
        ):
            raise ValueError
        for source in contents["sources"]:
            files, names = source["files"], download.allowed(source["files"], source["kind"])
            if (
                sources.split_id(f"{source['id']}@{source['revision']}") != (source["id"], source["revision"])
                or not download.SHA.fullmatch(source["revision"])
                or names != list(files)
            ):
                raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _refusal(
            file, f"{CONTENTS} is missing, of another version, or lists what a bundle may not hold"
        ) from None
    return contents


def _check_digest(archive: zipfile.ZipFile, source: dict[str, Any], name: str, file: Path) -> None:
    """Raise an InputError if a file of a source is not the one whose digest the bundle lists."""
    with archive.open(_member(source, name)) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != source["files"][name]:
        raise _refusal(
            file, f"{name} of {source['id']} has SHA-256 {digest}, but its list says {source['files'][name]}"
        )


def _member(source: dict[str, Any], name: str) -> str:
    return f"{source['kind']}/{source['id']}/{source['revision']}/{name}"


def _refusal(file: Path, why: str) -> InputError:
    return InputError(f"bundle {file} is refused: {why}; fetch it again, or make it anew with `bundle create`")
