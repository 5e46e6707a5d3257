"""Labels and answers as arrays, and probabilities that become answers by thresholds."""

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List

from textlab import evaluation
from textlab.evaluation import answers, thresholds

NAMES = ["joy", "anger", "fear"]


def split(label, rows):
    return Dataset.from_dict({"label": rows}, Features({"label": label}))


def test_one_label_a_text_is_its_class_id():
    rows = split(ClassLabel(names=NAMES), [2, 0])
    assert evaluation.truth(rows).tolist() == [2, 0] and evaluation.names(rows) == NAMES
    assert evaluation.words(evaluation.truth(rows)[0], NAMES) == "fear"


def test_several_labels_are_zeros_and_ones_and_none_is_an_answer():
    rows = split(List(ClassLabel(names=NAMES)), [[2, 0], [], [1]])
    true = evaluation.truth(rows)
    assert true.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]] and true.dtype == np.int8
    assert evaluation.names(rows) == NAMES
    assert [evaluation.words(row, NAMES) for row in true] == ["joy, fear", "none", "anger"]


def test_an_answer_of_several_labels_is_right_if_all_of_it_is():
    assert evaluation.same([[1, 0], [1, 1], [0, 0]], [[1, 0], [1, 0], [0, 0]]).tolist() == [True, False, True]
    assert evaluation.same([1, 2], [1, 1]).tolist() == [True, False]


def test_probabilities_are_no_answers_and_class_ids_are_no_matrix():
    with pytest.raises(ValueError, match="are 0 or 1 for each label; got 0.7"):
        answers.as_array([[0, 0.7]])
    with pytest.raises(ValueError, match=r"of one shape: got \(2, 2\) and \(2,\)"):
        evaluation.same([[0, 1], [1, 0]], [1, 0])


def drawn(seed=0):
    """Return labels, the last of which two texts have, and probabilities that lean to them but are too low."""
    dice = np.random.default_rng(seed)
    true = (dice.random((600, 5)) < [0.5, 0.3, 0.2, 0.1, 0]).astype(np.int8)
    true[:2, 4] = 1
    return true, 0.5 / (1 + np.exp(-2 * true + 1 + dice.normal(size=(600, 5))))


def f1(true, answers):
    return 2 * (true & answers).sum() / (true.sum() + answers.sum())


def test_no_other_threshold_has_a_higher_f1():
    true, chances = drawn()
    found = evaluation.choose(true, chances)
    for label in range(4):
        best = f1(true[:, label], chances[:, label] >= found[label])
        others = [f1(true[:, label], chances[:, label] >= value) for value in chances[:, label]]
        assert best == pytest.approx(max(others), abs=1e-12)
    assert best > f1(true[:, 3], chances[:, 3] >= 0.5) + 0.1


def test_a_rare_label_gets_the_threshold_that_suits_all_together():
    true, chances = drawn()
    found = evaluation.choose(true, chances)
    assert true[:, 4].sum() == thresholds.FEW - 1
    others = [f1(true, chances >= value) for value in np.unique(chances)]  # micro F1
    assert f1(true, chances >= found[4]) == pytest.approx(max(others), abs=1e-12)
    absent = evaluation.choose(true * [1, 1, 1, 1, 0], chances)
    assert 0 < absent[4] < 1 and np.isfinite(absent).all()


def test_a_label_that_is_not_told_apart_does_not_go_to_every_text():
    dice = np.random.default_rng(1)
    true = np.stack([np.arange(400) % 4 == 0, np.arange(400) % 20 == 0], axis=1).astype(np.int8)
    chances = np.stack([np.where(true[:, 0], 0.9, 0.1), dice.uniform(0.04, 0.06, 400)], axis=1)
    found = evaluation.choose(true, chances)
    assert found[0] == pytest.approx(0.5) and found[1] == pytest.approx(0.25)
    assert evaluation.decide(chances, found)[:, 1].sum() == 0


def test_thresholds_stay_between_0_and_1_wherever_the_probabilities_lie():
    true = np.array([[1, 1, 1], [0, 1, 0]] * 10)
    chances = np.array([[1.0, 1.0, np.nextafter(0.5, 1)], [0.0, 0.6, 0.5]] * 10)
    found = evaluation.choose(true, chances)
    assert ((found >= 0) & (found <= 1)).all()
    assert evaluation.decide(chances, found).tolist() == true.tolist()  # even two neighbours are told apart
    assert evaluation.choose(np.zeros((4, 2), int), np.full((4, 2), 0.2)).tolist() == [0.5, 0.5]


def test_thresholds_of_a_file_give_the_answers_of_the_run():
    true, chances = drawn()
    chances = chances.astype(np.float32)
    found = evaluation.choose(true, chances)
    again = [float(repr(value)) for value in found.tolist()]
    assert (evaluation.decide(chances, again) == evaluation.decide(chances, found)).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"of one shape \(rows, labels\): got \(2,\), \(2, 2\)"):
        evaluation.choose([0, 1], np.zeros((2, 2)))


def test_one_label_a_text_has_the_likeliest_class_and_no_thresholds():
    chances = {"validation": np.array([[0.1, 0.9]]), "test": np.array([[0.6, 0.4], [0.3, 0.7]])}
    found, none = evaluation.decisions({"validation": [0], "test": [0, 1]}, chances)
    assert none is None and {name: ids.tolist() for name, ids in found.items()} == {"validation": [1], "test": [0, 1]}


def test_thresholds_are_chosen_on_validation_and_test_has_no_part_in_them():
    (true, chances), (others, foreign) = drawn(seed=1), drawn(seed=2)
    given = {"validation": true, "test": others}
    found, chosen = evaluation.decisions(given, {"validation": chances, "test": foreign})
    assert (chosen == evaluation.choose(true, chances)).all()
    assert (found["test"] == (foreign >= chosen)).all() and found["test"].dtype == np.int8
    turned, same = evaluation.decisions(given | {"test": 1 - others}, {"validation": chances, "test": foreign})
    assert (same == chosen).all() and (turned["test"] == found["test"]).all()


def test_no_text_of_validation_has_part_in_its_own_answer_with_test_or_without():
    true, chances = (some[:40] for some in drawn(seed=1))
    found, chosen = evaluation.decisions({"validation": true}, {"validation": chances})
    assert (chosen == evaluation.choose(true, chances)).all()
    both, _ = evaluation.decisions({"validation": true, "test": true}, {"validation": chances, "test": chances})
    assert (both["validation"] == found["validation"]).all() and (both["test"] == (chances >= chosen)).all()
    for row in range(len(true)):
        other = true.copy()
        other[row] = 1 - other[row]
        answers, _ = evaluation.decisions({"validation": other}, {"validation": chances})
        assert (answers["validation"][row] == found["validation"][row]).all()
    alone, _ = evaluation.decisions({"validation": true[:1]}, {"validation": chances[:1]})
    assert alone["validation"].shape == (1, true.shape[1])


def test_in_a_cross_validation_no_text_has_part_in_its_own_answer():
    true, chances = drawn()
    parts = np.array_split(np.random.default_rng(3).permutation(len(true)), 5)
    given = {"validation": true[parts[0]], "test": true}
    said = {"validation": chances[parts[0]], "test": chances}
    found, chosen = evaluation.decisions(given, said, parts)
    assert (chosen == evaluation.choose(true, chances)).all()
    for rows in parts:
        others = np.setdiff1d(np.arange(len(true)), rows)
        own = evaluation.choose(true[others], chances[others])
        assert (found["test"][rows] == (chances[rows] >= own)).all()
    assert (found["validation"] == found["test"][parts[0]]).all()
    assert (found["test"] != evaluation.decide(chances, chosen)).any()  # else the test could not tell
