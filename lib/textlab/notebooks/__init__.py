"""What surrounds a notebook: what it shows, its results file, its pages, and notebooks as jobs."""

from . import jobs, pages, results
from .display import notice, quote, setup, text_table, tidy

__all__ = ["jobs", "notice", "pages", "quote", "results", "setup", "text_table", "tidy"]
