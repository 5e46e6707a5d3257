"""A page on this machine alone, to try a trained model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, [], {"start": ["serve_demo"]})
