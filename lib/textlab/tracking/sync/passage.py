"""What all carriers of one passage share: the clients, the copies, the counts, and how a copy stays the only one."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ...errors import first_line, show
from .. import store
from .artifacts import Artifacts
from .source import Rows, Source

Copy = TypeVar("Copy")

#: What a store says of a run that it does not have; the second one where it could not have one of such an id.
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass
class Passage:
    """One passage from a store to another.

    Args:
        origin: the store that runs come from.
        target: client of the other.
        copies: id of a run or model in the source -> id of its copy in the target.
        owned: ids of runs in the source that are copies of the target's own.
        dropped: ids of runs in the source whose copies were deleted in the target.
        done: what was carried -> how many.
        left: what was left behind, or left as the target has it -> how many.
        failed: what could not be carried -> why.
    """

    origin: Source
    target: MlflowClient
    copies: dict[str, str] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> MlflowClient:
        """The client of the store that runs come from."""
        return self.origin.client

    def run(self, run_id: str) -> Run | None:
        """Return a run of the source, also one in its trash; None when it is gone."""
        try:
            return self.source.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in _GONE:
                raise
            return None

    def wanted(self, run_id: str) -> Run | None:
        """Return a run of the source that is to have a copy; None when it was deleted, here or in the target."""
        run = self.run(run_id)
        return run if run and run.info.lifecycle_stage == "active" and run_id not in self.dropped else None

    def has_failed(self, run_id: str) -> bool:
        """Tell whether a run, or some of its files, could not be carried."""
        return any(run_id in what for what in self.failed)

    def why_left(self, run_id: str | None) -> str:
        """Return why what a run has made is left behind, where the run has no copy.

        Args:
            run_id: in the source; empty or None when there is no such run.
        """
        if not run_id:
            return "no run has made them"
        try:
            lives = self.has_failed(run_id) or self.wanted(run_id)
        except Exception as error:  # whatever it is, it stops nothing that can be carried
            if store.unanswered(error):
                raise
            return "their run cannot be read"
        return "their run was not carried" if lives else "their run was deleted"

    def attempt(self, what: str, carry: Callable[..., None], *arguments: Any) -> None:
        """Carry something; if that fails, remember why and go on with the rest, unless a store does not answer."""
        try:
            carry(*arguments)
        except Exception as error:  # a store may hold whatever it likes, and MLflow raises whatever that leads to
            if store.unanswered(error):
                raise
            self.failed[what] = store.short(first_line(error))

    def listed(self, what: str, search: Callable, *arguments: Any, rows: Rows) -> list[Any]:
        """Return everything that a search of the source returns; see `Source.listed`."""
        return self.origin.listed(what, search, *arguments, rows=rows, attempt=self.attempt)

    def listing(self, owner: str, address: str | None) -> dict[str, tuple[int, str]]:
        """Return the listing of artifacts in the source; those that cannot be read are named, and none is returned.

        Args:
            owner: whose artifacts they are.
            address: of them.
        """
        try:
            return Artifacts(self.source, address, self.origin).listing()
        except Exception as error:  # no client for that cloud, no right: each cloud raises errors of its own
            if store.unanswered(error):
                raise
            self.failed[f"files of {owner}"] = store.short(first_line(error))
            return {}

    def carry_files(self, owner: str, listing: Mapping[str, tuple[int, str]], address: str, there: str) -> None:
        """Send the files that a copy lacks or has with another content; those that cannot be sent are named.

        Args:
            owner: whose files they are.
            listing: of them, as `listing` returned it.
            address, there: of the artifacts in the source and in the target.
        """
        if not listing:
            return
        try:
            sent, lost = Artifacts(self.source, address, self.origin).carry(Artifacts(self.target, there), listing)
        except Exception as error:
            if store.unanswered(error):
                raise
            self.failed[f"files of {owner}"] = store.short(first_line(error))
            return
        self.done["files"] += sent
        if lost:
            names = ", ".join(map(show, lost[:3])) + (" ..." if lost[3:] else "")
            self.failed[f"{len(lost)} files of {owner}"] = f"the target cannot hold their names: {names}"


def origin_of(tags: Mapping[str, str], own: str) -> str:
    """Return the id of what something is a copy of, through all stores that it came through; an original's own id."""
    return tags.get(store.SOURCE_TAG, own)


def one_copy(
    search: Callable[[], Sequence[Copy]],
    rank: Callable[[Copy], Any],
    delete: Callable[[Copy], None],
    create: Callable[[], None] | None = None,
) -> Copy | None:
    """Return the only copy of something: copies that other syncs have made too are deleted, and a missing one is made.

    Args:
        search: returns the copies that the target holds now.
        rank: a sort key; all syncs keep the copy with the smallest one.
        delete: deletes a copy.
        create: makes the copy; without it, a missing one stays missing.

    Raises:
        MlflowException: another sync has deleted the copy that was just made.
    """
    copies = search()
    if not copies and create:
        create()
        copies = search()
        if not copies:
            raise MlflowException("another sync is at work on the same copy")
    kept, *others = sorted(copies, key=rank) or [None]
    for other in others:
        delete(other)
    return kept


def undisturbed(carry: Callable[[], None], forget: Callable[[], Any] = lambda: None) -> None:
    """Carry something; if another sync disturbs it, begin again from what is there then, five times at most.

    Args:
        carry: does it.
        forget: called before each new beginning.
    """
    for attempt in range(5):
        try:
            return carry()
        except (MlflowException, OSError) as error:
            if attempt == 4 or "Connection refused" in str(error):
                raise
            forget()
            time.sleep(random.uniform(0.1, 0.5) * (attempt + 1))
