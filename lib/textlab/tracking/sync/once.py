"""One passage from a store to another, and the sentence that says what it carried."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import IncompleteError
from .. import local_store, stale_runs, store
from .passage import Passage
from .runs import RunCarrier
from .source import Rows, open_source
from .versions import VersionCarrier


def carry(source: str, target: str, experiment: str = "", scratch: Path | None = None) -> str:
    """Carry what the target does not have yet, once, and return in one sentence what that was.

    Args:
        source, target: addresses of the stores.
        experiment: the only one to carry; empty means all.
        scratch: folder for a copy of the source; a sync that watches uses the same one again.

    Raises:
        InputError: a store or the experiment is not there, or does not answer.
        IncompleteError: something could not be carried.
    """
    if scratch is None:
        with TemporaryDirectory(prefix="store-") as folder:
            return carry(source, target, experiment, Path(folder))
    store.quieten()
    origin = open_source(source, scratch)
    passage = Passage(origin, store.open_client(target), failed=dict(origin.failed))
    if file := store.file_of(target):
        local_store.analyse(file)
    rows = Rows("SELECT experiment_id FROM experiments WHERE lifecycle_stage = 'active'", origin.client.get_experiment)
    experiments = passage.listed("experiment", origin.client.search_experiments, rows=rows)
    only = store.use_experiment(origin.client, experiment, create=False) if experiment else ""
    runs = RunCarrier(passage)
    for one in experiments:
        if only in ("", one.experiment_id):
            if origin.copy:
                label = f"open runs of experiment {one.name}"
                passage.attempt(label, stale_runs.close_stale, origin.client, [one.experiment_id])
            passage.attempt(f"experiment {one.name}", runs.carry_all, one)
    passage.attempt("registered models", VersionCarrier(passage).carry_all, only)
    return _summary(passage, target)


def _summary(passage: Passage, target: str) -> str:
    left = [f"{number} {what}" for what, number in passage.left.items() if number]
    if failed := [f"{what}: {why}" for what, why in passage.failed.items()]:
        reasons = "; ".join(failed[:3]) + (" ..." if failed[3:] else "")
        also = f"; {', '.join(left)}" if left else ""
        raise IncompleteError(f"{len(failed)} could not be carried, all else was: {reasons}{also}")
    done = [f"{number} {what}" for what, number in passage.done.items() if number]
    return f"carried to {store.short(target)}: {', '.join(done + left) or 'nothing, all was there'}"
