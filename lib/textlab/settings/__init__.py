"""What may be set: rules and ranges, strict YAML, recipe, search space, sweep options, each notebook's parameters."""

from . import parameters
from .recipe import RECIPES, Recipe, from_params, make_recipe
from .strict_yaml import read_yaml
from .sweep_options import SweepOptions
