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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, NotRequired

from huggingface_hub import constants
from pydantic import Field
from typing_extensions import TypedDict

from .. import machine
from ..errors import InputError
from ..settings import strict_json
from . import candidates, connection, download, sources

#: The list of what a bundle holds, and the most bytes that it may have.
CONTENTS, LARGEST_CONTENTS = "bundle.json", 20_000_000


class Carried(TypedDict):
    """A source that a bundle holds."""

    id: str
    kind: Literal["model", "dataset"]
    revision: strict_json.Commit
    files: Annotated[dict[str, strict_json.Sha256], Field(min_length=1)]
    newest: NotRequired[bool]  # asked for as main, or as owner/name without a pin; older bundles do not say it
    refs: NotRequired[list[Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$")]]]  # other names asked for


class Contents(TypedDict):
    """What `bundle.json` holds."""

    format: Literal[1]
    sources: Annotated[list[Carried], Field(min_length=1)]
    listing: candidates.Listing | None


def create(file: Path, models: Sequence[str], datasets: Sequence[str], task: str) -> Contents:
    """Write a bundle and return its contents.

    Args:
        file: is replaced if it is there.
        models, datasets: each as `owner/name[@revision]`, from the Hub or from this machine.
        task: whose candidates are listed in the bundle, if the Hub answers.

    Raises:
        InputError: one of them cannot be had, or the file cannot be written.
    """
    named = [*((spec, "model") for spec in models), *((spec, "dataset") for spec in datasets)]
    found = [sources.resolve(spec, kind) for spec, kind in named]
    chosen = list({(source.kind, source.id, source.revision): source for source in found}.values())
    if not chosen:
        raise InputError("bundle create: nothing to bundle; give --model or --dataset owner/name")
    pins = {repo: revision for repo, (revision, _) in sources.PINNED.items()}
    asked = [
        (source, sources.split_id(spec)[1] or pins.get(source.id, "main")) for source, (spec, _) in zip(found, named)
    ]
    facts = []
    for source in chosen:
        refs = {ref for other, ref in asked if other == source and not download.SHA.fullmatch(ref)}
        fact = {name: getattr(source, name) for name in ("id", "kind", "revision", "files")}
        facts.append(fact | {"newest": "main" in refs, "refs": sorted(refs - {"main"})})
    listing = None if connection.unreachable(constants.ENDPOINT) else candidates.record(task)
    contents = strict_json.check_form(
        {"format": 1, "sources": facts, "listing": listing}, Contents, "bundle create: what was found"
    )
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


def add(file: Path) -> Contents:
    """Put what a bundle holds into the Hub's cache and return its contents; from then on `owner/name` works offline.

    A revision that the bundle was asked for does not take the place of another one as the newest that is known here.

    Raises:
        InputError: as `read` does, or a file differs from one that is here under the same revision. Then nothing of the
            bundle stays on this machine.
    """
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    with (
        _opened(file) as (archive, contents),
        TemporaryDirectory(dir=cache, prefix=".bundle-") as draft,
        ExitStack() as locks,
    ):
        for revision in sorted({source["revision"] for source in contents["sources"]}):
            locks.enter_context(download.locked(revision))
        for source in contents["sources"]:
            for name in source["files"]:
                archive.extract(_member(source, name), draft)
            here = download.snapshot_folder(source["id"], source["kind"], source["revision"])
            present = {name: digest for name, digest in source["files"].items() if (here / name).is_file()}
            sources.verify(
                str(file), here, machine.hash_files(here), present, "delete the file, then add the bundle again"
            )
        if contents["listing"]:
            candidates.add_listing(contents["listing"])
        for source in contents["sources"]:
            here = download.snapshot_folder(source["id"], source["kind"], source["revision"])
            (here / download.PARTS).mkdir(parents=True, exist_ok=True)  # there as long as files are missing
            for name in source["files"]:
                (here / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(draft) / _member(source, name)).replace(here / name)
            newest = source.get("newest", True) or not download.has_newest(source["id"], source["kind"])
            refs = [*source.get("refs", []), *["main"] * newest]
            download.write_manifest(here, source["id"], source["kind"], source["files"], refs)
    return contents


def read(file: Path) -> Contents:
    """Return a bundle's contents, after every file of it was compared with its digest.

    Raises:
        InputError: the bundle is damaged or not safe to unpack, or a file differs from the listed or the pinned one.
    """
    with _opened(file) as (_, contents):
        return contents


def describe(contents: Contents) -> str:
    """Return what a bundle holds, a line for each source."""
    lines = [f"{s['kind']} {s['id']}@{s['revision']}: {len(s['files'])} files" for s in contents["sources"]]
    if listing := contents["listing"]:
        lines.append(f"listing of {listing['task']} at {listing['endpoint']}, recorded {listing['recorded']}")
    return "\n".join(lines)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Contents]]:
    """Open a bundle that is safe: its members are exactly the files that it lists, plain, not compressed and whole."""
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
            for source in contents["sources"]:
                _check_files(archive, source, file)
            yield archive, contents
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise _refusal(file, connection.reason(error)) from None
    except OSError as error:
        raise InputError(f"bundle {file}: {connection.reason(error)}") from None


def _contents(archive: zipfile.ZipFile, file: Path) -> Contents:
    """Return `bundle.json`, checked."""
    if CONTENTS not in archive.namelist():
        raise _refusal(file, f"it has no {CONTENTS}")
    if archive.getinfo(CONTENTS).file_size > LARGEST_CONTENTS:
        raise _refusal(file, f"its {CONTENTS} has more than {LARGEST_CONTENTS / 1e6:.0f} MB")
    contents = strict_json.read_json(archive.read(CONTENTS), Contents, f"bundle {file}")
    for source in contents["sources"]:
        named = f"{source['id']}@{source['revision']}"
        if sources.split_id(named) != (source["id"], source["revision"]):
            raise _refusal(file, f"it lists {source['id'][:100]!r}, which is no owner/name")
        if odd := {*source["files"]} - {*download.allowed(source["files"], source["kind"])}:
            raise _refusal(file, f"it lists {min(odd)[:100]!r}, which a bundle may not hold")
    return contents


def _check_files(archive: zipfile.ZipFile, source: Carried, file: Path) -> None:
    """Raise an InputError if a file of a source is not the listed or the pinned one, or points outside its folder."""
    for name, digest in source["files"].items():
        with archive.open(_member(source, name)) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != digest:
            raise _refusal(file, f"{name} of {source['id']} has SHA-256 {found}, but its list says {digest}")
    revision, pinned = sources.PINNED.get(source["id"], (None, {}))
    if source["revision"] == revision:
        sources.verify(str(file), file, source["files"], pinned, "the bundle is refused")
    indexes = {name: archive.read(_member(source, name)) for name in source["files"] if ".index." in name}
    download.check_indexes(indexes, f"bundle {file}")


def _member(source: Carried, name: str) -> str:
    return f"{source['kind']}/{source['id']}/{source['revision']}/{name}"


def _refusal(file: Path, why: str) -> InputError:
    return InputError(f"bundle {file} is refused: {why}; fetch it again, or make it anew with `bundle create`")
