"""What watches a training: its guard, its progress, and what asks for validations and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from .. import machine
from ..errors import TrainingError

#: A training loss this many times that of guessing (log of the number of classes) is divergence, not bad luck.
DIVERGED = 5


class Guard(TrainerCallback):
    """Stops a training whose loss shows that it has diverged, and says so when a model answers with one class only.

    Args:
        n_classes: of the data, or 2 where each label is told by itself; guessing has a loss of log(n_classes).
        majority: macro F1 on validation of always answering the most frequent class.
        contrast: what the contrastive term adds to the loss of training where all texts look the same.
    """

    def __init__(self, n_classes: int, majority: float, contrast: float = 0.0) -> None:
        self.chance, self.majority = math.log(n_classes), majority
        self.guessing = {"loss": self.chance + contrast, "eval_loss": self.chance}

    def on_log(self, args, state, control, logs=None, **kwargs):
        for name, guessing in self.guessing.items():
            value = (logs or {}).get(name, 0.0)
            if not value <= DIVERGED * guessing:  # also true for NaN
                raise TrainingError(
                    f"the {'validation' if name == 'eval_loss' else 'training'} loss became {value:.3g} by step "
                    f"{state.global_step} (epoch {state.epoch:.2f}, learning rate {args.learning_rate:g}), "
                    f"far above the {guessing:.2f} of guessing; "
                    "no model was saved; try a learning rate ten times smaller"
                )

    def warnings(self, state: TrainerState) -> list[str]:
        """Return a sentence for each validation, before a resume too, whose model was not above one answer for all."""
        checks = [logged for logged in state.log_history if "eval_macro_f1" in logged]
        return [f"After epoch {one['epoch']:.3g} the model {fault}." for one in checks if (fault := self._fault(one))]

    def _fault(self, validation: Mapping[str, float]) -> str:
        score = validation["eval_macro_f1"]
        if validation["eval_predicted_classes"] == 1:
            return "gives every text the same answer"
        if score <= self.majority:
            return f"has a macro F1 of {score:.3f}, not above the {self.majority:.3f} of one answer for all"
        return ""


class ValidateAt(TrainerCallback):
    """Asks for a validation after certain shares of a training, and perhaps for a checkpoint there."""

    def __init__(self, shares: Sequence[float], save: bool = False) -> None:
        self.shares, self.save = shares, save

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step in {max(1, round(share * state.max_steps)) for share in self.shares}:
            control.should_evaluate, control.should_save = True, self.save


class Progress(TrainerCallback, ExportableState):
    """Shows one line of progress, adds up the seconds spent in training steps, and asks for checkpoints by the clock.

    Args:
        label: name of the training, which the line begins with.
        save_seconds: time between checkpoints within an epoch; None for none. The plan of the training sets it.
        seconds: spent in steps before a resume, without validation and saving.
        line: of progress, to go on with; its owner ends it.
    """

    def __init__(
        self,
        label: str = "",
        save_seconds: float | None = None,
        seconds: float = 0.0,
        line: machine.ProgressLine | None = None,
    ) -> None:
        self.label, self.save_seconds, self.seconds = label and f"{label}: ", save_seconds, seconds
        self._line, self._ends = line or machine.ProgressLine(), line is None
        self._started, self._saved = None, time.monotonic()

    def part(self, name: str, last: bool = False) -> Progress:
        """Return the progress of one of several trainings, on the same line; the last one ends it as this would."""
        part = Progress(f"{self.label}{name}", line=self._line)
        part._ends = last and self._ends
        return part

    def state(self) -> dict:
        """Return what a resumed training goes on with."""
        return {
            "args": {
                "label": self.label.removesuffix(": "),
                "save_seconds": self.save_seconds,
                "seconds": self._elapsed(),
            },
            "attributes": {},
        }

    def show(self, text: str) -> None:
        """Show something else than steps for a moment."""
        self._line.show(f"{self.label}{text}")

    def _elapsed(self) -> float:
        return self.seconds + (time.perf_counter() - self._started if self._started else 0.0)

    def _pause(self) -> None:
        self.seconds, self._started = self._elapsed(), None

    def on_step_begin(self, args, state, control, **kwargs):
        self._started = self._started or time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        left = self._elapsed() / state.global_step * (state.max_steps - state.global_step)
        self.show(f"step {state.global_step:,} of {state.max_steps:,}, about {machine.duration(left)} left")
        if control.should_evaluate:
            self._pause()
        if self.save_seconds is not None and time.monotonic() - self._saved >= self.save_seconds:
            control.should_save = True
            self._pause()

    def on_save(self, args, state, control, **kwargs):
        self._saved = time.monotonic()

    def on_epoch_end(self, args, state, control, **kwargs):
        self._pause()

    def on_train_end(self, args, state, control, **kwargs):
        self._line.show(f"{self.label}trained {state.epoch:g} epochs, {state.global_step:,} steps", final=self._ends)
