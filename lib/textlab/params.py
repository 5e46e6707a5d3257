"""What each notebook accepts: names, types and ranges of its parameters, and strict reading of params files.

Defaults and help texts stand in the notebooks' own `parameters` cells; this module says which values are valid.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from . import InputError
from .runtime import project_root


@dataclass(frozen=True)
class Rule:
    """The accepted values of one parameter: its type, bounds (low < or <= value <= high) and choices."""

    type: type
    low: float | None = None
    high: float | None = None
    above: bool = False  # True: low itself is not accepted
    choices: tuple[str, ...] = ()
    optional: bool = False  # True: None is accepted
    pattern: tuple[str, str] = ("", "")  # a regular expression for the whole text, and the same in words
    items: type = object  # of a list
    keys: Mapping[str, Rule] | None = None  # of a mapping

    def accepted(self) -> str:
        """Return the accepted values in words."""
        words = {
            str: "text",
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            list: "a list",
            dict: "a mapping",
        }[self.type]
        if self.pattern[0]:
            words += f" {self.pattern[1]}"
        if self.items is not object:
            words += " of texts" if self.items is str else " of whole numbers"
        if self.keys:
            words += f" with {', '.join(self.keys)}"
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        if self.low is not None:
            words += f" {'above' if self.above else 'from'} {self.low:g}"
        if self.high is not None:
            words += f" {'and at most' if self.above or self.low is None else 'to'} {self.high:g}"
        return words + (", or null" if self.optional else "")


DATA = {
    "dataset": Rule(str),
    "text_column": Rule(str),
    "label_column": Rule(str),
}
COMMON = {
    "seed": Rule(int, 0, 2**32 - 1),
    "output_dir": Rule(str),
}
#: The settings of a recipe. A search space may name each of them.
RECIPE: dict[str, Rule] = {
    "learning_rate": Rule(float, 0, 100, above=True),
    "batch_size": Rule(int, 1, 4096),
    "epochs": Rule(int, 1, 1000),
    "weight_decay": Rule(float, 0, 1),
    "max_length": Rule(int, 4, 8192),
    "patience": Rule(int, 1, 1000),
    "warmup": Rule(float, 0, 1),
    "max_grad_norm": Rule(float, 0, above=True),
    "dropout": Rule(bool),
    "train_embeddings": Rule(bool),
    "frozen_share": Rule(float, 0, 1),
    "layer_lr_decay": Rule(float, 0, 1, above=True),
    "average": Rule(float, 0, 0.99999),
    "label_smoothing": Rule(float, 0, 0.9),
    "class_weights": Rule(bool),
    "attention": Rule(str, choices=("auto", "eager", "sdpa")),
    "batches": Rule(str, choices=("similar_length", "random", "padded")),
    "precision": Rule(str, choices=("auto", "fp32", "bf16", "fp16")),
    "torch_compile": Rule(bool),
}
TRAINING = {
    "model": Rule(str),
    "recipe": Rule(str, choices=("short_text", "lab")),
    **{
        name: dataclasses.replace(RECIPE[name], optional=True)
        for name in ("learning_rate", "batch_size", "epochs", "weight_decay", "max_length", "patience")
    },
    "max_train_rows": Rule(int, 2, optional=True),
    "recipe_options": Rule(dict, keys=RECIPE),
}
NAMED = ("(?s).*\\S.*", "that is not empty")
STORE = {
    "tracking_uri": Rule(
        str,
        pattern=(
            r"(?!.*//[^/@]*:[^/@]*@).*",
            "without a password (MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or PGPASSWORD, keep it out of files)",
        ),
    ),
    "experiment": Rule(str, pattern=NAMED),
    "registered_model": Rule(str, pattern=(r"[^/:'\"\s][^/:'\"]*", "without / : and quotes that is not empty")),
}

#: The further settings of a sweep.
SWEEP: dict[str, Rule] = {
    "sampler": Rule(str, choices=("tpe", "random", "quasi_random", "grid")),
    "pruner": Rule(str, choices=("halving", "median", "hyperband", "none")),
    "max_minutes": Rule(float, 0, above=True, optional=True),
    "confirm_top": Rule(int, 1, 100),
    "confirm_seeds": Rule(int, 0, 100),
    "parallel": Rule(int, 1, 1000),
    "storage": STORE["tracking_uri"],
    "trial_cpus": Rule(int, 1, 1024, optional=True),
    "trial_gpus": Rule(float, 0, 64),
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
        "sync_to": STORE["tracking_uri"],
        "n_trials": Rule(int, 1, 10_000),
        "search_space": Rule(dict),
        "sweep_options": Rule(dict, keys=SWEEP),
        "engine": Rule(str, choices=("local", "ray")),
        "study": Rule(str),
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
            f"no notebook is called {name!r}; there are {', '.join(NOTEBOOKS)}{_did_you_mean(stem, NOTEBOOKS)}"
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
    return SimpleNamespace(**_with_space({name: convert(name, values[name], rule) for name, rule in rules.items()}))


def convert(name: str, value: Any, rule: Rule) -> Any:
    """Return `value` as the rule's type.

    Numbers written as text count as numbers: YAML reads `2e-5` as text, and so does a command line.

    Raises:
        InputError: naming the parameter, what came and what is accepted.

    >>> convert("learning_rate", "2e-4", RECIPE["learning_rate"])
    0.0002
    >>> convert("epochs", "3.5", RECIPE["epochs"])
    Traceback (most recent call last):
    textlab.InputError: epochs: got '3.5'; accepted is a whole number from 1 to 1000
    """
    shown = re.sub(r"//[^/@]*@", "//***@", repr(value))  # a password in an address is not for the screen
    refuse = InputError(f"{name}: got {shown}; accepted is {rule.accepted()}")
    if value is None or (rule.optional and value in ("null", "None")):
        if rule.optional:
            return None
        raise refuse
    if isinstance(value, str) and rule.type is not str:
        value = _from_text(value)
    if rule.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if rule.type is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, rule.type) or (isinstance(value, bool) and rule.type is not bool):
        raise refuse
    if rule.pattern[0] and not re.fullmatch(rule.pattern[0], value):
        raise refuse
    if rule.type is list and not all(isinstance(item, rule.items) and not isinstance(item, bool) for item in value):
        raise refuse
    if rule.type is list and rule.low is not None and not all(rule.low <= item <= rule.high for item in value):
        raise refuse
    if rule.keys:
        if unknown := [key for key in value if key not in rule.keys]:
            raise InputError(
                f"{name}: there is no {unknown[0]!r}; accepted is {rule.accepted()}{_did_you_mean(unknown[0], rule.keys)}"
            )
        return {key: convert(f"{name}: {key}", item, rule.keys[key]) for key, item in value.items()}
    if rule.choices and value not in rule.choices:
        raise InputError(f"{refuse}{_did_you_mean(value, rule.choices)}")
    if rule.type in (int, float):
        too_low = rule.low is not None and (value <= rule.low if rule.above else value < rule.low)
        if not math.isfinite(value) or too_low or (rule.high is not None and value > rule.high):
            raise refuse
    return value


def gather(notebook: str, files: list[Path], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters to inject into a notebook; later files and the overrides win.

    Raises:
        InputError: an unknown parameter (with the nearest known name), or a value that is not accepted.
    """
    rules = NOTEBOOKS[notebook_name(notebook)]
    merged: dict[str, Any] = {}
    for origin, values in [(str(f), read_yaml(f)) for f in files] + [("the command line", overrides)]:
        refuse_unknown(values, [notebook], origin)
        for name, value in values.items():
            try:
                merged[name] = convert(name, value, rules[name])
            except InputError as error:
                raise InputError(f"{origin}: {error}") from None
    return _with_space(merged)


def refuse_unknown(names: Iterable[str], notebooks: Iterable[str], origin: str) -> None:
    """Raise an InputError for a parameter name that none of the notebooks has."""
    known = list(dict.fromkeys(name for notebook in notebooks for name in NOTEBOOKS[notebook]))
    for name in names:
        if name not in known:
            raise InputError(
                f"{origin}: {' or '.join(notebooks)} has no parameter {name!r}"
                f"{_did_you_mean(name, known) or '; accepted are ' + ', '.join(known)}"
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
            f"no profile is called {profile!r}; there are {', '.join(profiles)}{_did_you_mean(profile, profiles)}"
        )
    return folder / profile / f"{notebook}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a params file, read strictly.

    Plain data only (tags are refused, since papermill would run some of them as code), each key once, `2e-5` a
    number, and only true and false are booleans.

    Raises:
        InputError: the file is missing, or not such a mapping.
    """
    try:
        loaded = yaml.load(Path(path).read_text(encoding="utf-8-sig"), Loader=_StrictLoader)
    except FileNotFoundError:
        raise InputError(f"params file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"params file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"params file {path}{where}: {getattr(error, 'problem', None) or error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise InputError(f"params file {path}: accepted are lines of the form `name: value`")
    return loaded


def _with_space(values: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with their search space checked, where they have one."""
    if "search_space" not in values:
        return values
    return values | {
        "search_space": check_space(values["search_space"], values.get("sweep_options", {}).get("sampler", ""))
    }


def check_space(space: Mapping[str, Any], sampler: str = "") -> dict[str, dict[str, Any]]:
    """Return a search space, checked and converted: setting name -> a mapping with choices, or low, high and log or step.

    Args:
        space: setting name -> a list of choices, or `{low, high}` with, if wanted, `log: true` or `step`, or `{choices: [...]}`.
            A mapping may have `when: {other: value or list}`: the setting is searched only where another one, which stands
            before it in the space, has such a value; elsewhere it is the recipe's.
        sampler: grid needs points that can be counted.

    Raises:
        InputError: an unknown setting, an empty list, a value that the setting does not accept, or no range.

    >>> check_space({"learning_rate": {"low": "1e-4", "high": 1e-2, "log": True}, "batch_size": [16, 32]})
    {'learning_rate': {'low': 0.0001, 'high': 0.01, 'log': True}, 'batch_size': {'choices': [16, 32]}}
    """
    if not space:
        raise InputError(
            "search_space: is empty; give a setting, such as learning_rate: {low: 1e-4, high: 1e-3, log: true}"
        )
    checked: dict[str, Any] = {}
    for name, spec in space.items():
        where = f"search_space: {name}"
        if name not in RECIPE:
            raise InputError(
                f"search_space: {name!r} cannot be searched; accepted are {', '.join(RECIPE)}{_did_you_mean(name, RECIPE)}"
            )
        extra = (
            {"when": _check_condition(where, spec["when"], checked)}
            if isinstance(spec, dict) and "when" in spec
            else {}
        )
        body = (
            {key: value for key, value in spec.items() if key != "when"}
            if isinstance(spec, dict)
            else {"choices": spec}
        )
        if set(body) == {"choices"} and isinstance(body["choices"], list) and body["choices"]:
            choices = [convert(where, value, RECIPE[name]) for value in body["choices"]]
            if len(set(choices)) < len(choices):
                raise InputError(f"{where} is {spec!r}; a choice is given twice")
            checked[name] = {"choices": choices} | extra
            continue
        if not {"low", "high"} <= set(body) <= {"low", "high", "log", "step"} or RECIPE[name].type not in (int, float):
            raise InputError(
                f"{where} is {spec!r}; accepted is a list of choices or {{low: ..., high: ..., log: true}}"
            )
        low, high = (convert(where, body[bound], RECIPE[name]) for bound in ("low", "high"))
        numbers = (
            {"step": convert(f"{where}: step", body["step"], Rule(RECIPE[name].type, 0, above=True))}
            if "step" in body
            else {}
        )
        if low >= high or (body.get("log") and (low <= 0 or numbers)):
            raise InputError(f"{where} is {spec!r}; low must be below high, and log needs low above 0 and no step")
        checked[name] = body | {"low": low, "high": high} | numbers | extra
        if sampler == "grid" and (body.get("log") or (RECIPE[name].type is float and not numbers)):
            raise InputError(f"{where}: sampler grid needs a list of choices or a step")
    if sampler == "grid" and any("when" in spec for spec in checked.values()):
        raise InputError("search_space: sampler grid knows no `when`; use another sampler")
    return checked


def _check_condition(where: str, condition: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition of a search space, its values converted."""
    if not isinstance(condition, dict) or not condition:
        raise InputError(f"{where}: when is {condition!r}; accepted is {{setting: value}} or {{setting: [values]}}")
    if unknown := [other for other in condition if other not in before]:
        raise InputError(f"{where}: when names {unknown[0]}, which does not stand before it in the search space")
    return {
        other: [
            convert(f"{where}: when {other}", value, RECIPE[other])
            for value in (wanted if isinstance(wanted, list) else [wanted])
        ]
        for other, wanted in condition.items()
    }


def defaults(notebook: str) -> dict[str, Any]:
    """Return the values in a notebook's parameters cell."""
    book = json.loads((project_root() / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    source = next("".join(cell["source"]) for cell in book["cells"] if "parameters" in cell["metadata"].get("tags", []))
    return {
        line.target.id: ast.literal_eval(line.value)
        for line in ast.parse(source).body
        if isinstance(line, ast.AnnAssign)
    }


class _StrictLoader(yaml.SafeLoader):
    """YAML as people read it; see `read_yaml`."""

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in pairs
            if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
        ]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag.rpartition(":")[2] not in ("str", "int", "float", "bool", "null", "map", "seq"):
            raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} is not accepted", node.start_mark)
        return super().construct_object(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    list("-+.0123456789"),
)


def _from_text(text: str) -> Any:
    """Return the YAML value that a text spells, or the text itself."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError:
        return text


def _did_you_mean(word: str, known: Any) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
