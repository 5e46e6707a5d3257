"""Which settings a sweep tries: a point follows from the plan and from finished trials before it, never from timing."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from ...settings import Recipe

#: Eighths of a training after which a trial may be given up.
LOOKS = (1, 3)
WHOLE = 8


@dataclasses.dataclass(frozen=True)
class Plan:
    """What decides the points of a study."""

    space: Mapping[str, Any]  # as `search_space.check_space` returns it
    sampler: str = "tpe"  # tpe (Bergstra et al. 2011), random, quasi_random (Sobol), grid
    pruner: str = "halving"  # halving (ASHA, Li et al. 2020), median, hyperband (Li et al. 2018), none
    parallel: int = 1  # trials that may run at once: a point knows of the trials before its group of so many
    seed: int = 42

    def group(self, number: int) -> int:
        """Return the first trial of the group of a trial, whose points know of the same results."""
        return number // self.parallel * self.parallel


def suggest(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every setting of the space whose condition holds, drawn by the trial's sampler."""
    values: dict[str, Any] = {}
    for name, spec in space.items():
        if any(values.get(other) not in wanted for other, wanted in spec.get("when", {}).items()):
            continue
        if "choices" in spec:
            values[name] = trial.suggest_categorical(name, spec["choices"])
        elif isinstance(getattr(Recipe, name), int):
            values[name] = trial.suggest_int(
                name, int(spec["low"]), int(spec["high"]), step=spec.get("step", 1), log=spec.get("log", False)
            )
        else:
            values[name] = trial.suggest_float(
                name, float(spec["low"]), float(spec["high"]), step=spec.get("step"), log=spec.get("log", False)
            )
    return values


def count(space: Mapping[str, Any]) -> int | None:
    """Return how many different points a space has; None when they cannot be counted (continuous or conditional)."""
    values = [None if "when" in spec else _values(name, spec) for name, spec in space.items()]
    return None if None in values else math.prod(map(len, values))


def _values(name: str, spec: Mapping[str, Any]) -> list | None:
    """Return the values that a setting may take; None when there is no end to them."""
    if "choices" in spec:
        return spec["choices"]
    kind = type(getattr(Recipe, name))
    if kind is float and "step" not in spec:
        return None
    step = spec.get("step", 1)
    return [kind(spec["low"] + i * step) for i in range(int((spec["high"] - spec["low"]) / step + 1e-9) + 1)]


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
            "quasi_random": lambda: optuna.samplers.QMCSampler(
                seed=plan.seed, scramble=True, warn_independent_sampling=False
            ),
            "grid": lambda: optuna.samplers.GridSampler(
                {name: _values(name, spec) for name, spec in plan.space.items()}, seed=plan.seed
            ),
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
        judge = optuna.create_study(
            direction="maximize",
            study_name="judge",
            pruner={
                "halving": optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
                "median": optuna.pruners.MedianPruner(n_startup_trials=4),
                "hyperband": optuna.pruners.HyperbandPruner(min_resource=1, max_resource=WHOLE, reduction_factor=3),
                "none": optuna.pruners.NopPruner(),
            }[plan.pruner],
        )
        for trial in [
            trial for trial in earlier if trial.state != TrialState.FAIL
        ]:  # a pruner knows of what it has seen itself
            again = judge.ask()
            for look, value in sorted(trial.intermediate_values.items()):
                again.report(value, look)
                again.should_prune()
            judge.tell(again, trial.value if trial.state == TrialState.COMPLETE else None, trial.state)
        return judge.ask(), point
