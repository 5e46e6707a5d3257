"""What each notebook accepts, and where its values come from."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..errors import InputError
from ..machine import project_root
from .recipe import RECIPE, RECIPES
from .rules import ADDRESS, Rule, convert, did_you_mean
from .search_space import with_space
from .strict_yaml import read_yaml
from .sweep_options import SWEEP_OPTIONS

#: How many labels a text has: see `data.load`.
LABELS = ("auto", "single", "several", "ordered")
DATA = {
    "dataset": Rule(str),
    "text_column": Rule(str),
    "label_column": Rule(str),
    "labels": Rule(str, choices=LABELS),
}
COMMON = {
    "seed": Rule(int, 0, 2**32 - 1),
    "output_dir": Rule(str),
}
TRAINING = {
    "model": Rule(str),
    "recipe": Rule(str, choices=tuple(RECIPES)),
    **{
        name: dataclasses.replace(RECIPE[name], optional=True)
        for name in ("learning_rate", "batch_size", "epochs", "weight_decay", "max_length", "patience")
    },
    "max_train_rows": Rule(int, 2, optional=True),
    "recipe_options": Rule(dict, keys=RECIPE),
}
NAMED = (r"(?=.*\S)[^\x00-\x1f\x7f]{1,500}", "on one line that is not empty, of up to 500 characters")
#: What MLflow finds again under `models:/NAME@ALIAS` and `models:/NAME/VERSION`, in every kind of store.
MODEL_NAME = (
    r"(?!\.{1,2}$)(?!\s)[^/:?@'\"\x00-\x1f\x7f]{1,256}",
    "without / : and quotes, ? or @, that is not empty and has up to 256 characters",
)
STORE = {
    "tracking_uri": ADDRESS,
    "experiment": Rule(str, pattern=NAMED),
    "registered_model": Rule(str, pattern=MODEL_NAME),
}

#: Notebook name -> parameter name -> rule.
NOTEBOOKS: dict[str, dict[str, Rule]] = {
    "01_hub_exploration": DATA
    | {
        "model": Rule(str),
        "max_length": Rule(int, 4, 8192),
        "search_task": Rule(str),
        "search_sort": Rule(str, choices=("downloads", "likes", "last_modified")),
        "search_limit": Rule(int, 1, 100),
        "search_licence": Rule(str),
        "search_language": Rule(str),
        "search_max_megabytes": Rule(float, 0, above=True, optional=True),
    }
    | COMMON,
    "02_fine_tuning": DATA
    | TRAINING
    | {
        "learning_curve": Rule(bool, optional=True),
        "resume": Rule(bool),
        "strict": Rule(bool),
        "seeds": Rule(list, 0, 2**32 - 1, items=int),
        "sentences": Rule(list, items=str),
    }
    | COMMON,
    "03_mlflow_tracking": DATA
    | {name: rule for name, rule in TRAINING.items() if name != "patience"}
    | STORE
    | {
        "sync_to": ADDRESS,
        "n_trials": Rule(int, 1, 10_000),
        "search_space": Rule(dict),
        "sweep_options": Rule(dict, keys=SWEEP_OPTIONS),
        "engine": Rule(str, choices=("local", "ray")),
        "study": Rule(str, pattern=(r"[^\x00-\x1f\x7f]{0,400}", "on one line, of up to 400 characters")),
        "strict": Rule(bool),
    }
    | COMMON,
    "04_sweep_analysis": STORE | {"metric": Rule(str), "promote": Rule(bool)} | COMMON,
}


def notebook_name(name: str) -> str:
    """Return the full name of a notebook given as `02_fine_tuning`, `02` or a path to it.

    Raises:
        InputError: no notebook, or no single one, is called so.
    """
    if len(Path(name).parts) > 1 and Path(name).resolve().parent != project_root() / "notebooks":
        raise InputError(f"{name} is not a notebook of this project; there are {', '.join(NOTEBOOKS)}")
    stem = Path(name).name.removesuffix(".ipynb")
    hits = [full for full in NOTEBOOKS if full == stem or (stem and full.startswith(stem))]
    if len(hits) != 1:
        raise InputError(
            f"no notebook is called {name!r}; there are {', '.join(NOTEBOOKS)}{did_you_mean(stem, NOTEBOOKS)}"
        )
    return hits[0]


def check(notebook: str, values: Mapping[str, Any]) -> SimpleNamespace:
    """Return the notebook's parameters, checked and converted, from a mapping that may hold other names too.

    Args:
        notebook: name of the notebook, such as `02_fine_tuning`.
        values: the parameters; a notebook passes its `globals()`.

    Raises:
        InputError: a parameter is missing, of a wrong type or out of range.
    """
    rules = NOTEBOOKS[notebook_name(notebook)]
    missing = [name for name in rules if name not in values]
    if missing:
        raise InputError(f"{notebook}: no value for {', '.join(missing)}; run the parameters cell first")
    return SimpleNamespace(**with_space({name: convert(name, values[name], rule) for name, rule in rules.items()}))


def gather(
    notebook: str, files: list[Path], overrides: Mapping[str, Any], together: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the parameters to inject into a notebook; later files and the overrides win.

    Args:
        together: full names of the notebooks that share the files; what only another one of them has is left out.

    Raises:
        InputError: an unknown parameter (with the nearest known name), or a value that is not accepted.
    """
    rules = NOTEBOOKS[notebook_name(notebook)]
    merged: dict[str, Any] = {}
    for origin, values in [(str(f), read_yaml(f)) for f in files] + [("the command line", overrides)]:
        refuse_unknown(values, together or [notebook], origin)
        for name, value in ((name, value) for name, value in values.items() if name in rules):
            try:
                merged[name] = convert(name, value, rules[name])
            except InputError as error:
                raise InputError(f"{origin}: {error}") from None
    return with_space(merged)


def refuse_unknown(names: Iterable[str], notebooks: Iterable[str], origin: str) -> None:
    """Raise an InputError for a parameter name that none of the notebooks has."""
    known = list(dict.fromkeys(name for notebook in notebooks for name in NOTEBOOKS[notebook]))
    for name in names:
        if name not in known:
            raise InputError(
                f"{origin}: {' or '.join(notebooks)} has no parameter {name!r}"
                f"{did_you_mean(name, known) or '; accepted are ' + ', '.join(known)}"
            )


def profile_file(profile: str, notebook: str) -> Path:
    """Return the params file of a profile for a notebook.

    Raises:
        InputError: there is no such profile.
    """
    folder = project_root() / "params"
    profiles = sorted(p.name for p in folder.iterdir() if p.is_dir())
    if profile not in profiles:
        raise InputError(
            f"no profile is called {profile!r}; there are {', '.join(profiles)}{did_you_mean(profile, profiles)}"
        )
    return folder / profile / f"{notebook}.yaml"


def defaults(notebook: str) -> dict[str, Any]:
    """Return the values in a notebook's parameters cell."""
    book = json.loads((project_root() / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    source = next("".join(cell["source"]) for cell in book["cells"] if "parameters" in cell["metadata"].get("tags", []))
    return {
        line.target.id: ast.literal_eval(line.value)
        for line in ast.parse(source).body
        if isinstance(line, ast.AnnAssign)
    }
