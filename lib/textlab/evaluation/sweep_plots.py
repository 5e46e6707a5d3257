"""The pictures of a sweep and its runs: a table in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .canvas import axes_of, literal, logarithmic, name_columns, names, panels_of, shown, words

#: Column that a curve is drawn over -> its name on the axis.
_ACROSS = {"step": "step", "share": "share of the training"}


@literal
def effects(table: pd.DataFrame, parameters: Sequence[str], metric: str) -> Figure:
    """Draw a metric against each hyper-parameter, one panel each, three in a row; the best run is orange.

    Runs with the same value stand side by side.

    Args:
        table: a run a row; those with True in the column pruned, where there is one, are grey crosses.
        parameters: columns of the table.
        metric: column of the table; higher is better.
    """
    columns, rows = min(len(parameters), 3), -(-len(parameters) // 3)
    figure, panels = panels_of(2.6 * columns + 1.2, 3 * rows, columns, rows, sharey=True)
    pruned, best = _pruned(table), _best(table, metric)
    for axes, name in zip(panels, parameters):
        scale = _scale(table[name])
        values = _apart(scale)
        axes.plot(values[pruned], table.loc[pruned, metric], "x", color="0.55")
        axes.plot(values[~pruned], table.loc[~pruned, metric], "o", color="C0", alpha=0.8)
        axes.plot(values[best], table.loc[best, metric], "o", color="C1", markersize=10)
        axes.set(xlabel=words(name))
        if scale.words:
            axes.set(xlim=(-0.5, len(scale.words) - 0.5))
            name_columns(axes, names(scale.words), room=24)
        else:
            _label(axes.xaxis, scale, fractions=False)
    for axes in panels[::columns]:
        axes.set(ylabel=words(metric))
    for axes in panels[len(parameters) :]:
        axes.remove()
    return figure


@literal
def parallel_coordinates(table: pd.DataFrame, parameters: Sequence[str], metric: str) -> Figure:
    """Draw each run as a line across its hyper-parameters and its metric; darker is better.

    Runs with True in the column pruned, where there is one, are grey and dashed.
    """
    columns = [*parameters, metric]
    figure, axes = axes_of(min(2 * len(columns) + 1, 11), 3.4)
    pruned = _pruned(table)
    ranks = table.loc[~pruned, metric].rank(pct=True)
    heights = pd.DataFrame({name: _heights(table[name], linear=name == metric) for name in columns})
    for run in table.index[pruned]:
        axes.plot(range(len(columns)), heights.loc[run], color="0.7", linestyle="--", linewidth=1)
    for run in ranks.sort_values().index:
        axes.plot(range(len(columns)), heights.loc[run], color=plt.cm.Blues(0.25 + 0.7 * ranks[run]))
    for i, name in enumerate(columns):
        axes.vlines(i, 0, 1, color="0.8", linewidth=1, zorder=0)
        known = table[name].dropna()
        for value, height in ((known.min(), -0.07), (known.max(), 1.03)):
            label = f"{value:.3g}" if isinstance(value, (int, float, np.number)) else shown(value, room=20)
            axes.text(i, height, label, ha="center", fontsize=9, color="0.3")
    axes.set(yticks=[], ylim=(-0.12, 1.12))
    axes.set_xticks(range(len(columns)), [words(name) for name in columns])
    axes.tick_params(axis="x", pad=8, length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(False)
    return figure


def _heights(column: pd.Series, linear: bool) -> pd.Series:
    """Return where the values of a column lie between its least (0) and its greatest (1)."""
    scale = _scale(column)
    values = np.log(scale.values) if scale.logarithmic and not linear else scale.values
    return (values - values.min()) / ((values.max() - values.min()) or 1)


@literal
def importance(shares: pd.Series) -> Figure:
    """Draw the importance of each setting as a bar, the largest on top."""
    figure, axes = axes_of(6.5, 0.45 * len(shares) + 1)
    bars = axes.barh(range(len(shares)), shares[::-1])
    axes.set_yticks(range(len(shares)), [words(name) for name in shares.index[::-1]])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(title="Share of the differences in rank that a setting explains")
    axes.set(xlim=(0, max(1.12 * shares.max(), 0.1)), xticks=[])
    axes.grid(False)
    return figure


@literal
def contour(table: pd.DataFrame, across: str, up: str, metric: str) -> Figure:
    """Draw a metric over two settings: a dot a run and, where each has enough values, the surface between the dots.

    Dots that lie on a line have no surface. The best run has an orange ring. Those with True in the column pruned,
    where there is one, are grey crosses: their score is no colour beside those of runs that came to their end.
    """
    figure, axes = axes_of(6.5, 4)
    table = table.dropna(subset=[across, up])
    scales, ended = (_scale(table[across]), _scale(table[up])), ~_pruned(table)
    x, y = (scale.values for scale in scales)
    enough = all(not scale.words and scale.values[ended].nunique() > 3 for scale in scales)
    if enough and _span_a_plane(table[[across, up]], ended):
        axes.tricontourf(x[ended], y[ended], table.loc[ended, metric], levels=8, cmap="Blues", alpha=0.7)
    colours = {"c": table.loc[ended, metric], "cmap": "Blues", "edgecolor": "0.3"}
    dots = axes.scatter(x[ended], y[ended], s=70, zorder=3, **colours)
    axes.plot(x[~ended], y[~ended], "x", color="0.55")
    best = _best(table, metric)
    axes.scatter(x[best], y[best], s=190, facecolor="none", edgecolor="C1", linewidth=2.5, zorder=4)
    axes.set(xlabel=words(across), ylabel=words(up))
    for axis, scale in zip((axes.xaxis, axes.yaxis), scales):
        _label(axis, scale)
    axes.margins(0.12)
    figure.colorbar(dots, label=words(metric))
    return figure


def _span_a_plane(table: pd.DataFrame, ended: pd.Series) -> bool:
    """Tell whether runs lie on no line, neither by the numbers of two settings, which a surface is of, nor as drawn."""
    for linear in (True, False):
        points = np.stack([_heights(table[name], linear)[ended] for name in table], axis=1)
        if np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-6) < 2:
            return False
    return True


@literal
def budget(curve: pd.DataFrame, metric: str) -> Figure:
    """Draw the best score to expect against the number of trials; see `sweep_analysis.budget_curve`."""
    figure, axes = axes_of(6.5, 3.2)
    axes.plot(curve["trials"], curve["expected"], marker="o")
    axes.set(title="Best score to expect from so many trials", xlabel="trials", ylabel=words(metric))
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


@literal
def seeds(table: pd.DataFrame, metric: str) -> Figure:
    """Draw the scores over seeds of each choice of settings, their mean and its 95 % interval, the best on top.

    An interval is drawn from three seeds on: that of two is wider than anything one would compare.

    Args:
        table: as `sweep_analysis.by_settings` returns it.
        metric: that the table is about.
    """
    figure, axes = axes_of(6.5, 0.5 * len(table) + 1.2)
    upwards = table[::-1]
    for place, (_, row) in enumerate(upwards.iterrows()):
        if row["seeds"] > 2:
            bar = {"color": "0.8", "linewidth": 8, "solid_capstyle": "butt", "label": "95 % interval of the mean"}
            axes.plot([row["low"], row["high"]], [place, place], **bar)
        axes.plot(row["scores"], [place] * len(row["scores"]), "o", color="C0", label="one seed")
        axes.plot(row["mean"], place, "|", color="C1", markersize=18, markeredgewidth=3, label="mean")
    axes.set(title="Scores over seeds", xlabel=words(metric), ylim=(-0.5, len(table) - 0.5))
    known = dict(zip(*reversed(axes.get_legend_handles_labels())))
    figure.legend(known.values(), known, loc="outside lower center", ncols=len(known))
    told = zip(_told_apart(upwards), upwards["seeds"])
    axes.set_yticks(range(len(table)), [f"{name}, {int(n)} seeds" for name, n in told])
    return figure


def _told_apart(table: pd.DataFrame) -> list[str]:
    """Return the name of each choice of settings and, where a name comes twice, the settings in which these differ."""
    settings, told = table.iloc[:, table.columns.get_loc("scores") + 1 :], []
    for name, (_, row) in zip(table.index, table.iterrows()):
        differ = [column for column in settings if settings.loc[[name], column].nunique(dropna=False) > 1]
        values = {one: f"{row[one]:.10g}" if isinstance(row[one], float) else shown(row[one]) for one in differ}
        told.append(", ".join([shown(name), *(f"{words(setting)} {value}" for setting, value in values.items())]))
    return told


@literal
def run_curves(curves: dict[str, pd.DataFrame], metric: str, highlight: str, name: str) -> Figure:
    """Draw a metric during the trainings of one or several runs; one is highlighted.

    Args:
        curves: run id -> table with columns step and value, or share (of the training, from 0 to 1) and value.
        metric: for the title and the axis.
        highlight: id of the run drawn in colour.
        name: its name for the legend.
    """
    figure, axes = axes_of(6.5, 3.2)
    across = "share" if all("share" in curve for curve in curves.values()) else "step"
    for run, curve in curves.items():
        look = {"color": "C1", "zorder": 3} if run == highlight else {"color": "0.7", "zorder": 2}
        (line,) = axes.plot(curve[across], curve["value"], marker="o", **look)
        if run == highlight:
            axes.legend([line], [shown(name)])
    axes.set(title=shown(metric[:1].upper() + metric[1:]), xlabel=_ACROSS[across], ylabel=shown(metric))
    return figure


def _apart(scale: _Scale) -> pd.Series:
    """Return the values of a scale, equal ones side by side, within half of the least distance between two values."""
    values = np.log(scale.values) if scale.logarithmic else scale.values
    places = np.sort(values.dropna().unique())
    gap = np.diff(places).min() if len(places) > 1 else 1.0
    equal = values.groupby(values)
    count = equal.transform("size")
    apart = values + 0.5 * gap * (equal.cumcount() - (count - 1) / 2) / count
    return (np.exp(apart) if scale.logarithmic else apart).where(count > 1, scale.values)


def _pruned(table: pd.DataFrame) -> pd.Series:
    return table["pruned"] if "pruned" in table else pd.Series(False, index=table.index)


def _best(table: pd.DataFrame, metric: str) -> pd.Index:
    """Return the index of the best run that was not pruned; empty when all were."""
    return table.loc[~_pruned(table), metric].nlargest(1).index


class _Scale(NamedTuple):
    """How the values of a setting lie on an axis."""

    values: pd.Series  # as numbers
    words: list[str]  # that the numbers from 0 on stand for; empty when the setting has numbers
    logarithmic: bool


def _scale(column: pd.Series) -> _Scale:
    """Return the scale of a setting: logarithmic when its numbers are positive and differ by a factor of 5 or more."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().eq(column.notna()).all() and column.nunique() > 1 and not pd.api.types.is_bool_dtype(column):
        return _Scale(numbers.astype(float), [], bool(numbers.min() > 0 and numbers.max() / numbers.min() >= 5))
    texts = column.astype(object).where(column.notna(), "not set").astype(str)
    words = sorted(texts.unique())
    return _Scale(texts.map(words.index).astype(float), words, False)


def _label(axis: Axis, scale: _Scale, fractions: bool = True) -> None:
    """Label an axis at its words, or at 1, 2 and 5 times the powers of ten, or at its values where these are few.

    Args:
        fractions: whether there is room for values that are no whole numbers.
    """
    values = sorted(scale.values.dropna().unique())
    if scale.words:
        axis.set_ticks(range(len(scale.words)), names(scale.words))
    elif scale.logarithmic:
        logarithmic(axis)
    elif len(values) <= 4 and (fractions or all(value == round(value) for value in values)):
        axis.set_ticks(values)
    elif not fractions:
        axis.set_major_locator(MaxNLocator(3))
