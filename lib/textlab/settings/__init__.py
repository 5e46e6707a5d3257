"""What may be set: rules and ranges, recipe, search space, sweep options, each notebook's parameters.

YAML as people write it, and JSON from outside (`strict_json`), are read strictly.
"""

from . import parameters, strict_json
from .recipe import RECIPE, RECIPES, Recipe, from_params, make_recipe
from .strict_yaml import read_yaml
from .suiting import suited
from .sweep_options import SweepOptions
