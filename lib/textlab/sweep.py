"""A hyper-parameter study that survives anything: which points it tries, who works on which, and what came of it.

A point depends only on the settings of the study and on finished trials before it, never on timing: so a study that was
killed and started again, or spread over machines, tries the same points. A database (Optuna's) is the ledger that all
workers share; each trial is a run in MLflow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import signal
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pandas as pd
import sqlalchemy
import torch
from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.trial import FrozenTrial, TrialState
from transformers import TrainerCallback

from . import InputError, params, runtime, store, tracking
from .trainer import TrainingError
from .training import Recipe
from .trials import Workbench

#: Validations an epoch at which a trial may be given up.
LOOKS = 2
#: Seconds without a sign of life after which a worker on another machine counts as dead.
SILENCE = 90
#: What ends one trial and not the study.
FAILURES = (TrainingError, MemoryError, torch.OutOfMemoryError)
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_OWNER, _RUN, _REASON, _IDENTITY, _PARENT = "owner", "run_id", "reason", "identity", "parent_run_id"


# Points


@dataclasses.dataclass(frozen=True)
class Plan:
    """What decides the points of a study."""

    space: Mapping[str, Any]  # as `params.check_space` returns it
    sampler: str = "tpe"  # tpe (Bergstra et al. 2011), random, quasi_random (Sobol), grid
    pruner: str = "median"  # median, hyperband (Li et al. 2018), none
    parallel: int = 1  # trials that may run at once: a point knows of the trials before its group of so many
    seed: int = 42
    looks: int = 2  # of a whole trial, at which it may be given up

    def group(self, number: int) -> int:
        """Return the first trial of the group of a trial, whose points know of the same results."""
        return number // self.parallel * self.parallel


def suggest(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every setting of the space whose condition holds, drawn by the trial's sampler."""
    values: dict[str, Any] = {}
    for name, spec in space.items():
        choices = spec if isinstance(spec, list) else spec.get("choices")
        when = {} if isinstance(spec, list) else spec.get("when", {})
        if any(values.get(other) not in (wanted if isinstance(wanted, list) else [wanted]) for other, wanted in when.items()):
            continue
        if choices is not None:
            values[name] = trial.suggest_categorical(name, choices)
        elif isinstance(getattr(Recipe, name), int):
            values[name] = trial.suggest_int(name, int(spec["low"]), int(spec["high"]), step=spec.get("step", 1),
                                             log=spec.get("log", False))
        else:
            values[name] = trial.suggest_float(name, float(spec["low"]), float(spec["high"]), step=spec.get("step"),
                                               log=spec.get("log", False))
    return values


def points(space: Mapping[str, Any]) -> int | None:
    """Return how many different points a space has; None when they cannot be counted (continuous or conditional)."""
    total = 1
    for name, spec in space.items():
        if isinstance(spec, list):
            total *= len(spec)
        elif "when" in spec or (not isinstance(getattr(Recipe, name), int) and "step" not in spec):
            return None
        elif "choices" in spec:
            total *= len(spec["choices"])
        else:
            total *= int((spec["high"] - spec["low"]) / spec.get("step", 1) + 1e-9) + 1
    return total


def propose(plan: Plan, number: int, earlier: Sequence[FrozenTrial]) -> tuple[optuna.Trial, dict[str, Any]]:
    """Return the point of a trial, and a trial in memory that knows when to give up; the same arguments give the same.

    Args:
        plan: of the study.
        number: of the trial, counted from 0.
        earlier: the finished trials before its group (`Plan.group`), in order.
    """
    adaptive = plan.sampler == "tpe"
    first = plan.group(number) if adaptive else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=plan.seed + first, n_startup_trials=5, constant_liar=True),
            "random": lambda: optuna.samplers.RandomSampler(seed=plan.seed),
            "quasi_random": lambda: optuna.samplers.QMCSampler(seed=plan.seed, scramble=True, warn_independent_sampling=False),
            "grid": lambda: optuna.samplers.GridSampler(_grid(plan.space), seed=plan.seed),
        }[plan.sampler]()
        thinker = optuna.create_study(direction="maximize", sampler=sampler)
        thinker.add_trials(earlier if adaptive else [])
        tried = [trial.params for trial in earlier if adaptive]
        for _ in range(first, number + 1):
            for _ in range(50):  # a point that was tried already is drawn again, for as long as there may be others
                drawn = thinker.ask()
                point = suggest(drawn, plan.space)
                if point not in tried:
                    break
                thinker.tell(drawn, state=TrialState.FAIL)
            tried.append(point)
        judge = optuna.create_study(direction="maximize", study_name="judge", pruner={
            "median": optuna.pruners.MedianPruner(n_startup_trials=4),
            "hyperband": optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(plan.looks, 2)),
            "none": optuna.pruners.NopPruner()}[plan.pruner])
        judge.add_trials([trial for trial in earlier if trial.state != TrialState.FAIL])
        return judge.ask(), point


def _grid(space: Mapping[str, Any]) -> dict[str, list]:
    grid = {}
    for name, spec in space.items():
        if isinstance(spec, list) or "choices" in spec:
            grid[name] = spec if isinstance(spec, list) else spec["choices"]
        else:
            kind, step = type(getattr(Recipe, name)), spec.get("step", 1)
            count = int((spec["high"] - spec["low"]) / step + 1e-9) + 1
            grid[name] = [kind(spec["low"] + i * step) for i in range(count)]
    return grid


def on_edge(space: Mapping[str, Any], best: Mapping[str, Any], share: float = 0.1) -> list[str]:
    """Return a sentence for each setting whose best value lies at the edge of its range.

    Args:
        share: how close to a bound counts, as a share of the range (of its logarithm with `log`).
    """
    found = []
    for name, spec in space.items():
        if isinstance(spec, list) or "choices" in spec or pd.isna(best.get(name)):
            continue
        scale = math.log if spec.get("log") else float
        low, high, value = (scale(float(x)) for x in (spec["low"], spec["high"], best[name]))
        place = (value - low) / (high - low)
        if place <= share or place >= 1 - share:
            bound, direction = (spec["low"], "lower") if place <= share else (spec["high"], "higher")
            found.append(f"The best {name} ({float(best[name]):.3g}) lies at the edge of the range searched ({bound}): "
                         f"a {direction} value may be better still.")
    return found


@dataclasses.dataclass(frozen=True)
class Options:
    """The further settings of a sweep, parameter `sweep_options` of notebook 3."""

    sampler: str = "tpe"  # tpe, random, quasi_random or grid
    pruner: str = "median"  # gives up bad trials within their epochs: median, hyperband or none
    max_minutes: float | None = None  # no trial is begun after that
    confirm_top: int = 2  # how many of the best settings are trained again
    confirm_seeds: int = 2  # with so many fresh seeds each
    parallel: int = 1  # trials that may run at once
    storage: str = ""  # database; empty: studies.db in the outputs folder; postgresql://... for several machines
    trial_cpus: int | None = None  # CPU cores of one trial; None: all
    trial_gpus: float = 0.0  # GPUs of one trial on a Ray cluster


# The ledger


class Ledger:
    """A numbered list of jobs in a database, each waiting, in the hands of a living worker, or done.

    A job whose worker died waits again, with what it was given to do: at once when the worker was a process of this machine,
    else after some silence.

    Args:
        storage: an SQLite or PostgreSQL address.
        name: of the list.
        identity: what all workers on it must agree on.

    Raises:
        InputError: the database does not answer, or the list was begun with another identity.
    """

    def __init__(self, storage: str, name: str, identity: Mapping[str, Any]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        address = check_storage(storage)
        self._file = Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite") else None
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sqlalchemy.create_engine(address)
        self._key = zlib.crc32(name.encode())
        wanted = json.loads(json.dumps(identity, sort_keys=True, default=str))
        with warnings.catch_warnings(), store.one_line_errors(storage, "sweep_options: storage"), self._alone():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._storage = RDBStorage(address, heartbeat_interval=15, grace_period=SILENCE, engine_kwargs={
                "connect_args": {"timeout": 60}} if self._file else None)
            self.study = optuna.create_study(storage=self._storage, study_name=name, direction="maximize", load_if_exists=True,
                                             sampler=optuna.samplers.RandomSampler())
            known = self.study.user_attrs.get(_IDENTITY)
            if known is None:
                self.study.set_user_attr(_IDENTITY, wanted)
        if known is not None and known != wanted:
            changed = [f"{key} ({known.get(key)}, now {wanted.get(key)})" for key in known | wanted if known.get(key) != wanted.get(key)]
            raise InputError(f"study: {name!r} was begun with another {', '.join(changed)[:300]}; choose another name, or leave it empty")

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
        """Return the id of the MLflow run that belongs to the list, made by the first who asks."""
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
            self._storage.set_trial_user_attr(job._trial_id, _OWNER, store.owner())
            self._storage.set_trial_state_values(job._trial_id, TrialState.RUNNING)
            self._storage.record_heartbeat(job._trial_id)
        return optuna.Trial(self.study, job._trial_id)

    def _lost(self, job: FrozenTrial, silent: Sequence[int]) -> bool:
        return store.gone(job.user_attrs.get(_OWNER, "")) or job._trial_id in silent

    def alive(self, job: optuna.Trial):
        """Return a context that gives signs of life while the job is worked on."""
        return get_heartbeat_thread(job._trial_id, self._storage)

    def release(self, job: optuna.Trial) -> None:
        """Put a job back, to be begun again with what it was given."""
        self._storage.set_trial_state_values(job._trial_id, TrialState.WAITING)

    def look(self, job: optuna.Trial, step: int, value: float) -> None:
        """Note a value on the way."""
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
    if storage.startswith("sqlite:///"):
        return storage
    if re.match(r"postgres(ql)?(\+psycopg)?://", storage):
        return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", storage)
    raise InputError(f"sweep_options: storage: got {store.short(storage)!r}; accepted are sqlite:///FILE and postgresql://...")


# The study


class Sweep:
    """A study of a notebook's parameters: a first run, trials, repeats of the best over seeds, and the winner.

    Whatever part was done before, by this process or another, is not done again.

    Args:
        cfg: checked parameters of notebook 3; the tracking store has to be connected (`tracking.connect`).
        bench: what all its trainings share.

    Raises:
        InputError: the study's database cannot be used, or was begun with other settings.
    """

    def __init__(self, cfg: SimpleNamespace, bench: Workbench) -> None:
        self.cfg, self.bench, self.space = cfg, bench, dict(cfg.search_space)
        self.options = Options(**cfg.sweep_options)
        longest = self.space.get("epochs", bench.base.epochs)
        longest = max(longest if isinstance(longest, list) else [longest["high"]] if isinstance(longest, dict) else [longest])
        self.plan = Plan(self.space, self.options.sampler, self.options.pruner, self.options.parallel, cfg.seed, LOOKS * longest)
        identity = bench.about() | dataclasses.asdict(bench.base) | dataclasses.asdict(self.plan)
        identity["tracking"] = cfg.experiment
        self._identity = identity
        self.name = cfg.study or f"sweep-{_digest(identity)}"
        self.storage = self.options.storage or f"sqlite:///{runtime.outputs_root() / 'studies.db'}"
        if cfg.engine == "ray":
            for name, address in (("sweep_options: storage", self.storage), ("tracking_uri", cfg.tracking_uri or "sqlite://")):
                if address.startswith("sqlite"):
                    raise InputError(f"{name}: an SQLite file is for one machine; engine ray needs "
                                     + ("postgresql://..." if name != "tracking_uri" else "an MLflow server's address"))
        self.ledger = Ledger(self.storage, self.name, identity)
        self.parent = self.ledger.parent(self._make_parent)
        tracking.require_run(self.parent, self.name)
        self.n_trials = min(cfg.n_trials, points(self.space) or cfg.n_trials)
        self._line = runtime.ProgressLine()
        if self.options.trial_cpus:
            torch.set_num_threads(self.options.trial_cpus)

    def _make_parent(self) -> str:
        settings = {"engine": self.cfg.engine, "seed": self.cfg.seed, "sampler": self.plan.sampler, "pruner": self.plan.pruner,
                    "parallel": self.plan.parallel}
        return tracking.make_run(self.name, settings, {"search_space.json": self.space})

    # Stages

    def first(self) -> dict[str, Any]:
        """Train with the settings of the recipe and register; return run_id, version, guards and validation."""
        return self._single("baseline settings", "first", self.bench.base)

    def search(self) -> pd.DataFrame:
        """Run the trials, wherever the engine puts them, until all are done or the time is up; return `table`.

        Raises:
            TrainingError: not one trial could be trained.
        """
        deadline = time.monotonic() + 60 * self.options.max_minutes if self.options.max_minutes else math.inf
        with tracking.run(self.name, run_id=self.parent):
            if self.cfg.engine == "ray":
                from . import cluster
                cluster.run(self, deadline)
            else:
                self.work(deadline)
        table = self.table()
        self._line.show(self._summary(), final=True)
        if len(table) == self.n_trials and set(table["state"]) == {"FAIL"}:
            raise TrainingError(f"none of the {self.n_trials} trials of the sweep could be trained; search lower learning rates")
        return table

    def work(self, deadline: float = math.inf) -> None:
        """Take trials until all are done or the time is up, beside any other workers."""
        self._work(self.ledger, self.n_trials, self._trial, self.plan.group, deadline)

    def confirm(self) -> pd.DataFrame:
        """Repeat the best settings with fresh seeds and return what came of each, the winner first.

        The winner is, of the settings whose mean is within one standard error of the best mean, the one that varies least.

        Returns:
            One row a setting, indexed by trial: mean, sd, min, max, seeds, in_sweep (its score in the sweep), and its settings.
        """
        best = self.best(self.options.confirm_top)
        seeds = [self.cfg.seed + 1 + i for i in range(self.options.confirm_seeds)]
        jobs = [(trial, seed) for trial in best for seed in seeds]
        key = [[trial.number for trial in best], seeds]
        ledger = Ledger(self.storage, f"{self.name}/confirm-{_digest(key)}", {"trials and seeds": key})

        def repeat(job: optuna.Trial) -> float:
            trial, seed = jobs[job.number]
            return self._train(ledger, job, f"trial {trial.number + 1}, seed {seed}", "repeat", trial.params, seed)

        with tracking.run(self.name, run_id=self.parent):
            self._work(ledger, len(jobs), repeat)
        scores: dict[int, list[float]] = {trial.number: [] for trial in best}
        for (trial, _), job in zip(jobs, ledger.trials()):
            scores[trial.number] += [job.value] if job.state == TrialState.COMPLETE else []
        rows = {trial.number + 1: pd.Series(scores[trial.number] or [trial.value]).agg(["mean", "std", "min", "max"]).to_dict()
                | {"seeds": len(scores[trial.number]), "in_sweep": trial.value} | trial.params for trial in best}
        table = pd.DataFrame.from_dict(rows, orient="index").rename(columns={"std": "sd"}).rename_axis("trial")
        within = math.sqrt((table["sd"].fillna(0) ** 2).mean() / max(len(seeds), 1))
        close = table["mean"] >= table["mean"].max() - within
        order = table.assign(close=~close, spread=table["sd"].where(close, 0).fillna(0), low=-table["mean"])
        self._line.show(f"{len(jobs)} repeats of the best {len(best)} settings done", final=True)
        return table.loc[order.sort_values(["close", "spread", "low"], kind="stable").index]

    def final(self, trial: int) -> dict[str, Any]:
        """Train the winning trial's settings once more, score the model on test, register it.

        Args:
            trial: its number as tables show it, counted from 1.

        Returns:
            run_id, version, guards, and validation (scores).
        """
        won = self.ledger.trials()[trial - 1].params
        return self._single(f"winner, trial {trial}", "winner", dataclasses.replace(self.bench.base, **won))

    # What is known

    def table(self) -> pd.DataFrame:
        """Return the trials begun: state, value (validation macro F1), settings, looks, run_id, indexed by number from 1."""
        rows = [{"trial": t.number + 1, "state": t.state.name, "value": t.value if t.state == TrialState.COMPLETE else None,
                 "looks": len(t.intermediate_values), **t.params, _RUN: t.user_attrs.get(_RUN), _REASON: t.user_attrs.get(_REASON, "")}
                for t in self.ledger.trials()[:self.n_trials] if t.params]
        columns = ["trial", "state", "value", "looks", *self.space, _RUN, _REASON]
        return pd.DataFrame(rows, columns=columns).set_index("trial")

    def best(self, k: int) -> list[FrozenTrial]:
        """Return the k best completed trials."""
        done = [t for t in self.ledger.trials()[:self.n_trials] if t.state == TrialState.COMPLETE]
        return sorted(done, key=lambda t: (-t.value, t.number))[:k]

    def show(self, what: str = "") -> None:
        """Show a line of progress."""
        self._line.show(self._summary() + what)

    def _summary(self) -> str:
        states = [t.state for t in self.ledger.trials()[:self.n_trials]]
        done, pruned, failed = (sum(s in kinds for s in states) for kinds in (DONE, (TrialState.PRUNED,), (TrialState.FAIL,)))
        text = f"{done} of {self.n_trials} trials done, {pruned} pruned, {failed} failed"
        if best := self.best(1):
            text += f", best {best[0].value:.4f} (trial {best[0].number + 1})"
        return text

    # Work

    def _work(self, ledger: Ledger, n: int, do: Callable[[optuna.Trial], float], group: Callable[[int], int] = lambda number: 0,
              deadline: float = math.inf) -> None:
        while time.monotonic() < deadline:
            job = ledger.claim(n, group)
            if job is None:
                states = [t.state for t in ledger.trials()[:n]]
                if len(states) == n and all(state in DONE for state in states):
                    return
                self.show("; waiting for other workers")
                time.sleep(0.5)
                continue
            try:
                with ledger.alive(job), _ends_softly() as self._stop:
                    value = do(job)
                ledger.finish(job, TrialState.COMPLETE, value)
            except optuna.TrialPruned:
                ledger.finish(job, TrialState.PRUNED)
            except FAILURES as error:
                ledger.finish(job, TrialState.FAIL, **{_REASON: str(error).splitlines()[0]})
            except BaseException:
                ledger.release(job)
                raise

    def _trial(self, job: optuna.Trial) -> float:
        earlier = [t for t in self.ledger.trials()[:self.plan.group(job.number)] if t.state in DONE]
        thought, point = propose(self.plan, job.number, earlier)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            job.study.sampler = optuna.samplers.PartialFixedSampler(point, optuna.samplers.RandomSampler())
        settings = suggest(job, self.space)

        def judge(look: int, value: float) -> None:
            self.ledger.look(job, look, value)
            thought.report(value, look)
            if look < self.plan.looks and thought.should_prune():
                raise optuna.TrialPruned

        return self._train(self.ledger, job, f"trial {job.number + 1}", "trial", settings, self.cfg.seed, judge)

    def _train(self, ledger: Ledger, job: optuna.Trial, name: str, role: str, settings: Mapping[str, Any], seed: int,
               judge: Callable[[int, float], None] | None = None) -> float:
        """Do a job as a child run, or take over its result when a worker died between the run's end and the ledger's."""
        if found := tracking.outcome(self.parent, name):
            state, run_id, value, reason = found
            job.set_user_attr(_RUN, run_id)
            if state == "complete":
                return value
            raise optuna.TrialPruned if state == "pruned" else TrainingError(reason)
        recipe = dataclasses.replace(self.bench.base, **settings)
        watch = _Watch(self._stop, judge, LOOKS)
        tags = {tracking.STUDY_TAG: self.name, tracking.ROLE_TAG: role}
        with tracking.run(name, self.parent, tags, killed_by=(optuna.TrialPruned,)) as child:
            job.set_user_attr(_RUN, child.info.run_id)
            try:
                _, scores = self.bench.train(child, recipe, seed, [watch], f"{self._summary()}; {name}: ",
                                             LOOKS if judge else 1, self._line)
            except optuna.TrialPruned:
                tracking.set_tags(trial_state="pruned")
                raise
            except FAILURES as error:
                tracking.set_tags(trial_state="failed", trial_reason=str(error).splitlines()[0])
                raise
            tracking.set_tags(trial_state="complete")
        return scores["macro_f1"]

    def _single(self, name: str, role: str, recipe: Recipe) -> dict[str, Any]:
        """Do a training that ends in the registry, once for all workers."""
        ledger = Ledger(self.storage, f"{self.name}/{name}", self._identity)

        def register(job: optuna.Trial) -> float:
            tags = {tracking.STUDY_TAG: self.name, tracking.ROLE_TAG: role}
            with tracking.run(name, self.parent, tags) as child:
                fitted, scores = self.bench.train(child, recipe, self.cfg.seed, [_Watch(self._stop)], f"{name}: ", 1, self._line)
                version, guards = self.bench.register(fitted, scores)
            job.set_user_attr("result", {_RUN: child.info.run_id, "version": version, "guards": guards, "validation": scores})
            return scores["macro_f1"]

        with tracking.run(self.name, run_id=self.parent):
            self._work(ledger, 1, register)
        (job,) = ledger.trials()
        if job.state != TrialState.COMPLETE:
            raise TrainingError(job.user_attrs.get(_REASON, f"{name} failed"))
        self._line.show(f"{name}: trained and registered", final=True)
        return job.user_attrs["result"]


def join(values: Mapping[str, Any], seconds: float = math.inf) -> pd.DataFrame:
    """Work on a study's trials, beside any other workers, until all are done or the time is up; return its table.

    Args:
        values: parameters of notebook 3.
        seconds: after which no further trial is begun.
    """
    runtime.quiet()
    cfg = params.check("03_mlflow_tracking", dict(values))
    cfg.engine, cfg.search_space = "local", params.check_space(cfg.search_space, cfg.sweep_options.get("sampler", "tpe"))
    out = runtime.output_dir(cfg.output_dir, "03_mlflow_tracking")
    tracking.connect(cfg.tracking_uri, cfg.experiment)
    study = Sweep(cfg, Workbench(cfg, out))
    study.work(time.monotonic() + seconds)
    study.show()
    return study.table()


class _Watch(TrainerCallback):
    """Ends a training after the present step when asked to, and lets a judge look at each validation."""

    def __init__(self, stop: threading.Event, judge: Callable[[int, float], None] | None = None, looks: int = 1) -> None:
        self.stop, self.judge, self.looks = stop, judge, looks

    def on_step_end(self, args, state, control, **kwargs):
        if self.stop.is_set():
            raise KeyboardInterrupt

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if self.judge:
            self.judge(max(1, round(state.epoch * self.looks)), metrics["eval_macro_f1"])


@contextmanager
def _ends_softly() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    usual = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)
    if stop.is_set():
        raise KeyboardInterrupt


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
