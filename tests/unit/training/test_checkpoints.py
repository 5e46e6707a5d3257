"""Checkpoints: written whole, checked before use, and a resumed training ends with the same weights."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from transformers import TrainerCallback

from textlab import data, hub, settings, training
from textlab.errors import InputError
from textlab.training import checkpoints

TEXTS = {"train": 90, "validation": 30}


def splits():
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = [
        (f"this is {'very ' * (i * 7 % 13)}{'awful' if i % 2 == 0 else 'lovely'}", i % 2)
        for i in range(sum(TEXTS.values()))
    ]
    parts = {"train": rows[:90], "validation": rows[90:]}
    return DatasetDict(
        {
            name: Dataset.from_dict(
                {"text": [text for text, _ in part], "label": [label for _, label in part]}, features
            )
            for name, part in parts.items()
        }
    )


class At(TrainerCallback):
    """Asks for a checkpoint after every `save` steps, and does something at the beginning of one step."""

    def __init__(self, save=4, step=None, act=None):
        self.save, self.step, self.act = save, step, act

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.act()

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = state.global_step % self.save == 0


def interrupt():
    raise KeyboardInterrupt


def train(folder, callback, resume=True, **chosen):
    """Train on texts of all lengths, with dropout, so that batches and random numbers have to be found again."""
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    tokens = data.tokenize(splits(), tokenizer, 32)
    recipe = settings.make_recipe(
        "fast",
        **(
            {
                "epochs": 3,
                "learning_rate": 3e-3,
                "batch_size": 8,
                "frozen_share": 0.0,
                "dropout": True,
                "average": 0.9,
                "keep": "best",
            }
            | chosen
        ),
    )
    model = training.load_model(source, ["bad", "good"], recipe, 1)
    folder.mkdir(exist_ok=True)
    plan = training.Resumable(folder, resume, save_seconds=1e9)
    return training.fit(model, tokenizer, tokens, recipe, 1, plan, [callback])


def digest(fitted, folder):
    return training.save(fitted, folder / "model")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    fitted = train(folder, At())
    assert not fitted.notes[3:] and not list(folder.glob("checkpoints-*"))
    return digest(fitted, folder), fitted


@pytest.mark.parametrize("step", [1, 5, 12, 17, 24, 33])  # 12 steps an epoch: in the first, at its end, in the last
def test_an_interrupted_training_ends_with_the_same_weights(undisturbed, tmp_path, step):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, At(step=step, act=interrupt))
    fitted = train(tmp_path, At())
    assert any("went on from checkpoint" in note for note in fitted.notes) == (step > 1)
    assert digest(fitted, tmp_path) == undisturbed[0]
    assert (
        fitted.history["eval_macro_f1"].dropna().tolist() == undisturbed[1].history["eval_macro_f1"].dropna().tolist()
    )


def test_a_resumed_training_names_collapsed_epochs_from_before_it_was_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, At(step=17, act=interrupt), learning_rate=1e-9)
    resumed, *collapsed = train(tmp_path, At(), learning_rate=1e-9).notes
    assert "went on from checkpoint-16" in resumed
    assert collapsed == [f"After epoch {epoch} the model gives every text the same answer." for epoch in (1, 2, 3)]


def found_in(folder):
    """Return the checkpoints of the one training in a folder, oldest first."""
    (place,) = folder.glob("checkpoints-*")
    return checkpoints.in_order(place)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a training that was interrupted in its second epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        train(folder, At(step=17, act=interrupt))
    return folder


@pytest.fixture
def interrupted(stopped, tmp_path):
    """The checkpoints of that training, in a copy of its folder."""
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    return found_in(tmp_path)


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def damage_weights(newest):
    flip(newest / "model.safetensors")


def damage_optimizer(newest):
    flip(newest / "optimizer.pt")


def lose_random_state(newest):
    (newest / "rng_state.pth").unlink()


def lose_manifest(newest):
    (newest / checkpoints.MANIFEST).unlink()


def damage_manifest(newest):
    (newest / checkpoints.MANIFEST).write_text("{")


@pytest.mark.parametrize(
    "harm, words",
    [
        (damage_weights, "model.safetensors differ from the manifest"),
        (damage_optimizer, "optimizer.pt differ"),
        (lose_random_state, "rng_state.pth differ"),
        (lose_manifest, "has no manifest"),
        (damage_manifest, "cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_skipped_with_the_reason_and_the_one_before_is_used(
    undisturbed, interrupted, tmp_path, harm, words
):
    *_, before, newest = interrupted
    harm(newest)
    fitted = train(tmp_path, At())
    assert fitted.notes[0].startswith(f"{newest.name} was skipped") and words in fitted.notes[0]
    assert f"went on from {before.name}" in fitted.notes[1]
    assert digest(fitted, tmp_path) == undisturbed[0]


def test_a_checkpoint_whose_best_one_is_damaged_is_not_used(undisturbed, interrupted, tmp_path):
    best = checkpoints.best_of(interrupted[-1])
    assert best.name == "checkpoint-12"
    flip(best / "average.safetensors")
    fitted = train(tmp_path, At())
    assert all(
        "best one so far, checkpoint-12, is damaged" in note or "average.safetensors" in note
        for note in fitted.notes[:2]
    )
    assert digest(fitted, tmp_path) == undisturbed[0]


def test_checkpoints_of_another_training_are_neither_used_nor_touched(interrupted, tmp_path):
    fitted = train(tmp_path, At(), learning_rate=1e-3)
    assert not any("went on" in note for note in fitted.notes)
    assert all(path.is_dir() for path in interrupted)


def test_a_moved_folder_is_resumed_too(undisturbed, stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "there")
    fitted = train(tmp_path / "there", At())
    assert any("went on" in note for note in fitted.notes)
    assert digest(fitted, tmp_path / "there") == undisturbed[0]


def test_resume_can_be_refused(interrupted, tmp_path):
    assert not any("went on" in note for note in train(tmp_path, At(), resume=False).notes)


def test_only_the_best_and_the_two_newest_are_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, At(step=23, act=interrupt))
    found = found_in(tmp_path)
    assert [path.name for path in found] == ["checkpoint-12", "checkpoint-16", "checkpoint-20"]
    assert all(not checkpoints.fault(path) for path in found)
    assert not list(found[0].parent.glob(".draft/*"))


def test_nothing_half_written_is_ever_in_place(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk gone")

    monkeypatch.setattr(checkpoints, "publish", fail)
    with pytest.raises(OSError, match="disk gone"):
        train(tmp_path, At())
    assert not list(tmp_path.glob("checkpoints-*/checkpoint-*"))


def test_a_full_disk_stops_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(InputError, match="a checkpoint takes .* MB and .* has 0 MB left"):
        train(tmp_path, At())
    assert not list(tmp_path.glob("checkpoints-*"))


def test_the_manifest_lists_every_file(interrupted):
    newest = interrupted[-1]
    listed = json.loads((newest / checkpoints.MANIFEST).read_text())["files"]
    assert set(listed) == {path.name for path in newest.iterdir()} - {checkpoints.MANIFEST}
    assert {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} <= set(listed)


@pytest.mark.slow
def test_killed_at_20_random_moments_and_resumed_the_weights_are_the_same(undisturbed, tmp_path):
    """SIGKILL at any time, also while a checkpoint is being written; the same command again, until it ends."""
    program = textwrap.dedent("""
        import sys, threading, os, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        import test_checkpoints as t
        class Die(t.At):
            def on_train_begin(self, args, state, control, **kwargs):
                threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), 9)).start()
        folder = Path(sys.argv[1])
        print(t.digest(t.train(folder, Die(save=1)), folder))
    """)
    chance, kills, resumes = random.Random(7), 0, 0
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        while True:
            wait = chance.uniform(0, 2.5)
            done = subprocess.run(
                [sys.executable, "-c", program, str(folder), os.path.dirname(__file__), str(wait)],
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills += 1
            resumes += bool(list(folder.glob("checkpoints-*/checkpoint-*")))
        assert done.stdout.split()[-1] == undisturbed[0]
    print(f"{kills} kills, {resumes} resumed from a checkpoint, 20 of 20 with the same weights")
    assert kills >= 20 <= resumes + 10
