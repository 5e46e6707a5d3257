"""Runs: where they belong, which copy is theirs, and their parents first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from mlflow.entities import Experiment, LoggedModel, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

from ..store import SOURCE_TAG, paged, use_experiment
from .artifacts import Artifacts
from .digest import STATE_TAG, state_of
from .models import ModelCarrier
from .passage import Passage, one_copy, origin_of, undisturbed
from .run_pair import PARENT_TAG, RunPair


@dataclass
class _Place:
    """Where the runs of an experiment belong, and what is known of them."""

    experiment_id: str  # in the target
    models: dict[str, list[LoggedModel]]  # in the source, by the run that made them
    known: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))  # in the target, by origin


class RunCarrier:
    """Carries the runs of experiments, with the models that they logged; `Passage.copies` says which copy is whose.

    Args:
        passage: that this is part of.
    """

    def __init__(self, passage: Passage) -> None:
        self._passage, self._source, self._target = passage, passage.source, passage.target
        self._models = ModelCarrier(passage)
        self._places: dict[str, _Place] = {}
        self._unfinished: list[Run] = []  # they refer to a run or model that has no copy yet

    def carry_all(self, experiment: Experiment) -> None:
        """Carry the runs of an experiment; one without runs is left out."""
        runs = paged(self._source.search_runs, [experiment.experiment_id], order_by=["attributes.start_time ASC"])
        if (first := next(runs, None)) is None:
            return
        place = self._place(experiment.experiment_id)
        if alone := place.models.pop("", []) + place.models.pop(None, []):
            self._passage.done["models left behind, since no run has made them"] += len(alone)
        for run in chain([first], runs):
            if run.info.run_id not in self._passage.copies:
                self._attempt(run)
        again, self._unfinished = self._unfinished, []
        for run in again:
            self._attempt(run)
        del self._places[experiment.experiment_id]

    def _attempt(self, run: Run) -> None:
        self._passage.attempt(f"run {run.info.run_name} ({run.info.run_id})", self._carry_family, run)

    def _place(self, experiment_id: str) -> _Place:
        """Return the place of an experiment of the source; it is made and looked through once."""
        if experiment_id not in self._places:
            experiment = self._source.get_experiment(experiment_id)
            tags = {key: value for key, value in experiment.tags.items() if not key.startswith("textlab.")}
            copy = use_experiment(self._target, experiment.name, tags=tags)
            for key, value in tags.items() - self._target.get_experiment(copy).tags.items():
                self._target.set_experiment_tag(copy, key, value)
            place = _Place(copy, self._models.by_run(experiment_id))
            for run in paged(self._target.search_runs, [copy], run_view_type=ViewType.ALL):
                place.known[origin_of(run.data.tags, run.info.run_id)].append(_slim(run))
            self._places[experiment_id] = place
        return self._places[experiment_id]

    def _carry_family(self, run: Run) -> None:
        """Carry a run, its parent first; a parent may be in another experiment."""
        parent = run.data.tags.get(PARENT_TAG)
        if parent and parent not in self._passage.copies:
            try:
                parent_run = self._source.get_run(parent)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
            else:
                if parent_run.info.lifecycle_stage == "active":
                    self._carry_family(parent_run)
        place, origin = self._place(run.info.experiment_id), origin_of(run.data.tags, run.info.run_id)
        undisturbed(lambda: self._carry(run, origin, place), lambda: place.known.pop(origin, None))

    def _carry(self, run: Run, origin: str, place: _Place) -> None:
        copy = self._claim(run, origin, place)
        original = copy.info.run_id == origin  # the source has a copy of it
        if copy.info.lifecycle_stage == "deleted" and not original:
            return
        self._passage.copies[run.info.run_id] = copy.info.run_id
        if original:
            self._passage.owned.add(run.info.run_id)
            return
        models = place.models.get(run.info.run_id, [])
        addresses = [run.info.artifact_uri, *(model.artifact_location for model in models)]
        listings = [Artifacts(self._source, address).listing() for address in addresses]
        if run.info.status != "RUNNING" and copy.data.tags.get(STATE_TAG) == state_of(run, models, listings):
            self._models.recall(models, copy)
        else:
            self._complete(run.info.run_id, copy.info.run_id, models, listings)

    def _claim(self, run: Run, origin: str, place: _Place) -> Run:
        """Return the copy of a run, made if need be; a deleted one when the target's user has deleted it."""

        def search() -> list[Run]:
            condition = f"tags.`{SOURCE_TAG}` = '{origin}'"
            runs = place.known.get(origin) or list(
                paged(self._target.search_runs, [place.experiment_id], condition, ViewType.ALL)
            )
            originals = [copy for copy in runs if copy.info.run_id == origin]
            return originals or [copy for copy in runs if copy.info.lifecycle_stage == "active"] or runs[:1]

        def make() -> None:
            # Not every tag yet: the parent's is another there, and the rest follows with all else.
            tags = {SOURCE_TAG: origin} | {key: run.data.tags[key] for key in ("mlflow.user",) if key in run.data.tags}
            if parent := self._passage.copies.get(run.data.tags.get(PARENT_TAG, "")):
                tags[PARENT_TAG] = parent
            self._target.create_run(place.experiment_id, run.info.start_time, tags, run.info.run_name)

        copy = one_copy(
            search, lambda copy: copy.info.run_id, lambda copy: self._target.delete_run(copy.info.run_id), make
        )
        place.known[origin] = [_slim(copy)]
        return copy

    def _complete(
        self, run_id: str, copy_id: str, models: Sequence[LoggedModel], listings: Sequence[Mapping[str, tuple]]
    ) -> None:
        """Carry what the copy of a run lacks, and then tag the copy with the digest of it all."""
        run, copy = self._source.get_run(run_id), self._target.get_run(copy_id)  # a search leaves model inputs out
        pair = RunPair(self._passage, run, copy)
        pair.log()
        pair.carry_files()
        for model in models:
            self._models.carry(model, copy)
        pair.link()
        pair.end()
        if pair.is_unfinished(models):
            self._unfinished.append(run)
        elif copy.data.tags.get(STATE_TAG) != (state := state_of(run, models, listings)):
            self._target.set_tag(copy_id, STATE_TAG, state)
            self._passage.done["runs"] += 1


def _slim(run: Run) -> Run:
    """Return a run without its figures, of which thousands are kept in memory."""
    tags = [RunTag(key, value) for key, value in run.data.tags.items() if key in (SOURCE_TAG, STATE_TAG)]
    return Run(run.info, type(run.data)(tags=tags))
