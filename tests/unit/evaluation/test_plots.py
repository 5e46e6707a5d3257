"""Every picture draws what it was given, without a warning, and without one label on another."""

import warnings

import numpy as np
import pandas as pd
import pytest

from textlab.evaluation import plots

LABELS = ["sadness", "joy", "love", "anger", "fear", "surprise"]
TABLE = pd.DataFrame(
    {
        "learning_rate": [1e-4, 4e-4, 9e-4],
        "batch_size": [16, 32, 32],
        "dropout": ["True", "False", "True"],
        "validation_macro_f1": [0.5, 0.9, 0.7],
    }
)
SCORE = {"accuracy": 0.9, "macro_f1": 0.85, "accuracy_ci95": [0.88, 0.92], "macro_f1_ci95": [0.8, 0.9]}
HISTORY = pd.DataFrame(
    {
        "epoch": [0.5, 1, 1.5, 2],
        "loss": [2, 1.5, 1.2, 1],
        "eval_loss": [None, 1.4, None, 1.1],
        "eval_accuracy": [None, 0.6, None, 0.8],
        "eval_macro_f1": [None, 0.5, None, 0.7],
    }
)


def figures():
    yield "class_balance", plots.class_balance(pd.DataFrame({"train": [5, 3], "test": [1, 1]}, index=["a", "b"]))
    yield "text_lengths", plots.text_lengths(pd.DataFrame({"words": [3, 5, 5], "tokens": [5, 7, 200]}), max_length=96)
    yield (
        "padding",
        plots.padding(pd.DataFrame({"own": 50_000, "padding": {"all padded to 128": 300_000, "random": 20_000}})),
    )
    yield (
        "reliability",
        plots.reliability(
            {"as it is": pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [0.4, 0.95], "rows": [10, 90]})}
        ),
    )
    yield "learning_curves", plots.learning_curves(HISTORY)
    yield "confusion", plots.confusion([0, 1, 2], [0, 1, 1], LABELS, "title")
    yield "intervals", plots.intervals({"majority": SCORE | {"accuracy": 0.3}, "mine": SCORE}, title="On test")
    yield "probabilities", plots.probabilities(["short", "long " * 30], np.full((2, 6), 1 / 6), LABELS)
    yield "effects", plots.effects(TABLE, ["learning_rate", "batch_size", "dropout"], "validation_macro_f1")
    yield "one effect", plots.effects(TABLE, ["learning_rate"], "validation_macro_f1")
    yield (
        "parallel",
        plots.parallel_coordinates(TABLE, ["learning_rate", "batch_size", "dropout"], "validation_macro_f1"),
    )
    yield (
        "run_curves",
        plots.run_curves({"r1": pd.DataFrame({"step": [1, 2], "value": [0.1, 0.2]})}, "macro_f1", "r1", "best"),
    )
    yield (
        "seeds",
        plots.seeds(
            pd.DataFrame(
                {"mean": [0.6, 0.5], "min": 0.4, "max": 0.7, "low": 0.3, "high": 0.8, "seeds": 3},
                index=["trial 1", "trial 5"],
            ),
            "validation_macro_f1",
        ),
    )
    candidates = pd.DataFrame(
        {"downloads": [10, 2000, 3], "megabytes": [90.5, 440, None]}, index=["a/one", "a/two", "a/three"]
    )
    yield (
        "downloads_against_size",
        plots.downloads_against_size({"Models": candidates, "Data sets": candidates[:0]}, ["a/one"]),
    )


@pytest.fixture(scope="module")
def drawn():
    plots.use_style()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dict(figures())
        for figure in found.values():
            figure.canvas.draw()
    return found


def test_every_figure_draws_without_a_warning(drawn):
    assert len(drawn) == 14


def test_labels_of_an_axis_do_not_overlap(drawn):
    for name, figure in drawn.items():
        for axes in figure.axes:
            boxes = [
                label.get_window_extent()
                for label in axes.get_yticklabels()
                if label.get_text() and label.get_visible()
            ]
            boxes.sort(key=lambda box: box.y0)
            assert all(low.y1 <= high.y0 + 1 for low, high in zip(boxes, boxes[1:])), name
            if name != "confusion":  # whose labels stand aslant
                boxes = sorted(
                    (label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()),
                    key=lambda b: b.x0,
                )
                assert all(left.x1 <= right.x0 + 1 for left, right in zip(boxes, boxes[1:])), name


def test_no_curve_is_cut_by_the_edge_of_its_panel(drawn):
    flat = plots.learning_curves(HISTORY.assign(loss=1.79, eval_loss=[None, 1.78, None, 1.79]))
    for axes in (flat.axes[0], drawn["seeds"].axes[0]):
        heights = np.concatenate([line.get_ydata() for line in axes.lines])
        low, high = axes.get_ylim()
        assert low <= heights.min() - 0.05 * (high - low) or low == 0
        assert heights.max() <= high - 0.04 * (high - low)


def test_confusion_shows_the_counts(drawn):
    texts = [t.get_text() for t in drawn["confusion"].axes[0].texts]
    assert texts[0] == "1" and texts.count("1") == 3 and len(texts) == 36


def test_the_best_run_is_marked(drawn):
    orange = [line for line in drawn["effects"].axes[0].lines if line.get_color() == "C1"]
    assert orange[0].get_xdata() == [4e-4] and orange[0].get_ydata() == [0.9]


def test_a_pruned_run_is_never_the_best():
    figure = plots.contour(
        TABLE.assign(pruned=[False, True, False]), "learning_rate", "batch_size", "validation_macro_f1"
    )
    ring = figure.axes[0].collections[1]
    assert ring.get_offsets().tolist() == [[9e-4, 32]]


def test_words_become_named_ticks(drawn):
    assert [t.get_text() for t in drawn["effects"].axes[2].get_xticklabels()] == ["False", "True"]


def test_cut_line_only_where_something_is_cut():
    lengths = pd.DataFrame({"words": [3, 5], "tokens": [5, 7]})
    assert len(plots.text_lengths(lengths, 96).axes[1].lines) == 1
    assert len(plots.text_lengths(lengths, 6).axes[1].lines) == 2


def test_a_panel_without_points_says_so_instead_of_showing_empty_axes():
    candidates = pd.DataFrame({"downloads": [5], "megabytes": [None]}, index=["a/one"])
    (panel,) = plots.downloads_against_size({"Data sets": candidates}).axes
    assert not panel.axison and panel.texts[0].get_text() == "none states both size and downloads"
