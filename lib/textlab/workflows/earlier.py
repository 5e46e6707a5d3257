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


def find_training(
    folder: Path, texts: data.Data, source: hub.Source, recipe: Recipe, seed: int, strict: bool
) -> tuple[Fit, dict[str, np.ndarray]] | None:
    """Return a training that notebook 2 left in a folder, and its answers; None unless it is exactly the one asked for.

    All that decides the outcome has to be the recorded one: rows, files of the pretrained model, recipe, seed, code,
    packages and machine. Model, answers and history have to have the recorded digests.

    Args:
        folder: where notebook 2 wrote, which may not exist.
        texts, source, recipe, seed, strict: of the training that is wanted.

    Returns:
        The fit, and split -> class ids.
    """
    try:
        found = find(str(folder))
    except InputError:
        return None
    told = found.record
    if found.faults or told["notebook"] != "02_fine_tuning" or told["predictions"].keys() != found.predictions.keys():
        return None
    wanted = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "strict": strict,
        "splits": texts.digests,
        "labels": texts.labels,
        "folds": texts.record().get("folds"),
        "model": source.files,
        "code": record.code("02_fine_tuning"),
        "environment": _decisive(environment.fingerprint()),
    }
    recorded = {
        "recipe": told["params"]["resolved"],
        "seed": told["seed"],
        "strict": told["params"]["strict"],
        "splits": told["splits"],
        "labels": told["labels"],
        "folds": told["data"].get("folds"),
        "model": told["model_files"],
        "code": told["code"],
        "environment": _decisive(told["environment"]),
    }
    history, measured = folder / "history.csv", results.read_all(folder)["02_fine_tuning"]["train"]
    whole = (folder / "model" / "model.safetensors").is_file() and history.is_file()
    if not whole or machine.sha256(history) != told.get("history"):
        return None
    if json.loads(json.dumps(wanted, default=machine.plain)) != recorded:
        return None
    try:
        saved = hub.resolve_model(str(folder / "model"))
        model = training.load_model(saved, texts.labels, recipe, seed, keep_head=True)
    except InputError:
        return None
    fitted = Fit(
        model=model,
        recipe=recipe,
        seed=seed,
        history=pd.read_csv(history),
        **{name: measured[name] for name in ("epochs", "steps", "seconds", "samples_per_second")},
        notes=(),
    )
    return fitted, {split: np.array(answers["predicted"]) for split, answers in found.predictions.items()}


def _decisive(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if not name.startswith("git_")}
