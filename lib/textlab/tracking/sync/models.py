"""Logged models: their files, metrics and tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mlflow.entities import LoggedModel, Metric, Run

from ..queries import equals
from ..store import SOURCE_TAG, paged
from .digest import VERSIONS_TAG, point_key
from .passage import Passage, one_copy, origin_of
from .source import Rows


def models_by_run(passage: Passage, experiment_id: str) -> dict[str, list[LoggedModel]]:
    """Return the logged models of an experiment in the source, by the id of the run that made them."""
    models, client = defaultdict(list), passage.source
    query = "SELECT model_id FROM logged_models WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    rows = Rows(query, client.get_logged_model, [experiment_id])
    for model in passage.listed("model", client.search_logged_models, [experiment_id], rows=rows):
        models[model.source_run_id].append(model)
    return models


class ModelCarrier:
    """Carries the logged models of runs; `Passage.copies` then says which copy stands for which.

    Args:
        passage: that this is part of.
    """

    def __init__(self, passage: Passage) -> None:
        self._passage, self._target = passage, passage.target

    def recall(self, models: Sequence[LoggedModel], run: Run) -> None:
        """Look up the copies of models that were carried before.

        Args:
            models: in the source.
            run: the copy, in the target, of the run that made them.
        """
        for model in models:
            if copy := self._one_copy(model, run):
                self._passage.copies[model.model_id] = copy.model_id

    def carry(self, model: LoggedModel, run: Run, listing: Mapping[str, tuple[int, str]]) -> None:
        """Carry a model with the files that the listing names; see `recall` for the other arguments."""
        copy = self._one_copy(model, run, create=True)
        self._passage.carry_files(label(model), listing, model.artifact_location, copy.artifact_location)
        self._carry_points(model, copy)
        if changed := dict(_tags(model).items() - copy.tags.items()):
            self._target.set_logged_model_tags(copy.model_id, changed)
        status = str(model.status)
        if status != str(copy.status) and status in ("READY", "FAILED"):
            self._target.finalize_logged_model(copy.model_id, status)
        self._passage.copies[model.model_id] = copy.model_id

    def _one_copy(self, model: LoggedModel, run: Run, create: bool = False) -> LoggedModel | None:
        origin, place, run_id = origin_of(model.tags, model.model_id), run.info.experiment_id, run.info.run_id

        def search() -> list[LoggedModel]:
            condition = equals(f"tags.`{SOURCE_TAG}`", origin)
            copies = list(paged(self._target.search_logged_models, [place], filter_string=condition))
            for other in copies:
                if other.source_run_id != run_id:  # it belongs to a copy of the run that was deleted
                    delete(other)
            return [copy for copy in copies if copy.source_run_id == run_id]

        def delete(copy: LoggedModel) -> None:
            self._target.delete_logged_model(copy.model_id)

        def make() -> None:
            tags = _tags(model) | {SOURCE_TAG: origin}
            self._target.create_logged_model(place, model.name, run_id, tags, model.params, model.model_type)
            self._passage.done["models"] += 1

        return one_copy(search, lambda copy: (copy.creation_timestamp, copy.model_id), delete, make if create else None)

    def _carry_points(self, model: LoggedModel, copy: LoggedModel) -> None:
        """Log the model's metrics that its copy lacks, each on the run that measured it, if that has a copy yet."""
        known = {(point.key, *point_key(point)) for point in copy.metrics or []}
        points = defaultdict(list)
        for point in model.metrics or []:
            if point.run_id in self._passage.copies and (point.key, *point_key(point)) not in known:
                values = point.key, point.value, point.timestamp, point.step
                metric = Metric(*values, copy.model_id, point.dataset_name, point.dataset_digest)
                points[self._passage.copies[point.run_id]].append(metric)
        for run_id, metrics in points.items():
            self._target.log_batch(run_id, metrics=metrics)


def label(model: LoggedModel) -> str:
    """Return how messages name a model."""
    return f"model {model.name} of run {model.source_run_id}"


def _tags(model: LoggedModel) -> dict[str, str]:
    """Return the tags that are carried as they are."""
    return {key: value for key, value in model.tags.items() if key not in (SOURCE_TAG, VERSIONS_TAG)}
