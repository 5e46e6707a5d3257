"""Whole jobs, which put the other rooms together: tracked training, sweeps, promotion, records, repeats, prediction."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["record"],
    {
        "demo": ["serve_demo"],
        "prediction": ["load", "predict", "predict_file"],
        "promotion": ["promote"],
        "reproduction": ["reproduce"],
        "sweep": ["Sweep", "join"],
        "tracked_training": ["Workbench"],
    },
)
