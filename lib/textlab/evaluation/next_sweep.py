"""Whether a sweep looked far enough, and where a next one should look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from .sweep_analysis import Runs


def on_edge(
    space: Mapping[str, Any],
    best: Mapping[str, Any],
    share: float = 0.1,
    accepted: Mapping[str, tuple[float, float]] | None = None,
) -> list[str]:
    """Return a sentence for each setting whose best value lies at the edge of its range.

    A value outside of it comes from another sweep, and says nothing about it.

    Args:
        space: that was searched, as `search_space.check_space` returns it.
        best: settings of the best run.
        share: how close to a bound counts, as a share of the range (of its logarithm with `log`).
        accepted: the least and the largest value of settings; no advice is given to look beyond these.
    """
    sentences = []
    for name, spec in space.items():
        if "choices" in spec or pd.isna(best.get(name)):
            continue
        if not spec["low"] <= float(best[name]) <= spec["high"]:
            continue
        scale = math.log if spec.get("log") else float
        low, high, value = (scale(float(x)) for x in (spec["low"], spec["high"], best[name]))
        place = (value - low) / (high - low)
        if place <= share or place >= 1 - share:
            bound, direction = (spec["low"], "lower") if place <= share else (spec["high"], "higher")
            ends = bound in (accepted or {}).get(name, ())
            more = "no value beyond it is accepted." if ends else f"a {direction} value may be better still."
            sentences.append(
                f"The best {name} ({float(best[name]):.5g}) lies at the edge of the range searched ({bound}): {more}"
            )
    return sentences


def next_space(space: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Return a search space for the next sweep, around the best third of the trials.

    A range gets wider where the best lie at its edge. A pruned trial is never among the best, for its score comes from
    a part of a training.

    Args:
        space: that was searched, as `search_space.check_space` returns it; settings that no trial has in it stay.
        runs: of that sweep, perhaps among others.

    Returns:
        As `space`. A range may end beyond what its setting accepts: see `search_space.clip_space`.
    """
    trials = runs.trials
    completed = trials[~trials["pruned"]].sort_values(runs.metric, ascending=False)
    top = completed[: max(2, math.ceil(len(trials) / 3))]
    following: dict[str, Any] = {}
    for name, spec in space.items():
        values = top[name].dropna() if name in top else pd.Series(dtype=float)
        if "low" in spec:
            values = values[values.between(spec["low"], spec["high"])]
        if len(values) < 2:
            following[name] = spec
        elif "choices" in spec:
            seen = {*values.astype(str), *values}
            choices = [x for x in spec["choices"] if x in seen or str(x) in seen]
            following[name] = spec | {"choices": choices or spec["choices"]}
        else:
            following[name] = spec | _range_around(values, spec)
    return following


def _range_around(values: pd.Series, spec: Mapping[str, Any]) -> dict[str, float]:
    """Return low and high a margin beyond the values, in the kind of numbers of the range that was searched.

    They have two digits of the width of the range, or of their own where the range is logarithmic and wide.
    """
    log = spec.get("log")
    scale, back = (math.log, math.exp) if log else (float, float)
    low, high, least, most = (scale(x) for x in (spec["low"], spec["high"], values.min(), values.max()))
    margin = max((most - least) * 0.25, (high - low) * 0.1)
    ends = [least - margin, most + margin]
    width = ends[1] - ends[0]
    lower, upper = (_rounded(back(end), min(width, 1) * back(end) if log else width) for end in ends)
    if step := spec.get("step"):  # the values that were searched, and further ones in line with them
        lower = spec["low"] + step * math.floor((lower - spec["low"]) / step + 1e-9)
        upper = spec["low"] + step * math.ceil((upper - spec["low"]) / step - 1e-9)
        lower, upper = (round(end, 12) for end in (lower, upper))
    if isinstance(spec["low"], int):
        lower, upper = math.floor(lower), math.ceil(upper)
    return {"low": spec["low"] if lower <= 0 <= spec["low"] else lower, "high": upper}


def _rounded(value: float, width: float) -> float:
    return round(value, 1 - math.floor(math.log10(width)))
