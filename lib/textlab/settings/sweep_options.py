"""The further settings of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from .rules import ADDRESS, rules_of, setting


@dataclass(frozen=True)
class SweepOptions:
    """The further settings of a sweep, parameter `sweep_options` of notebook 3, each with what it accepts."""

    sampler: str = setting("tpe", choices=("tpe", "random", "quasi_random", "grid"))
    pruner: str = setting("halving", choices=("halving", "median", "hyperband", "none"))  # ends poor trials early
    max_minutes: float | None = setting(None, 0, above=True)  # no trial is begun after that
    trial_rows: int | None = setting(None, 1)  # rows that trials and repeats train on, class by class; None: all
    # texts that trials and repeats learn from, in whole epochs; None: as many epochs as fit their rows
    trial_texts: int | None = setting(None, 1)
    confirm_top: int = setting(2, 1, 100)  # how many of the best settings, and the default ones, are trained again
    confirm_seeds: int = setting(2, 0, 100)  # with so many fresh seeds each
    parallel: int = setting(1, 1, 1000)  # trials that may run at once
    storage: str = setting("", pattern=ADDRESS.pattern)  # empty: studies.db in the outputs folder; or postgresql://...
    trial_cpus: int | None = setting(None, 1, 1024)  # CPU cores of one trial; None: all
    trial_gpus: float = setting(0.0, 0, 64)  # GPUs of one trial on a Ray cluster


#: Option -> what it accepts.
SWEEP_OPTIONS = rules_of(SweepOptions)
