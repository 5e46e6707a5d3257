"""What may be set: rules and ranges, recipe, search space, sweep options, each notebook's parameters.

YAML as people write it, and JSON from outside (`strict_json`), are read strictly.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["parameters", "strict_json"],
    {
        "recipe": ["RECIPE", "RECIPES", "Recipe", "from_params", "make_recipe"],
        "suiting": ["FOR_ONE_LABEL", "suited"],
        "sweep_options": ["SweepOptions"],
    },
)
