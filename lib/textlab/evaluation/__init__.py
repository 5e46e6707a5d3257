"""Numbers and pictures from arrays and tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["agreement", "elsewhere", "plots", "sweep_analysis"],
    {
        "calibration": ["compare_calibration", "reliability", "rescale", "temperature"],
        "diagnostics": ["best_epoch", "guards", "label_issues", "remarks", "worst_errors"],
        "power_law": ["more_labels"],
        "scores": [
            "BASELINES",
            "baselines",
            "compare",
            "headline_rows",
            "over_seeds",
            "per_class",
            "score",
            "score_seeds",
            "score_table",
        ],
    },
)
