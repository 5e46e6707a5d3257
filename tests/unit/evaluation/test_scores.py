"""Metrics and guards, against figures computed by hand or in another way."""

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from sklearn.metrics import f1_score

from textlab import evaluation, hub, settings, training
from textlab.evaluation import diagnostics, scores, sweep_comparison
from textlab.machine import environment


def split(labels, names=("a", "b", "c"), texts=None):
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(names))})
    return Dataset.from_dict({"text": texts or [f"t{i}" for i in range(len(labels))], "label": labels}, features)


def test_score_by_hand():
    # a: 2 of 3 found, one answer a too many -> P 2/3, R 2/3; b: P 1/2, R 1; c: never answered -> 0
    scores = evaluation.score(split([0, 0, 0, 1, 2]), [0, 0, 1, 1, 0])
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scores["weighted_f1"] == pytest.approx((3 * 2 / 3 + 1 * 2 / 3 + 0) / 5)


def test_a_class_that_never_occurs_counts_as_zero():
    assert evaluation.score(split([0, 1]), [0, 1])["macro_f1"] == pytest.approx(2 / 3)


def test_interval_equals_a_bootstrap_over_rows():
    rng = np.random.default_rng(1)
    true = rng.integers(0, 3, 300)
    predicted = np.where(rng.random(300) < 0.8, true, rng.integers(0, 3, 300))
    rows = rng.integers(0, 300, (4000, 300))
    slow = np.percentile([f1_score(true[r], predicted[r], average="macro") for r in rows[:1500]], [2.5, 97.5])
    slow_accuracy = np.percentile((true == predicted)[rows].mean(1), [2.5, 97.5])
    scores = evaluation.score(split(true.tolist()), predicted, resamples=4000)
    assert scores["macro_f1_ci95"] == pytest.approx(slow, abs=0.01)
    assert scores["accuracy_ci95"] == pytest.approx(slow_accuracy, abs=0.01)


def test_interval_is_seeded_and_holds_the_figure():
    part, answers = split([0, 1, 2] * 30), [0, 1, 1] * 30
    first = evaluation.score(part, answers, seed=3)
    assert first == evaluation.score(part, answers, seed=3)
    assert first["accuracy_ci95"][0] < first["accuracy"] < first["accuracy_ci95"][1]


@pytest.mark.parametrize("at_once", [1, 1000, scores.AT_ONCE])
def test_the_same_rows_and_seed_give_the_figures_of_every_release(at_once, monkeypatch):
    """To the last bit, or the records of earlier runs could not be repeated; class c has no row."""
    monkeypatch.setattr(scores, "AT_ONCE", at_once)
    true, answers = [0, 1, 0, 1, 1] * 12, [0, 1, 1, 1, 0] * 12
    alone, several = (
        evaluation.score(split(true), answers, 7),
        evaluation.score_seeds(split(true), [answers, [0] * 60], 7),
    )
    pair = evaluation.compare(true, answers, [0] * 60, 7)
    assert alone["accuracy_ci95"] == [0.48333333333333334, 0.7166666666666667]
    assert alone["macro_f1_ci95"] == [0.30036630036630035, 0.4712082015904953]
    assert several["accuracy_ci95"] == [0.31666666666666665, 0.6833333333333333]
    assert several["macro_f1_ci95"] == [0.16033755274261605, 0.440422322775264]
    assert pair["difference_ci95"] == [0.0, 0.39999999999999997]
    assert pair["macro_f1_difference_ci95"] == [0.161083939442538, 0.4392538126361654]


def test_memory_grows_with_the_rows_and_not_with_pairs_of_classes():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 711, 3000)
    first, second = (np.where(rng.random(3000) < 0.8, true, rng.integers(0, 711, 3000)) for _ in range(2))
    part = split(true.tolist(), map(str, range(711)))
    tracemalloc.start()
    evaluation.score(part, first, resamples=200)
    evaluation.score_seeds(part, [first, second], resamples=200)
    found = evaluation.compare(true, first, second, resamples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # one table of all pairs for 200 resamples would hold 800 MB
    assert found["difference_ci95"][0] < found["difference"] < found["difference_ci95"][1]


def test_a_perfect_model_has_no_spread():
    assert evaluation.score(split([0, 1, 2]), [0, 1, 2])["macro_f1_ci95"][1] == 1.0


def test_score_table_is_for_reading():
    table = evaluation.score_table({"mine": evaluation.score(split([0, 1]), [0, 1])})
    assert table.loc["mine", "accuracy"] == "1.000  (0.158 to 1.000)"


def test_all_right_and_all_wrong_are_not_certain():
    rows, ids = split([0, 1] * 50), [0, 1] * 50
    for found in (evaluation.score(rows, ids), evaluation.score_seeds(rows, [ids, ids])):
        assert found["accuracy"] == 1 and found["accuracy_ci95"] == pytest.approx([0.025**0.01, 1])  # 0.964
    assert evaluation.score(rows, [1, 0] * 50)["accuracy_ci95"] == pytest.approx([0, 1 - 0.025**0.01])
    assert evaluation.compare(ids, ids, ids)["difference_ci95"] == [0, 0]


def test_an_interval_that_was_not_measured_is_left_out():
    mine = {"accuracy": 0.9, "macro_f1": 0.8, "accuracy_ci95": [0.85, 0.95]}
    table = evaluation.score_table({"mine": mine, "other": {"accuracy": 0.5, "macro_f1": 0.4}})
    assert table.loc["mine"].tolist() == ["0.900  (0.850 to 0.950)", "0.800"]
    assert table.loc["other"].tolist() == ["0.500", "0.400"]


def test_baselines_learn_words_and_nothing_else():
    train = split([0, 0, 0, 1, 1], ("good", "bad"), ["fine day", "fine sun", "fine wine", "awful day", "awful rain"])
    test = split([0, 1], ("good", "bad"), ["fine evening", "awful evening"])
    answers = evaluation.baselines(DatasetDict(train=train, test=test), seed=0)
    assert answers["majority"]["test"].tolist() == [0, 0]
    assert answers["tfidf_svm"]["test"].tolist() == [0, 1]


def test_baselines_take_signs_for_words_where_there_are_no_words():
    train = split([0, 0, 1, 1], ("good", "bad"), [":) x", ":) \U0001f600", ":( x", ":( !"])
    answers = evaluation.baselines(DatasetDict(train=train, test=split([0, 1], ("good", "bad"), [":)", ":("])), seed=0)
    assert answers["tfidf_svm"]["test"].tolist() == [0, 1]


def test_per_class_by_hand():
    table = evaluation.per_class([0, 0, 1], [0, 1, 1], ["a", "b"])
    assert table.loc["a"].tolist() == [1.0, 0.5, pytest.approx(2 / 3), 1.0 * 2]
    assert table["rows"].tolist() == [2, 1]


def test_a_label_may_be_called_like_an_overall_figure():
    one, several = ["a", "accuracy", "macro avg"], ["micro avg", "samples avg"]
    assert evaluation.per_class([0, 0, 1], [0, 1, 1], one)["rows"].to_dict() == {"a": 2, "accuracy": 1, "macro avg": 0}
    table = evaluation.per_class([[1, 0], [0, 1]], [[1, 0], [1, 1]], several)
    assert table["f1"].tolist() == [pytest.approx(2 / 3), 1.0] and table["rows"].tolist() == [1, 1]


def test_worst_errors_come_by_loss_and_leave_out_right_answers():
    chances = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.01, 0.99]])
    worst = evaluation.worst_errors(split([0, 0, 0, 0], ("a", "b")), chances, n=2)
    assert worst.attrs["rows"][:2] == [int(text[1:]) for text in worst["text"]]
    assert worst["text"].tolist() == ["t3", "t1"]
    assert worst["loss"].tolist() == pytest.approx([-np.log(0.01), -np.log(0.2)])
    assert worst["confidence"].tolist() == pytest.approx([0.99, 0.8]) and set(worst["predicted"]) == {"b"}


def test_compare_by_hand():
    true, first, second = [0] * 5 + [1] * 5, [0] * 5 + [1] * 5, [0, 0, 1, 1, 1] + [1] * 5
    found = evaluation.compare(true, first, second)
    assert (found["first_right"], found["second_right"]) == (3, 0)
    assert found["p_value"] == pytest.approx(2 * 0.5**3)  # three of three, two-sided
    assert found["difference"] == pytest.approx(0.3)
    assert found["macro_f1_difference"] == pytest.approx(1 - f1_score(true, second, average="macro"))
    assert evaluation.compare(true, first, first)["p_value"] == 1.0
    assert evaluation.compare(true, second, first)["difference"] == pytest.approx(-0.3)


def test_a_label_that_never_occurs_counts_in_a_comparison_as_in_a_score():
    true, first, second = [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 1, 1, 0]
    gap = evaluation.score(split(true), first)["macro_f1"] - evaluation.score(split(true), second)["macro_f1"]
    assert evaluation.compare(true, first, second, labels=3)["macro_f1_difference"] == pytest.approx(gap)
    recorded = {"rows_sha256": "r", "labels": ["a", "b", "c"], "true": true}
    test = sweep_comparison.paired(*(recorded | {"predicted": answers} for answers in (first, second)))
    assert test["macro_f1_difference"] == pytest.approx(gap)
    with pytest.raises(ValueError):
        evaluation.compare(true, first, second, labels=1)


def test_compare_equals_a_paired_bootstrap_over_rows():
    rng = np.random.default_rng(3)
    true = rng.integers(0, 4, 400)
    first, second = (np.where(rng.random(400) < share, true, rng.integers(0, 4, 400)) for share in (0.8, 0.7))
    rows = rng.integers(0, 400, (1500, 400))
    slow = np.percentile(
        [f1_score(true[r], first[r], average="macro") - f1_score(true[r], second[r], average="macro") for r in rows],
        [2.5, 97.5],
    )
    slow_accuracy = np.percentile(((first == true)[rows].mean(1) - (second == true)[rows].mean(1)), [2.5, 97.5])
    found = evaluation.compare(true, first, second, resamples=4000)
    assert found["macro_f1_difference_ci95"] == pytest.approx(slow, abs=0.01)
    assert found["difference_ci95"] == pytest.approx(slow_accuracy, abs=0.01)


def test_models_are_compared_on_the_same_rows_only():
    with pytest.raises(ValueError, match="the same rows: got 2 labels, 2 and 3 answers"):
        evaluation.compare([0, 1], [0, 1], [0, 1, 1])


def test_scores_over_seeds_are_means_and_their_intervals_cover_seeds_and_rows():
    rows = split([0, 1] * 100)
    right = np.array([0, 1] * 100)
    good, poor = right.copy(), right.copy()
    good[:10], poor[:50] = 1 - good[:10], 1 - poor[:50]
    found = evaluation.score_seeds(rows, [good, poor])
    assert found["accuracy"] == pytest.approx((0.95 + 0.75) / 2)
    assert found["weighted_f1"] == pytest.approx(
        np.mean([evaluation.score(rows, ids)["weighted_f1"] for ids in (good, poor)])
    )
    low, high = found["accuracy_ci95"]
    assert low < 0.76 and high > 0.94  # a sample may hold one of the seeds twice: rows alone would give 0.81 to 0.89
    alone = evaluation.score_seeds(rows, [good])
    assert alone["accuracy_ci95"] == pytest.approx(evaluation.score(rows, good)["accuracy_ci95"], abs=0.01)
    same = evaluation.score_seeds(rows, [good, good, good])  # the rows are drawn for all seeds alike
    assert same["macro_f1_ci95"] == pytest.approx(alone["macro_f1_ci95"], abs=0.01)


def test_the_order_and_the_type_of_rows_change_no_figure():
    rng = np.random.default_rng(4)
    true, first, second = rng.integers(0, 3, (3, 120))
    order = rng.permutation(120)
    mixed = [ids[order].tolist() for ids in (true, first, second)]
    assert evaluation.compare(true, first, second) == evaluation.compare(*mixed)
    assert evaluation.score(split(true.tolist()), first) == evaluation.score(split(mixed[0]), mixed[1])
    assert evaluation.score_seeds(split(true.tolist()), [first, second]) == evaluation.score_seeds(
        split(mixed[0]), mixed[1:]
    )


def test_over_seeds_by_hand():
    table = evaluation.over_seeds([{"accuracy": 0.9, "macro_f1": 0.8}, {"accuracy": 0.94, "macro_f1": 0.9}])
    assert table.loc["accuracy"].tolist() == pytest.approx([0.92, 0.02 * 2**0.5, 0.9, 0.94, 2])


def test_wrong_labels_are_found():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 300)
    chances = np.full((300, 3), 0.02)
    chances[np.arange(300), true] = 0.96
    given = true.copy()
    given[:6] = (given[:6] + 1) % 3
    table = evaluation.label_issues(split(given.tolist()), chances, n=4)
    assert table.attrs["found"] == len(table.attrs["rows"]) == 6 and len(table) == 4
    assert [int(text[1:]) for text in table["text"]] == table.attrs["rows"][:4]
    assert set(table["text"]) <= {f"t{i}" for i in range(6)}
    assert (table["label"] != table["the model says"]).all()


def test_wrong_labels_are_sought_where_a_class_never_occurs():
    chances = np.array([[0.9, 0.05, 0.05], [0.05, 0.05, 0.9]] * 20)
    assert evaluation.label_issues(split([0, 2] * 20), chances).empty


FINE = {"majority": {"macro_f1": 0.1}, "tfidf_svm": {"macro_f1": 0.7}, "model": {"macro_f1": 0.8}}


@pytest.mark.parametrize(
    "predicted, own, words",
    [
        (
            [1, 1, 1],
            0.09,
            ["a single class, b, for every text", "does not beat always answering the most frequent class"],
        ),
        ([0, 1, 1], 0.1, ["does not beat always answering"]),
        ([0, 1, 1], 0.65, ["does not beat a linear SVM"]),
        ([0, 1, 1], 0.8, []),
    ],
)
def test_guards_name_what_is_wrong(predicted, own, words):
    found = evaluation.guards(predicted * 20, FINE | {"model": {"macro_f1": own}}, ["a", "b"])
    assert len(found) == len(words) + bool(words)  # and the likely cause
    assert all(word in sentence for word, sentence in zip(words, found))


def test_models_of_a_cross_validation_that_answer_with_one_class_each_are_seen():
    """Together they answer with several classes, and beat a constant answer by chance."""
    useless = [([0, 1] * 20, [i % 2] * 40) for i in range(4)]
    good = ([0, 1] * 20, [0, 1] * 20)
    predicted = sum((ids for _, ids in useless), []) + good[1]
    found = evaluation.guards(predicted, FINE, ["a", "b"], parts=[*useless, good])
    assert found[0] == "4 of the 5 models that were scored predict a single class each." and len(found) == 2
    assert evaluation.guards([0, 1] * 30, FINE, ["a", "b"], parts=[good] * 3 + useless[:2]) == []
    one_class_only = ([0] * 40, [0] * 40)  # its rows are of one class, so that is right
    assert evaluation.guards([0, 1] * 30, FINE, ["a", "b"], parts=[one_class_only] * 5, kept=[0, 1] * 30) == []
    assert (
        "The model that is kept predicts a single class, b"
        in evaluation.guards([0, 1] * 30, FINE, ["a", "b"], parts=[good] * 5, kept=[1] * 60)[0]
    )


def test_the_most_frequent_class_of_all_rows_can_be_asked_for():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"])})
    rows = Dataset.from_dict({"text": ["some words", "more words", "last words"], "label": [0, 1, 1]}, features)
    splits = DatasetDict(train=rows, validation=rows)
    assert evaluation.baselines(splits, 1)["majority"]["validation"].tolist() == [1, 1, 1]
    assert evaluation.baselines(splits, 1, majority=0)["majority"]["validation"].tolist() == [0, 0, 0]


def test_a_handful_of_rows_is_no_evidence():
    assert evaluation.guards([0, 1] * 24, FINE, ["a", "b"])[0].startswith("Only 48 texts to score on")


FITS = {"vocabulary": 30_000, "pieces": 1.3, "unknown": 0.01, "cut": 0.0, "max_length": 96}
FLAT = pd.DataFrame({"eval_macro_f1": [None, 0.3, 0.3], "eval_loss": [None, 1.0, 1.0]})
RISING, FALLING = FLAT.assign(eval_macro_f1=[None, 0.3, 0.4]), FLAT.assign(eval_loss=[None, 1.0, 0.9])


@pytest.mark.parametrize(
    "reading, history, svm, words",
    [
        (FITS | {"pieces": 5.6}, FLAT, 0.7, "5.6 pieces; .* a model made for theirs, .* Or they hold many codes"),
        (FITS | {"unknown": 0.4}, FLAT, 0.7, "does not know 40% of the pieces .* choose a model"),
        (FITS | {"cut": 0.94}, FLAT, 0.7, "94% of the texts are longer than 96 tokens .* raise max_length"),
        (FITS, RISING, 0.7, "still getting better when training ended: train more epochs"),
        (FITS, FALLING, 0.7, "still getting better when training ended: train more epochs"),
        (FITS, FLAT, 0.7, "lies with the training: try a learning rate"),
        (FITS, FLAT, 0.1, "lies with the data: check text_column and label_column"),
        (None, None, 0.7, "lies with the training: try a learning rate"),
    ],
)
def test_guards_tell_causes_apart_and_what_to_do(reading, history, svm, words):
    scores = FINE | {"tfidf_svm": {"macro_f1": svm}, "model": {"macro_f1": 0.1}}
    *_, cause = found = evaluation.guards([0] * 60, scores, ["a", "b"], reading, history)
    assert re.search(words, cause) and len(found) == 3
    assert evaluation.guards([0, 1] * 30, FINE, ["a", "b"], reading, history) == []  # a good result needs no cause


@pytest.mark.parametrize(
    "majority, svm, own, words",
    [
        (
            0.1,
            0.7,
            0.7,
            ["does not beat a linear SVM .*0.700", "labels as well or better, so it lies with the training"],
        ),
        (0.4, 0.4, 0.4, ["does not beat always answering", "labels better, so it lies with the data"]),
        (0.1, 1.0, 1.0, []),  # nothing could beat it
        (0.1, 0.7, 0.701, []),
    ],
)
def test_guards_where_word_counts_do_as_well(majority, svm, own, words):
    scores = {name: {"macro_f1": value} for name, value in (("majority", majority), ("tfidf_svm", svm), ("model", own))}
    found = evaluation.guards([0, 1] * 30, scores, ["a", "b"], FITS, FLAT)
    assert len(found) == len(words) and all(map(re.search, words, found))


def test_guards_where_the_linear_probe_does_better_name_the_way_out():
    scores = FINE | {"linear_probe": {"macro_f1": 0.85}}
    scores["model"] = scores.pop("model")  # it stands last
    found = evaluation.guards([0, 1] * 30, scores, ["a", "b"], FITS, FLAT)
    assert "0.800 does not beat a linear probe of the pretrained model (0.850)" in found[0]
    assert found[-1].endswith("recipe probe trains, saves and registers it.")
    svm = scores | {"linear_probe": {"macro_f1": 0.6}, "model": {"macro_f1": 0.65}}
    assert not any("probe" in text for text in evaluation.guards([0, 1] * 30, svm, ["a", "b"]))


def test_whether_validation_was_still_rising():
    assert not diagnostics.still_rising(FLAT[:2]) and not diagnostics.still_rising(FLAT[["eval_loss"]])
    assert not diagnostics.still_rising(pd.DataFrame({"eval_macro_f1": [0.5, 0.7, 0.6], "eval_loss": [1, 0.8, 0.9]}))


@pytest.mark.parametrize(
    "macro_f1, width, words",
    [
        (
            [None, 0.801, 0.781, 0.787],
            0.03,
            "after epoch 2 (macro F1 0.801) and ended at 0.787; with 440 rows that may",
        ),
        ([None, 0.801, 0.781, 0.787], 0.02, "ended at 0.787; with 440 rows that is hardly chance: try fewer epochs"),
        ([None, 0.6, 0.7, 0.8], 0.83, "best in the end, after epoch 4 (macro F1 0.800)."),
        ([None, 0.8, 0.7, 0.8], 0.83, "best in the end"),
        ([None, 0.8, None, None], 0.83, ""),
    ],
)
def test_when_validation_was_best_is_told(macro_f1, width, words):
    history = pd.DataFrame({"epoch": [1, 2, 3, 4], "eval_macro_f1": macro_f1})
    told = evaluation.best_epoch(history, [0.7, 0.7 + width], 440)
    assert words in told and bool(words) == bool(told)
    assert evaluation.best_epoch(history[["epoch"]], [0.7, 0.8], 440) == ""
    kept = evaluation.best_epoch(history, [0.7, 0.7 + width], 440, keep="best")
    assert kept == told.replace(": try fewer epochs, or keep: best.", ".")


def test_prediction_does_not_depend_on_order_or_batches(monkeypatch):
    monkeypatch.setattr(environment, "precision", lambda: "fp32")
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    model = training.load_model(source, ["a", "b", "c"], settings.Recipe(), seed=1)
    texts = ["one", "a much longer text than all of the others here", "two words", "", "x " * 200]
    together = training.probabilities(model, tokenizer, texts, max_length=32)
    single = np.concatenate([training.probabilities(model, tokenizer, [text], max_length=32) for text in texts])
    backwards = training.probabilities(model, tokenizer, texts[::-1], max_length=32, batch_tokens=20)
    assert together.shape == (5, 3)
    assert together.sum(1) == pytest.approx(np.ones(5), abs=1e-5)
    assert together == pytest.approx(single, abs=1e-5)
    assert together == pytest.approx(backwards[::-1], abs=1e-5)
