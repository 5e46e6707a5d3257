"""Notebook 2's finished training, read back from its folder, so that notebook 3 need not do the same one again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import data, hub, machine, training
from ..errors import InputError
from ..machine import environment
from ..notebooks import results
from ..settings import Recipe
from ..training import Fit
from . import record
from .recorded_run import find

#: What is only told about a training, and decides nothing.
MEASURED = {"epochs", "seconds", "samples_per_second"}


def find_training(
    folder: Path, texts: data.Data, source: hub.Source, recipe: Recipe, seed: int, strict: bool
) -> tuple[Fit, dict[str, np.ndarray]] | None:
    """Return a training that notebook 2 left in a folder, and its answers; None unless it is exactly the one asked for.

    All that decides the outcome has to be the recorded one: rows, files of the pretrained model, recipe, seed, code,
    packages and machine. The files of the saved model, the answers and the history have to have the recorded digests.

    Args:
        folder: where notebook 2 wrote, which may not exist.
        texts, source, recipe, seed, strict: of the training that is wanted.

    Returns:
        The fit, and split -> answers.
    """
    try:
        found, told = find(str(folder)), results.read(folder, "02_fine_tuning")
    except InputError:
        return None
    known, measured = found.record, told.get("train", {})
    if found.faults or known["notebook"] != "02_fine_tuning" or known["predictions"].keys() != found.predictions.keys():
        return None
    wanted = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "strict": strict,
        "splits": texts.digests,
        "labels": texts.labels,
        "data": texts.record(recipe.keep),
        "model": source.files,
        "code": record.code("02_fine_tuning"),
        "environment": _decisive(environment.fingerprint()),
    }
    recorded = {
        "recipe": known["params"]["resolved"],
        "seed": known["seed"],
        "strict": known["params"]["strict"],
        "splits": known["splits"],
        "labels": known["labels"],
        "data": known["data"],
        "model": known["model_files"],
        "code": known["code"],
        "environment": _decisive(known["environment"]),
    }
    if json.loads(json.dumps(wanted, default=machine.plain)) != recorded or not MEASURED <= measured.keys():
        return None
    history = folder / "history.csv"
    try:
        if not history.is_file() or machine.sha256(history) != known.get("history"):
            return None
        if record.saved_files(folder / "model") != known.get("saved"):
            return None
        saved = hub.resolve_model(str(folder / "model"))
        model = training.load_model(saved, texts.labels, recipe, seed, keep_head=True, several=texts.several)
        kind = training.text_kind.read_kind(saved.path, saved.id)
    except InputError:
        return None
    fitted = Fit(
        model=model,
        recipe=recipe,
        seed=seed,
        history=pd.read_csv(history),
        steps=known["steps"],
        **{name: measured[name] for name in MEASURED},
        notes=(),
        kind=kind,
    )
    return fitted, {split: np.array(answers["predicted"]) for split, answers in found.predictions.items()}


def _decisive(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if not name.startswith("git_")}
