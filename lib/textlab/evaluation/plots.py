"""A table in, a figure out: every picture of the notebooks, in one style (plots.mplstyle)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from sklearn.metrics import confusion_matrix


def use_style() -> None:
    """Use the project's plot style from here on."""
    plt.style.use(Path(__file__).with_name("plots.mplstyle"))


def class_balance(balance: pd.DataFrame) -> Figure:
    """Draw the share of each class in each split, from a table of rows (index class, columns splits)."""
    figure, axes = _axes(6.5, 3.2)
    shares = balance / balance.sum() * 100
    width = 0.8 / shares.shape[1]
    for i, split in enumerate(shares):
        axes.bar(np.arange(len(shares)) + (i - (shares.shape[1] - 1) / 2) * width, shares[split], width, label=split)
    axes.set(title="How often each label occurs", ylabel="% of the split")
    axes.set_xticks(range(len(shares)), shares.index)
    axes.grid(axis="x", visible=False)
    axes.legend()
    return figure


def text_lengths(lengths: pd.DataFrame, max_length: int) -> Figure:
    """Draw how long texts are, in words and in tokens (columns words and tokens), and where they would be cut."""
    figure, panels = _panels(7, 3, columns=2)
    for axes, unit, colour in zip(panels, ("words", "tokens"), ("C0", "C1")):
        values = lengths[unit]
        axes.hist(values, bins=np.arange(values.min(), values.max() + 2) - 0.5, color=colour)
        axes.axvline(values.median(), color="0.25", linestyle="--", label=f"median {values.median():g}")
        if unit == "tokens" and values.max() > max_length:
            axes.axvline(max_length, color="C3", label=f"cut at {max_length}")
        axes.set(title=f"Length in {unit}", xlabel=f"{unit} in a text", ylabel="texts")
        axes.grid(axis="x", visible=False)
        axes.legend()
    return figure


def padding(tokens: pd.DataFrame) -> Figure:
    """Draw the tokens that an epoch computes under several ways of padding (columns own and padding, in tokens)."""
    figure, axes = _axes(7, 0.9 + 0.45 * len(tokens))
    ways = tokens.iloc[::-1] / 1000
    axes.barh(ways.index, ways["own"], color="C0", label="the texts' own tokens")
    axes.barh(ways.index, ways["padding"], left=ways["own"], color="0.8", label="padding, computed for nothing")
    axes.set(title="Tokens computed in an epoch", xlabel="thousand tokens", xlim=(0, ways.sum(axis=1).max() * 1.02))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    return figure


def reliability(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw how often a model is right against how sure it is; the larger a dot, the more texts it stands for.

    Args:
        tables: name for the legend -> what `diagnostics.reliability` returns; a dot for each of its rows.
    """
    figure, axes = _axes(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as sure as right")
    for i, (name, table) in enumerate(tables.items()):
        sizes = 12 + 180 * table["rows"] / table["rows"].sum()
        axes.plot(table["confidence"], table["accuracy"], color=f"C{i}", alpha=0.3)
        axes.scatter(table["confidence"], table["accuracy"], s=sizes, color=f"C{i}")
        axes.plot([], [], "o", color=f"C{i}", label=name)
    axes.set(
        title="Can the probabilities be believed?",
        xlabel="probability of the answer",
        ylabel="share of right answers",
    )
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    axes.legend(loc="upper left")
    return figure


def learning_curves(history: pd.DataFrame) -> Figure:
    """Draw training and validation loss, and validation accuracy and macro F1, over epochs."""
    figure, (left, right) = _panels(7, 3.2, columns=2)
    left_columns = {"loss": "training", "eval_loss": "validation"}
    right_columns = {"eval_accuracy": "accuracy", "eval_macro_f1": "macro F1"}
    for axes, columns in ((left, left_columns), (right, right_columns)):
        for column, name in columns.items():
            points = history.dropna(subset=[column])
            axes.plot(points["epoch"], points[column], marker="" if column == "loss" else "o", label=name)
        axes.set(xlabel="epoch", xlim=(0, None))
        axes.legend()
    left.update_datalim([(0, 0)])  # else a flat curve is cut in two by the upper edge
    left.autoscale_view()
    left.set(title="Loss (cross-entropy)", ylim=(0, None))
    right.set(title="Validation", ylim=(0, 1.02))
    return figure


def confusion(true: Sequence[int], predicted: Sequence[int], labels: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: rows are true labels, shaded by their share, with counts."""
    matrix = confusion_matrix(true, predicted, labels=range(len(labels)))
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 1.6 + 0.62 * len(labels)
    figure, axes = _axes(side + 0.6, side)
    _shaded_table(axes, shares, matrix.astype(str), ink="0.2")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    return figure


def intervals(scores: dict[str, dict], metrics: Sequence[str] = ("accuracy", "macro_f1"), title: str = "") -> Figure:
    """Draw each model's metrics as dots, with 95 % intervals where they were measured.

    Args:
        scores: model name -> what `scores.score` returns, from top to bottom.
        metrics: one panel each.
        title: of the whole figure.
    """
    figure, panels = _panels(7, 0.9 + 0.5 * len(scores), columns=len(metrics))
    names = list(reversed(scores))
    for axes, metric in zip(panels, metrics):
        for row, name in enumerate(names):
            value, bounds = scores[name][metric], scores[name].get(f"{metric}_ci95")
            if bounds:
                axes.plot(bounds, [row, row], color="C0", linewidth=3, alpha=0.5, solid_capstyle="butt")
            axes.plot(value, row, "o", color="C0")
            axes.annotate(f"{value:.3f}", (value, row), (0, 7), textcoords="offset points", ha="center", fontsize=9)
        axes.set(title=_words(metric), xlim=(-0.05, 1.05), ylim=(-0.5, len(names) - 0.3))
        axes.set_yticks(range(len(names)), names if metric == metrics[0] else [""] * len(names))
        axes.grid(axis="y", visible=False)
    figure.suptitle(title, fontsize=11)
    return figure


def probabilities(texts: Sequence[str], values: np.ndarray, labels: Sequence[str]) -> Figure:
    """Draw the probability of every label for a few texts as a shaded table; values has shape (texts, labels)."""
    figure, axes = _axes(7.6, 1.1 + 0.42 * len(texts))
    _shaded_table(axes, values, np.vectorize("{:.2f}".format)(values), ink="0.3", aspect="auto")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(texts)), [text if len(text) <= 46 else text[:44] + " …" for text in texts])
    axes.xaxis.tick_top()
    return figure


def effects(table: pd.DataFrame, parameters: Sequence[str], metric: str) -> Figure:
    """Draw a metric against each hyper-parameter, one panel each; the best run is orange.

    Args:
        table: a run a row; those with True in the column pruned, where there is one, are grey crosses.
        parameters: columns of the table.
        metric: column of the table; higher is better.
    """
    figure, panels = _panels(min(2.6 * len(parameters) + 1.2, 11), 3, columns=len(parameters), sharey=True)
    pruned, best = _pruned(table), _best(table, metric)
    for axes, name in zip(panels, parameters):
        scale = _scale(table[name])
        values = scale.values
        axes.plot(values[pruned], table.loc[pruned, metric], "x", color="0.55")
        axes.plot(values[~pruned], table.loc[~pruned, metric], "o", color="C0", alpha=0.8)
        axes.plot(values[best], table.loc[best, metric], "o", color="C1", markersize=10)
        axes.set(xlabel=_words(name))
        _label(axes.xaxis, scale, fractions=False)
        if scale.words:
            axes.set(xlim=(-0.5, len(scale.words) - 0.5))
    panels[0].set(ylabel=_words(metric))
    return figure


def parallel_coordinates(table: pd.DataFrame, parameters: Sequence[str], metric: str) -> Figure:
    """Draw each run as a line across its hyper-parameters and its metric; darker is better."""
    columns = [*parameters, metric]
    figure, axes = _axes(min(2 * len(columns) + 1, 11), 3.4)
    ranks = table[metric].rank(pct=True)
    heights = pd.DataFrame({name: _heights(table[name], linear=name == metric) for name in columns})
    for run in ranks.sort_values().index:
        axes.plot(range(len(columns)), heights.loc[run], color=plt.cm.Blues(0.25 + 0.7 * ranks[run]))
    for i, name in enumerate(columns):
        axes.vlines(i, 0, 1, color="0.8", linewidth=1, zorder=0)
        known = table[name].dropna()
        for value, height in ((known.min(), -0.07), (known.max(), 1.03)):
            label = f"{value:.3g}" if isinstance(value, (int, float, np.number)) else str(value)
            axes.text(i, height, label, ha="center", fontsize=9, color="0.3")
    axes.set(yticks=[], ylim=(-0.12, 1.12))
    axes.set_xticks(range(len(columns)), [_words(name) for name in columns])
    axes.tick_params(axis="x", pad=8, length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(False)
    return figure


def _heights(column: pd.Series, linear: bool) -> pd.Series:
    """Return where the values of a column lie between its least (0) and its greatest (1)."""
    scale = _scale(column)
    values = np.log(scale.values) if scale.logarithmic and not linear else scale.values
    return (values - values.min()) / ((values.max() - values.min()) or 1)


def importance(shares: pd.Series) -> Figure:
    """Draw the importance of each setting as a bar, the largest on top."""
    figure, axes = _axes(6.5, 0.45 * len(shares) + 1)
    bars = axes.barh([_words(name) for name in shares.index[::-1]], shares[::-1])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(title="Share of the differences in rank that a setting explains")
    axes.set(xlim=(0, max(1.12 * shares.max(), 0.1)), xticks=[])
    axes.grid(False)
    return figure


def contour(table: pd.DataFrame, across: str, up: str, metric: str) -> Figure:
    """Draw a metric over two settings: a dot a run and, where each has enough values, the surface between the dots.

    The best run has an orange ring; one with True in the column pruned, where there is one, is never that.
    """
    figure, axes = _axes(6.5, 4)
    table = table.dropna(subset=[across, up])
    scales = _scale(table[across]), _scale(table[up])
    x, y = (scale.values for scale in scales)
    if all(not scale.words and scale.values.nunique() > 3 for scale in scales):
        axes.tricontourf(x, y, table[metric], levels=8, cmap="Blues", alpha=0.7)
    dots = axes.scatter(x, y, c=table[metric], cmap="Blues", edgecolor="0.3", s=70, zorder=3)
    best = _best(table, metric)
    axes.scatter(x[best], y[best], s=190, facecolor="none", edgecolor="C1", linewidth=2.5, zorder=4)
    axes.set(xlabel=_words(across), ylabel=_words(up))
    for axis, scale in zip((axes.xaxis, axes.yaxis), scales):
        _label(axis, scale)
    axes.margins(0.12)
    figure.colorbar(dots, label=_words(metric))
    return figure


def budget(curve: pd.DataFrame, metric: str) -> Figure:
    """Draw the best score to expect against the number of trials; see `sweep_analysis.budget_curve`."""
    figure, axes = _axes(6.5, 3.2)
    axes.plot(curve["trials"], curve["expected"], marker="o")
    axes.set(title="Best score to expect from so many trials", xlabel="trials", ylabel=_words(metric))
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def seeds(table: pd.DataFrame, metric: str) -> Figure:
    """Draw mean, range and 95 % interval over seeds of each choice of settings, the best on top.

    Args:
        table: as `sweep_analysis.by_settings` returns it.
        metric: that the table is about.
    """
    figure, axes = _axes(6.5, 0.5 * len(table) + 1.2)
    upwards = table[::-1]
    for place, (_, row) in enumerate(upwards.iterrows()):
        if pd.notna(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color="0.75", linewidth=6, solid_capstyle="butt")
        axes.plot([row["min"], row["max"]], [place, place], color="C0", linewidth=2)
        axes.plot(row["mean"], place, "o", color="C1" if place == len(table) - 1 else "C0")
    axes.set(title="Mean, range and 95 % interval over seeds", xlabel=_words(metric), ylim=(-0.5, len(table) - 0.5))
    axes.set_yticks(range(len(table)), [f"{name}, {int(n)} seeds" for name, n in upwards["seeds"].items()])
    return figure


def run_curves(curves: dict[str, pd.DataFrame], metric: str, highlight: str, name: str) -> Figure:
    """Draw a metric over steps for several runs; one is highlighted.

    Args:
        curves: run id -> table with columns step and value.
        metric: for the title.
        highlight: id of the run drawn in colour.
        name: its name for the legend.
    """
    figure, axes = _axes(6.5, 3.2)
    for run, curve in curves.items():
        look = {"color": "C1", "label": name, "zorder": 3} if run == highlight else {"color": "0.7", "zorder": 2}
        axes.plot(curve["step"], curve["value"], marker="o", **look)
    axes.set(title=f"{metric[0].upper()}{metric[1:]} during training", xlabel="step")
    axes.legend()
    return figure


def downloads_against_size(tables: dict[str, pd.DataFrame], chosen: Collection[str] = ()) -> Figure:
    """Draw downloads against size on disk, both on a logarithmic scale, one panel a table; chosen ids are orange.

    Args:
        tables: title -> columns downloads and megabytes, indexed by id; rows that lack one are left out and counted.
        chosen: ids.
    """
    figure, panels = _panels(8, 3.8, columns=len(tables))
    for axes, (title, table) in zip(panels, tables.items()):
        points = table[["megabytes", "downloads"]].apply(pd.to_numeric).dropna().sort_values("megabytes")
        points = points[(points > 0).all(axis=1)]
        if points.empty:
            axes.set_title(title)
            axes.set_axis_off()
            axes.text(0.5, 0.5, "none states both size and downloads", ha="center", transform=axes.transAxes)
            continue
        left_out = f" ({len(table) - len(points)} left out)" if len(points) < len(table) else ""
        axes.set(title=title + left_out, xlabel="MB on disk", xscale="log", yscale="log")
        _named_dots(axes, points, ["C1" if name in chosen else "C0" for name in points.index])
        axes.margins(0.2)
    panels[0].set(ylabel="downloads in 30 days")
    return figure


def _named_dots(axes: Axes, points: pd.DataFrame, colours: Sequence[str]) -> None:
    """Draw the points of a table (columns across and up), with the names of their rows above and below by turns."""
    axes.scatter(*points.to_numpy().T, color=colours)
    for place, (name, point) in enumerate(points.iterrows()):
        offset = (0, -13 if place % 2 else 7)
        label = str(name).split("/")[-1][:24]
        axes.annotate(label, tuple(point), offset, fontsize=8, ha="center", textcoords="offset points")


def _shaded_table(axes: Axes, shares: np.ndarray, texts: np.ndarray, ink: str, aspect: str = "equal") -> None:
    """Draw a table of texts, each on a ground that is darker the larger its share."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect=aspect)
    for row, column in np.ndindex(shares.shape):
        colour = "white" if shares[row, column] > 0.5 else ink
        axes.text(column, row, texts[row, column], ha="center", va="center", fontsize=9, color=colour)
    axes.grid(False)


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
        axis.set_ticks(range(len(scale.words)), scale.words)
    elif scale.logarithmic:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    elif len(values) <= 4 and (fractions or all(value == round(value) for value in values)):
        axis.set_ticks(values)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("f1", "F1")


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _panels(width, height, columns=1)
    return figure, axes


def _panels(width: float, height: float, columns: int, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    """Return a figure that a notebook shows once, as the value of its cell, and its panels from left to right."""
    figure, panels = plt.subplots(1, columns, figsize=(width, height), sharey=sharey, squeeze=False)
    plt.close(figure)
    return figure, panels[0]
