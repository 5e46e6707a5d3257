"""What came of repeating a run: how close the results lie, the verdict on it, and a receipt that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import machine
from .record import METRICS, seal
from .recorded_run import RecordedRun

REPRODUCED, WITHIN, NOT, CANNOT = "REPRODUCED", "REPRODUCED WITHIN TOLERANCE", "NOT REPRODUCED", "CANNOT BE REPEATED"
CHECKED = "CAN BE REPEATED"
#: Verdict -> exit status.
STATUS = {REPRODUCED: 0, WITHIN: 0, CHECKED: 0, NOT: 1, CANNOT: 2}
#: How far results may lie apart where code, packages or machine differ: the largest difference of each metric, the
#: smallest share of equal predictions. Where nothing differs, `NOTHING` holds.
#: `tests/benchmarks/tolerance.py spread --rows 600 --epochs 1` found, on 500 rows of test, no difference in any fp32
#: setting. In bf16 it found up to 0.002, 0.0043 and 0.0024, with 99.6 % of the predictions equal. So one answer of 500
#: may differ in the same precision, and twice as much as was found in another.
TOLERANCE = {
    "same precision": dict.fromkeys(METRICS, 0.0025) | {"macro_f1": 0.005, "predictions": 0.9975},
    "other precision": {
        "accuracy": 0.0045,
        "macro_f1": 0.009,
        "weighted_f1": 0.005,
        "micro_f1": 0.005,
        "predictions": 0.99,
    },
}
NOTHING = dict.fromkeys(METRICS, 0.0) | {"predictions": 1.0}

#: What floating point adds: 0.9 and 0.8975 differ by 0.0025000000000000577.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Receipt:
    """What came of repeating a run."""

    verdict: str
    content: dict[str, Any]

    @property
    def status(self) -> int:
        """Exit status: 0 reproduced or can be, 1 not reproduced, 2 cannot be repeated."""
        return STATUS[self.verdict]

    def text(self) -> str:
        """Return the receipt for people."""
        content = self.content
        lines = [f"run      {content['run']}", f"record   SHA-256 {content['record']}"]
        for title in ("same", "predictions", "metrics"):
            if content.get(title):
                lines += ["", *_lines(content[title])]
        if "weights" in content:
            recorded, now = content["weights"]["recorded"], content["weights"]["now"]
            state = "the same" if recorded == now else "differ"
            lines += ["", f"weights  {state}: SHA-256 {recorded}", f"         now {now}"]
        lines += [f"repeat   {content['repeat']}, in {content['kept_in']}"] if "repeat" in content else []
        return "\n".join([*lines, "", f"{self.verdict}{': ' if content['why'] else ''}{'; '.join(content['why'])}"])

    def write(self, folder: Path) -> None:
        """Write `receipt.json`, under a digest of its own, and `receipt.txt`."""
        sealed = seal(self.content | {"verdict": self.verdict})
        machine.write_text(folder / "receipt.json", json.dumps(sealed, indent=1) + "\n")
        machine.write_text(folder / "receipt.txt", self.text() + "\n")


def judge(old: RecordedRun, new: RecordedRun, same: bool) -> tuple[str, dict[str, Any]]:
    """Return the verdict on a repeat, and the figures that it rests on.

    Args:
        old, new: the run and its repeat.
        same: whether code, packages, machine and sources were the same, so that nothing may differ.
    """
    recorded, now = old.record, new.record
    alike = recorded["environment"]["precision"] == now["environment"]["precision"]
    limits = NOTHING if same else TOLERANCE["same precision" if alike else "other precision"]
    predictions, single = _compare_predictions(old, new, limits["predictions"])
    metrics = _compare_metrics(recorded, now, limits)
    weights = {"recorded": recorded["weights_sha256"], "now": now["weights_sha256"]}
    figures = {"weights": weights, "predictions": predictions, "metrics": metrics}
    decisive = ("weights_sha256", "predictions", "other_seeds")
    if all(recorded.get(name) == now.get(name) for name in decisive) and not any(row["difference"] for row in metrics):
        return REPRODUCED, figures | {"why": []}
    allowed = [] if same else single
    if why := _too_far(predictions, metrics, allowed):
        return NOT, figures | {"why": why}
    if same:
        return NOT, figures | {"why": ["the weights are not the same, although nothing that decides them differs"]}
    notes = [f"one {split} answer differs, which is allowed for a split of any size" for split in allowed]
    unknown = [row["split"] for row in predictions if row["equal"] is None]
    notes += [f"the recorded {split} answers are not here, so only its metrics were compared" for split in unknown]
    return WITHIN, figures | {"why": notes}


def _compare_predictions(old: RecordedRun, new: RecordedRun, wanted: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each split, with the share of equal predictions, and the splits where a single one differs."""
    rows, single = [], []
    for split in old.record["predictions"]:
        differing, compared = _differing(split, old, new)
        equal = None if differing is None else 1 - differing / compared
        rows.append({"split": split, "equal": equal, "wanted": wanted})
        single += [split] if differing == 1 else []
    return rows, single


def _differing(split: str, old: RecordedRun, new: RecordedRun) -> tuple[int | None, int]:
    """Return how many predictions differ, and of how many; None where the recorded ones are not at hand."""
    rows = old.record["data"]["rows"][split]
    if old.record["predictions"][split] == new.record["predictions"].get(split):
        return 0, rows
    if split not in old.predictions or split not in new.predictions:
        return None, rows
    before, after = (
        np.array([answers["predicted"], *answers.get("other_seeds", {}).values()])
        for answers in (old.predictions[split], new.predictions[split])
    )
    if before.shape != after.shape:
        return rows, rows
    differ = (before != after).reshape(*before.shape[:2], -1).any(axis=2)  # of several labels a text, any
    return int(differ.sum()), differ.size


def _compare_metrics(recorded: dict[str, Any], now: dict[str, Any], limits: dict[str, float]) -> list[dict[str, Any]]:
    """Return a row for each metric of each split; one that is missing now differs by 1."""
    rows = []
    for split in [split for split in ("validation", "test") if split in recorded]:
        for metric in [metric for metric in METRICS if metric in recorded[split]]:
            before, after = recorded[split][metric], now.get(split, {}).get(metric)
            row = {"metric": f"{split} {metric}", "recorded": before, "now": after, "tolerance": limits[metric]}
            rows.append(row | {"difference": 1.0 if after is None else abs(after - before)})
    return rows


def _too_far(predictions: list[dict[str, Any]], metrics: list[dict[str, Any]], allowed: list[str]) -> list[str]:
    """Return a sentence for each figure beyond its tolerance, but for the splits where that is allowed."""
    sentences = [
        f"{row['metric']} differs by {row['difference']:.4f}, allowed is {row['tolerance']:g}"
        for row in metrics
        if row["metric"].split()[0] not in allowed and row["difference"] > row["tolerance"] + ROUNDING
    ]
    return sentences + [
        f"{row['equal']:.2%} of the {row['split']} predictions are equal, wanted are {row['wanted']:.2%}"
        for row in predictions
        if row["split"] not in allowed and row["equal"] is not None and row["equal"] < row["wanted"] - ROUNDING
    ]


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table as lines of text; long cells are cut."""

    def cell(value: Any) -> str:
        text = "unknown" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        return text if len(text) <= 46 else f"{text[:45]}…"

    table = [[*rows[0]], *([cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in table]
