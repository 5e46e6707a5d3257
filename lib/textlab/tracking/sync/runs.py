"""Runs of whole experiments: parents come first, and runs that have not changed since the last passage are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from mlflow.entities import Experiment, LoggedModel, Run

from ...errors import InputError
from .digest import STATE_TAG, state_of
from .models import ModelCarrier, models_by_run
from .models import label as model_label
from .passage import Passage, undisturbed
from .place import Place, run_origin
from .run_pair import PARENT_TAG, RunPair, label
from .source import Rows


class RunCarrier:
    """Carries the runs of experiments, with the models that they logged; `Passage.copies` says which copy is whose.

    Args:
        passage: that this is part of.
    """

    def __init__(self, passage: Passage) -> None:
        self._passage, self._source, self._target = passage, passage.source, passage.target
        self._models = ModelCarrier(passage)
        self._places: dict[str, Place] = {}  # by experiment id in the source
        self._unfinished: list[Run] = []  # they refer to a run or model that has no copy yet

    def carry_all(self, experiment: Experiment) -> None:
        """Carry the runs of an experiment; one without runs is left out."""
        query = "SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active' ORDER BY start_time"
        rows = Rows(query, self._source.get_run, [experiment.experiment_id])
        search = partial(self._source.search_runs, order_by=["attributes.start_time ASC"])
        runs = self._passage.listed("run", search, [experiment.experiment_id], rows=rows)
        here, run_ids = experiment.experiment_id, {run.info.run_id for run in runs}
        models = self._place(here).models if runs else models_by_run(self._passage, here)
        for run_id in [run_id for run_id in models if run_id not in run_ids]:
            self._passage.left[f"models left behind, since {self._passage.why_left(run_id)}"] += len(models[run_id])
        if not runs:
            return
        self._unfinished = []
        for run in runs:
            if run.info.run_id not in self._passage.copies:
                self._attempt(run)
        for run in list(self._unfinished):  # by now the others have copies
            self._attempt(run)
        del self._places[here]

    def _attempt(self, run: Run) -> None:
        self._passage.attempt(label(run), self._carry_family, run)

    def _place(self, experiment_id: str) -> Place:
        if experiment_id not in self._places:
            self._places[experiment_id] = Place(self._passage, experiment_id)
        return self._places[experiment_id]

    def _carry_family(self, run: Run, children: frozenset[str] = frozenset()) -> None:
        """Carry a run, its parent first, which may be in another experiment and must not be one of its children."""
        parent, family = run.data.tags.get(PARENT_TAG), children | {run.info.run_id}
        if parent and parent not in self._passage.copies and parent not in family:
            if parent_run := self._passage.wanted(parent):
                self._carry_family(parent_run, family)
        place = self._place(run.info.experiment_id)
        undisturbed(lambda: self._carry(run, place), lambda: place.forget(run))

    def _carry(self, run: Run, place: Place) -> None:
        if not all(isinstance(moment, int | None) for moment in (run.info.start_time, run.info.end_time)):
            raise InputError("its times are no numbers")
        copy = place.claim(run)
        if copy is None:
            self._passage.dropped.add(run.info.run_id)
            return
        self._passage.copies[run.info.run_id] = copy.info.run_id
        if copy.info.run_id == run_origin(run):  # the source has a copy of the target's own run
            self._passage.owned.add(run.info.run_id)
            return
        models = place.models.get(run.info.run_id, [])
        listings = [self._passage.listing(label(run), run.info.artifact_uri)]
        listings += [self._passage.listing(model_label(model), model.artifact_location) for model in models]
        if run.info.status != "RUNNING" and copy.data.tags.get(STATE_TAG) == state_of(run, models, listings):
            self._models.recall(models, copy)
        else:
            self._complete(run.info.run_id, copy.info.run_id, models, listings)

    def _complete(
        self, run_id: str, copy_id: str, models: Sequence[LoggedModel], listings: Sequence[Mapping[str, tuple]]
    ) -> None:
        """Carry what the copy of a run lacks, and then tag the copy with the digest of it all."""
        run, copy = self._source.get_run(run_id), self._target.get_run(copy_id)  # a search leaves model inputs out
        pair = RunPair(self._passage, run, copy)
        pair.log()
        pair.carry_files(listings[0])
        for model, listing in zip(models, listings[1:], strict=True):
            self._models.carry(model, copy, listing)
        pair.link()
        pair.end()
        if pair.is_unfinished(models):
            self._unfinished.append(run)
        elif self._passage.has_failed(run_id):
            return  # some of its files: the next sync tries again
        elif copy.data.tags.get(STATE_TAG) != (state := state_of(run, models, listings)):
            self._target.set_tag(copy_id, STATE_TAG, state)
            self._passage.done["runs"] += 1
            reason = "since the run that measured them was deleted"
            self._passage.left[f"points of models left behind, {reason}"] += pair.lost_points(models)
