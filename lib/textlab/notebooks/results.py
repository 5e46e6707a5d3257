"""Writes and reads the results file, and every other small file, whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..machine import plain, write_text


def write(folder: Path, notebook: str, **content: Any) -> Path:
    """Write `results/<notebook>.json` in a run's folder and return its path.

    Args:
        folder: the run's output folder.
        notebook: such as `02_fine_tuning`.
        content: what was measured; a value of None is left out, since a figure that was not measured is absent.

    Raises:
        ValueError: a number is NaN or infinite; such a figure must not look like a result.
    """
    kept = {"status": "completed", "notebook": notebook} | {
        name: value for name, value in content.items() if value is not None
    }
    _refuse_nan(kept, notebook)
    path = Path(folder) / "results" / f"{notebook}.json"
    write_text(path, json.dumps(kept, indent=1, ensure_ascii=False, default=plain) + "\n")
    return path


def read(folder: Path, notebook: str) -> dict[str, Any]:
    """Return the content of a run's results file.

    Raises:
        InputError: there is none.
    """
    path = Path(folder) / "results" / f"{notebook}.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist: run notebook {notebook} first")
    return json.loads(path.read_text(encoding="utf-8"))


def records(table) -> list[dict[str, Any]]:
    """Return the rows of a table with its index as mappings, without what is missing."""
    rows = table.reset_index().to_dict("records")
    return [{name: value for name, value in row.items() if value is not None and value == value} for row in rows]


def _refuse_nan(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nan(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _refuse_nan(item, f"{where}[{i}]")
    elif hasattr(value, "tolist"):
        _refuse_nan(value.tolist(), where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}; leave a figure out when it was not measured")
