"""Which values a sweep may try."""

from __future__ import annotations

import graphlib
import math
from collections.abc import Mapping
from typing import Any

from ..errors import InputError, show
from .recipe import RECIPE
from .rules import Rule, convert, did_you_mean

#: Settings of the recipe that change nothing in a trial, which is not validated after each epoch.
NOT_SEARCHED = ("keep", "patience")


def with_space(values: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with their search space checked, where they have one."""
    if "search_space" not in values:
        return values
    return values | {
        "search_space": check_space(values["search_space"], values.get("sweep_options", {}).get("sampler", ""))
    }


def check_space(space: Mapping[str, Any], sampler: str = "") -> dict[str, dict[str, Any]]:
    """Return a search space, checked and converted: setting -> a mapping with choices, or low, high and log or step.

    Settings are drawn in the order of the result. It does not depend on the order of the argument, which a mapping in
    YAML or JSON has not.

    Args:
        space: setting -> a list of choices, or `{low, high}` with, if wanted, `log: true` or `step`, or
            `{choices: [...]}`. A mapping may have `when: {other: value or list}`: the setting is searched only where
            another one has such a value. Elsewhere it is the recipe's.
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
    searched = [name for name in RECIPE if name not in NOT_SEARCHED]
    for name, spec in space.items():
        where = f"search_space: {name}"
        if name not in RECIPE:
            raise InputError(
                f"search_space: {show(name)} cannot be searched; accepted are {', '.join(searched)}"
                f"{did_you_mean(name, searched)}"
            )
        if name in NOT_SEARCHED:
            raise InputError(
                f"{where} cannot be searched: a trial ends with its last epoch, or is pruned; leave it out"
            )
        body = dict(spec) if isinstance(spec, dict) else {"choices": spec}
        extra = {"when": _check_condition(where, body.pop("when"), space)} if "when" in body else {}
        if set(body) == {"choices"} and isinstance(body["choices"], list) and body["choices"]:
            checked[name] = {"choices": _check_choices(where, body["choices"], RECIPE[name])} | extra
        else:
            checked[name] = _check_range(where, body, RECIPE[name], sampler) | extra
    if sampler == "grid" and any("when" in spec for spec in checked.values()):
        raise InputError("search_space: sampler grid knows no `when`; use another sampler")
    return _in_order(checked)


def _in_order(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a space in the order of the recipe's settings, each after those that its condition names."""
    conditions = {
        name: [other for other in RECIPE if other in space[name].get("when", ())] for name in RECIPE if name in space
    }
    try:
        return {name: space[name] for name in graphlib.TopologicalSorter(conditions).static_order()}
    except graphlib.CycleError as error:
        raise InputError(f"search_space: {' -> '.join(error.args[1])}: these conditions wait for each other") from None


def _check_choices(where: str, choices: list, rule: Rule) -> list:
    """Return the choices, converted."""
    converted = [convert(where, value, rule) for value in choices]
    if len(set(converted)) < len(converted):
        raise InputError(f"{where} is {show(choices)}; a choice is given twice")
    return converted


def _check_range(where: str, body: dict[str, Any], rule: Rule, sampler: str) -> dict[str, Any]:
    """Return a range, its bounds and its step converted."""
    if not {"low", "high"} <= set(body) <= {"low", "high", "log", "step"} or rule.type not in (int, float):
        raise InputError(
            f"{where} is {show(body)}; accepted is a list of choices or {{low: ..., high: ..., log: true}}"
        )
    converted = {bound: convert(where, body[bound], rule) for bound in ("low", "high")}
    low, high = converted["low"], converted["high"]
    if "log" in body:
        converted["log"] = convert(f"{where}: log", body["log"], Rule(bool))
    if "step" in body:
        converted["step"] = convert(f"{where}: step", body["step"], Rule(rule.type, 0, above=True))
    if low >= high or (converted.get("log") and (low <= 0 or "step" in body)):
        raise InputError(f"{where} is {show(body)}; low must be below high, and log needs low above 0 and no step")
    if sampler == "grid" and (converted.get("log") or (rule.type is float and "step" not in body)):
        raise InputError(f"{where}: sampler grid needs a list of choices or a step")
    return converted


def _check_condition(where: str, condition: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition of a search space, its values converted."""
    if not isinstance(condition, dict) or not condition or [] in condition.values():
        raise InputError(f"{where}: when is {show(condition)}; accepted is {{setting: value}} or {{setting: [values]}}")
    if unknown := [other for other in condition if other not in space]:
        raise InputError(f"{where}: when names {unknown[0]}, which the search space has not")
    return {
        other: [
            convert(f"{where}: when {other}", value, RECIPE[other])
            for value in (wanted if isinstance(wanted, list) else [wanted])
        ]
        for other, wanted in condition.items()
    }


def clip_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a search space whose ranges end, at the latest, where what their settings accept ends.

    Args:
        space: in the form that `check_space` returns. A bound that has to be above a number has to be so already.

    >>> clip_space({"frozen_share": {"low": 0.45, "high": 1.1}, "batch_size": {"choices": [16, 32]}})
    {'frozen_share': {'low': 0.45, 'high': 1.0}, 'batch_size': {'choices': [16, 32]}}
    """
    return {
        name: spec | _clipped(name, spec) if name in RECIPE and "low" in spec else spec for name, spec in space.items()
    }


def accepted() -> dict[str, tuple[float, float]]:
    """Return for each setting of the recipe the least and the largest value that it accepts, perhaps infinite."""
    return {
        name: (-math.inf if rule.low is None else rule.low, math.inf if rule.high is None else rule.high)
        for name, rule in RECIPE.items()
    }


def _clipped(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    (least, most), kind = accepted()[name], RECIPE[name].type
    return {"low": kind(max(spec["low"], least)), "high": kind(min(spec["high"], most))}
