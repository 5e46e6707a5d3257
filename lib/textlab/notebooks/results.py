"""The results file of a notebook: written whole or not at all, and read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from ..machine import plain, write_text
from ..settings import parameters


def write(folder: Path, notebook: str, **content: Any) -> Path:
    """Write `results/<notebook>.json` in a run's folder and return its path.

    Args:
        folder: the run's output folder.
        notebook: such as `02_fine_tuning`.
        content: what was measured; a value of None is left out, since a figure that was not measured is absent.

    Raises:
        ValueError: a number is NaN or infinite; such a figure must not look like a result.
    """
    kept = {"status": "completed", "notebook": notebook}
    kept |= {name: value for name, value in content.items() if value is not None}
    _refuse_nan(kept, notebook)
    path = _file(folder, notebook)
    write_text(path, json.dumps(kept, indent=1, ensure_ascii=False, default=plain) + "\n")
    return path


def read(folder: Path, notebook: str) -> dict[str, Any]:
    """Return the content of a run's results file.

    Raises:
        InputError: there is none.
    """
    path = _file(folder, notebook)
    if not path.is_file():
        raise InputError(f"{path} does not exist: run notebook {notebook} first")
    return json.loads(path.read_text(encoding="utf-8"))


def read_all(folder: Path) -> dict[str, dict[str, Any]]:
    """Return notebook -> content of its results file, for the notebooks that have been run in a folder, in order."""
    return {name: read(folder, name) for name in parameters.NOTEBOOKS if _file(folder, name).is_file()}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table with its index as mappings, without missing values."""
    rows = table.reset_index().to_dict("records")
    return [{name: value for name, value in row.items() if value is not None and value == value} for row in rows]


def _file(folder: Path, notebook: str) -> Path:
    return folder / "results" / f"{notebook}.json"


def _refuse_nan(value: Any, place: str) -> None:
    """Raise a ValueError that names the place if there is a NaN or an infinite number anywhere in a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nan(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _refuse_nan(item, f"{place}[{i}]")
    elif hasattr(value, "tolist"):
        _refuse_nan(value.tolist(), place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} is {value}; leave a figure out when it was not measured")
