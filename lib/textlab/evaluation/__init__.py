"""Numbers and pictures from arrays and tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["agreement", "elsewhere", "kinds", "plots", "sweep_analysis", "sweep_comparison"],
    {
        "calibration": ["compare_calibration", "reliability", "rescale", "temperature"],
        "deletion": ["deletion_test"],
        "diagnostics": ["best_epoch", "guards", "label_issues", "remarks", "worst_errors"],
        "labelling": ["DRAWN", "doubts", "drawn", "lots", "to_label"],
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
