"""A table in, a figure out: every picture of the notebooks, in one style (plots.mplstyle).

Those of a sweep come from `sweep_plots`, those of what people think from `agreement_plots`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from .agreement_plots import against_people as against_people
from .agreement_plots import people as people
from .answers import accuracy_name
from .canvas import axes_of, literal, logarithmic, name_columns, names, panels_of, part_names, shown, words
from .canvas import use_style as use_style
from .sweep_plots import budget as budget
from .sweep_plots import contour as contour
from .sweep_plots import effects as effects
from .sweep_plots import importance as importance
from .sweep_plots import parallel_coordinates as parallel_coordinates
from .sweep_plots import run_curves as run_curves
from .sweep_plots import seeds as seeds

#: More classes than this do not fit in a picture.
MOST_CLASSES = 20
#: Texts whose probabilities fit in a picture, and labels.
MOST_TEXTS, MOST_COLUMNS = 40, 12
#: Words of a text that fit in a picture.
MOST_WORDS = 30
#: Bars of a histogram.
MOST_BARS = 200


@literal
def class_balance(balance: pd.DataFrame, rows: Mapping[str, int] | None = None) -> Figure:
    """Draw the share of each class in each split.

    Of more than `MOST_CLASSES` it shows the most frequent and the rarest, as the first split has them.

    Args:
        balance: numbers of rows (index class, columns splits).
        rows: of each split; None: each row is of one class.
    """
    figure, axes = axes_of(6.5, 3.2)
    shares, title = balance / pd.Series(rows or balance.sum()) * 100, "How often each label occurs"
    shares.index = names(shares.index)
    if len(shares) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        title = f"The {half} most frequent and the {half} rarest of {len(shares):,} labels"
        shares = shares.sort_values(shares.columns[0], ascending=False, kind="stable")
        shares = pd.concat([shares[:half], shares[-half:]])
    width = 0.8 / shares.shape[1]
    for i, split in enumerate(shares):
        axes.bar(np.arange(len(shares)) + (i - (shares.shape[1] - 1) / 2) * width, shares[split], width, label=split)
    axes.set(title=title, ylabel="% of the split")
    name_columns(axes, shares.index, room=60)
    axes.grid(axis="x", visible=False)
    axes.legend()
    return figure


@literal
def text_lengths(lengths: pd.DataFrame, max_length: int) -> Figure:
    """Draw how long texts are, in words and in tokens (columns words and tokens), and where they would be cut."""
    figure, panels = panels_of(7, 3, columns=2)
    for axes, unit, colour in zip(panels, ("words", "tokens"), ("C0", "C1")):
        values = lengths[unit]
        step = 1 + int(values.max() - values.min()) // MOST_BARS
        axes.hist(values, bins=np.arange(values.min(), values.max() + 1 + step, step) - 0.5, color=colour)
        axes.axvline(values.median(), color="0.25", linestyle="--", label=f"median {values.median():g}")
        if unit == "tokens" and values.max() > max_length:
            axes.axvline(max_length, color="C3", label=f"cut at {max_length}")
        axes.set(title=f"Length in {unit}", xlabel=f"{unit} in a text", ylabel="texts")
        axes.grid(axis="x", visible=False)
        axes.legend()
    return figure


@literal
def more_labels(curve: pd.DataFrame, several: bool = False) -> Figure:
    """Draw accuracy over the rows learned from, and how it goes on, from the table of `evaluation.more_labels`.

    Args:
        several: whether a text may have several labels; then accuracy is called exact match.
    """
    figure, axes = axes_of(5.5, 3.4)
    measured = curve.dropna(subset=["accuracy"])
    axes.fill_between(curve["rows"], curve["low"], curve["high"], color="C0", alpha=0.15, label="95 % interval")
    axes.plot(curve["rows"], curve["fitted"], color="C0", linestyle="--", label="power law")
    axes.plot(measured["rows"], measured["accuracy"], "o", color="C1", label="measured")
    axes.set_xscale("log", base=2)
    axes.set_xticks(curve["rows"], [f"{rows:,}" for rows in curve["rows"]])
    axes.minorticks_off()
    axes.set(title="What more rows are worth", xlabel="rows learned from", ylabel=accuracy_name(several))
    axes.legend(loc="lower right")
    return figure


@literal
def padding(tokens: pd.DataFrame) -> Figure:
    """Draw the tokens that an epoch computes under several ways of padding (columns own and padding, in tokens)."""
    figure, axes = axes_of(7, 0.9 + 0.45 * len(tokens))
    ways = tokens.iloc[::-1] / 1000
    axes.barh(ways.index, ways["own"], color="C0", label="the texts' own tokens")
    axes.barh(ways.index, ways["padding"], left=ways["own"], color="0.8", label="padding, computed for nothing")
    axes.set(title="Tokens computed in an epoch", xlabel="thousand tokens", xlim=(0, ways.sum(axis=1).max() * 1.02))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    return figure


@literal
def reliability(tables: dict[str, pd.DataFrame], several: bool = False) -> Figure:
    """Draw how often a model is right against how sure it is; the larger a dot, the more texts it stands for.

    Args:
        several: whether a text may have several labels; then it is how often a label is there, against its probability.
        tables: name for the legend -> what `calibration.reliability` returns; a dot for each of its rows.
    """
    figure, axes = axes_of(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="perfectly calibrated")
    for i, (name, table) in enumerate(tables.items()):
        sizes = 12 + 180 * table["rows"] / table["rows"].sum()
        axes.plot(table["confidence"], table["accuracy"], color=f"C{i}", alpha=0.3)
        axes.scatter(table["confidence"], table["accuracy"], s=sizes, color=f"C{i}")
        axes.plot([], [], "o", color=f"C{i}", label=name)
    axes.set(
        title="Can the probabilities be believed?",
        xlabel="probability of a label" if several else "probability of the answer",
        ylabel="share of texts that have it" if several else "share of right answers",
    )
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    axes.legend(loc="upper left")
    return figure


@literal
def learning_curves(history: pd.DataFrame, several: bool = False) -> Figure:
    """Draw training and validation loss, and validation accuracy and macro F1, over epochs.

    Args:
        several: whether a text may have several labels; then accuracy is called exact match.
    """
    figure, (left, right) = panels_of(7, 3.2, columns=2)
    left_columns = {"loss": "training", "eval_loss": "validation"}
    right_columns = {"eval_accuracy": accuracy_name(several), "eval_macro_f1": "macro F1"}
    for axes, columns in ((left, left_columns), (right, right_columns)):
        for column, name in columns.items():
            points = history.dropna(subset=[column])
            axes.plot(points["epoch"], points[column], marker="" if column == "loss" else "o", label=name)
        axes.set(xlabel="epoch", xlim=(0, None))
        axes.legend()
    left.update_datalim([(0, 0)])  # else a flat curve is cut in two by the upper edge
    left.autoscale_view()
    left.set(title=f"Loss ({'binary ' if several else ''}cross-entropy)", ylim=(0, None))
    right.set(title="Validation")
    return figure


@literal
def confusion(true: Sequence[int], predicted: Sequence[int], labels: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: rows are true labels, shaded by their share, with counts.

    Of more than `MOST_CLASSES` labels it shows the most frequent confusions instead, a bar each.

    Raises:
        ValueError: texts have several labels, of which none is taken for another.
    """
    if np.ndim(true) > 1 or np.ndim(predicted) > 1:
        raise ValueError("a confusion matrix is of one label a text; for several labels take per_class")
    if len(labels) > MOST_CLASSES:
        return _worst_confusions(np.asarray(true), np.asarray(predicted), labels, title)
    matrix = confusion_matrix(true, predicted, labels=range(len(labels)))
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side, told = 1.6 + 0.62 * len(labels), names(labels)
    figure, axes = axes_of(side + 0.6, side)
    _shaded_table(axes, shares, matrix.astype(str), ink="0.2")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(labels)), told, rotation=35, ha="right")
    axes.set_yticks(range(len(labels)), told)
    return figure


def _worst_confusions(true: np.ndarray, predicted: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    wrong = true != predicted
    pairs, counts = np.unique(np.stack([true[wrong], predicted[wrong]]), axis=1, return_counts=True)
    rows = np.bincount(true, minlength=len(labels))[pairs[0]]
    worst = np.lexsort((-counts / rows, -counts))[:MOST_CLASSES][::-1]
    figure, axes = axes_of(9, 1.2 + 0.3 * max(len(worst), 1))
    bars = axes.barh(range(len(worst)), counts[worst])
    axes.bar_label(bars, [f"{counts[i]} of {rows[i]}" for i in worst], padding=3, fontsize=9)
    told = names(labels, room=22)
    axes.set_yticks(range(len(worst)), [f"{told[i]}  taken for  {told[j]}" for i, j in pairs[:, worst].T])
    axes.set(title=title, xlim=(0, 1.15 * counts.max(initial=1)), ylim=(-0.6, max(len(worst), 1) - 0.4))
    axes.set_xlabel(
        f"texts; {len(worst)} of {len(counts):,} confusions, {wrong.sum():,} of {len(true):,} answers wrong"
    )
    axes.grid(axis="y", visible=False)
    return figure


@literal
def intervals(scores: dict[str, dict], metrics: Sequence[str] = (), title: str = "") -> Figure:
    """Draw each model's metrics as dots, with 95 % intervals where they were measured.

    Args:
        scores: model name -> what `scores.score` returns, from top to bottom.
        metrics: one panel each; empty: accuracy and macro F1, or micro and macro F1 where each has both.
        title: of the whole figure.
    """
    metrics = metrics or ("micro_f1" if all("micro_f1" in one for one in scores.values()) else "accuracy", "macro_f1")
    figure, panels = panels_of(7, 0.9 + 0.5 * len(scores), columns=len(metrics))
    names = list(reversed(scores))
    for axes, metric in zip(panels, metrics):
        for row, name in enumerate(names):
            value, bounds = scores[name][metric], scores[name].get(f"{metric}_ci95")
            if bounds:
                axes.plot(bounds, [row, row], color="C0", linewidth=3, alpha=0.5, solid_capstyle="butt")
            axes.plot(value, row, "o", color="C0", markersize=4)
            axes.annotate(f"{value:.3f}", (value, row), (0, 7), textcoords="offset points", ha="center", fontsize=9)
        axes.set(title=words(metric), xlim=_from_the_lowest(scores, metric), ylim=(-0.5, len(names) - 0.3))
        axes.set_yticks(range(len(names)), names if metric == metrics[0] else [""] * len(names))
        axes.grid(axis="y", visible=False)
    figure.suptitle(title, fontsize=11)
    return figure


def _from_the_lowest(scores: dict[str, dict], metric: str) -> tuple[float, float]:
    """Return the bounds of an axis for shares, with a tenth of room on both sides of all values and intervals."""
    drawn = [x for known in scores.values() for x in (known[metric], *known.get(f"{metric}_ci95", ()))]
    margin = 0.1 * (max(drawn) - min(drawn)) or 0.05
    return min(drawn) - margin, max(drawn) + margin


@literal
def probabilities(texts: Sequence[str], values: np.ndarray, labels: Sequence[str]) -> Figure:
    """Draw the probability of every label for a few texts as a shaded table; values has shape (texts, labels).

    Of many texts it shows the first `MOST_TEXTS`, of many labels the `MOST_COLUMNS` that are likeliest for any of them.
    """
    values = np.asarray(values)[:MOST_TEXTS]
    likeliest = np.sort(np.argsort(-values.max(0, initial=0), kind="stable")[:MOST_COLUMNS])
    figure, axes = axes_of(max(7.6, 3.4 + 0.5 * len(likeliest)), 1.1 + 0.42 * len(values))
    shares, told = values[:, likeliest], names(labels, room=20)
    _shaded_table(axes, shares, np.vectorize("{:.2f}".format, otypes=[str])(shares), ink="0.3", aspect="auto")
    axes.xaxis.tick_top()
    name_columns(axes, [told[i] for i in likeliest], room=45)
    axes.set_yticks(range(len(values)), [shown(text, room=46) for text in texts[:MOST_TEXTS]])
    if len(texts) > MOST_TEXTS or len(labels) > MOST_COLUMNS:
        axes.set_xlabel(f"{len(values)} of {len(texts):,} texts, {len(likeliest)} of {len(labels):,} labels")
    return figure


@literal
def word_weights(words: pd.DataFrame, title: str = "What the answer loses without a word") -> Figure:
    """Draw what each word of a text weighs, a bar each, from the table of `training.word_weights`.

    Of more than `MOST_WORDS` words it shows those that weigh most, in the order of the text.
    """
    weights = words["weight"].fillna(0)
    most = np.sort(np.argsort(-weights.abs().to_numpy(), kind="stable")[:MOST_WORDS])
    told, values = [shown(word, room=24) for word in words["word"].iloc[most]], 100 * weights.iloc[most].to_numpy()
    figure, axes = axes_of(6.5, 1.1 + 0.27 * len(most))
    bars = axes.barh(range(len(most)), values, color=np.where(values < 0, "C1", "C0"))
    axes.bar_label(bars, [f"{value:+.0f}" if abs(value) >= 0.5 else "" for value in values], padding=3, fontsize=9)
    axes.axvline(0, color="0.25", linewidth=0.8)
    axes.set_yticks(range(len(most)), told)
    axes.invert_yaxis()
    left_out = f"; {len(most)} of {len(words):,} words" if len(most) < len(words) else ""
    axes.set(title=shown(title, room=72), xlabel=f"percentage points of the answer's probability{left_out}")
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    return figure


def downloads_against_size(tables: dict[str, pd.DataFrame], chosen: Collection[str] = ()) -> Figure:
    """Draw downloads against size on disk, both on a logarithmic scale, one panel a table; chosen ids are orange.

    Args:
        tables: title -> columns downloads and megabytes, indexed by id; rows that lack one are left out and counted.
        chosen: ids.
    """
    figure = _downloads_against_size(tables, chosen)
    figure.draw_without_rendering()  # from now on it is known where the dots are
    for axes in figure.axes:
        part_names(axes)
    return figure


@literal
def _downloads_against_size(tables: dict[str, pd.DataFrame], chosen: Collection[str]) -> Figure:
    figure, panels = panels_of(9.2, 4.6, columns=len(tables))
    for axes, (title, table) in zip(panels, tables.items()):
        points = table[["megabytes", "downloads"]].apply(pd.to_numeric).dropna()
        points = points[(points > 0).all(axis=1)]
        if points.empty:
            axes.set_title(title)
            axes.set_axis_off()
            axes.text(0.5, 0.5, "none states both size and downloads", ha="center", transform=axes.transAxes)
            continue
        left_out = f" ({len(table) - len(points)} of unknown size or downloads)" if len(points) < len(table) else ""
        axes.set(title=title + left_out, xlabel="MB on disk")
        is_chosen = points.index.isin(chosen)
        axes.scatter(*points.to_numpy().T, color=np.where(is_chosen, "C1", "C0"))
        for name, point in points.iloc[np.argsort(~is_chosen, kind="stable")].iterrows():
            label = shown(str(name).split("/")[-1], room=26)
            axes.annotate(label, tuple(point), (0, 8), fontsize=8, textcoords="offset points", in_layout=False)
        for axis in (axes.xaxis, axes.yaxis):
            logarithmic(axis)
        axes.margins(0.25, 0.1)
    panels[0].set(ylabel="downloads in 30 days")
    return figure


def _shaded_table(axes: Axes, shares: np.ndarray, texts: np.ndarray, ink: str, aspect: str = "equal") -> None:
    """Draw a table of texts, each on a ground that is darker the larger its share."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect=aspect)
    for row, column in np.ndindex(shares.shape):
        colour = "white" if shares[row, column] > 0.5 else ink
        axes.text(column, row, texts[row, column], ha="center", va="center", fontsize=9, color=colour)
    axes.grid(False)
