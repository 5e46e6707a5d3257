"""The place of an experiment's runs in the target, and which copy there is whose."""

from __future__ import annotations

from collections import defaultdict

from mlflow.entities import Run, RunTag, ViewType

from ..queries import equals
from ..store import SOURCE_TAG, paged, use_experiment
from .digest import STATE_TAG
from .models import models_by_run
from .passage import Passage, one_copy, origin_of
from .run_pair import PARENT_TAG


class Place:
    """An experiment of the target, made if it is missing, for the runs of one of the source.

    Attribute `models`: the logged models of the experiment in the source, by the id of the run that made them.

    Args:
        passage: that this is part of.
        experiment_id: in the source.
    """

    def __init__(self, passage: Passage, experiment_id: str) -> None:
        self._passage, self._target = passage, passage.target
        experiment = passage.source.get_experiment(experiment_id)
        tags = {key: value for key, value in experiment.tags.items() if not key.startswith("textlab.")}
        self._id = use_experiment(self._target, experiment.name, tags=tags)
        for key, value in tags.items() - self._target.get_experiment(self._id).tags.items():
            self._target.set_experiment_tag(self._id, key, value)
        self._known: dict[str, list[Run]] = defaultdict(list)  # by origin
        for run in paged(self._target.search_runs, [self._id], run_view_type=ViewType.ALL):
            self._known[run_origin(run)].append(_slim(run))
        self.models = models_by_run(passage, experiment_id)

    def claim(self, run: Run) -> Run | None:
        """Return the copy of a run, made if need be; None when the target's user has deleted it.

        When the run is itself a copy of one of the target's own, that original is returned.
        """
        origin = run_origin(run)

        def search() -> list[Run]:
            condition = equals(f"tags.`{SOURCE_TAG}`", origin)
            copies = self._known.get(origin)
            copies = copies or list(paged(self._target.search_runs, [self._id], condition, ViewType.ALL))
            originals = [copy for copy in copies if copy.info.run_id == origin]
            return originals or [copy for copy in copies if copy.info.lifecycle_stage == "active"] or copies[:1]

        def make() -> None:
            # Not every tag yet: the parent has another id there, and the rest follows with all else.
            tags = {SOURCE_TAG: origin} | {key: run.data.tags[key] for key in ("mlflow.user",) if key in run.data.tags}
            if parent := self._passage.copies.get(run.data.tags.get(PARENT_TAG, "")):
                tags[PARENT_TAG] = parent
            self._target.create_run(self._id, run.info.start_time, tags, run.info.run_name)

        def delete(copy: Run) -> None:
            self._target.delete_run(copy.info.run_id)

        copy = one_copy(search, lambda copy: copy.info.run_id, delete, make)
        self._known[origin] = [_slim(copy)]
        return None if copy.info.lifecycle_stage == "deleted" and copy.info.run_id != origin else copy

    def forget(self, run: Run) -> None:
        """Search for the copies of a run anew when it is claimed the next time."""
        self._known.pop(run_origin(run), None)


def run_origin(run: Run) -> str:
    """Return the id of the run that a run is a copy of; an original's own id."""
    return origin_of(run.data.tags, run.info.run_id)


def _slim(run: Run) -> Run:
    """Return a run without its figures, of which thousands are kept in memory."""
    tags = [RunTag(key, value) for key, value in run.data.tags.items() if key in (SOURCE_TAG, STATE_TAG)]
    return Run(run.info, type(run.data)(tags=tags))
