"""A hyper-parameter study that survives anything: a first run, trials, repeats of the best over seeds, and its pick.

Its points depend only on its settings and on finished trials (`suggest`). All its workers share a queue in a database
(`job_queue`). So a study that was killed and started again, or spread over machines, tries the same points. Each trial
is a run in MLflow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pandas as pd
import torch
from optuna.trial import FrozenTrial, TrialState
from transformers import TrainerCallback

from ... import evaluation, machine, tracking
from ...errors import InputError, TrainingError, first_line
from ...machine import environment, processes
from ...settings import SweepOptions, parameters
from ...tracking import store
from ...training import Progress
from ..tracked_training import Workbench
from . import ray_workers
from .job_queue import DONE, JobQueue
from .suggest import REPORTS, WHOLE, Suggester, count, default_point

#: What ends one trial and not the study.
FAILURES = (TrainingError, MemoryError, torch.OutOfMemoryError)
_RUN, _REASON, _RESULT = "run_id", "reason", "result"


class Sweep:
    """A study of a notebook's parameters: a first run, trials, repeats of the best over seeds, and its pick of them.

    Whatever part was done before, by this process or another, is not done again.

    Args:
        cfg: checked parameters of notebook 3; the tracking store has to be connected (`tracking.connect`).
        bench: what all its trainings share.

    Raises:
        InputError: the study's database cannot be used, or was begun with other settings.
    """

    def __init__(self, cfg: SimpleNamespace, bench: Workbench) -> None:
        self.cfg, self.bench, self.space = cfg, bench, dict(cfg.search_space)
        self.options = SweepOptions(**cfg.sweep_options)
        bench.check(self.space)
        self.suggester = Suggester(self.space, self.options, cfg.seed, default_point(vars(bench.base), self.space))
        self._trials = bench.smaller(self.options.trial_rows, self.options.trial_texts)
        identity = bench.about() | dataclasses.asdict(bench.base) | self.suggester.identity()
        identity |= {"trials": [self._trials.about()["train_rows"], dataclasses.asdict(self._trials.base)]}
        self._identity = identity | {
            "tracking": cfg.experiment,
            "registered_model": cfg.registered_model,
            "strict": cfg.strict,
        }
        self.name = cfg.study or f"sweep-{_digest(self._identity)}"
        self.storage = self.options.storage or store.sqlite_uri(machine.outputs_root() / "studies.db")
        if cfg.engine == "ray":
            self._check_addresses()
        self.queue = JobQueue(self.storage, self.name, self._identity)
        self.parent = self.queue.parent(self._make_parent)
        tracking.require_run(self.parent, self.name)
        self.n_trials = min(cfg.n_trials, count(self.space) or cfg.n_trials)
        self._line = machine.ProgressLine()
        if self.options.trial_cpus:
            torch.set_num_threads(self.options.trial_cpus)

    def _check_addresses(self) -> None:
        """Refuse stores that several machines cannot share."""
        addresses = {
            "sweep_options: storage": (self.storage, "postgresql://..."),
            "tracking_uri": (self.cfg.tracking_uri or "sqlite://", "an MLflow server's address"),
        }
        for name, (address, accepted) in addresses.items():
            if address.startswith("sqlite"):
                raise InputError(f"{name}: an SQLite file is for one machine; engine ray needs {accepted}")

    def _make_parent(self) -> str:
        values = {"engine": self.cfg.engine} | self.suggester.identity()
        return tracking.make_run(self.name, values, {"search_space.json": values.pop("space")})

    # Stages

    def first(self, earlier: Path | None = None) -> dict[str, Any]:
        """Train with the default settings, those of the recipe, and register; return what `final` does.

        Args:
            earlier: folder of notebook 2; if its training is exactly this one, that is recorded and not done again.
        """
        return self._single("default settings", "first", {}, earlier)

    def search(self) -> pd.DataFrame:
        """Run the trials, wherever the engine puts them, until all are done or the time is up; return `table`.

        Raises:
            TrainingError: not one trial was trained to its end.
        """
        deadline = time.monotonic() + 60 * self.options.max_minutes if self.options.max_minutes else math.inf
        with tracking.run(self.name, run_id=self.parent):
            if self.cfg.engine == "ray":
                ray_workers.run(self, _join_until, deadline)
            else:
                self.work(deadline)
        table = self.table()
        self._line.show(self._summary(), final=True)
        if not self.best(1):
            raise TrainingError(
                f"none of the {len(table)} trials of the sweep came to its end; "
                "search lower learning rates, or give it more time"
            )
        return table

    def work(self, deadline: float = math.inf) -> None:
        """Take trials until all are done or the time is up, beside any other workers."""
        self._work(self.queue, self.n_trials, self._trial, self.suggester.group, deadline)

    def confirm(self) -> pd.DataFrame:
        """Repeat the best settings, and the default ones, with fresh seeds; return what came of each, the pick first.

        With folds, each seed is scored on another fold. The settings that are compared have the same ones.
        Of the settings whose mean is within one standard error of the best mean, the sweep picks the default ones, or
        else the one that varies least; settings of which fewer repeats diverged come first.

        Returns:
            One row a setting, indexed by trial: mean, sd, min, max, seeds, in_sweep (its score in the sweep), settings.
        """
        top, default = self.options.confirm_top, self.suggester.default
        best = [t for i, t in enumerate(self.best(self.n_trials)) if i < top or t.params == default]
        seeds = [self.cfg.seed + 1 + i for i in range(self.options.confirm_seeds)]
        jobs = [(trial, seed) for trial in best for seed in seeds]
        key = [[trial.number for trial in best], seeds]
        queue = JobQueue(self.storage, f"{self.name}/confirm-{_digest(key)}", {"trials and seeds": key})

        def repeat(job: optuna.Trial) -> float:
            trial, seed = jobs[job.number]
            name, bench = f"trial {trial.number + 1}, seed {seed}", self._trials.turned(seed - self.cfg.seed)
            return self._train(job, name, "repeat", trial.params, seed, bench)

        with tracking.run(self.name, run_id=self.parent):
            self._work(queue, len(jobs), repeat)
        scores: dict[int, list[float]] = {trial.number: [] for trial in best}
        for (trial, _), job in zip(jobs, queue.trials()):
            scores[trial.number] += [job.value] if job.state == TrialState.COMPLETE else []
        rows = {}
        for trial in best:
            repeats = [{"score": score} for score in scores[trial.number] or [trial.value]]
            spread = evaluation.over_seeds(repeats, ["score"]).loc["score"].to_dict()
            known = {"seeds": len(scores[trial.number]), "in_sweep": trial.value}
            rows[trial.number + 1] = spread | known | trial.params
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")
        lost = len(seeds) - table["seeds"]  # repeats that diverged
        within = math.sqrt((table["sd"] ** 2).mean() / max(len(seeds), 1))
        close = table["mean"] >= table.loc[lost == lost.min(), "mean"].max() - within
        other = pd.Series([trial.params != default for trial in best], table.index) & close
        spread = table["sd"].where(close, 0).fillna(0)
        order = table.assign(lost=lost, far=~close, other=other, spread=spread, low=-table["mean"])
        self._line.show(f"repeats of the best settings ({len(best)}) done: {len(jobs)}", final=True)
        return table.loc[order.sort_values(["lost", "far", "other", "spread", "low"], kind="stable").index]

    def final(self, trial: int) -> dict[str, Any]:
        """Train the settings of the sweep's pick once more, on all rows and with all epochs, score on test, register.

        A pick that is the default settings was trained so by `first`, and is not trained again.

        Args:
            trial: its number as tables show it, counted from 1.

        Returns:
            run_id, version, guards, validation (scores), weights_sha256, taken_over (whether notebook 2 trained it).
        """
        picked = self.queue.trials()[trial - 1].params
        is_default = picked == self.suggester.default
        result = self.first() if is_default else self._single(f"the sweep's pick, trial {trial}", "winner", picked)
        tracking.mark_pick(result[_RUN])
        return result

    # What is known

    def pruning(self) -> str:
        """Return in words when and on what a trial is pruned."""
        return self.suggester.pruning(*self._trials.looked_at)

    def table(self) -> pd.DataFrame:
        """Return the trials begun, indexed by number from 1.

        Returns:
            Columns state, value (validation macro F1), trained (share), the settings, run_id, reason.
        """
        rows = []
        for t in [trial for trial in self.queue.trials()[: self.n_trials] if trial.params]:
            done = t.state == TrialState.COMPLETE
            rows.append(
                {
                    "trial": t.number + 1,
                    "state": t.state.name,
                    "value": t.value if done else None,
                    "trained": 1.0 if done else max(t.intermediate_values, default=0) / WHOLE,
                    **t.params,
                    _RUN: t.user_attrs.get(_RUN),
                    _REASON: t.user_attrs.get(_REASON, ""),
                }
            )
        columns = ["trial", "state", "value", "trained", *self.space, _RUN, _REASON]
        return pd.DataFrame(rows, columns=columns).set_index("trial")

    def best(self, k: int) -> list[FrozenTrial]:
        """Return the best completed trials of the k best settings."""
        done = [t for t in self.queue.trials()[: self.n_trials] if t.state == TrialState.COMPLETE]
        ranked = sorted(done, key=lambda t: (-t.value, t.number))
        return [t for i, t in enumerate(ranked) if t.params not in [better.params for better in ranked[:i]]][:k]

    def show(self, what: str = "") -> None:
        """Show a line of progress."""
        self._line.show(self._summary() + what)

    def _summary(self) -> str:
        states = [t.state for t in self.queue.trials()[: self.n_trials]]
        done, pruned, failed = (
            sum(s in kinds for s in states) for kinds in (DONE, (TrialState.PRUNED,), (TrialState.FAIL,))
        )
        text = f"{done} of {self.n_trials} trials done, {pruned} pruned, {failed} failed"
        if best := self.best(1):
            text += f", best {best[0].value:.4f} (trial {best[0].number + 1})"
        return text

    # Work

    def _work(
        self,
        queue: JobQueue,
        n: int,
        do: Callable[[optuna.Trial], float],
        group: Callable[[int], int] = lambda number: 0,
        deadline: float = math.inf,
    ) -> None:
        with processes.ends_softly() as self._stop:
            while time.monotonic() < deadline and not self._stop.is_set():
                job = queue.claim(n, group)
                if job is None:
                    states = [t.state for t in queue.trials()[:n]]
                    if len(states) == n and all(state in DONE for state in states):
                        return
                    self.show("; waiting for other workers")
                    time.sleep(0.5)
                    continue
                try:
                    with queue.heartbeat(job):
                        value = do(job)
                    queue.finish(job, TrialState.COMPLETE, value)
                except optuna.TrialPruned:
                    queue.finish(job, TrialState.PRUNED)
                except FAILURES as error:
                    queue.finish(job, TrialState.FAIL, **{_REASON: first_line(error)})
                except BaseException:
                    queue.release(job)
                    raise

    def _trial(self, job: optuna.Trial) -> float:
        earlier = [t for t in self.queue.trials()[: self.suggester.group(job.number)] if t.state in DONE]
        point = self.suggester.point(job.number, earlier)
        self.queue.set_point(job, point)
        reporter = self.suggester.reporter(earlier)

        def report(step: int, value: float) -> None:
            self.queue.report(job, step, value)
            reporter.report(value, step)
            if reporter.should_prune():
                tracking.log_scores("train", {"share": step / WHOLE})
                raise optuna.TrialPruned

        return self._train(job, f"trial {job.number + 1}", "trial", point.params, self.cfg.seed, self._trials, report)

    def _train(
        self,
        job: optuna.Trial,
        name: str,
        role: str,
        values: Mapping[str, Any],
        seed: int,
        bench: Workbench,
        report: Callable[[int, float], None] | None = None,
        register: bool = False,
        earlier: Path | None = None,
    ) -> float:
        """Do a job as a child run, or take over its result when a worker died between the run's end and the queue's."""
        if ended := tracking.outcome(self.parent, name):
            state, run_id, value, reason = ended
            job.set_user_attr(_RUN, run_id)
            if state == "complete":
                return value
            raise optuna.TrialPruned if state == "pruned" else TrainingError(reason)
        if lost := job.user_attrs.get(_RUN):  # of a worker that died, perhaps on another machine
            tracking.close_lost(lost)
        # A trial has no validation after each epoch, and a repeat is scored on what would choose one.
        kept = {} if register else {"keep": "last"}
        recipe = dataclasses.replace(bench.base, **values, **kept)
        label = f"{self._summary()}; {name}" if report else name
        callbacks = [Progress(label, line=self._line), _Watch(self._stop, report)]
        validate_at = [step / WHOLE for step in REPORTS] if report else ()
        tags = {tracking.STUDY_TAG: self.name, tracking.ROLE_TAG: role}
        tags |= {tracking.POINT_TAG: "default"} if role == "trial" and values == self.suggester.default else {}
        with tracking.run(name, self.parent, tags, killed_by=(optuna.TrialPruned,)) as child:
            job.set_user_attr(_RUN, child.info.run_id)
            try:
                taken = bench.take_over(child.info.run_id, earlier) if earlier else None
                args = child.info.run_id, recipe, seed, callbacks, validate_at, register
                trained = taken or bench.train(*args)
                if register:
                    version, guards = bench.register(trained)
                    result = {
                        _RUN: child.info.run_id,
                        "version": version,
                        "guards": guards,
                        "validation": trained.scores,
                        "weights_sha256": trained.record["weights_sha256"],
                        "taken_over": taken is not None,
                    }
                    job.set_user_attr(_RESULT, result)
            except optuna.TrialPruned:
                tracking.set_tags(trial_state="pruned")
                raise
            except FAILURES:
                tracking.set_tags(trial_state="failed")
                raise
            tracking.set_tags(trial_state="complete")
        return trained.scores["macro_f1"]

    def _single(self, name: str, role: str, values: Mapping[str, Any], earlier: Path | None = None) -> dict[str, Any]:
        """Do a training that ends in the registry, once for all workers.

        Raises:
            InputError: it was done before, and its run or version has been deleted since.
        """
        queue = JobQueue(self.storage, f"{self.name}/{name}", self._identity)
        with tracking.run(self.name, run_id=self.parent):
            known = name, role, values, self.cfg.seed, self.bench
            self._work(queue, 1, lambda job: self._train(job, *known, register=True, earlier=earlier))
        (job,) = queue.trials()
        if job.state != TrialState.COMPLETE:
            raise TrainingError(job.user_attrs.get(_REASON, f"{name} failed"))
        result = job.user_attrs[_RESULT]
        tracking.require_run(result[_RUN], self.name)
        tracking.require_version(self.cfg.registered_model, result["version"], self.name)
        self._line.show(f"{name}: registered", final=True)
        return result


def join(values: Mapping[str, Any], seconds: float = math.inf) -> pd.DataFrame:
    """Work on a study's trials, beside any other workers, until all are done or the time is up; return its table.

    Args:
        values: parameters of notebook 3.
        seconds: after which no further trial is begun.
    """
    environment.quiet()
    cfg = parameters.check("03_mlflow_tracking", dict(values))
    cfg.engine = "local"
    out = machine.output_dir(cfg.output_dir, "03_mlflow_tracking")
    tracking.connect(cfg.tracking_uri, cfg.experiment)
    study = Sweep(cfg, Workbench(cfg, out))
    study.work(time.monotonic() + seconds)
    study.show()
    return study.table()


def _join_until(values: dict[str, Any], end: float) -> None:
    """Work on a study in a process of its own, until a time of `time.time`."""
    join(values, end - time.time())


class _Watch(TrainerCallback):
    """Ends a training after the present step when asked to; reports each validation: its eighth, and its macro F1."""

    def __init__(self, stop: threading.Event, report: Callable[[int, float], None] | None) -> None:
        self.stop, self.report = stop, report

    def on_step_end(self, args, state, control, **kwargs):
        if self.stop.is_set():
            raise KeyboardInterrupt

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if self.report:
            self.report(max(1, round(WHOLE * state.global_step / state.max_steps)), metrics["eval_macro_f1"])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
