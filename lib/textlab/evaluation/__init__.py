"""Numbers and pictures from arrays and tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["agreement", "plots", "sweep_analysis", "sweep_comparison"],
    {
        "diagnostics": [
            "calibration_error",
            "guards",
            "label_issues",
            "reliability",
            "remarks",
            "rescale",
            "temperature",
            "worst_errors",
        ],
        "power_law": ["more_labels"],
        "scores": [
            "BASELINES",
            "baselines",
            "compare",
            "headline_rows",
            "over_seeds",
            "p_words",
            "per_class",
            "score",
            "score_seeds",
            "score_table",
        ],
    },
)
