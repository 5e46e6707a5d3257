"""The record of a run: all that decided its outcome, and the outcome, under a digest of its own that shows an edit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from .. import data, evaluation, hub, machine
from ..errors import InputError
from ..machine import environment
from ..notebooks import results
from ..settings import Recipe, make_recipe, parameters, strict_json
from ..training import Fit

#: What a results file has at its top level in any case. Its record holds only the rest; the digest covers both.
SHARED = ("notebook", "params", "seed", "environment", "data", "model", "validation", "test", "weights_sha256")
#: Parameters that say where a run is kept; they decide nothing, and may name machines.
PLACES = ("output_dir", "tracking_uri", "sync_to", "sweep_options")
METRICS = ("accuracy", "macro_f1", "weighted_f1", "micro_f1")  # the last with several labels a text only

Seed = Annotated[int, Field(ge=0, lt=2**32)]
#: A class id a row; or with several labels a text 0 or 1 for each label.
Answers = list[Annotated[int, Field(ge=0)]] | list[list[Annotated[int, Field(ge=0, le=1)]]]
Scored = Literal["validation", "test"]


class Scores(results.Scores):
    """The scores of a recorded run."""

    weighted_f1: strict_json.Share


class Environment(TypedDict):
    """What is read of the environment; the rest is only compared."""

    threads: strict_json.Count
    precision: Literal["fp32", "bf16", "fp16"]
    git_commit: NotRequired[str]
    git_dirty: NotRequired[str]


class Params(TypedDict):
    """The parameters of a run, and all settings of its recipe; `recipe` looks at the rest."""

    dataset: str
    model: str
    text_column: str
    label_column: str
    recipe: str
    max_train_rows: int | None
    seed: Seed
    strict: bool
    resolved: dict[str, Any]


class Record(TypedDict):
    """What `make` returns."""

    notebook: Literal["02_fine_tuning", "03_mlflow_tracking"]
    params: Params
    seed: Seed
    environment: Environment
    code: dict[str, strict_json.Sha256]
    data: results.DataFacts
    labels: Annotated[list[str], Field(min_length=2)]
    splits: dict[Literal["train", "validation", "test"], strict_json.Sha256]
    model: results.Facts
    model_files: dict[str, strict_json.Sha256]
    weights_sha256: strict_json.Sha256
    predictions: Annotated[dict[Scored, strict_json.Sha256], Field(min_length=1)]
    validation: NotRequired[Scores]
    test: NotRequired[Scores]
    looks: NotRequired[list[strict_json.Share]]  # notebook 3
    # Notebook 2: digests of history.csv and of the files of the saved model, and the steps of the training.
    history: NotRequired[strict_json.Sha256]
    saved: NotRequired[dict[str, strict_json.Sha256]]
    steps: NotRequired[strict_json.Count]
    turn: NotRequired[strict_json.Count]  # of the folds, see `Data.turned`
    final: NotRequired[bool]  # a training as `Workbench.train` does it for the registry
    finished: NotRequired[bool]
    sha256: strict_json.Sha256


class Predictions(TypedDict):
    """What `predictions` returns."""

    rows_sha256: strict_json.Sha256
    labels: list[str]
    true: Answers
    predicted: Answers
    other_seeds: NotRequired[dict[str, Answers]]


def make(
    notebook: str,
    cfg: SimpleNamespace,
    texts: data.Data,
    source: hub.Source,
    fitted: Fit,
    weights_sha256: str,
    predicted: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """Return the record of a finished training.

    Args:
        notebook: whose parameters `cfg` holds, checked and after defaults.
        texts, source: data and pretrained model.
        fitted: the finished training.
        weights_sha256: of the trained weights, as a safetensors file.
        predicted: split -> what `predictions` returns.
        scores: split -> what `evaluation.score` returns.
        more: what else decided the outcome, or is one.
    """
    params = {name: value for name, value in vars(cfg).items() if name not in PLACES}
    return seal(
        {
            "notebook": notebook,
            "params": params | {"resolved": dataclasses.asdict(fitted.recipe)},
            "seed": fitted.seed,
            "environment": environment.fingerprint(),
            "code": code(notebook),
            "data": texts.record(fitted.recipe.keep),
            "labels": texts.labels,
            "splits": texts.digests,
            "model": source.record() | {"parameters": fitted.model.num_parameters()},
            "model_files": source.files,
            "weights_sha256": weights_sha256,
            "predictions": {split: digest(content) for split, content in predicted.items()},
            **scores,
            **more,
        }
    )


def predictions(
    texts: data.Data, split: str, predicted: Sequence, others: Mapping[int, Sequence] | None = None
) -> dict[str, Any]:
    """Return the answers for a split with all that is needed to compare them row by row with another model's.

    Args:
        predicted: class ids, one a row; or 0 and 1 for each label, shape (rows, labels).
        others: seed -> the same of further trainings.

    Returns:
        Keys rows_sha256, labels, true, predicted and, if there are any, other_seeds; plain JSON values.
    """
    found = {
        "rows_sha256": texts.digests[split],
        "labels": list(texts.labels),
        "true": evaluation.truth(texts.splits[split]).tolist(),
        "predicted": np.asarray(predicted).tolist(),
    }
    further = {str(seed): np.asarray(answers).tolist() for seed, answers in (others or {}).items()}
    return found | ({"other_seeds": further} if further else {})


def saved_files(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of a saved model, without its card, which is written later."""
    return {name: digest for name, digest in hub.resolve_model(str(folder)).files.items() if not name.endswith(".md")}


def write_predictions(folder: Path, predicted: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `predictions/<split>.json` into a run's folder."""
    for split, content in predicted.items():
        machine.write_text(folder / "predictions" / f"{split}.json", json.dumps(content))


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as plain JSON values, with the SHA-256 of everything else in it as `sha256`.

    >>> sealed = seal({"seed": 42, "accuracy": 0.5})
    >>> fault(sealed), fault(sealed | {"accuracy": 0.9})
    ('', 'its record was altered: the SHA-256 that it carries does not fit its content')
    """
    plain = json.loads(
        json.dumps({key: value for key, value in content.items() if key != "sha256"}, default=machine.plain)
    )
    return plain | {"sha256": digest(plain)}


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain JSON values, whatever the order of keys and the white space of the file they are in.

    >>> digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fault(record: Mapping[str, Any]) -> str:
    """Return why a record cannot be relied on, in words; empty when its digest fits."""
    if not record.get("sha256"):
        return "it has no record: it was not completed, or made before records were kept"
    if digest({key: value for key, value in record.items() if key != "sha256"}) != record["sha256"]:
        return "its record was altered: the SHA-256 that it carries does not fit its content"
    return ""


def form_fault(record: Mapping[str, Any]) -> str:
    """Return what is missing in a record or of a wrong kind, in words; empty when all of it can be used."""
    try:
        strict_json.check_form(record, Record, "its record")
        recipe(record)
    except InputError as error:
        return str(error)
    scored, rows = {"validation", "test"} & {*record}, {*record["data"]["rows"]}
    if not scored == {*record["predictions"]} <= rows == {*record["splits"]}:
        return "its record contradicts itself: scores, predictions, rows and splits are of different splits"
    if record["notebook"] == "03_mlflow_tracking" and "looks" not in record:
        return "its record does not say when the training was validated"
    return ""


def recipe(record: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a record, after all of its parameters were checked.

    Raises:
        InputError: one of them is unknown or not accepted.
    """
    notebook = record["notebook"]
    values = params_of(record)
    parameters.refuse_unknown(values, [notebook], "its record")
    parameters.check(notebook, parameters.defaults(notebook) | values)
    resolved = parameters.defaults(notebook) | values | {"recipe_options": chosen(record)}
    checked = parameters.check(notebook, resolved)
    return make_recipe(checked.recipe, **checked.recipe_options)


def params_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a record that decide a training: a search space, which may be refused now, does not."""
    return {name: value for name, value in record["params"].items() if name not in ("resolved", "search_space")}


def chosen(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a record's recipe; those that older records lack are as they were then."""
    keep = "best" if record["notebook"] == "02_fine_tuning" else "last"
    return {"keep": keep, "contrastive": 0.0, "label_names": 0} | record["params"]["resolved"]


def prediction_fault(split: str, content: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return what is wrong with the answers for a split beside their record, in words; empty when they are its own."""
    if digest(content) != record["predictions"].get(split):
        return f"the predictions file of {split} was altered: its SHA-256 is not the recorded one"
    try:
        strict_json.check_form(content, Predictions, f"the predictions file of {split}")
    except InputError as error:
        return str(error)
    columns = [content["true"], content["predicted"], *content.get("other_seeds", {}).values()]
    if {len(column) for column in columns} != {record["data"]["rows"][split]}:
        return f"the predictions file of {split} has not the rows that are recorded"
    return ""


def for_results(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as arguments of `results.write`, each fact once: the shared ones, and the rest under `record`."""
    shared = {
        name: record[name] for name in SHARED if name in record and name != "notebook"
    }  # `write` adds that itself
    return shared | {"record": {name: value for name, value in record.items() if name not in SHARED}}


def from_results(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole record from the content of a results file; an empty one when there is none."""
    return {name: found[name] for name in SHARED if name in found} | found["record"] if found.get("record") else {}


def code(notebook: str) -> dict[str, str]:
    """Return file name -> SHA-256 of the sources: the library, and a notebook's code cells.

    The parameters cell is left out, since its values are recorded; so is the one that fetches the project.
    """
    root = machine.project_root()
    library = root / "lib" / "textlab"
    texts = {
        file.relative_to(library).as_posix(): file.read_text(encoding="utf-8") for file in sorted(library.rglob("*.py"))
    }
    book = json.loads((root / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    texts[f"{notebook}.ipynb"] = "\n".join(
        "".join(cell["source"]) for cell in cells if not {"parameters", "hosted"} & {*cell["metadata"].get("tags", [])}
    )
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
