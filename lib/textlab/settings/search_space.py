"""Which values a sweep may try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from .recipe import RECIPE
from .rules import Rule, convert, did_you_mean


def with_space(values: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with their search space checked, where they have one."""
    if "search_space" not in values:
        return values
    return values | {
        "search_space": check_space(values["search_space"], values.get("sweep_options", {}).get("sampler", ""))
    }


def check_space(space: Mapping[str, Any], sampler: str = "") -> dict[str, dict[str, Any]]:
    """Return a search space, checked and converted: setting -> a mapping with choices, or low, high and log or step.

    Args:
        space: setting -> a list of choices, or `{low, high}` with, if wanted, `log: true` or `step`, or
            `{choices: [...]}`. A mapping may have `when: {other: value or list}`: the setting is searched only where
            another one, which stands before it in the space, has such a value. Elsewhere it is the recipe's.
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
                f"search_space: {name!r} cannot be searched; accepted are {', '.join(RECIPE)}"
                f"{did_you_mean(name, RECIPE)}"
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
