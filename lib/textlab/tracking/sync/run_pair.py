"""What the copy of a run lacks: points, parameters, tags, data sets, files, links to models, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities import LoggedModel, LoggedModelInput, LoggedModelOutput, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from . import points
from .digest import STATE_TAG
from .passage import Passage

PARENT_TAG = "mlflow.parentRunId"


def label(run: Run) -> str:
    """Return how messages name a run."""
    return f"run {run.info.run_name} ({run.info.run_id})"


@dataclass(frozen=True)
class RunPair:
    """A run and its copy, which gets what it lacks.

    Args:
        passage: that this is part of.
        run: in the source.
        copy: in the target.
    """

    passage: Passage
    run: Run
    copy: Run

    def log(self) -> None:
        """Log the points, tags, parameters and data sets that the copy lacks."""
        run, copy, copies = self.run, self.copy, self.passage.copies
        tags = {key: value for key, value in run.data.tags.items() if copy.data.tags.get(key) != value}
        tags.pop(STATE_TAG, None)
        if (parent := tags.pop(PARENT_TAG, None)) in copies:
            tags[PARENT_TAG] = copies[parent]
        params = run.data.params.items()
        points.log(
            self.passage.target,
            copy.info.run_id,
            self._missing_points(),
            tags=[RunTag(key, value) for key, value in tags.items()],
            params=[Param(key, value) for key, value in params if key not in copy.data.params],
        )
        if run.inputs.dataset_inputs:
            self.passage.target.log_inputs(copy.info.run_id, run.inputs.dataset_inputs)

    def carry_files(self, listing: Mapping[str, tuple[int, str]]) -> None:
        """Send the files of a listing that the copy lacks or has with another content."""
        there = self.copy.info.artifact_uri
        self.passage.carry_files(label(self.run), listing, self.run.info.artifact_uri, there)

    def link(self) -> None:
        """Link the copy to the copies of the models that the run read and made."""
        run, copy, copies = self.run, self.copy, self.passage.copies
        known = {None, *(link.model_id for link in (*copy.inputs.model_inputs, *copy.outputs.model_outputs))}
        read = [copies.get(link.model_id) for link in run.inputs.model_inputs]
        made = [(copies.get(link.model_id), link.step) for link in run.outputs.model_outputs]
        if inputs := [LoggedModelInput(model) for model in read if model not in known]:
            self.passage.target.log_inputs(copy.info.run_id, models=inputs)
        if outputs := [LoggedModelOutput(model, step) for model, step in made if model not in known]:
            self.passage.target.log_outputs(copy.info.run_id, outputs)

    def end(self) -> None:
        """Give the copy the status of the run, and its end."""
        info, current = self.run.info, self.copy.info
        if info.status == "RUNNING":
            if current.status != "RUNNING":
                self.passage.target.update_run(current.run_id, "RUNNING")
        elif (info.status, info.end_time) != (current.status, current.end_time):
            self.passage.target.set_terminated(current.run_id, info.status, info.end_time)

    def is_unfinished(self, models: Sequence[LoggedModel]) -> bool:
        """Tell whether the run refers to a run or model that has no copy yet, and was not deleted.

        Args:
            models: that the run made, whose metrics refer to runs too.
        """
        copies, links = self.passage.copies, (*self.run.inputs.model_inputs, *self.run.outputs.model_outputs)
        away = {point.run_id for model in models for point in model.metrics or []} - copies.keys()
        measured = any(self.passage.wanted(run_id) for run_id in away)
        return measured or any(link.model_id not in copies and self._has(link.model_id) for link in links)

    def lost_points(self, models: Sequence[LoggedModel]) -> int:
        """Return how many points the models that the run made have from runs without a copy."""
        return sum(point.run_id not in self.passage.copies for model in models for point in model.metrics or [])

    def _has(self, model_id: str) -> bool:
        """Tell whether the source still has a model: a link to one that was deleted stays with its run."""
        try:
            self.passage.source.get_logged_model(model_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    def _missing_points(self) -> list[points.Row]:
        there = self.copy.data.metrics.keys() & self.run.data.metrics.keys()
        known = set(points.histories(self.passage.target, self.copy.info.run_id, there))
        return [point for point in points.read(self.passage.origin, self.run) if point not in known]
