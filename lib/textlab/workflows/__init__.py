"""Whole jobs, which put the other rooms together: training, sweeps, promotion, records, repeats, answers, labelling."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["record", "recorded_run"],
    {
        "demo": ["push_space", "serve_demo", "serve_space"],
        "labelling": ["suggest_file"],
        "prediction": ["load", "predict", "predict_file"],
        "promotion": ["promote", "standing"],
        "reproduction": ["answers_again", "reproduce"],
        "sweep": ["Sweep", "join"],
        "tracked_training": ["Workbench"],
    },
)
