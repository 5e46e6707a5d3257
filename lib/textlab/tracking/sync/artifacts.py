"""Artifact files: what a run or a logged model has of them, and sending those that its copy lacks."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri, validate_path_is_safe

from ...errors import InputError, show
from .source import Source

#: A file that MLflow writes into a model's folder when the model is loaded from it.
_LEFT_BEHIND = "registered_model_meta"
#: Files (target's address, path, SHA-256) that this process has seen there or sent: an open run is synced often.
_CARRIED: set[tuple[str, str, str]] = set()


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of a run or of a logged model.

    Args:
        client: of the store.
        address: of the artifacts, as the store holds it.
        source: the store, if it is the one that is read; it says which files may be.
    """

    client: MlflowClient
    address: str
    source: Source | None = None

    def listing(self) -> dict[str, tuple[int, str]]:
        """Return path -> size in bytes and SHA-256; the latter is empty for files on a server.

        Raises:
            InputError: they lie where they are not read.
        """
        if folder := self._folder:
            files = [file for file in sorted(folder.rglob("*")) if self._is_own(file)]
            listing = {file.relative_to(folder).as_posix(): _measure(file) for file in files}
        else:
            listing = {path: (size, "") for path, size in _walk(self._repository)}
        listing.pop(_LEFT_BEHIND, None)
        return listing

    def fetch(self, path: str, folder: str) -> Path:
        """Return a file; it is downloaded into the folder if it is not on this machine."""
        if self._folder:
            return self._folder / path
        return Path(self._repository.download_artifacts(self._in_an_address(path), folder))

    def carry(self, target: Artifacts, listing: Mapping[str, tuple[int, str]]) -> tuple[int, list[str]]:
        """Send the files that the target lacks or has with another content.

        Args:
            target: gets them.
            listing: what `listing` returned.

        Returns:
            How many were sent, and the paths of those that cannot get there under their name.
        """
        there, missing = target.listing(), {}
        for path, (size, digest) in listing.items():
            size_there, digest_there = there.get(path, (-1, ""))  # None is the size of an empty file on a server
            if size != size_there or not self._equals(target, path, digest, digest_there):
                missing[path] = digest
        sendable = [path for path in missing if target._can_hold(path)]
        if sendable:
            with TemporaryDirectory() as downloads:
                files = {path: self.fetch(path, downloads) for path in sendable}
                target._receive(files)
            there = target.listing()
            _CARRIED.update((target.address, path, missing[path]) for path in sendable if path in there)
        lost = [path for path in missing if path not in there or path not in sendable]
        return len(missing) - len(lost), lost

    def _receive(self, files: Mapping[str, Path]) -> None:
        """Take files under their paths, each whole or not at all: another sync may send or read them now."""
        if not self._folder:
            with TemporaryDirectory() as parcel:
                for path, file in files.items():
                    link = Path(parcel) / self._in_an_address(path)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(file)
                self._repository.log_artifacts(parcel)
            return
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._folder.parent) as parcel:  # beside them: `replace` works on one disk only
            for path, file in files.items():
                (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
                Path(shutil.copy2(file, Path(parcel) / "file")).replace(self._folder / path)

    def _can_hold(self, path: str) -> bool:
        """Tell whether a file can be sent under its path: MLflow's server refuses some names, or alters them."""
        if self._folder:
            return True
        try:
            short = all(len(part.encode()) <= 255 for part in self._in_an_address(path).split("/"))
            return short and validate_path_is_safe(path) == path
        except (MlflowException, UnicodeEncodeError):
            return False

    def _equals(self, target: Artifacts, path: str, digest: str, digest_there: str) -> bool:
        """Tell whether the target's file of the same size has the same content; an empty digest is not known yet."""
        file = (target.address, path, digest or self._sha256(path))
        if not digest_there and file not in _CARRIED:
            digest_there = target._sha256(path)
        if digest_there and digest_there != file[2]:
            return False
        _CARRIED.add(file)
        return True

    def _sha256(self, path: str) -> str:
        with TemporaryDirectory() as downloads:
            return _measure(self.fetch(path, downloads))[1]

    def _is_own(self, file: Path) -> bool:
        """Tell whether a path is a file of these artifacts.

        Raises:
            InputError: it is a link to somewhere else, or to a folder, which nobody looks into.
        """
        if self.source and file.is_symlink() and (file.is_dir() or not self.source.may_hold(file)):
            raise InputError(f"{show(file.name)} among them is a link out of their folder: never read")
        return file.is_file()

    @property
    def _folder(self) -> Path | None:
        if self.source:
            return self.source.folder_of(self.address)
        if not is_local_uri(self.address):
            return None
        if _is_elsewhere(self.client.tracking_uri):
            advice = "start it with --artifacts-destination instead of --default-artifact-root"
            raise InputError(f"the server keeps them in {show(self.address)} of its own machine; {advice}")
        return Path(local_file_uri_to_path(self.address))

    def _in_an_address(self, path: str) -> str:
        """Return a path as MLflow's client of a server has to be given it: it cuts off `?...` and decodes `%41`."""
        through_a_server = urlsplit(self.address).scheme in ("mlflow-artifacts", "http", "https")
        return quote(path) if through_a_server and ("?" in path or "%" in path) else path

    @property
    def _repository(self) -> ArtifactRepository:
        return get_artifact_repository(self.address, tracking_uri=self.client.tracking_uri)


def _is_elsewhere(uri: str) -> bool:
    """Tell whether a store is a server of another machine."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or re.fullmatch(r"127(\.\d+){3}", host):
        return False
    return host not in ("localhost", "::1", "0.0.0.0", socket.gethostname().lower(), socket.getfqdn().lower())


def _walk(repository: ArtifactRepository, folder: str | None = None) -> Iterator[tuple[str, int]]:
    """Yield path and size of each file, those in folders too."""
    for entry in repository.list_artifacts(folder):
        if entry.is_dir:
            yield from _walk(repository, entry.path)
        else:
            yield entry.path, entry.file_size


def _measure(file: Path) -> tuple[int, str]:
    """Return the size and SHA-256 of a file; a file that has not changed is read once."""
    facts = file.stat()
    return facts.st_size, _digest(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _digest(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
