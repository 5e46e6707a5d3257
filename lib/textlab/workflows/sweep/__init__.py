"""A hyper-parameter study that survives anything, and its workers."""

from .study import Sweep, join
