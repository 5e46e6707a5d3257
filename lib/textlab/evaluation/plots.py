"""A table in, a figure out: every picture of the notebooks, in one style (plots.mplstyle)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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
    axes.set(title="How often each label occurs", ylabel="% of the split", xticks=range(len(shares)))
    axes.set_xticklabels(shares.index)
    axes.grid(axis="x", visible=False)
    axes.legend()
    return figure


def text_lengths(lengths: pd.DataFrame, max_length: int) -> Figure:
    """Draw how long texts are, in words and in tokens (columns words and tokens), and where they would be cut."""
    figure, axes = _axes(7, 3, columns=2)
    for axis, unit in zip(axes, ("words", "tokens")):
        values = lengths[unit]
        axis.hist(values, bins=np.arange(values.min(), values.max() + 2) - 0.5, color="C0" if unit == "words" else "C1")
        axis.axvline(values.median(), color="0.25", linestyle="--", label=f"median {values.median():g}")
        axis.set(title=f"Length in {unit}", xlabel=f"{unit} in a text", ylabel="texts")
        axis.grid(axis="x", visible=False)
    if lengths["tokens"].max() > max_length:
        axes[1].axvline(max_length, color="C3", label=f"cut at {max_length}")
    for axis in axes:
        axis.legend()
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
    """Draw how often a model is right against how sure it is, a dot for each row of each table of `diagnostics.reliability`.

    The larger a dot, the more texts it stands for.
    """
    figure, axes = _axes(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as sure as right")
    for i, (name, table) in enumerate(tables.items()):
        axes.plot(table["confidence"], table["accuracy"], color=f"C{i}", alpha=0.3)
        axes.scatter(
            table["confidence"], table["accuracy"], s=12 + 180 * table["rows"] / table["rows"].sum(), color=f"C{i}"
        )
        axes.plot([], [], "o", color=f"C{i}", label=name)
    axes.set(
        title="Can the probabilities be believed?",
        xlabel="probability of the answer",
        ylabel="share of right answers",
        xlim=(0, 1.03),
        ylim=(0, 1.03),
        aspect="equal",
    )
    axes.legend(loc="upper left")
    return figure


def learning_curves(history: pd.DataFrame) -> Figure:
    """Draw training and validation loss, and validation accuracy and macro F1, over epochs."""
    figure, (left, right) = _axes(7, 3.2, columns=2)
    for axis, columns in (
        (left, {"loss": "training", "eval_loss": "validation"}),
        (right, {"eval_accuracy": "accuracy", "eval_macro_f1": "macro F1"}),
    ):
        for column, name in columns.items():
            points = history.dropna(subset=[column])
            axis.plot(points["epoch"], points[column], marker="" if column == "loss" else "o", label=name)
        axis.set(xlabel="epoch", xlim=(0, None))
        axis.legend()
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
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        axes.text(
            column,
            row,
            matrix[row, column],
            ha="center",
            va="center",
            fontsize=9,
            color="white" if shares[row, column] > 0.5 else "0.2",
        )
    axes.set(title=title, xlabel="predicted", ylabel="true", xticks=range(len(labels)), yticks=range(len(labels)))
    axes.set_xticklabels(labels, rotation=35, ha="right")
    axes.set_yticklabels(labels)
    axes.grid(False)
    return figure


def intervals(scores: dict[str, dict], metrics: Sequence[str] = ("accuracy", "macro_f1"), title: str = "") -> Figure:
    """Draw each model's metrics as dots, with 95 % intervals where they were measured.

    Args:
        scores: model name -> result of `scores.score`; the last one is drawn on top.
    """
    figure, panels = _axes(7, 0.9 + 0.5 * len(scores), columns=len(metrics))
    names = list(scores)
    for axis, metric in zip(np.atleast_1d(panels), metrics):
        for row, name in enumerate(reversed(names)):
            value, bounds = scores[name][metric], scores[name].get(f"{metric}_ci95")
            if bounds:
                axis.plot(bounds, [row, row], color="C0", linewidth=3, alpha=0.5, solid_capstyle="butt")
            axis.plot(value, row, "o", color="C0")
            axis.annotate(f"{value:.3f}", (value, row), (0, 7), textcoords="offset points", ha="center", fontsize=9)
        axis.set(title=_words(metric), xlim=(-0.05, 1.05), ylim=(-0.5, len(names) - 0.3), yticks=range(len(names)))
        axis.set_yticklabels(reversed(names) if metric == metrics[0] else [""] * len(names))
        axis.grid(axis="y", visible=False)
    figure.suptitle(title, fontsize=11)
    return figure


def probabilities(texts: Sequence[str], values: np.ndarray, labels: Sequence[str]) -> Figure:
    """Draw the probability of every label for a few texts as a shaded table; values has shape (texts, labels)."""
    figure, axes = _axes(7.6, 1.1 + 0.42 * len(texts))
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(values.shape):
        axes.text(
            column,
            row,
            f"{values[row, column]:.2f}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if values[row, column] > 0.5 else "0.3",
        )
    axes.set(xticks=range(len(labels)), yticks=range(len(texts)))
    axes.set_xticklabels(labels)
    axes.set_yticklabels([text if len(text) <= 46 else text[:44] + " …" for text in texts])
    axes.xaxis.tick_top()
    axes.grid(False)
    return figure


def effects(table: pd.DataFrame, parameters: Sequence[str], metric: str) -> Figure:
    """Draw a metric against each hyper-parameter, one panel each; the best run is orange.

    Args:
        table: a run a row; those with True in the column given_up, where there is one, are grey crosses.
    """
    figure, panels = _axes(min(2.6 * len(parameters) + 1.2, 11), 3, columns=len(parameters), sharey=True)
    panels = np.atleast_1d(panels)
    given_up = _given_up(table)
    best = table.loc[~given_up, metric].idxmax()
    for axis, name in zip(panels, parameters):
        values, ticks = _as_numbers(table[name])
        axis.plot(values[given_up], table.loc[given_up, metric], "x", color="0.55")
        axis.plot(values[~given_up], table.loc[~given_up, metric], "o", color="C0", alpha=0.8)
        axis.plot(values[best], table[metric][best], "o", color="C1", markersize=10)
        axis.set(xlabel=_words(name))
        if not ticks and values.nunique() <= 4 and (values == values.round()).all():
            axis.set_xticks(sorted(values.unique()))
        if ticks:
            axis.set(xticks=range(len(ticks)), xlim=(-0.5, len(ticks) - 0.5))
            axis.set_xticklabels(ticks)
        elif values.min() > 0 and values.max() / values.min() >= 5:
            axis.set_xscale("log")
            _few_ticks(axis.xaxis)
    panels[0].set(ylabel=_words(metric))
    return figure


def parallel_coordinates(table: pd.DataFrame, parameters: Sequence[str], metric: str) -> Figure:
    """Draw each run as a line across its hyper-parameters and its metric; darker is better."""
    columns = [*parameters, metric]
    figure, axes = _axes(min(2 * len(columns) + 1, 11), 3.4)
    scaled = {}
    for name in columns:
        values, ticks = _as_numbers(table[name])
        logarithmic = not ticks and name != metric and values.min() > 0 and values.max() / values.min() >= 5
        values = np.log(values) if logarithmic else values
        scaled[name] = (values - values.min()) / ((values.max() - values.min()) or 1)
    ranks = table[metric].rank(pct=True)
    for run in ranks.sort_values().index:
        axes.plot(
            range(len(columns)), [scaled[name][run] for name in columns], color=plt.cm.Blues(0.25 + 0.7 * ranks[run])
        )
    for i, name in enumerate(columns):
        axes.vlines(i, 0, 1, color="0.8", linewidth=1, zorder=0)
        known = table[name].dropna()
        for value, height in ((known.min(), -0.07), (known.max(), 1.03)):
            label = f"{value:.3g}" if isinstance(value, (int, float, np.number)) else str(value)
            axes.text(i, height, label, ha="center", fontsize=9, color="0.3")
    axes.set(xticks=range(len(columns)), yticks=[], ylim=(-0.12, 1.12))
    axes.set_xticklabels([_words(name) for name in columns])
    axes.tick_params(axis="x", pad=8, length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(False)
    return figure


def importance(shares: pd.Series) -> Figure:
    """Draw the importance of each setting as a bar, the largest on top."""
    figure, axes = _axes(6.5, 0.45 * len(shares) + 1)
    bars = axes.barh([_words(name) for name in shares.index[::-1]], shares[::-1])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(
        title="Share of the differences in rank that a setting explains",
        xlim=(0, max(1.12 * shares.max(), 0.1)),
        xticks=[],
    )
    axes.grid(False)
    return figure


def contour(table: pd.DataFrame, across: str, up: str, metric: str) -> Figure:
    """Draw a metric over two settings: a dot a run, and between them, where there are enough, the interpolated surface.

    The best run has an orange ring; one with True in the column given_up, where there is one, is never that.
    """
    figure, axes = _axes(6.5, 4)
    table = table.dropna(subset=[across, up])
    places = {}
    for name in (across, up):
        values, ticks = _as_numbers(table[name])
        logarithmic = not ticks and values.min() > 0 and values.max() / values.min() >= 5
        places[name] = values, ticks, logarithmic
    (x, x_ticks, x_log), (y, y_ticks, y_log) = places[across], places[up]
    if not x_ticks and not y_ticks and x.nunique() > 3 and y.nunique() > 3:
        axes.tricontourf(x, y, table[metric], levels=8, cmap="Blues", alpha=0.7)
    dots = axes.scatter(x, y, c=table[metric], cmap="Blues", edgecolor="0.3", s=70, zorder=3)
    best = table.loc[~_given_up(table), metric].nlargest(1).index
    axes.scatter(x[best], y[best], s=190, facecolor="none", edgecolor="C1", linewidth=2.5, zorder=4)
    axes.set(
        xlabel=_words(across),
        ylabel=_words(up),
        xscale="log" if x_log else "linear",
        yscale="log" if y_log else "linear",
    )
    for axis, logarithmic in ((axes.xaxis, x_log), (axes.yaxis, y_log)):
        if logarithmic:
            _few_ticks(axis)
    if x_ticks:
        axes.set_xticks(range(len(x_ticks)), x_ticks)
    elif x.nunique() <= 4 and not x_log:
        axes.set_xticks(sorted(x.unique()))
    if y_ticks:
        axes.set_yticks(range(len(y_ticks)), y_ticks)
    elif y.nunique() <= 4 and not y_log:
        axes.set_yticks(sorted(y.unique()))
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
    """Draw mean, range and 95 % interval over seeds of each choice of settings, the best on top; see `sweep_analysis.by_settings`."""
    figure, axes = _axes(6.5, 0.5 * len(table) + 1.2)
    for place, (_, row) in enumerate(table[::-1].iterrows()):
        if pd.notna(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color="0.75", linewidth=6, solid_capstyle="butt")
        axes.plot([row["min"], row["max"]], [place, place], color="C0", linewidth=2)
        axes.plot(row["mean"], place, "o", color="C1" if place == len(table) - 1 else "C0")
    axes.set(
        yticks=range(len(table)),
        ylim=(-0.5, len(table) - 0.5),
        xlabel=_words(metric),
        title="Mean, range and 95 % interval over seeds",
    )
    axes.set_yticklabels([f"{name}, {int(n)} seeds" for name, n in zip(table.index[::-1], table["seeds"][::-1])])
    return figure


def run_curves(curves: dict[str, pd.DataFrame], metric: str, highlight: str, name: str) -> Figure:
    """Draw a metric over steps for several runs; one is highlighted.

    Args:
        curves: run id -> table with columns step and value.
        highlight: id of the run drawn in colour, and its name for the legend.
    """
    figure, axes = _axes(6.5, 3.2)
    for run, curve in sorted(curves.items(), key=lambda item: item[0] == highlight):
        chosen = run == highlight
        axes.plot(
            curve["step"],
            curve["value"],
            marker="o",
            color="C1" if chosen else "0.7",
            label=name if chosen else None,
            zorder=3 if chosen else 2,
        )
    axes.set(title=f"{metric[0].upper()}{metric[1:]} during training", xlabel="step")
    axes.legend()
    return figure


def downloads_against_size(tables: dict[str, pd.DataFrame], chosen: Collection[str] = ()) -> Figure:
    """Draw downloads against size on disk, both on a logarithmic scale, one panel a table; chosen ids are orange.

    Args:
        tables: title -> columns downloads and megabytes, indexed by id; rows that lack one are left out and counted.
    """
    figure, panels = _axes(8, 3.8, columns=len(tables))
    for axis, (title, table) in zip(np.atleast_1d(panels), tables.items()):
        points = table[["megabytes", "downloads"]].apply(pd.to_numeric).dropna().sort_values("megabytes")
        points = points[(points > 0).all(axis=1)]
        if points.empty:
            axis.set_title(title)
            axis.set_axis_off()
            axis.text(0.5, 0.5, "none states both size and downloads", ha="center", transform=axis.transAxes)
            continue
        colours = ["C1" if name in chosen else "C0" for name in points.index]
        axis.scatter(points["megabytes"], points["downloads"], color=colours)
        for place, (name, point) in enumerate(points.iterrows()):  # names above and below by turns
            axis.annotate(
                str(name).split("/")[-1][:24],
                tuple(point),
                (0, -13 if place % 2 else 7),
                fontsize=8,
                ha="center",
                textcoords="offset points",
            )
        axis.set(title=title, xlabel="MB on disk", xscale="log", yscale="log")
        axis.margins(0.2)
        if len(points) < len(table):
            axis.set_title(f"{title} ({len(table) - len(points)} left out)")
    np.atleast_1d(panels)[0].set(ylabel="downloads in 30 days")
    return figure


def _given_up(table: pd.DataFrame) -> pd.Series:
    return table["given_up"] if "given_up" in table else pd.Series(False, index=table.index)


def _few_ticks(axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 times the powers of ten, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _words(name: str) -> str:
    return name.replace("_", " ").replace("f1", "F1")


def _as_numbers(column: pd.Series) -> tuple[pd.Series, list[str]]:
    """Return a column as numbers and, where it held words, the words in the order of their numbers."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().eq(column.notna()).all() and column.nunique() > 1 and not pd.api.types.is_bool_dtype(column):
        return numbers.astype(float), []
    column = column.astype(object).where(column.notna(), "not set").astype(str)
    words = sorted(column.unique())
    return column.map(words.index).astype(float), words


def _axes(width: float, height: float, columns: int = 1, sharey: bool = False):
    """Return a figure that a notebook shows once, as the value of its cell, and its axes."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), sharey=sharey)
    plt.close(figure)
    return figure, axes
