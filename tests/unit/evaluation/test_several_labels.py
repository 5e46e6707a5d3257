"""Texts with several labels: metrics, comparisons, baselines, errors and guards, beside sklearn and cases by hand."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_recall_fscore_support

from textlab import evaluation
from textlab.evaluation import baseline_models, calibration, elsewhere, plots, ranking, scores, sweep_comparison

NAMES = ["joy", "anger", "fear", "none of these"]


def split(matrix, names=NAMES, texts=None):
    features = Features({"text": Value("string"), "label": List(ClassLabel(names=list(names)))})
    labels = [np.flatnonzero(row).tolist() for row in matrix]
    return Dataset.from_dict({"text": texts or [f"t{i}" for i in range(len(matrix))], "label": labels}, features)


def drawn(rows=300, seed=0, labels=4, right=0.8):
    """Return labels, and the answers of a model that is wrong in a share of them."""
    dice = np.random.default_rng(seed)
    true = (dice.random((rows, labels)) < 0.3).astype(np.int8)
    other = (dice.random((rows, labels)) < 0.3).astype(np.int8)
    return true, np.where(dice.random((rows, labels)) < right, true, other)


def test_metrics_are_those_of_sklearn():
    true, predicted = drawn()
    found = evaluation.score(split(true), predicted)
    assert found["accuracy"] == accuracy_score(true, predicted)  # exact match
    for kind in ("macro", "micro", "weighted"):
        assert found[f"{kind}_f1"] == pytest.approx(f1_score(true, predicted, average=kind))
    assert found == evaluation.score(split(true), json.loads(json.dumps(predicted.tolist())))


def test_intervals_equal_a_bootstrap_over_rows():
    true, predicted = drawn()
    found = evaluation.score(split(true), predicted, resamples=4000)
    rows = np.random.default_rng(1).integers(0, 300, (4000, 300))
    hits, either = 2 * (true & predicted)[rows].sum(1), (true + predicted)[rows].sum(1)
    for name, slow in (("macro_f1", (hits / either).mean(1)), ("micro_f1", hits.sum(1) / either.sum(1))):
        assert found[f"{name}_ci95"] == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.005)
    right = (true == predicted).all(1)
    assert found["accuracy_ci95"] == pytest.approx(np.percentile(right[rows].mean(1), [2.5, 97.5]), abs=0.005)


def test_the_order_of_rows_and_the_size_of_a_batch_change_no_figure(monkeypatch):
    true, predicted = drawn(60)
    before, order = evaluation.score(split(true), predicted, seed=3), np.random.default_rng(2).permutation(60)
    monkeypatch.setattr(scores, "AT_ONCE", 500)
    assert evaluation.score(split(true[order]), predicted[order], seed=3) == before


def test_texts_without_labels_and_answers_without_any_are_no_trouble():
    true, nothing = drawn(50)[0] * [1, 1, 1, 0], np.zeros((50, 4), int)
    found = evaluation.score(split(true), nothing)
    assert found["accuracy"] == (true.sum(1) == 0).mean() and found["macro_f1"] == found["micro_f1"] == 0
    assert evaluation.score(split(true), true)["macro_f1"] == 0.75  # the label that never occurs counts as 0
    with pytest.raises(ValueError, match="same shape"):
        evaluation.score(split(true), [0] * 50)


def test_scores_over_seeds_are_means():
    true, first = drawn(200)
    second = drawn(200, right=0.5)[1]
    found, alone = evaluation.score_seeds(split(true), [first, second]), evaluation.score(split(true), first)
    other = evaluation.score(split(true), second)
    for metric in ("accuracy", "macro_f1", "micro_f1", "weighted_f1"):
        assert found[metric] == pytest.approx((alone[metric] + other[metric]) / 2)
    assert set(found) == set(alone)
    assert found["micro_f1_ci95"][0] < other["micro_f1"] + 0.02 and found["micro_f1_ci95"][1] > alone["micro_f1"] - 0.02


def test_the_table_calls_accuracy_what_it_is():
    true, predicted = drawn(50)
    table = evaluation.score_table({"mine": evaluation.score(split(true), predicted)})
    assert list(table) == ["exact match", "macro F1", "micro F1"]
    assert table.loc["mine", "micro F1"].startswith(f"{f1_score(true, predicted, average='micro'):.3f}  (")


def test_two_models_are_compared_by_exact_match_and_f1():
    true, first = drawn(200)
    second = first.copy()
    second[:6, 0] = 1 - true[:6, 0]
    first[:6] = true[:6]
    found = evaluation.compare(true, first, second)
    assert (found["first_right"], found["second_right"]) == (6, 0)
    assert found["p_value"] == pytest.approx(2 * 0.5**6) and found["difference"] == pytest.approx(6 / 200)
    for kind in ("macro", "micro"):
        gap = f1_score(true, first, average=kind) - f1_score(true, second, average=kind)
        assert found[f"{kind}_f1_difference"] == pytest.approx(gap)
        low, high = found[f"{kind}_f1_difference_ci95"]
        assert low < gap < high
    assert evaluation.compare(*(some.tolist() for some in (true, first, second))) == found


def test_recorded_answers_are_compared_and_micro_f1_is_tested():
    true, first = drawn(200)
    mine = {"rows_sha256": "a", "labels": NAMES, "true": true.tolist(), "predicted": first.tolist()}
    test = sweep_comparison.paired(mine, mine | {"predicted": (1 - first).tolist()})
    assert test["micro_f1_difference_ci95"][0] > 0
    assert sweep_comparison._how_sure(test, "micro_f1") == "which is hardly chance"
    assert sweep_comparison._how_sure(test, "loss") == "which was not tested"


def test_each_label_has_its_precision_and_recall():
    true, predicted = drawn()
    table = evaluation.per_class(true, predicted.tolist(), NAMES)
    precision, recall, f1, rows = precision_recall_fscore_support(true, predicted)
    assert table["precision"].tolist() == pytest.approx(precision) and table["rows"].tolist() == rows.tolist()
    assert table["recall"].tolist() == pytest.approx(recall) and table.loc["anger", "f1"] == pytest.approx(f1[1])


def test_average_precision_is_that_of_sklearn_with_ties_too():
    true, _ = drawn()
    chances = np.round(0.2 * true + np.random.default_rng(5).random(true.shape), 1)
    found = evaluation.average_precision(true, chances)
    each = [average_precision_score(true[:, label], chances[:, label]) for label in range(4)]
    assert found["average_precision"] == pytest.approx(each)
    assert found["mean_average_precision"] == pytest.approx(np.mean(each))
    rows = np.random.default_rng(6).integers(0, 300, (400, 300))
    slow = [average_precision_score(true[r], chances[r], average=None) for r in rows]
    assert found["mean_average_precision_ci95"] == pytest.approx(
        np.percentile(np.mean(slow, axis=1), [2.5, 97.5]), abs=0.01
    )
    for bounds, wanted in zip(found["average_precision_ci95"], np.percentile(slow, [2.5, 97.5], axis=0).T):
        assert bounds == pytest.approx(wanted, abs=0.02)


def test_average_precision_leaves_out_a_label_that_no_text_has(monkeypatch):
    true, chances = np.eye(4, dtype=int)[[0, 0, 1, 1, 3]][:, :3], np.random.default_rng(7).random((5, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluation.average_precision(true, chances, seed=1)
    assert found["average_precision"][2] is None and found["average_precision_ci95"][2] is None
    assert found["mean_average_precision"] == pytest.approx(np.mean(found["average_precision"][:2]))
    json.dumps(found, allow_nan=False)
    monkeypatch.setattr(ranking, "AT_ONCE", 7)
    again = evaluation.average_precision(true, chances, seed=1)
    assert again["average_precision"] == found["average_precision"]
    for wrong in ([0, 1], np.zeros((5, 3), int)):
        with pytest.raises(ValueError, match="needs 0 and 1 for each label, a 1 among them"):
            evaluation.average_precision(wrong, chances)


def words_of(matrix, dice):
    """Return texts, each with a word for each label that it has, and other words."""
    told = [[f"word{label}" for label in np.flatnonzero(row)] for row in matrix]
    return [" ".join([*some, *(f"other{i}" for i in dice.integers(0, 30, 4))]) for some in told]


def test_baselines_learn_words_and_their_thresholds():
    dice = np.random.default_rng(8)
    true, test = drawn(300, 1)[0], drawn(100, 2)[0]
    true[:, 3], test[:, 3], true[:, 2], test[:, 2] = 0, 0, 1, 1  # one label is never there, one always
    splits = DatasetDict(train=split(true, texts=words_of(true, dice)), test=split(test, texts=words_of(test, dice)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluation.baselines(splits, seed=0)
    sets, counts = np.unique(true, axis=0, return_counts=True)
    assert found["majority"]["test"].tolist() == [sets[counts.argmax()].tolist()] * 100
    assert f1_score(test[:, :2], found["tfidf_svm"]["test"][:, :2], average="macro") > 0.95
    assert (found["tfidf_svm"]["test"][:, 2:] == [1, 0]).all()
    asked = evaluation.baselines(splits, seed=0, majority=[1, 0, 0, 1])["majority"]["test"]
    assert asked.tolist() == [[1, 0, 0, 1]] * 100


def test_thresholds_of_the_svm_find_labels_that_it_would_miss(monkeypatch):
    """Of a rare label whose words say little, an SVM by its own is never on its side."""
    dice = np.random.default_rng(9)
    true = (dice.random((1200, 2)) < 0.12).astype(np.int8)
    loose = np.where(dice.random(true.shape) < 0.15, 1, true * (dice.random(true.shape) < 0.6))
    texts = words_of(loose, dice)
    splits = DatasetDict(
        train=split(true[:800], NAMES[:2], texts[:800]), test=split(true[800:], NAMES[:2], texts[800:])
    )
    chosen = evaluation.baselines(splits, seed=0)["tfidf_svm"]["test"]
    monkeypatch.setattr(baseline_models, "choose", lambda true, chances: np.full(2, 0.5))
    middle = evaluation.baselines(splits, seed=0)["tfidf_svm"]["test"]
    assert f1_score(true[800:], chosen, average="macro") > f1_score(true[800:], middle, average="macro") + 0.05


CHANCES = np.array([[0.9, 0.2, 0.1, 0.1], [0.6, 0.7, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.05, 0.8]])
TRUE = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]])


def test_worst_errors_name_the_labels_and_come_by_loss():
    predicted = evaluation.decide(CHANCES, [0.5] * 4)
    table = evaluation.worst_errors(split(TRUE), CHANCES, predicted=predicted)
    assert table["text"].tolist() == ["t1", "t3"] and table.attrs["rows"] == [1, 3]
    assert table["label"].tolist() == ["anger, fear", "joy, none of these"]
    assert table["predicted"].tolist() == ["joy, anger", "none of these"]
    assert table["loss"][0] == pytest.approx(-np.log([0.4, 0.7, 0.1, 0.9]).sum())
    assert table["confidence"].tolist() == pytest.approx([0.9, 0.9])  # no fear; no joy
    with pytest.raises(ValueError, match="several labels need `predicted`"):
        evaluation.worst_errors(split(TRUE), CHANCES)


def test_wrong_and_missing_labels_are_found():
    true = drawn(300)[0] * [1, 1, 1, 0]  # cleanlab takes no label that no text has
    true[:2, 0] = 1
    chances, given = np.where(true, 0.97, 0.02).astype(float), true.copy()
    given[:5, 0], given[4:8, 1] = 1 - given[:5, 0], 1 - given[4:8, 1]  # one text has two wrong ones
    table = evaluation.label_issues(split(given), chances, n=7, predicted=true)
    assert sorted(table.attrs["rows"]) == list(range(8)) and table.attrs["found"] == 9 and len(table) == 7
    row, shares = table.attrs["rows"][0], table["share it gives the label"]
    assert shares.is_monotonic_increasing
    assert table["label"][0] == evaluation.words(given[row], NAMES)
    assert table["the model says"][0] == evaluation.words(true[row], NAMES)
    assert set(shares.round(6)) == {0.02, 0.03}  # of one too many, and of one missing
    assert evaluation.label_issues(split(true), chances, predicted=true).empty
    assert evaluation.label_issues(split(true * 0), chances, predicted=true).empty
    given[:, 1:] = 0  # the rows have one label only, or none
    assert sorted(evaluation.label_issues(split(given), chances, predicted=true).attrs["rows"]) == list(range(5))


FINE = {"majority": {"macro_f1": 0.1}, "tfidf_svm": {"macro_f1": 0.7}, "model": {"macro_f1": 0.8}}


def test_guards_know_one_answer_for_everything():
    good, none, both = drawn(60)[1], np.zeros((60, 4), int), np.tile([1, 0, 1, 0], (60, 1))
    assert evaluation.guards(good, FINE, NAMES, kept=good.tolist()) == []
    assert evaluation.guards(none, FINE, NAMES)[0] == "The model gives no text any label: it has learned nothing."
    poor = evaluation.guards(both, FINE | {"model": {"macro_f1": 0.05}}, NAMES)
    assert poor[0] == "The model gives every text the same labels, joy, fear: it has learned nothing."
    assert "always answering the most frequent set of labels (0.100)" in poor[1]
    kept = evaluation.guards(good, FINE, NAMES, kept=both * [1, 1, 0, 1])
    assert kept[0] == "The model that is kept gives every text the same label, joy."
    parts = [(good, both)] * 4 + [(good, good)]
    told = evaluation.guards(good, FINE, NAMES, parts=parts)
    assert told[0] == "4 of the 5 models that were scored give all their texts the same labels."
    assert evaluation.guards(good, FINE, NAMES, parts=[(both, both)] * 5) == []  # so their rows are


def test_each_label_of_each_text_is_a_forecast():
    table = evaluation.reliability([[1, 0], [0, 0]], np.array([[0.95, 0.25], [0.25, 0.95]]))
    assert table["confidence"].tolist() == pytest.approx([0.25, 0.95])
    assert table["accuracy"].tolist() == [0, 0.5] and table["rows"].tolist() == [2, 2]


def test_a_temperature_undoes_overconfidence_in_labels_and_changes_no_answer():
    dice = np.random.default_rng(0)
    honest = dice.beta(0.5, 1, (3000, 3))
    true = (dice.random(honest.shape) < honest).astype(int)
    loud = evaluation.rescale(honest, 1 / 3, several=True)
    found = evaluation.temperature(true, loud)
    assert found == pytest.approx(3, rel=0.1)
    cooled = evaluation.rescale(loud, found, several=True)
    limits = evaluation.rescale(np.array([0.2, 0.5, 0.7]), found, several=True)
    assert (evaluation.decide(cooled, limits) == evaluation.decide(loud, [0.2, 0.5, 0.7])).all()
    errors = [calibration.calibration_error(true, chances) for chances in (loud, cooled)]
    assert errors[1] < 0.03 < errors[0]
    test = evaluation.compare_calibration(true, loud, cooled, resamples=200)
    assert [test["first"], test["second"]] == pytest.approx(errors) and test["difference_ci95"][1] < 0


def test_calibration_is_resampled_by_text_since_labels_of_a_text_hang_together():
    dice = np.random.default_rng(1)
    texts = np.repeat(dice.random((100, 1)), 20, axis=1)
    true = np.repeat((dice.random((100, 1)) < texts[:, :1]).astype(int), 20, axis=1)
    low, high = evaluation.compare_calibration(true, texts, texts, resamples=300)["first_ci95"]
    alone, top = evaluation.compare_calibration(true[:, :2], texts[:, :2], texts[:, :2], resamples=300)["first_ci95"]
    assert high - low == pytest.approx(top - alone, rel=0.05)


def test_more_rows_and_other_kinds_count_what_is_wholly_right():
    true = drawn(400)[0]
    wrong = {50: 160, 100: 80, 200: 40}
    answers = {size: np.where(np.arange(400)[:, None] < n, 1 - true, true) for size, n in wrong.items()}
    table, told = evaluation.more_labels(true, answers)
    assert table["accuracy"][:3].tolist() == [0.6, 0.8, 0.9] and told["gain"] == pytest.approx(0.05)
    beside = elsewhere.beside_best(["a"] * 400, true, {"m": answers[200], "b": answers[100]}, "m")
    assert beside["accuracy"].tolist() == [0.9] and beside["difference"].tolist() == pytest.approx([0.1])


def test_doubt_is_largest_next_to_a_threshold():
    chances = np.array([[0.9, 0.2], [0.9, 0.05], [1.0, 0.0], [0.65, 0.01]])
    doubts = evaluation.doubts(chances, thresholds=[0.5, 0.2])
    assert doubts.tolist() == pytest.approx([1, 0.25, 1e-6, 0.7])
    assert np.isfinite(evaluation.doubts(chances, thresholds=[1.0, 0.0])).all()


def test_no_label_is_taken_for_another():
    with pytest.raises(ValueError, match="a confusion matrix is of one label a text"):
        plots.confusion(TRUE, TRUE, NAMES, "test")
    plots.probabilities(["a", "b", "c", "d"], CHANCES, NAMES)


def test_figures_of_several_labels_show_shares_of_texts_and_micro_f1():
    balance = pd.DataFrame({"train": [6, 8]}, index=pd.Index(["joy", "anger"], name="label"))
    heights = [bar.get_height() for bar in plots.class_balance(balance, {"train": 10}).axes[0].patches]
    assert heights == pytest.approx([60, 80])
    scores = {"micro_f1": 0.5, "macro_f1": 0.4, "accuracy": 0.3}
    plots.use_style()  # it puts titles on the left
    assert [axes.get_title("left") for axes in plots.intervals({"one": scores}).axes] == ["micro F1", "macro F1"]
    del scores["micro_f1"]
    assert [axes.get_title("left") for axes in plots.intervals({"one": scores}).axes] == ["accuracy", "macro F1"]


def test_curves_of_several_labels_name_exact_match_and_their_loss():
    history = pd.DataFrame(
        {"epoch": [1.0], "loss": [0.2], "eval_loss": [0.2], "eval_accuracy": [0.4], "eval_macro_f1": [0.3]}
    )
    curve = pd.DataFrame({"rows": [8, 16], "accuracy": [0.5, np.nan], "fitted": [0.5, 0.6], "low": 0.4, "high": 0.7})
    plots.use_style()  # it puts titles on the left
    for several, name, loss in (
        (True, "exact match", "Loss (binary cross-entropy)"),
        (False, "accuracy", "Loss (cross-entropy)"),
    ):
        left, right = plots.learning_curves(history, several).axes
        assert left.get_title("left") == loss
        assert right.get_legend().get_texts()[0].get_text() == name
        assert plots.more_labels(curve, several).axes[0].get_ylabel() == name
