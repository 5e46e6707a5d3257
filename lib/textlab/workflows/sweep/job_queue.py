"""A numbered queue of jobs in a database that all workers share, and that no kill can bring out of order."""

from __future__ import annotations

import json
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.trial import FrozenTrial, TrialState

from ...errors import InputError, show
from ...machine import processes
from ...tracking import store

#: Seconds without a sign of life after which a worker on another machine counts as dead.
SILENCE = 90
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_OWNER, _IDENTITY, _PARENT = "owner", "identity", "parent_run_id"


class JobQueue:
    """A numbered queue of jobs in a database: each waits, is worked on by a living worker, or is done.

    A job whose worker died waits again, with the same point. That happens at once when the worker was a process of this
    machine, else after `SILENCE`.

    Args:
        storage: an SQLite or PostgreSQL address.
        name: of the queue.
        identity: what all workers on it must agree on.

    Raises:
        InputError: the database does not answer, or the queue was begun with another identity.
    """

    def __init__(self, storage: str, name: str, identity: Mapping[str, Any]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        address = check_storage(storage)
        self._file = store.file_of(address)
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sqlalchemy.create_engine(address)
        self._key = zlib.crc32(name.encode())
        wanted = json.loads(json.dumps(identity, sort_keys=True, default=str))
        with warnings.catch_warnings(), store.one_line_errors(storage, "sweep_options: storage"), self._alone():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._storage = RDBStorage(
                address,
                heartbeat_interval=15,
                grace_period=SILENCE,
                engine_kwargs={"connect_args": {"timeout": 60}} if self._file else None,
            )
            self.study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(),
            )
            known = self.study.user_attrs.get(_IDENTITY)
            if known is None:
                self.study.set_user_attr(_IDENTITY, wanted)
        if known is not None and known != wanted:
            changed = [
                f"{key} ({known.get(key)}, now {wanted.get(key)})"
                for key in known | wanted
                if known.get(key) != wanted.get(key)
            ]
            raise InputError(
                f"study: {name!r} was begun with another {', '.join(changed)[:300]}; "
                "choose another name, or leave it empty"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other workers out while something is read and changed in one go; a dead worker keeps nobody out."""
        if self._file:
            with FileLock(f"{self._file}.lock", timeout=300):
                yield
            return
        with self._engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": self._key})
            yield

    def parent(self, make: Callable[[], str]) -> str:
        """Return the id of the MLflow run that belongs to the queue, made by the first who asks."""
        with self._alone():
            if _PARENT not in self.study.user_attrs:
                self.study.set_user_attr(_PARENT, make())
            return self.study.user_attrs[_PARENT]

    def trials(self) -> list[FrozenTrial]:
        """Return all jobs in order."""
        return self.study.get_trials(deepcopy=False)

    def claim(self, n: int, group: Callable[[int], int] = lambda number: 0) -> optuna.Trial | None:
        """Return a job that is now this worker's, or None when none of the first n can be begun at present.

        Args:
            n: how many jobs there are.
            group: number of a job -> number of the first one in its group; groups are done one after another.
        """
        with self._alone():
            jobs = self.trials()[:n]
            silent = self._storage._get_stale_trial_ids(self.study._study_id)
            for job in jobs:
                if job.state == TrialState.RUNNING and self._lost(job, silent):
                    self._storage.set_trial_state_values(job._trial_id, TrialState.WAITING)
            if len(jobs) < n:
                self.study.enqueue_trial({})
            jobs = self.trials()[:n]
            open_before = next((job.number for job in jobs if job.state not in DONE), n)
            job = next((job for job in jobs if job.state == TrialState.WAITING), None)
            if job is None or group(job.number) > open_before:
                return None
            self._storage.set_trial_user_attr(job._trial_id, _OWNER, processes.owner())
            self._storage.set_trial_state_values(job._trial_id, TrialState.RUNNING)
            self._storage.record_heartbeat(job._trial_id)
        return optuna.Trial(self.study, job._trial_id)

    def _lost(self, job: FrozenTrial, silent: Sequence[int]) -> bool:
        return processes.gone(job.user_attrs.get(_OWNER, "")) or job._trial_id in silent

    def heartbeat(self, job: optuna.Trial):
        """Return a context that gives signs of life while the job is worked on."""
        return get_heartbeat_thread(job._trial_id, self._storage)

    def release(self, job: optuna.Trial) -> None:
        """Put a job back, to be begun again with what it was given."""
        self._storage.set_trial_state_values(job._trial_id, TrialState.WAITING)

    def set_point(self, job: optuna.Trial, point: optuna.Trial) -> None:
        """Note the settings that a job is done with; one that is begun again has them already."""
        for name, distribution in point.distributions.items():
            if name not in job.params:
                value = distribution.to_internal_repr(point.params[name])
                self._storage.set_trial_param(job._trial_id, name, value, distribution)

    def report(self, job: optuna.Trial, step: int, value: float) -> None:
        """Note an intermediate value."""
        self._storage.set_trial_intermediate_value(job._trial_id, step, value)

    def finish(self, job: optuna.Trial, state: TrialState, value: float | None = None, **attributes: Any) -> None:
        """Note how a job ended."""
        for name, content in attributes.items():
            self._storage.set_trial_user_attr(job._trial_id, name, content)
        self.study.tell(job.number, value, state, skip_if_finished=True)


def check_storage(storage: str) -> str:
    """Return the address of a study's database as SQLAlchemy takes it.

    Raises:
        InputError: it is of a kind that several workers cannot share safely.
    """
    if file := store.file_of(storage):
        return store.sqlite_uri(file)
    if not re.match(r"postgres(ql)?(\+psycopg)?://", storage):
        raise InputError(
            f"sweep_options: storage: got {show(storage)}; accepted are sqlite:///FILE and postgresql://..."
        )
    return store.parsed(storage).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
