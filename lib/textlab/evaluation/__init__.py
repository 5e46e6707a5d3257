"""Numbers and pictures from arrays and tables."""

from . import agreement, plots, sweep_analysis
from .diagnostics import (
    calibration_error,
    guards,
    label_issues,
    reliability,
    remarks,
    rescale,
    temperature,
    worst_errors,
)
from .scores import BASELINES, baselines, compare, headline_rows, over_seeds, per_class, score, score_seeds, score_table
