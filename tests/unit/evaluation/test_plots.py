"""Every picture draws what it was given, without a warning, and without one label on another."""

import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.font_manager import findfont
from matplotlib.text import Text

from textlab.evaluation import canvas, plots

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


CANDIDATES = pd.DataFrame(
    {"downloads": [10, 2000, 3], "megabytes": [90.5, 440, None]}, index=["a/one", "a/two", "a/three"]
)
OVER_SEEDS = pd.DataFrame(
    {"mean": [0.6, 0.5], "low": 0.3, "high": 0.8, "seeds": [3, 2], "scores": [[0.5, 0.6, 0.7], [0.4, 0.6]]},
    index=["trial 1", "trial 5"],
)
CURVE = pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [0.4, 0.95], "rows": [10, 90]})
PADDING = pd.DataFrame({"own": 50_000, "padding": {"all padded to 128": 300_000, "random": 20_000}})
WORDS = pd.DataFrame({"word": ["not", "$bad$", "<b>", "far"], "weight": [0.4, -0.2, 0.001, np.nan]})
SETTINGS = ["learning_rate", "batch_size", "dropout"]
METRIC = "validation_macro_f1"


def figures():
    """Return name -> figure."""
    return {
        "class_balance": plots.class_balance(pd.DataFrame({"train": [5, 3], "test": [1, 1]}, index=["a", "b"])),
        "text_lengths": plots.text_lengths(pd.DataFrame({"words": [3, 5, 5], "tokens": [5, 7, 200]}), max_length=96),
        "padding": plots.padding(PADDING),
        "reliability": plots.reliability({"as it is": CURVE}),
        "learning_curves": plots.learning_curves(HISTORY),
        "confusion": plots.confusion([0, 1, 2], [0, 1, 1], LABELS, "title"),
        "intervals": plots.intervals({"majority": SCORE | {"accuracy": 0.3}, "mine": SCORE}, title="On test"),
        "probabilities": plots.probabilities(["short", "long " * 30], np.full((2, 6), 1 / 6), LABELS),
        "word_weights": plots.word_weights(WORDS),
        "effects": plots.effects(TABLE, SETTINGS, METRIC),
        "one effect": plots.effects(TABLE, ["learning_rate"], METRIC),
        "parallel": plots.parallel_coordinates(TABLE, SETTINGS, METRIC),
        "importance": plots.importance(pd.Series({"learning_rate": 0.8, "batch_size": 0.2})),
        "contour": plots.contour(TABLE, "learning_rate", "dropout", METRIC),
        "budget": plots.budget(pd.DataFrame({"trials": [1, 2, 3], "expected": [0.5, 0.7, 0.8]}), METRIC),
        "run_curves": plots.run_curves({"r1": pd.DataFrame({"step": [1, 2], "value": [0.1, 0.2]})}, "F1", "r1", "best"),
        "seeds": plots.seeds(OVER_SEEDS, METRIC),
        "downloads": plots.downloads_against_size({"Models": CANDIDATES, "Data sets": CANDIDATES[:0]}, ["a/one"]),
    }


@pytest.fixture(scope="module")
def drawn():
    plots.use_style()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawings = figures()
        for figure in drawings.values():
            figure.canvas.draw()
    return drawings


def test_every_figure_draws_without_a_warning(drawn):
    assert len(drawn) == 18


def boxes(labels):
    return [label.get_window_extent() for label in labels if label.get_text() and label.get_visible()]


def test_labels_of_an_axis_do_not_overlap(drawn):
    for name, figure in drawn.items():
        for axes in figure.axes:
            rows = sorted(boxes(axes.get_yticklabels()), key=lambda box: box.y0)
            assert all(low.y1 <= high.y0 + 1 for low, high in zip(rows, rows[1:])), name
            if name != "confusion":  # whose labels stand aslant
                columns = sorted(boxes(axes.get_xticklabels()), key=lambda box: box.x0)
                assert all(left.x1 <= right.x0 + 1 for left, right in zip(columns, columns[1:])), name


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
    table = TABLE.assign(pruned=[False, True, False])
    ring = plots.contour(table, "learning_rate", "batch_size", METRIC).axes[0].collections[1]
    assert ring.get_offsets().tolist() == [[9e-4, 32]]
    orange = [line for line in plots.effects(table, SETTINGS, METRIC).axes[0].lines if line.get_color() == "C1"]
    assert orange[0].get_xdata() == [9e-4] and orange[0].get_ydata() == [0.7]


@pytest.mark.parametrize(
    "sizes, surface",
    [([8, 16, 8, 64, 40], True), ([1, 2, 3, 5, 8], False), ([4, 5, 6, 8, 11], False), ([1, 4, 9, 25, 64], False)],
)
def test_there_is_no_surface_between_runs_on_a_line(sizes, surface):
    table = pd.DataFrame({"rate": [1e-4, 2e-4, 3e-4, 5e-4, 8e-4], "size": sizes, METRIC: [0.1, 0.5, 0.3, 0.2, 0.4]})
    drawn = plots.contour(table, "rate", "size", METRIC).axes[0].collections
    assert len(drawn) == 2 + surface  # beside dots and ring


def test_pruned_runs_are_crosses_and_dashes_and_have_no_colour_of_a_score():
    table = TABLE.assign(pruned=[False, True, False])
    axes = plots.contour(table, "learning_rate", "batch_size", METRIC).axes[0]
    (crosses,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert crosses.get_xdata().tolist() == [4e-4] and axes.collections[0].get_array().tolist() == [0.5, 0.7]
    lines = plots.parallel_coordinates(table, SETTINGS, METRIC).axes[0].lines
    assert [line.get_linestyle() for line in lines] == ["--", "-", "-"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.contour(TABLE.assign(pruned=True), "learning_rate", "batch_size", METRIC).canvas.draw()


def test_no_tick_label_of_many_settings_lies_on_another():
    table = pd.DataFrame({"average": [0.99, 0.992, 0.999, 0.9995, 0.9999], METRIC: np.linspace(0.5, 0.9, 5)})
    table = table.assign(rate=[1e-4, 1.3e-4, 1.7e-4, 2.1e-4, 2.2e-4], wide=np.geomspace(6e-5, 6e-4, 5))
    names = [f"{name}{i}" for i in range(2) for name in ("average", "rate", "wide", "words")]
    table = table.assign(words=["padded", "random", "similar_length", "sorted", "padded"])
    figure = plots.effects(table.assign(**{name: table[name[:-1]] for name in names}), names, METRIC)
    figure.canvas.draw()
    assert [axes.get_xlabel() for axes in figure.axes] == names
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [i % 3 == 0 for i in range(8)]
    for axes in figure.axes:
        upright = [label for label in axes.get_xticklabels() if not label.get_rotation()]
        boxes = [box for label in upright if axes.bbox.x0 - 1 <= (box := label.get_window_extent()).x1]
        assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))
        assert len(upright) == (0 if "words" in axes.get_xlabel() else len(axes.get_xticklabels()))


def test_runs_with_the_same_value_stand_side_by_side():
    table = TABLE.assign(pruned=True, validation_macro_f1=0.2)
    sizes, rates = plots.effects(table, ["batch_size", "learning_rate"], METRIC).axes
    assert sizes.lines[0].get_xdata().tolist() == [16, 30, 34] and sizes.get_xticks().tolist() == [16, 32]
    assert rates.lines[0].get_xdata().tolist() == table["learning_rate"].tolist()


def test_the_scores_over_seeds_have_a_legend_and_an_interval_from_three_on(drawn):
    figure = drawn["seeds"]
    bars = [line for line in figure.axes[0].lines if line.get_label() == "95 % interval of the mean"]
    dots = [line.get_xdata() for line in figure.axes[0].lines if line.get_label() == "one seed"]
    assert [list(bar.get_xdata()) for bar in bars] == [[0.3, 0.8]]
    assert [list(some) for some in dots] == [[0.4, 0.6], [0.5, 0.6, 0.7]]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {"one seed", "mean", "95 % interval of the mean"}


def test_a_curve_stands_over_steps_or_over_the_share_of_its_training(drawn):
    axes = drawn["run_curves"].axes[0]
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "F1"
    curve = pd.DataFrame({"step": [5, 10], "share": [0.5, 1], "value": [0.1, 0.2]})
    axes = plots.run_curves({"r1": curve}, "F1", "r1", "best").axes[0]
    assert axes.get_xlabel() == "share of the training" and axes.lines[0].get_xdata().tolist() == [0.5, 1]


def test_the_axis_of_intervals_begins_near_the_lowest_value():
    low, high = plots.intervals({"a": SCORE, "b": SCORE | {"accuracy": 0.8}}).axes[0].get_xlim()
    assert 0.75 < low < 0.8 and 0.92 < high < 0.97
    one = plots.intervals({"a": {"accuracy": 0.5}}, ["accuracy"]).axes[0]
    assert one.get_xlim() == pytest.approx((0.45, 0.55))


def test_where_every_run_was_pruned_none_is_the_best():
    (line,) = [
        line
        for line in plots.effects(TABLE.assign(pruned=True), ["batch_size"], METRIC).axes[0].lines
        if line.get_color() == "C1"
    ]
    assert len(line.get_xdata()) == 0


def test_words_become_named_ticks(drawn):
    for labels in (drawn["effects"].axes[2].get_xticklabels(), drawn["contour"].axes[0].get_yticklabels()):
        assert [label.get_text() for label in labels] == ["False", "True"]


def test_a_wide_range_is_logarithmic_and_few_values_are_ticks(drawn):
    for axes in (drawn["effects"].axes[0], drawn["contour"].axes[0]):
        assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
        low, high = axes.get_xlim()
        shown = [t.get_text() for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
        assert shown[:3] == ["0.0001", "0.0002", "0.0005"]
    sizes = drawn["effects"].axes[1]
    assert sizes.get_xscale() == "linear" and sizes.get_xticks().tolist() == [16, 32]
    some = plots.effects(TABLE.assign(batch_size=[16, None, 32]), ["batch_size"], METRIC).axes[0]
    assert some.get_xticks().tolist() == [16, 32]
    rates = TABLE.assign(dropout=[0.1, 0.15, 0.2])
    assert len(plots.effects(rates, ["dropout"], METRIC).axes[0].get_xticks()) > 3  # no room for each fraction
    assert plots.contour(rates, "dropout", "batch_size", METRIC).axes[0].get_xticks().tolist() == [0.1, 0.15, 0.2]


def test_rows_without_size_are_counted_in_the_title():
    table = pd.DataFrame({"downloads": [5, 7], "megabytes": [None, 2]}, index=["a/one", "a/two"])
    assert "Models (1 of unknown size or downloads)" in texts_of(plots.downloads_against_size({"Models": table}))


def test_cut_line_only_where_something_is_cut():
    lengths = pd.DataFrame({"words": [3, 5], "tokens": [5, 7]})
    assert len(plots.text_lengths(lengths, 96).axes[1].lines) == 1
    assert len(plots.text_lengths(lengths, 6).axes[1].lines) == 2


def test_a_panel_without_points_says_so_instead_of_showing_empty_axes():
    candidates = pd.DataFrame({"downloads": [5], "megabytes": [None]}, index=["a/one"])
    (panel,) = plots.downloads_against_size({"Data sets": candidates}).axes
    assert not panel.axison and panel.texts[0].get_text() == "none states both size and downloads"


def test_the_names_of_dots_do_not_overlap_and_what_is_chosen_is_named():
    """Twelve models lie close together, and sixty more have no room for a name."""
    rows = np.random.default_rng(0).lognormal(size=(72, 2)) * [100, 10_000]
    table = pd.DataFrame(
        rows, columns=["megabytes", "downloads"], index=[f"a/some-base-uncased-{i}" for i in range(72)]
    )
    figure = plots.downloads_against_size({"few": table[:12], "many": table}, ["a/some-base-uncased-71"])
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [name.get_window_extent() for name in axes.texts]
        dots = axes.transData.transform(axes.collections[0].get_offsets())
        for i, box in enumerate(boxes):
            assert box.count_overlaps(boxes[i + 1 :]) == 0 and axes.bbox.count_overlaps([box])
            assert not any(box.contains(*dot) for dot in dots)
    few, many = ([name.get_text() for name in axes.texts] for axes in figure.axes)
    assert len(few) >= 9 and 12 < len(many) < 72 and many[0] == "some-base-uncased-71"


ODD = [
    "$0-$50",
    "$50_$100",
    r"\$5 $\frac{a$",
    "\u6b63\u9762",
    "a\nb\tc\0",
    "😀",
    "x" * 500,
    "x" * 501,
    "é",
    "_a",
    "",
]


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def test_texts_are_drawn_letter_by_letter_wherever_they_stand():
    """No `$` begins a formula, nothing is drawn as a box, and no text takes all the room or more than a line."""
    shares = np.full((len(ODD), len(ODD)), 1 / len(ODD))
    numbers = pd.DataFrame({"downloads": 10, "megabytes": range(1, len(ODD) + 1)}, index=[f"a/{odd}" for odd in ODD])
    table = pd.DataFrame(dict.fromkeys(ODD, ODD) | {METRIC: np.linspace(0, 1, len(ODD))})
    curves = {odd: pd.DataFrame({"step": [1, 2], "value": [0.1, 0.2]}) for odd in ODD}
    over_seeds = pd.DataFrame([OVER_SEEDS.iloc[0]] * len(ODD), index=ODD)
    drawings = [
        plots.class_balance(pd.DataFrame({"train": range(1, len(ODD) + 1)}, index=ODD)),
        plots.confusion(range(len(ODD)), range(len(ODD)), ODD, "test"),
        plots.confusion([0] * 10, range(1, 11), ODD * 3, "test"),
        plots.probabilities(ODD, shares, ODD),
        plots.downloads_against_size({"Models": numbers}),
        plots.effects(table, ODD[:3], METRIC),
        plots.parallel_coordinates(table, ODD[:3], METRIC),
        plots.contour(table, *ODD[:2], METRIC),
        plots.importance(pd.Series(0.1, index=ODD)),
        plots.seeds(over_seeds, ODD[0]),
        *(plots.word_weights(WORDS, f"What the answer “{odd}” loses without a word") for odd in ODD),
        *(plots.run_curves(curves, odd, odd, odd) for odd in ODD),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in drawings:
            figure.canvas.draw()
            assert all(len(text) < 80 and "\n" not in text for text in texts_of(figure))
    for figure in drawings[:2]:
        assert {"$0-$50", "$50_$100", r"\$5 $\frac{a$", r"a\nb\tc\x00", "é"} <= set(texts_of(figure))
        assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())
    assert "10" in {
        label.get_text() for label in drawings[4].axes[0].get_yticklabels()
    }  # no formula, though logarithmic
    assert [plots.run_curves(curves, "_a", "_a", "_a").axes[0].get_legend().get_texts()[0].get_text()] == ["_a"]


def test_a_letter_is_taken_from_any_font_that_has_it_and_spelled_out_where_none_has(monkeypatch):
    monkeypatch.setattr(canvas, "_families", {})
    monkeypatch.setattr(canvas, "_fonts", lambda: [("STIXGeneral", findfont("STIXGeneral"))])
    figure = plots.confusion([0, 1], [0, 1], ["\u2a7b x", "\u6b63\u9762"], "test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    assert {"\u2a7b x", r"\u6b63\u9762"} <= set(texts_of(figure))
    assert all("STIXGeneral" in label.get_fontfamily() for label in figure.axes[0].get_yticklabels())


def test_labels_that_look_the_same_when_cut_are_numbered(monkeypatch):
    assert canvas.names(["x" * 50, "y", "x" * 51], room=8) == ["xxxxxx … (label 0)", "y", "xxxxxx … (label 2)"]
    assert canvas.shown("half of a pair: \ud83d") == r"half of a pair: \ud83d"
    monkeypatch.setattr(canvas, "_families", {"\uff21": "some font"})
    assert canvas.shown("\uff21" * 5, room=8) == "\uff21" * 3 + " …"  # a wide letter takes the room of two


def test_of_many_classes_the_worst_confusions_are_drawn():
    true, labels = np.repeat(np.arange(300), 10), [f"intent {i}" for i in range(300)]
    predicted = true.copy()
    predicted[:10], predicted[10:15], predicted[20:23] = 7, 3, 299
    figure = plots.confusion(true, predicted, labels, "test")
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [3, 5, 10]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "intent 2  taken for  intent 299", "intent 1  taken for  intent 3", "intent 0  taken for  intent 7"
    ]  # fmt: skip
    assert [text.get_text() for text in axes.texts] == ["3 of 10", "5 of 10", "10 of 10"]
    assert axes.get_xlabel() == "texts; 3 of 3 confusions, 18 of 3,000 answers wrong"
    crowd = plots.confusion(true, np.roll(true, 5), labels, "test")
    assert len(crowd.axes[0].patches) == plots.MOST_CLASSES
    assert not plots.confusion(true, true, labels, "test").axes[0].patches
    assert max(*figure.get_size_inches(), *crowd.get_size_inches()) < 10


def test_pictures_of_many_classes_texts_and_long_texts_stay_small():
    labels, chances = [f"intent {i}" for i in range(300)], np.zeros((5000, 300))
    chances[0, 299], chances[1, 5] = 0.9, 0.8
    table = plots.probabilities(["a text"] * 5000, chances, labels)
    assert len(table.axes[0].texts) == plots.MOST_TEXTS * plots.MOST_COLUMNS
    assert {"intent 5", "intent 299"} <= {label.get_text() for label in table.axes[0].get_xticklabels()}
    balance = plots.class_balance(pd.DataFrame({"train": range(1, 301), "test": 1}, index=labels))
    shown = [label.get_text() for label in balance.axes[0].get_xticklabels()]
    assert shown[0] == "intent 299" and shown[-1] == "intent 0" and len(shown) == plots.MOST_CLASSES
    lengths = plots.text_lengths(pd.DataFrame({"words": [1, 900_000], "tokens": [3, 1_000_000]}), 96)
    assert all(len(panel.patches) <= plots.MOST_BARS + 1 for panel in lengths.axes)
    assert all(max(figure.get_size_inches()) < 20 for figure in (table, balance, lengths))


def test_words_stand_in_the_order_of_the_text_and_of_many_the_heaviest(drawn):
    axes = drawn["word_weights"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["not", "$bad$", "<b>", "far"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([40, -20, 0.1, 0])
    words = pd.DataFrame({"word": [f"w{i}" for i in range(99)], "weight": np.where(np.arange(99) % 3 == 0, 0.5, 0.1)})
    figure = plots.word_weights(words)
    told = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert told == [f"w{i}" for i in range(0, 90, 3)] and "30 of 99 words" in figure.axes[0].get_xlabel()
