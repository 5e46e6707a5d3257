"""A page to try a trained model: on this machine alone, or as a Space of the Hub."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["page", "server"], {"space": ["push_space"], "start": ["learn", "serve_demo", "serve_space"]}
)
