"""Calibration, against figures computed by hand or in another way."""

import numpy as np
import pytest

from textlab import evaluation
from textlab.evaluation import calibration


def test_calibration_by_hand():
    chances = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.4, 0.6]])
    table = evaluation.reliability([0, 1, 0, 1], chances)
    assert table["confidence"].tolist() == pytest.approx([0.6, 0.95]) and table["accuracy"].tolist() == [1.0, 0.5]
    assert calibration.calibration_error([0, 1, 0, 1], chances) == pytest.approx((0.4 * 2 + 0.45 * 2) / 4)


def test_temperature_undoes_overconfidence_and_changes_no_answer():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([0.5] * 3, 5000)
    true = [rng.choice(3, p=p) for p in honest]
    loud = evaluation.rescale(honest, 1 / 3)
    found = evaluation.temperature(true, loud)
    assert found == pytest.approx(3, rel=0.1)
    cooled = evaluation.rescale(loud, found)
    assert (cooled.argmax(1) == loud.argmax(1)).all()
    assert calibration.calibration_error(true, cooled) < 0.03 < calibration.calibration_error(true, loud)


def test_two_calibration_errors_are_compared_on_the_same_rows():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([0.5] * 3, 400)
    true = np.array([rng.choice(3, p=p) for p in honest])
    loud = evaluation.rescale(honest, 1 / 3)
    found = evaluation.compare_calibration(true, loud, honest)
    errors = [calibration.calibration_error(true, p) for p in (loud, honest)]
    assert [found["first"], found["second"]] == pytest.approx(errors)
    assert found["difference"] == pytest.approx(errors[1] - errors[0]) and found["difference_ci95"][1] < 0
    rows = [rng.integers(400, size=400) for _ in range(1500)]
    slow = [[calibration.calibration_error(true[r], p[r]) for p in (loud, honest)] for r in rows]
    gaps = np.diff(slow, axis=1)
    for name, drawn in {"first": np.array(slow)[:, 0], "difference": gaps}.items():
        low, high = np.percentile(drawn, [2.5, 97.5])
        ends = min(low, 2 * found[name] - high), max(high, 2 * found[name] - low)
        assert found[f"{name}_ci95"] == pytest.approx(ends, abs=0.006)
    same = evaluation.compare_calibration(true, loud, loud)
    assert same["difference_ci95"] == [0, 0] and same == evaluation.compare_calibration(true, loud, loud)


def test_the_interval_of_a_calibration_error_holds_the_true_one():
    rng, held = np.random.default_rng(3), {0.0: 0, 0.06: 0}
    for off in held:
        for _ in range(40):
            sure = rng.uniform(0.55, 0.95, 300)
            true = (rng.random(300) > sure - off).astype(int)  # class 0 is right so often
            chances = np.column_stack([sure, 1 - sure])
            low, high = evaluation.compare_calibration(true, chances, chances, resamples=200)["first_ci95"]
            held[off] += low <= off <= high
    assert min(held.values()) >= 34
