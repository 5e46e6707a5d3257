"""What all carriers of one passage share: the clients, the copies, the counts, and how a copy stays the only one."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ...errors import InputError, first_line
from .. import store

Copy = TypeVar("Copy")


@dataclass
class Passage:
    """One passage from a store to another.

    Args:
        source, target: clients of the two stores.
        copies: id of a run or model in the source -> id of its copy in the target.
        owned: ids of runs in the source that are copies of the target's own.
        done: what was carried or left behind -> how many.
        failed: what could not be carried -> why.
    """

    source: MlflowClient
    target: MlflowClient
    copies: dict[str, str] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def attempt(self, what: str, carry: Callable[..., None], *arguments: Any) -> None:
        """Carry something; if that fails, remember why and go on with the rest, unless a store does not answer."""
        try:
            carry(*arguments)
        except (InputError, MlflowException, OSError) as error:
            if store.unanswered(error):
                raise
            self.failed[what] = store.short(first_line(error))


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
