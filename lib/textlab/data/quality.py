"""What is wrong with the texts and labels of a data set, row by row."""

from __future__ import annotations

import pandas as pd

from .readers import SPLITS


def quality(table: pd.DataFrame, dropped: list[dict]) -> pd.DataFrame:
    """Return the problems of a data set, one line for each problem and split in which it occurs.

    Args:
        table: columns text, label, split, row.
        dropped: the lines for rows that were dropped before.

    Returns:
        problem; split; texts: how many different texts have it; rows: how many rows of the split they take;
        where: the first of these rows (line numbers of a text file, else counted from 1); action: dropped or kept.
        A line "..., labels differ" counts those texts of the line above it that stand under another label there.
    """
    report = []
    present = [split for split in SPLITS if (table["split"] == split).any()]
    for position, split in enumerate(present):
        part = table[table["split"] == split]
        repeated = part[part.duplicated("text", keep=False)]
        differ = repeated.groupby("text")["label"].transform("nunique") > 1
        report += findings("repeated text", repeated) + findings("repeated text, labels differ", repeated[differ])
        for earlier in present[:position]:
            known = table[(table["split"] == earlier) & table["text"].isin(part["text"])]
            leaked = part[part["text"].isin(known["text"])]
            agree = _pairs(leaked).isin(_pairs(known))
            report += findings(f"text also in {earlier}", leaked)
            report += findings(f"text also in {earlier}, labels differ", leaked[~agree])
    return pd.DataFrame(dropped + report, columns=["problem", "split", "texts", "rows", "where", "action"])


def _pairs(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[["text", "label"]])


def findings(problem: str, table: pd.DataFrame, action: str = "kept") -> list[dict]:
    """Return the lines of the report for the rows of `table`, which all have this problem."""
    return [
        {
            "problem": problem,
            "split": split,
            "texts": part["text"].nunique(),
            "rows": len(part),
            "where": ", ".join(map(str, part["row"][:3])) + (", ..." if len(part) > 3 else ""),
            "action": action,
        }
        for split, part in table.groupby("split", sort=False)
    ]
