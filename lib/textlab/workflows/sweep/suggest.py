"""Which settings a sweep tries: a point follows from the study's settings and finished trials, never from timing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ...settings import RECIPE, SweepOptions

#: Eighths of a training after which a trial reports its score and may be pruned. Earlier ones come just after the
#: warm-up, where most trials still give one answer to every text.
REPORTS = (3, 6)
WHOLE = 8
#: Pruner -> whom it lets go on, in words. A tie with one that goes on is no reason to end a trial.
_GOES_ON = {
    "halving": "only while its score is among the better half of the scores there so far",
    "median": "unless its score is below the median of the scores there, once four trials have come to their end",
    "hyperband": "only while its score is among the better half there so far, of the half of the trials it belongs to",
}


@dataclass(frozen=True)
class Suggester:
    """Suggests the points of a study, and prunes its trials; the same arguments give the same.

    Args:
        space: as `settings.check_space` returns it.
        options: sampler, pruner, and how many trials may run at once.
        seed: of the sampler.
    """

    space: Mapping[str, Any]
    options: SweepOptions
    seed: int

    def identity(self) -> dict[str, Any]:
        """Return all that decides the points, as the study's name and database hold it."""
        chosen = {name: getattr(self.options, name) for name in ("sampler", "pruner", "parallel")}
        return {"space": self.space, "seed": self.seed, "rungs": REPORTS} | chosen

    def group(self, number: int) -> int:
        """Return the first trial of a trial's group, whose points are suggested from the same results."""
        return number // self.options.parallel * self.options.parallel

    def point(self, number: int, earlier: Sequence[FrozenTrial]) -> optuna.Trial:
        """Return a trial in memory with the point of a trial of the study: its `params` and `distributions`.

        Args:
            number: of the trial, counted from 0.
            earlier: the finished trials before its group, in order.
        """
        adaptive = self.options.sampler == "tpe"
        first = self.group(number) if adaptive else 0
        with _experimental():
            study = optuna.create_study(direction="maximize", sampler=self._sampler(self.seed + first))
        study.add_trials(earlier if adaptive else [])
        tried = [trial.params for trial in earlier if adaptive]
        for _ in range(first, number + 1):
            for _ in range(50):  # a point that was tried already is drawn again, for as long as there may be others
                trial = study.ask()
                point = suggest(trial, self.space)
                if point not in tried:
                    break
                study.tell(trial, state=TrialState.FAIL)
            tried.append(point)
        return trial

    def _sampler(self, seed: int) -> BaseSampler:
        if self.options.sampler == "tpe":  # Bergstra et al. 2011
            return TPESampler(seed=seed, n_startup_trials=5, constant_liar=True)
        if self.options.sampler == "random":
            return RandomSampler(seed=seed)
        if self.options.sampler == "quasi_random":  # Sobol
            return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
        return GridSampler({name: _values(name, spec) for name, spec in self.space.items()}, seed=seed)

    def pruning(self, rows: int, of: int) -> str:
        """Return in words when and on what a trial is pruned.

        Args:
            rows, of: how many rows of validation a trial is scored on under way, and how many there are.
        """
        if self.options.pruner == "none":
            return f"No trial is pruned. Each is scored on all {of:,} rows of validation when it is trained."
        shares = " and ".join(f"{step}/{WHOLE}" for step in REPORTS)
        part = "all" if rows == of else f"{rows:,} of the"
        return (
            f"After {shares} of its training, a trial is scored by its macro F1 on {part} {of:,} rows of validation. "
            f"It goes on {_GOES_ON[self.options.pruner]}. At its end, it is scored on all {of:,} rows."
        )

    def reporter(self, earlier: Sequence[FrozenTrial]) -> optuna.Trial:
        """Return a trial in memory that knows, when values are reported to it, whether to prune.

        Args:
            earlier: the finished trials that it is compared with; failed ones set no bar.
        """
        pruner = {
            "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(  # Li et al. 2020
                min_resource=REPORTS[0], reduction_factor=2
            ),
            "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(  # Li et al. 2018
                min_resource=REPORTS[0], max_resource=WHOLE, reduction_factor=2
            ),
            "none": optuna.pruners.NopPruner,
        }[self.options.pruner]
        with _experimental():
            study = optuna.create_study(direction="maximize", study_name="judge", pruner=pruner())
        for trial in earlier:
            if trial.state == TrialState.FAIL:
                continue
            again = study.ask()  # a pruner compares with what it was asked about itself
            for step, value in sorted(trial.intermediate_values.items()):
                again.report(value, step)
                again.should_prune()
            study.tell(again, trial.value if trial.state == TrialState.COMPLETE else None, trial.state)
        return study.ask()


@contextmanager
def _experimental() -> Iterator[None]:
    """Silence Optuna's warning that a class of it is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def suggest(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every setting of the space whose condition holds, drawn by the trial's sampler."""
    values: dict[str, Any] = {}
    for name, spec in space.items():
        if any(values.get(other) not in wanted for other, wanted in spec.get("when", {}).items()):
            continue
        if "choices" in spec:
            values[name] = trial.suggest_categorical(name, spec["choices"])
            continue
        whole = RECIPE[name].type is int
        draw, kind, step = (trial.suggest_int, int, 1) if whole else (trial.suggest_float, float, None)
        low, high = kind(spec["low"]), kind(spec["high"])
        values[name] = draw(name, low, high, step=spec.get("step", step), log=spec.get("log", False))
    return values


def count(space: Mapping[str, Any]) -> int | None:
    """Return how many different points a space has; None when they cannot be counted (continuous or conditional)."""
    values = [None if "when" in spec else _values(name, spec) for name, spec in space.items()]
    return None if None in values else math.prod(map(len, values))


def _values(name: str, spec: Mapping[str, Any]) -> list | None:
    """Return the values that a setting may take; None when there is no end to them."""
    if "choices" in spec:
        return spec["choices"]
    kind = RECIPE[name].type
    if kind is float and "step" not in spec:
        return None
    step = spec.get("step", 1)
    return [kind(spec["low"] + i * step) for i in range(int((spec["high"] - spec["low"]) / step + 1e-9) + 1)]
