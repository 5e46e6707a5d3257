"""Folders, fingerprint, durations, and an import that does nothing."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from conftest import ROOT
from textlab import machine
from textlab.errors import InputError
from textlab.machine import environment


def test_root_does_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert machine.project_root() == ROOT


def test_outputs_go_where_they_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path))
    assert machine.output_dir("", "02_fine_tuning") == tmp_path / "02_fine_tuning"
    assert machine.output_dir(str(tmp_path / "a" / "b"), "02_fine_tuning").is_dir()
    monkeypatch.delenv("TEXTLAB_OUTPUTS")
    assert machine.outputs_root() == ROOT / "outputs"


def test_an_output_dir_that_is_a_file_is_told_in_one_line(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match=r"^the output folder .*/mine cannot be made \(File exists\); name another$"):
        machine.output_dir(str(tmp_path / "mine"), "02_fine_tuning")


def test_seeding_covers_every_generator():
    def draw():
        environment.seed_everything(7)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw() == draw()


def test_fixing_sets_what_is_free_and_strict_the_rest(monkeypatch):
    fixed = "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "MKL_CBWR"
    monkeypatch.setattr(os, "environ", {name: value for name, value in os.environ.items() if name not in fixed})
    usual = environment.fingerprint()
    try:
        environment.fix(7)
        assert (
            os.environ["PYTHONHASHSEED"] == "0" and "MKL_CBWR" not in os.environ and torch.backends.cudnn.deterministic
        )
        assert (
            environment.fingerprint()["deterministic"]
            == "operations usual, cuDNN fixed, cuBLAS :4096:8"
            != usual["deterministic"]
        )
        environment.fix(7, strict=True)
        assert (
            torch.are_deterministic_algorithms_enabled()
            and environment.fingerprint()["capped_by"] == "MKL_CBWR=AUTO,STRICT"
        )
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "features, expected",
    [({"amx_bf16": True}, "bf16"), ({"avx512_bf16": True}, "bf16"), ({"avx512_f": True}, "fp32"), ({}, "fp32")],
)
def test_a_cpu_gets_bf16_only_where_it_is_fast(monkeypatch, features, expected):
    monkeypatch.setattr(environment, "device", lambda: "cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert environment.precision() == expected


@pytest.mark.parametrize("capability, expected", [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_gets_what_its_generation_has(monkeypatch, capability, expected):
    monkeypatch.setattr(environment, "device", lambda: "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert environment.precision() == expected


def test_the_fingerprint_names_what_decides_the_bits():
    facts = environment.fingerprint()
    assert {"python", "torch", "transformers", "threads", "cpu_capability", "precision", "device"} <= facts.keys()
    assert facts["threads"] == torch.get_num_threads()


@pytest.mark.parametrize("seconds, words", [(7.6, "8 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations_for_people(seconds, words):
    assert machine.duration(seconds) == words


def test_progress_outside_a_notebook_is_one_final_line(capsys):
    line = machine.ProgressLine()
    line.show("step 1")
    line.show("done", final=True)
    assert capsys.readouterr() == ("", "done\n")


def test_importing_the_package_is_silent_and_does_no_work():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "importtime", "-c", "import textlab"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == ""
    assert "torch" not in done.stderr and "mlflow" not in done.stderr
