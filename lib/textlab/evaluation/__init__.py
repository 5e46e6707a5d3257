"""Numbers and pictures from arrays and tables."""

from . import plots, sweep_analysis
from .diagnostics import calibration_error, guards, label_issues, reliability, rescale, temperature, worst_errors
from .scores import BASELINES, baselines, compare, headline_rows, over_seeds, per_class, score, score_seeds, score_table

__all__ = [
    "BASELINES",
    "baselines",
    "calibration_error",
    "compare",
    "guards",
    "headline_rows",
    "label_issues",
    "over_seeds",
    "per_class",
    "plots",
    "reliability",
    "rescale",
    "score",
    "score_seeds",
    "score_table",
    "sweep_analysis",
    "temperature",
    "worst_errors",
]
