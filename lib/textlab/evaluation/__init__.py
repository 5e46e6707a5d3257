"""Numbers and pictures from arrays and tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["agreement", "elsewhere", "kinds", "next_sweep", "ordered", "plots", "sweep_analysis", "sweep_comparison"],
    {
        "answers": ["accuracy_name", "names", "same", "truth", "words"],
        "baseline_models": ["baselines"],
        "calibration": ["compare_calibration", "reliability", "rescale", "temperature"],
        "deletion": ["deletion_test"],
        "diagnostics": ["best_epoch", "guards", "remarks"],
        "labelling": ["DRAWN", "doubts", "doubts_of_labels", "drawn", "lots", "to_label"],
        "mistakes": ["label_issues", "worst_errors"],
        "power_law": ["more_labels"],
        "ranking": ["average_precision"],
        "scores": [
            "BASELINES",
            "compare",
            "headline_rows",
            "over_seeds",
            "p_words",
            "per_class",
            "score",
            "score_seeds",
            "score_table",
        ],
        "thresholds": ["choose", "decide", "decisions"],
    },
)
