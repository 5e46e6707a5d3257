"""What surrounds a notebook: what it shows, its results file, its pages, its address, and notebooks as jobs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["jobs", "results"], {"display": ["quote", "setup", "text_table", "tidy"], "notices": ["notice"]}
)
