"""A callback of the Trainer that sends to a run what the Trainer logs."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from transformers import TrainerCallback

from .patience import patient, warn_unrecorded
from .registry import add_model


class RunLogger(TrainerCallback):
    """Sends what the Trainer logs to a run: loss and learning rate by step, metrics and models by validation.

    Points are collected and sent in one call whenever the model was validated, with the times they were measured at. A
    store that does not answer never ends a training: the points are kept and sent again after a minute. At the end the
    training waits for the store. Models are written beside the training, from a copy of the weights: it does not wait
    for the disk.

    Args:
        run_id: of the active run.
        checkpoints: log the model of each validation but the last as `checkpoint-<step>`, with the metrics of its
            validation.
    """

    def __init__(self, run_id: str, checkpoints: bool = False) -> None:
        self.run_id, self.checkpoints, self._points, self._again = run_id, checkpoints, [], 0.0
        self._writer, self._models = ThreadPoolExecutor(1), {}

    def on_log(self, args, state, control, logs=None, **kwargs):
        self._points += _points(logs or {}, state.global_step)

    def on_evaluate(self, args, state, control, model=None, processing_class=None, **kwargs):
        self._send()
        if not self.checkpoints or state.global_step == state.max_steps:
            return
        if self._points:  # the store does not answer
            warn_unrecorded(f"the checkpoint of step {state.global_step}", self._error)
            return
        wait(self._models.values())  # so that only one copy is in memory
        frozen = {id(weight): weight for weight in model.parameters() if not weight.requires_grad}  # need no copy
        self._models[state.global_step] = self._writer.submit(
            add_model,
            self.run_id,
            f"checkpoint-{state.global_step}",
            copy.deepcopy(model, frozen),
            processing_class,
            state.global_step,
        )

    def on_train_end(self, args, state, control, **kwargs):
        for step, written in self._models.items():
            if error := written.exception():
                warn_unrecorded(f"the checkpoint of step {step}", error)
        self._again = 0.0
        self._send(wait_for_store=True)
        if self._points:
            warn_unrecorded(f"{len(self._points)} points of the curves", self._error)

    def _send(self, wait_for_store: bool = False) -> None:
        if time.monotonic() < self._again:
            return
        try:
            patient(self._flush)() if wait_for_store else self._flush()
        except Exception as error:  # whatever a store may raise: the training is worth more than its curves
            self._again, self._error = time.monotonic() + 60, error

    def _flush(self) -> None:
        _log_points(self.run_id, self._points)


def _points(logs: Mapping[str, float], step: int) -> list[Metric]:
    """Return what the Trainer logged at a step as points of curves, measured now."""
    now, points = int(time.time() * 1000), []
    for name, value in logs.items():
        if name in ("loss", "learning_rate", "grad_norm"):  # the prefix tells it from the parameter of that name
            points.append(Metric(f"train_{name}", float(value), now, step))
        elif name.startswith("eval_") and not name.endswith(("_runtime", "_per_second")):
            points.append(Metric(name, float(value), now, step))
    return points


def _log_points(run_id: str, points: list[Metric]) -> None:
    """Log points and take them off the list, so that those that a store did not take are left."""
    while points:
        MlflowClient().log_batch(run_id, metrics=points[:1000])  # MLflow's limit for one batch
        del points[:1000]


@patient
def log_history(run_id: str, history: pd.DataFrame) -> None:
    """Log the history of a training that has ended, as `RunLogger` would have done meanwhile.

    Args:
        history: of a `training.Fit`.
    """
    steps = history.to_dict("records")
    points = [point for row in steps for point in _points(row, int(row["step"])) if point.value == point.value]
    _log_points(run_id, points)
