"""What happens to a record when the store does not answer: it waits, or a line says what is missing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from mlflow.exceptions import MlflowException

from ..errors import first_line
from .store import short, unanswered

#: Minutes that a result waits for a server that does not answer, and seconds between two attempts.
PATIENCE, PAUSE = 60, 5


def patient(record: Callable) -> Callable:
    """Return a function that waits for a server that does not answer, so that what it records is not lost."""

    @wraps(record)
    def waiting(*args: Any, **options: Any) -> Any:
        started, announced = time.monotonic(), False
        while True:
            try:
                return record(*args, **options)
            except MlflowException as error:
                if not unanswered(error) or time.monotonic() - started > 60 * PATIENCE:
                    raise
            if not announced:
                wait = f"what is to be recorded waits for it, up to {PATIENCE} minutes"
                print(f"tracking: the store does not answer; {wait}", file=sys.stderr)
            announced = True
            time.sleep(PAUSE)

    return waiting


def warn_unrecorded(what: str, error: BaseException) -> None:
    """Print in one line what could not be recorded, and why."""
    print(f"tracking: {what} could not be recorded: {short(first_line(error))}", file=sys.stderr)
