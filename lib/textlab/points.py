"""Which settings a sweep tries: a point follows from the plan and from finished trials before it, never from timing."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from .training import Recipe


@dataclasses.dataclass(frozen=True)
class Plan:
    """What decides the points of a study."""

    space: Mapping[str, Any]  # as `params.check_space` returns it
    sampler: str = "tpe"  # tpe (Bergstra et al. 2011), random, quasi_random (Sobol), grid
    pruner: str = "median"  # median, hyperband (Li et al. 2018), none
    parallel: int = 1  # trials that may run at once: a point knows of the trials before its group of so many
    seed: int = 42
    looks: int = 2  # of a whole trial, at which it may be given up

    def group(self, number: int) -> int:
        """Return the first trial of the group of a trial, whose points know of the same results."""
        return number // self.parallel * self.parallel


def suggest(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every setting of the space whose condition holds, drawn by the trial's sampler."""
    values: dict[str, Any] = {}
    for name, spec in space.items():
        choices = spec if isinstance(spec, list) else spec.get("choices")
        when = {} if isinstance(spec, list) else spec.get("when", {})
        if any(values.get(other) not in (wanted if isinstance(wanted, list) else [wanted]) for other, wanted in when.items()):
            continue
        if choices is not None:
            values[name] = trial.suggest_categorical(name, choices)
        elif isinstance(getattr(Recipe, name), int):
            values[name] = trial.suggest_int(name, int(spec["low"]), int(spec["high"]), step=spec.get("step", 1),
                                             log=spec.get("log", False))
        else:
            values[name] = trial.suggest_float(name, float(spec["low"]), float(spec["high"]), step=spec.get("step"),
                                               log=spec.get("log", False))
    return values


def count(space: Mapping[str, Any]) -> int | None:
    """Return how many different points a space has; None when they cannot be counted (continuous or conditional)."""
    total = 1
    for name, spec in space.items():
        if isinstance(spec, list):
            total *= len(spec)
        elif "when" in spec or (not isinstance(getattr(Recipe, name), int) and "step" not in spec):
            return None
        elif "choices" in spec:
            total *= len(spec["choices"])
        else:
            total *= int((spec["high"] - spec["low"]) / spec.get("step", 1) + 1e-9) + 1
    return total


def propose(plan: Plan, number: int, earlier: Sequence[FrozenTrial]) -> tuple[optuna.Trial, dict[str, Any]]:
    """Return the point of a trial, and a trial in memory that knows when to give up; the same arguments give the same.

    Args:
        plan: of the study.
        number: of the trial, counted from 0.
        earlier: the finished trials before its group (`Plan.group`), in order.
    """
    adaptive = plan.sampler == "tpe"
    first = plan.group(number) if adaptive else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=plan.seed + first, n_startup_trials=5, constant_liar=True),
            "random": lambda: optuna.samplers.RandomSampler(seed=plan.seed),
            "quasi_random": lambda: optuna.samplers.QMCSampler(seed=plan.seed, scramble=True, warn_independent_sampling=False),
            "grid": lambda: optuna.samplers.GridSampler(_grid(plan.space), seed=plan.seed),
        }[plan.sampler]()
        thinker = optuna.create_study(direction="maximize", sampler=sampler)
        thinker.add_trials(earlier if adaptive else [])
        tried = [trial.params for trial in earlier if adaptive]
        for _ in range(first, number + 1):
            for _ in range(50):  # a point that was tried already is drawn again, for as long as there may be others
                drawn = thinker.ask()
                point = suggest(drawn, plan.space)
                if point not in tried:
                    break
                thinker.tell(drawn, state=TrialState.FAIL)
            tried.append(point)
        judge = optuna.create_study(direction="maximize", study_name="judge", pruner={
            "median": optuna.pruners.MedianPruner(n_startup_trials=4),
            "hyperband": optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(plan.looks, 2)),
            "none": optuna.pruners.NopPruner()}[plan.pruner])
        judge.add_trials([trial for trial in earlier if trial.state != TrialState.FAIL])
        return judge.ask(), point


def _grid(space: Mapping[str, Any]) -> dict[str, list]:
    grid = {}
    for name, spec in space.items():
        if isinstance(spec, list) or "choices" in spec:
            grid[name] = spec if isinstance(spec, list) else spec["choices"]
        else:
            kind, step = type(getattr(Recipe, name)), spec.get("step", 1)
            count = int((spec["high"] - spec["low"]) / step + 1e-9) + 1
            grid[name] = [kind(spec["low"] + i * step) for i in range(count)]
    return grid
