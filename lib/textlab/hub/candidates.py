"""Candidates side by side: what the Hub, or a listing made from it, says about models and data sets."""

from __future__ import annotations

import datetime
import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import huggingface_hub
import pandas as pd
import yaml
from huggingface_hub import constants
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from huggingface_hub.utils import build_hf_headers, get_session
from pydantic import ConfigDict
from typing_extensions import TypedDict

from .. import machine
from ..errors import InputError
from ..settings import strict_json
from . import connection, sources
from .packaged_data import PACKAGE, VERSION

#: Columns of a table of candidates, indexed by id. A value that is not stated is missing.
COLUMNS = (
    "task",
    "downloads",
    "likes",
    "licence",
    "parameters",
    "rows",
    "megabytes",
    "languages",
    "changed",
    "format",
    "published",
    "summary",
    "revision",
)
_NUMBERS = ("downloads", "likes", "parameters", "megabytes")
Row = TypedDict("Row", {"id": str} | {name: (float if name in _NUMBERS else str) | None for name in COLUMNS})
Row.__pydantic_config__ = ConfigDict(extra="forbid")


class Listing(TypedDict):
    """What `record` returns: the rows of two tables of candidates, and where and when they were found."""

    task: str
    endpoint: str
    recorded: str
    model: list[Row]
    dataset: list[Row]


#: The listing that ships with the library. It was compiled from pages of several years: see this room's README.
SHIPPED = Path(__file__).with_name("recorded_listing.json")
#: What the Hub is asked for beside the id.
_ASKED = {"model": ["pipeline_tag", "safetensors", "model-index"], "dataset": ["mainSize"]}
#: The formats that are taken of what the Hub has, and what to say where there is none of them.
_TAKEN = {"model": {"safetensors"}, "dataset": {"parquet", "csv", "json", "text"}}
_USELESS = {"model": "no safetensors weights", "dataset": "no plain data files"}


def search(
    kind: str,
    task: str,
    sort: str,
    limit: int,
    licence: str = "",
    language: str = "",
    max_megabytes: float | None = None,
) -> pd.DataFrame:
    """Return what the Hub offers for a task, best first.

    Args:
        kind: `model` or `dataset`.
        task: such as `text-classification`.
        sort: `downloads`, `likes` or `last_modified`.
        limit: number of rows; the filters, if any, are applied to the first ten times as many.
        licence, language, max_megabytes: as for `select`.

    Returns:
        COLUMNS: parameters (millions) and megabytes of the safetensors weights for a model, rows and megabytes for a
        data set, published results of the card's model-index, the first sentences of the card.

    Raises:
        InputError: the Hub answers with an error, or not at all.
    """
    connection.bound_calls()
    api = huggingface_hub.HfApi()
    filtered = bool(licence or language or max_megabytes)
    options = {
        "sort": sort,
        "limit": limit * (10 if filtered else 1),
        "expand": ["downloads", "likes", "tags", "sha", "lastModified", "cardData", *_ASKED[kind]],
    }
    try:
        listing = (
            api.list_models(pipeline_tag=task, **options)
            if kind == "model"
            else api.list_datasets(filter=f"task_categories:{task}", **options)
        )
        table = select(_table([_row(info, kind) for info in listing]), sort, limit, licence, language, max_megabytes)
        with ThreadPoolExecutor(8) as pool:
            table["summary"] = list(pool.map(_summary, table.index, table["revision"], itertools.repeat(kind)))
    except connection.UNREACHED as error:
        raise InputError(
            f"the search at {connection.endpoint()} failed ({connection.reason(error)}); try again, or set "
            "HF_HUB_OFFLINE=1 to go on without the Hub"
        ) from None
    return table


def select(
    table: pd.DataFrame,
    sort: str,
    limit: int,
    licence: str = "",
    language: str = "",
    max_megabytes: float | None = None,
) -> pd.DataFrame:
    """Return the best rows of a table of candidates; rows that do not state what is asked for are left out.

    Args:
        licence: such as `mit`; empty: any.
        language: such as `en`; empty: any.
        max_megabytes: size on disk; None: any.
    """
    keep = pd.Series(True, table.index)
    if licence:
        keep &= table["licence"] == licence
    if language:
        keep &= table["languages"].str.split(", ").map(lambda names: isinstance(names, list) and language in names)
    if max_megabytes:
        keep &= pd.to_numeric(table["megabytes"]) <= max_megabytes
    column = {"last_modified": "changed"}.get(sort, sort)
    return table[keep].sort_values(column, ascending=False, kind="stable", na_position="last").head(limit).copy()


def find(kind: str, task: str, *options) -> tuple[pd.DataFrame, str]:
    """Return a table of candidates as `search` does, and its origin in words.

    Without the Hub they come from the listing of an added bundle, if it is of that task, or else from the shipped one.

    Args:
        options: sort, limit, licence, language and max_megabytes of `search`.

    Raises:
        InputError: the search fails, or the listing of a bundle is damaged.
    """
    if not connection.unreachable(constants.ENDPOINT):
        return search(kind, task, *options), connection.endpoint()
    listing, made = strict_json.read_json(SHIPPED, Listing, f"the listing {SHIPPED}"), "compiled"
    if (file := listing_file()).is_file():
        brought = strict_json.read_json(file, Listing, f"the listing of an added bundle, {file},")
        listing, made = (brought, "recorded") if brought["task"] == task else (listing, made)
    table = _table(listing[kind] if listing["task"] == task else [])
    return select(table, *options), f"{listing['endpoint']}, {made} {listing['recorded']}"


def overview(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return a table of candidates to be read: short numbers, and no column of which no row states anything.

    Its last column, files, says which files can be used here, or why none can.
    """
    told = {
        "id": table.index.to_series(),
        "rows": table["rows"],
        "downloads": table["downloads"].map(_short),
        "likes": table["likes"].map(_short),
        "size": table["megabytes"].map(lambda size: _short(size, 1e6, "B")),
        "licence": table["licence"],
        "languages": table["languages"].map(_languages),
        "files": table["format"].map(lambda formats: _files(formats, kind)),
    }
    shown = pd.DataFrame(told).fillna("")
    return shown.loc[:, shown.ne("").any()]


def record(task: str, limit: int = 50) -> Listing:
    """Return a listing of models and data sets for a task, for a machine without the Hub."""
    return {
        "task": task,
        "endpoint": connection.endpoint(),
        "recorded": datetime.date.today().isoformat(),
        **{kind: rows(search(kind, task, "downloads", limit)) for kind in ("model", "dataset")},
    }


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table of candidates as plain values for a file; what is not stated is None."""
    return json.loads(table.reset_index().to_json(orient="records"))


def listing_file() -> Path:
    """Return where the listing of an added bundle lies."""
    return machine.outputs_root() / ".cache" / "listing.json"


def add_listing(listing: Listing) -> None:
    """Keep a recorded listing on this machine, in place of an earlier one."""
    machine.write_text(listing_file(), json.dumps(listing))


def reasons(source: sources.Source, table: pd.DataFrame) -> list[str]:
    """Return the reasons for and against a source, one sentence each, from its files, its card and the candidates."""
    is_packaged = source.kind == "dataset" and source.id.partition(":")[0] == "packaged"
    licence = "MIT" if is_packaged else metadata(source).get("license") or table["licence"].dropna().get(source.id)
    folder = source.path if source.path.is_dir() else source.path.parent
    size = sum((folder / name).stat().st_size for name in source.files)
    sentences = [f"Its files take {f'{size / 1e6:.1f} MB' if size >= 1e5 else f'{size / 1e3:.1f} kB'}."]
    sentences.append(
        f"Its licence is {licence}." if licence else "No licence is stated: ask before you publish with it."
    )
    if source.kind == "model":
        sentences.append("Its weights are safetensors, which run no code when they are loaded.")
    if source.revision:
        pinned = is_packaged or sources.PINNED.get(source.id, ("",))[0] == source.revision
        sentences.append(
            "Its revision is fixed" + (", and its digests are those that this project pins." if pinned else ".")
        )
    if source.id in table.index:
        counts = pd.to_numeric(table["downloads"])
        if counts.notna()[source.id]:
            own, least, most = map(_short, (counts[source.id], counts.min(), counts.max()))
            sentences.append(f"It has {own} downloads in 30 days; the {len(table)} candidates have {least} to {most}.")
    elif len(table):
        sentences.append(f"It is not among the {len(table)} candidates above.")
    return sentences


def on_this_machine(kind: str) -> pd.DataFrame:
    """Return what can be used without the Hub: what comes with a package, and what the Hub's cache holds.

    Returns:
        Columns use_as (the value for the `model` or `dataset` parameter), revision and megabytes; indexed by id.
    """
    if kind == "model":
        packaged = sources.resolve_model("packaged")
        size = sum(file.stat().st_size for file in packaged.path.rglob("*") if file.is_file())
        entries = [
            {"id": packaged.id, "use_as": "packaged", "revision": packaged.revision[:8], "megabytes": size / 1e6}
        ]
    else:
        name = f"sentences of {PACKAGE}"
        entries = [{"id": name, "use_as": "packaged", "revision": VERSION, "megabytes": 5.1}]
    cache = constants.HF_HUB_CACHE
    if Path(cache).is_dir():
        entries += [
            {
                "id": repo.repo_id,
                "use_as": f"{repo.repo_id}@{revision.commit_hash}",
                "revision": revision.commit_hash[:8],
                "megabytes": revision.size_on_disk / 1e6,
            }
            for repo in huggingface_hub.scan_cache_dir(cache).repos
            if repo.repo_type == kind
            for revision in repo.revisions
            if not (revision.snapshot_path / ".parts").exists()
        ]
    return pd.DataFrame(entries).set_index("id").round(1)


def card(source: sources.Source, paragraphs: int = 4, listed: pd.DataFrame | None = None) -> str:
    """Return the first paragraphs of a source's card, without its metadata, headings, pictures and code.

    Without a card it is what a table of candidates says of the source.
    """
    readme = source.path / "README.md" if source.path else None
    if readme is not None and readme.is_file():
        return _prose(readme.read_text(encoding="utf-8-sig", errors="replace"), paragraphs)
    if listed is None or source.id not in listed.index:
        return "(no card comes with this source)"
    told = listed.loc[source.id, ["summary", "published", "licence"]].dropna()
    return "\n\n".join(value if name == "summary" else f"{name.capitalize()}: {value}" for name, value in told.items())


def metadata(source: sources.Source) -> dict[str, Any]:
    """Return the metadata at the top of a source's card; empty when there is none that can be read."""
    file = source.path / "README.md" if source.path else None
    try:
        return file and file.is_file() and metadata_load(file) or {}
    except (ValueError, yaml.YAMLError):
        return {}


def _prose(text: str, paragraphs: int) -> str:
    text = re.sub(r"\A---\n.*?\n---\n|```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    lines = ["" if line.lstrip().startswith(("<", "![", "[![", "#")) else line.rstrip() for line in text.splitlines()]
    kept = [paragraph for paragraph in re.split(r"\n{2,}", "\n".join(lines).strip("\n")) if paragraph]
    return "\n\n".join(kept[:paragraphs])


def _short(value: float | None, unit: float = 1, name: str = "") -> str:
    """Return a count of units in two or three digits, such as `5.4 M`; empty if it is missing."""
    if pd.isna(value):
        return ""
    value *= unit
    for prefix in ("", "k", "M", "G"):
        if round(value) < 1000 or prefix == "G":
            break
        value /= 1000
    digits = f"{value:.2g}" if value < 10 else f"{value:.0f}"
    return f"{digits}\N{NO-BREAK SPACE}{prefix}{name}".strip()


def _languages(names: str | None) -> str:
    return "" if pd.isna(names) else names if names.count(",") < 3 else f"{names.count(',') + 1} languages"


def _files(formats: str | None, kind: str) -> str:
    if pd.isna(formats):
        return ""
    return ", ".join(name for name in formats.split(", ") if name in _TAKEN[kind]) or f"{_USELESS[kind]} ({formats})"


def _table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", *COLUMNS]).set_index("id")


def _row(info, kind: str) -> dict[str, Any]:
    tags, stated = info.tags or [], info.card_data.to_dict() if info.card_data else {}
    tensors = getattr(info, "safetensors", None)
    size = (
        sum(count * _bits(dtype) / 8 for dtype, count in tensors.parameters.items())
        if tensors
        else getattr(info, "main_size", None)
    )
    languages = stated.get("language") or _tags(tags, "language:")
    formats = _tags(tags, "format:") or [
        tag for tag in tags if tag in ("safetensors", "pytorch", "tf", "jax", "onnx", "gguf")
    ]
    tasks = [info.pipeline_tag] if getattr(info, "pipeline_tag", None) else _tags(tags, "task_categories:")
    row = {
        "id": info.id,
        "task": tasks,
        "downloads": info.downloads,
        "likes": info.likes,
        "licence": _tags(tags, "license:"),
        "parameters": tensors and round(tensors.total / 1e6, 1),
        "rows": _tags(tags, "size_categories:"),
        "megabytes": size and round(size / 1e6, 1),
        "languages": languages,
        "changed": info.last_modified and info.last_modified.date().isoformat(),
        "format": formats,
        "published": _published(getattr(info, "model_index", None)),
        "summary": None,
        "revision": info.sha,
    }
    return {
        name: (", ".join(map(str, value)) or None) if isinstance(value, list) else value for name, value in row.items()
    }


def _tags(tags: list[str], prefix: str) -> list[str]:
    return [tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)]


def _bits(dtype: str) -> int:
    number = re.search(r"\d+", dtype)  # F32, BF16, F8_E4M3, I64
    return int(number[0]) if number else 8  # BOOL


def _published(model_index: list | None) -> list[str]:
    """Return the first results that authors state for their model, such as `accuracy 0.927 (emotion)`."""
    try:
        stated = model_index_to_eval_results(model_index)[1] if model_index else []
    except (KeyError, TypeError):  # authors write these by hand
        return []
    return [f"{r.metric_name or r.metric_type} {r.metric_value} ({r.dataset_name})" for r in stated[:3]]


def _summary(repo: str, revision: str, kind: str) -> str | None:
    url = huggingface_hub.hf_hub_url(repo, "README.md", repo_type=kind, revision=revision)
    answer = get_session().get(url, headers=build_hf_headers())
    text = " ".join(_prose(answer.text, 1).split()) if answer.is_success else ""
    return (text if len(text) <= 200 else text[:198] + " …") or None
