"""Results files: whole or not at all, and never a figure that was not measured."""

import json
import os

import numpy as np
import pytest

from conftest import altered
from textlab import machine
from textlab.errors import InputError
from textlab.notebooks import pages, results
from textlab.settings import parameters


def test_numbers_are_plain_and_absent_figures_are_left_out(tmp_path):
    path = results.write(tmp_path, "02_fine_tuning", test=None, accuracy=np.float32(0.5), counts=np.array([1, 2]))
    assert json.loads(path.read_text()) == {
        "status": "completed",
        "notebook": "02_fine_tuning",
        "accuracy": 0.5,
        "counts": [1, 2],
    }
    assert results.read(tmp_path, "02_fine_tuning")["accuracy"] == 0.5


@pytest.mark.parametrize("value", [float("nan"), [1.0, float("inf")], {"a": np.float64("nan")}, np.array([1, np.nan])])
def test_nan_is_refused_and_the_old_file_stays(tmp_path, value):
    results.write(tmp_path, "n", x=1)
    with pytest.raises(ValueError, match=r"n\.x"):
        results.write(tmp_path, "n", x=value)
    assert results.read(tmp_path, "n")["x"] == 1


def test_what_a_setting_accepts_can_be_read_again(tmp_path):
    options = parameters.gather("02_fine_tuning", [], {"recipe_options": "{max_grad_norm: 1e20}"})["recipe_options"]
    results.write(tmp_path, "02_fine_tuning", recipe=options)
    assert results.read(tmp_path, "02_fine_tuning")["recipe"] == {"max_grad_norm": 1e20}


@pytest.mark.parametrize("number", ["1" + "0" * 20, "-1" + "0" * 20, "1e999", "-1e999"])
def test_a_number_beyond_64_bits_is_refused(tmp_path, number):
    results.write(tmp_path, "n", x=1).write_text(f'{{"status": "completed", "notebook": "n", "x": {number}}}')
    with pytest.raises(InputError, match="beyond 64 bits"):
        results.read(tmp_path, "n")


def test_a_write_that_breaks_leaves_the_old_file_whole(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    machine.write_text(file, "old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        machine.write_text(file, "new and longer")
    assert file.read_text() == "old"


def test_reading_what_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="run notebook 02_fine_tuning first"):
        results.read(tmp_path, "02_fine_tuning")


def test_a_file_that_was_altered_anywhere_makes_an_index_or_is_refused_in_one_line(tmp_path):
    scores = {"accuracy": 0.9, "macro_f1": 0.8, "weighted_f1": 0.9, "accuracy_ci95": [0.8, 1.0]}
    facts = {"source": "packaged", "sha256": "0" * 64}
    path = results.write(
        tmp_path,
        "02_fine_tuning",
        data=facts | {"rows": {"train": 5, "test": 2}},
        model=facts,
        test=scores,
        baselines={"majority": scores},
        seed=1,
        seeds=[1, 2],
        guards=["g"],
        environment={"python": "3"},
    )
    pages.write_index(tmp_path)
    refused = 0
    for other in altered(json.loads(path.read_text())):
        path.write_text(json.dumps(other).replace("Infinity", "1e999"))
        try:
            pages.write_index(tmp_path)
        except InputError as caught:
            assert "\n" not in str(caught) and len(str(caught)) < 600
            refused += 1
    assert refused > 450


def test_objects_do_not_slip_in(tmp_path):
    with pytest.raises(TypeError, match="object does not belong in a results file"):
        results.write(tmp_path, "n", x=object())
