"""What surrounds a notebook: what it shows, its results file, its pages, its address, and notebooks as jobs."""

from . import jobs, results
from .display import notice, quote, setup, text_table, tidy
