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
#: How often a point is drawn for a trial until it is a new one: at least, for each point of a space, and at most; and
#: after how many such draws at random, since a sampler that is sure of its point gives the same one again.
_DRAWS, _DRAWS_A_POINT, _MOST_DRAWS, _SURE = 50, 20, 2000, 20
#: Pruner -> whom it lets go on, in words. A tie with one that goes on is no reason to end a trial.
_GOES_ON = {
    "halving": "only while its score is among the better half of the scores there so far",
    "median": "unless its best score so far is below the median there of the trials that came to their end, once there "
    "are four",
    "hyperband": "only while its score is among the better half there so far, of the half of the trials it belongs to, "
    f"of which one is judged after {REPORTS[1]}/{WHOLE} alone",
}


@dataclass(frozen=True)
class Suggester:
    """Suggests the points of a study, and prunes its trials; the same arguments give the same.

    Args:
        space: as `settings.check_space` returns it.
        options: sampler, pruner, and how many trials may run at once.
        seed: of the sampler.
        default: the point that is tried first, so that no other is picked which is not better; None: none is.
    """

    space: Mapping[str, Any]
    options: SweepOptions
    seed: int
    default: Mapping[str, Any] | None = None

    def identity(self) -> dict[str, Any]:
        """Return all that decides the points, as the study's name and database hold it."""
        chosen = {name: getattr(self.options, name) for name in ("sampler", "pruner", "parallel")}
        default = {"default": self.default} if self.default else {}
        return {"space": self.space, "seed": self.seed, "rungs": REPORTS} | default | chosen

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
        if first == 0 and self.default:
            study.enqueue_trial(dict(self.default))
        draws = min(_DRAWS + _DRAWS_A_POINT * (count(self.space) or 0), _MOST_DRAWS)
        for index in range(first, number + 1):
            for draw in range(draws):  # a point that was tried already is drawn again
                trial = study.ask()
                point = suggest(trial, self.space)
                if point not in tried:
                    break
                study.tell(trial, state=TrialState.FAIL)
                if adaptive and draw == _SURE:
                    study.sampler = RandomSampler(seed=self.seed + index)
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
        if not _applies(spec, values):
            continue
        if "choices" in spec:
            values[name] = trial.suggest_categorical(name, spec["choices"])
            continue
        whole = RECIPE[name].type is int
        draw, kind, step = (trial.suggest_int, int, 1) if whole else (trial.suggest_float, float, None)
        low, high = kind(spec["low"]), kind(spec["high"])
        values[name] = draw(name, low, high, step=spec.get("step", step), log=spec.get("log", False))
    return values


def default_point(settings: Mapping[str, Any], space: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the point of a space that has these settings; None if there is none.

    >>> default_point({"batch_size": 32, "epochs": 3}, {"batch_size": {"choices": [16, 32]}})
    {'batch_size': 32}
    >>> default_point({"batch_size": 32, "epochs": 3}, {"batch_size": {"low": 8, "high": 16}})
    """
    point: dict[str, Any] = {}
    for name, spec in space.items():
        if _applies(spec, point):
            value = settings[name]
            if not _has(spec, value):
                return None
            if "step" in spec:  # as the samplers compute it
                value = spec["low"] + round((value - spec["low"]) / spec["step"]) * spec["step"]
            point[name] = value
    return point


def _applies(spec: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Return whether a setting is searched where others have these values."""
    return all(values.get(other) in wanted for other, wanted in spec.get("when", {}).items())


def _has(spec: Mapping[str, Any], value: Any) -> bool:
    """Return whether a setting may take a value."""
    if "choices" in spec:
        return value in spec["choices"]
    steps = (value - spec["low"]) / spec.get("step", 1)
    return spec["low"] <= value <= spec["high"] and ("step" not in spec or math.isclose(steps, round(steps)))


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
