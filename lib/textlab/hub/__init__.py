"""Models and data sets as local folders with digests, from the Hub, a mirror, a bundle or a package."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["bundle", "candidates", "card", "connection", "download", "push"],
    {
        "https_file": ["https_data", "is_address", "left_out"],
        "packaged_data": ["packaged_data"],
        "push": ["push_model"],
        "sources": [
            "PACKAGED",
            "PINNED",
            "Source",
            "model_folder",
            "resolve",
            "resolve_model",
            "sources_table",
            "split_id",
        ],
    },
)
