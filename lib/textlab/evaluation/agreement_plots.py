"""Pictures of what people say beside what a model says."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from .canvas import axes_of, literal, names, shown

#: Marks and colours of those that are compared; the last one is the line to beat.
_MARKS, _COLOURS = "sD^vP*", ("0.55", "C2", "C0", "C4", "C3", "C5")


@literal
def people(table: pd.DataFrame) -> Figure:
    """Draw how often models and one person are right, by kind of text, with 95 % intervals.

    Args:
        table: as `agreement.by_kind` returns it. Of the names in `who`, the last one is the line to beat.
    """
    kinds, *models, person = *[list(dict.fromkeys(table["kind"]))], *dict.fromkeys(table["who"])
    figure, axes = axes_of(7.4, 1.2 + (0.22 + 0.2 * (len(models) + 1)) * len(kinds))
    step = 0.8 / (len(models) + 1)
    for number, who in enumerate((*models, person)):
        mark, colour = ("o", "C1") if who == person else (_MARKS[number % 6], _COLOURS[number % 6])
        rows = table[table["who"] == who]
        heights = rows["kind"].map(kinds.index) + (number - len(models) / 2) * step
        axes.hlines(heights, rows["low"], rows["high"], color=colour, linewidth=3, alpha=0.4)
        axes.plot(rows["accuracy"], heights, mark, color=colour, label=shown(who, room=40))
        for height, row in zip(heights, rows.itertuples()):
            place = max(row.accuracy, row.high), height
            axes.annotate(f"{row.accuracy:.3f}", place, (6, 0), textcoords="offset points", va="center", fontsize=8)
            if who == person:
                middle = kinds.index(row.kind)
                axes.vlines(row.accuracy, middle - 0.48, middle + 0.48, color=colour, linestyle=":", linewidth=1.2)
    counts = table.drop_duplicates("kind")["texts"]
    axes.set_yticks(range(len(kinds)), [f"{kind}\n{texts:,} texts" for kind, texts in zip(names(kinds), counts)])
    axes.set(title="How often the answer is right, beside one person's", xlabel="accuracy", xlim=(None, 1.03))
    axes.set_ylim(len(kinds) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=min(4, len(models) + 1))
    return figure


@literal
def against_people(table: pd.DataFrame) -> Figure:
    """Draw how many people give the model's answer against how sure it is; the larger a dot, the more texts.

    Args:
        table: as `agreement.against_spread` returns it.
    """
    figure, axes = axes_of(4.6, 4.4)
    correlation, (low, high) = table.attrs["spearman"], table.attrs["spearman_ci95"]
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as sure as people agree")
    axes.plot(table["confidence"], table["people"], color="C0", alpha=0.3)
    axes.scatter(table["confidence"], table["people"], s=12 + 180 * table["texts"] / table["texts"].sum(), color="C0")
    axes.plot([], [], "o", color="C0", label=f"{table['texts'].sum():,} texts, by the model's probability")
    axes.set(
        title=f"Is it sure where people agree?\nrank correlation {correlation:.2f} ({low:.2f} to {high:.2f})",
        xlabel="probability of the model's answer",
        ylabel="share of people who give the same answer",
    )
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    axes.legend(loc="upper left")
    return figure
