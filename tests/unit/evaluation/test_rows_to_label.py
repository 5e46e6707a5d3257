"""Which rows to label: doubt by hand, rows drawn by it, and of rows that are alike one."""

import numpy as np
import pytest

from textlab import evaluation

#: Three kinds of texts by the direction of their states: three rows, of which the second is in the middle, two and one.
STATES = np.array([[1, 0.2, 0], [1, 0, 0], [5, -1, 0], [0, 1, 0.1], [0, 1, 0], [0, 0, -7.0]])


def test_doubt_is_what_the_two_likeliest_classes_leave():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.1, 0.0, 0.9], [0.0, 1.0, 0.0]])
    assert evaluation.doubts(probabilities) == pytest.approx([0.8, 1, 0.2, 0], abs=1e-5)
    assert evaluation.doubts(probabilities[:, :2][:2] / [[0.8]]) == pytest.approx([0.75, 1], abs=1e-5)
    assert evaluation.doubts(probabilities).min() > 0  # a row without any weight could not be drawn


def test_lots_draw_rows_in_proportion_to_their_doubt():
    uniform = np.random.default_rng(0).random((20_000, 2))
    first = evaluation.lots(np.array([0.75, 0.25]), uniform).argmax(1)
    assert (first == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert evaluation.lots(np.array([1.0, 0.5]), np.array([0.5, 0.5])) == pytest.approx(np.log([0.5, 0.25]))


def test_of_rows_that_are_alike_the_middle_one_is_taken_and_the_most_doubt_comes_first():
    rows, similar = evaluation.to_label(np.full(6, 0.5), STATES, 3)
    assert rows.tolist()[0] == 1 and set(rows[1:].tolist()) <= {3, 4, 5} and 5 in rows
    assert similar.tolist() == [3, 2, 1]
    rows, similar = evaluation.to_label(np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.9]), STATES, 3)
    assert rows[0] == 5 and similar.tolist() == [1, 3, 2]


def test_ten_times_as_many_rows_are_drawn_but_not_more_than_half_of_all():
    lot = -np.arange(100.0)[::-1]  # the last row has the highest
    assert evaluation.drawn(lot, 1000, 3).tolist() == list(range(99, 69, -1))
    assert evaluation.drawn(lot, 100, 8).tolist() == list(range(99, 49, -1))
    assert evaluation.drawn(lot, 100, 70).tolist() == list(range(99, 29, -1))


def test_rows_that_a_model_reads_as_the_same_are_taken_once_without_a_warning(recwarn):
    rows, similar = evaluation.to_label(np.full(5, 0.5), np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [0, 0]]), 4)
    assert len(rows) == 3 and rows[0] in (0, 1, 2) and similar.tolist() == [3, 1, 1] and not recwarn.list


def test_the_same_rows_come_again():
    dice = np.random.default_rng(1)
    states, doubt = dice.normal(size=(300, 8)), dice.random(300)
    first, again = evaluation.to_label(doubt, states, 20)[0], evaluation.to_label(doubt, states, 20)[0]
    assert first.tolist() == again.tolist() and len(set(first.tolist())) == 20
