"""Whole jobs, which put the other rooms together: tracked training, sweeps, promotion, records, repeats, prediction."""

from . import record
from .prediction import load, predict, predict_file
from .promotion import promote
from .reproduction import reproduce
from .sweep import Sweep, join
from .tracked_training import Workbench
