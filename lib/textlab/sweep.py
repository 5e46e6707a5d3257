"""A hyper-parameter sweep: the search space, the study, and its trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import optuna

from . import runtime
from .trainer import TrainingError
from .training import Recipe


def suggest(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every setting of the space, drawn by the trial's sampler."""
    values = {}
    for name, spec in space.items():
        if isinstance(spec, list):
            values[name] = trial.suggest_categorical(name, spec)
        elif isinstance(getattr(Recipe, name), int):
            values[name] = trial.suggest_int(name, int(spec["low"]), int(spec["high"]), step=spec.get("step", 1),
                                             log=spec.get("log", False))
        else:
            values[name] = trial.suggest_float(name, float(spec["low"]), float(spec["high"]), step=spec.get("step"),
                                               log=spec.get("log", False))
    return values


def search(run_trial: Callable[[int, dict[str, Any]], float], space: Mapping[str, Any], n_trials: int,
           seed: int) -> optuna.Study:
    """Run trials one after another and return the study; higher is better. A trial that diverges is one failed trial.

    Args:
        run_trial: gets the trial's number and its settings, trains, and returns the validation score.
        space: as `params.check_space` accepts it.
        n_trials: how many.
        seed: of the sampler (TPE, Bergstra et al. 2011); the same seed proposes the same settings.

    Raises:
        TrainingError: not one trial could be trained.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    line = runtime.ProgressLine()
    line.show(f"0 of {n_trials} trials done")
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def objective(trial: optuna.Trial) -> float:
        return run_trial(trial.number, suggest(trial, space))

    def tell(study: optuna.Study, trial) -> None:
        if trial.state != optuna.trial.TrialState.COMPLETE:
            line.show(f"{trial.number + 1} of {n_trials} trials done, the last one failed", final=True)
            return
        line.show(f"{trial.number + 1} of {n_trials} trials done, best so far {study.best_value:.4f} "
                  f"(trial {study.best_trial.number + 1})", final=True)

    study.optimize(objective, n_trials=n_trials, callbacks=[tell], catch=(TrainingError,))
    if not study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        raise TrainingError(f"none of the {n_trials} trials of the sweep could be trained; search lower learning rates")
    return study


def on_edge(space: Mapping[str, Any], best: Mapping[str, Any], share: float = 0.1) -> list[str]:
    """Return a sentence for each setting whose best value lies at the edge of its range.

    Args:
        share: how close to a bound counts, as a share of the range (of its logarithm with `log`).
    """
    found = []
    for name, spec in space.items():
        if isinstance(spec, list) or name not in best:
            continue
        scale = math.log if spec.get("log") else float
        low, high, value = (scale(float(x)) for x in (spec["low"], spec["high"], best[name]))
        place = (value - low) / (high - low)
        if place <= share or place >= 1 - share:
            bound, direction = (spec["low"], "lower") if place <= share else (spec["high"], "higher")
            found.append(f"The best {name} ({float(best[name]):.3g}) lies at the edge of the range searched ({bound}): "
                         f"a {direction} value may be better still.")
    return found
