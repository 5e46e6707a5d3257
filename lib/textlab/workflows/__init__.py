"""Whole jobs, which put the other rooms together: tracked training, sweeps, promotion, records, repeats, prediction."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["record"],
    {
        "prediction": ["load", "predict", "predict_file"],
        "promotion": ["promote"],
        "reproduction": ["answers_again", "reproduce"],
        "sweep": ["Sweep", "join"],
        "tracked_training": ["Workbench"],
    },
)
