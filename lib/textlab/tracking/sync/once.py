"""One passage from a store to another, and the sentence that says what it carried."""

from __future__ import annotations

from ...errors import InputError
from .. import local_store, stale_runs, store
from .passage import Passage
from .runs import RunCarrier
from .versions import VersionCarrier


def carry(source: str, target: str, experiment: str = "") -> str:
    """Carry what the target does not have yet, once, and return in one sentence what that was.

    Args:
        source, target: addresses of the stores.
        experiment: the only one to carry; empty means all.

    Raises:
        InputError: a store or the experiment is not there, or does not answer; or something could not be carried.
    """
    passage = Passage(store.open_client(source, create=False), store.open_client(target))
    for file in filter(None, map(store.file_of, (source, target))):
        local_store.analyse(file)
    if store.file_of(source):
        experiments = store.paged(passage.source.search_experiments)
        stale_runs.close_stale(passage.source, [one.experiment_id for one in experiments])
    if experiment:
        store.use_experiment(passage.source, experiment, create=False)
    runs = RunCarrier(passage)
    for one in list(store.paged(passage.source.search_experiments)):
        if experiment in ("", one.name):
            passage.attempt(f"experiment {one.name}", runs.carry_all, one)
    VersionCarrier(passage).carry_all()
    return _summary(passage, target)


def _summary(passage: Passage, target: str) -> str:
    if failed := [f"{what}: {why}" for what, why in passage.failed.items()]:
        reasons = "; ".join(failed[:3]) + (" ..." if failed[3:] else "")
        raise InputError(f"{len(failed)} could not be carried, all else was: {reasons}")
    counts = ", ".join(f"{number} {what}" for what, number in passage.done.items() if number)
    return f"carried to {store.short(target)}: {counts or 'nothing, all was there'}"
