"""Carries runs from one MLflow store to another: nothing lost, nothing twice, wherever it was cut off and however often.

A copy says in a tag what it is a copy of, and the tag is set by the very call that creates it. So whoever comes next finds
it and goes on with it; should two have created a copy at once, both keep the one with the smallest id and delete the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
from mlflow import MlflowClient
from mlflow.entities import (
    Experiment,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from sqlalchemy.exc import SQLAlchemyError

from ...errors import InputError, first_line
from ...machine import processes
from .. import store
from ..registry import use_registered_model
from ..store import SOURCE_TAG, as_global, paged, short

#: The tag of a copied run that holds the digest of all that was carried; while it fits, there is nothing to do.
STATE_TAG = "textlab.synced"
#: A tag by which a server lists the registered versions of a model, by its own numbers.
VERSIONS_TAG = "mlflow.modelVersions"
#: Files (address of the target, path, SHA-256) that this process has seen there, or brought: a run that goes on is looked at often.
_CARRIED: set[tuple[str, str, str]] = set()
#: A file that MLflow writes into a model's folder when the model is loaded from it.
LEFT_BEHIND = "registered_model_meta"


def sync(source: str, target: str, experiment: str = "", watch: bool = False, until_eof: bool = False) -> str:
    """Carry what the target does not have yet, and return in one sentence what that was.

    Args:
        source, target: stores, as `store.locate` takes them.
        experiment: the only one to carry; empty means all, with all registered models.
        watch: go on, and carry what comes, until Ctrl-C.
        until_eof: with watch, stop when the standard input ends, after carrying the rest.

    Raises:
        InputError: a store or the experiment is not there, or does not answer; with watch, this is only printed.
    """
    if target.lower().endswith(".zip"):
        raise InputError(
            f"--to: {target} is a zip; accepted is a folder, an SQLite URI or a server; zip the folder afterwards"
        )
    with tempfile.TemporaryDirectory(prefix="store-") as unpacked:
        uris = [store.locate(text, Path(unpacked)) for text in (source, target)]
        if uris[0].rstrip("/") == uris[1].rstrip("/"):
            raise InputError(f"--from and --to are the same store, {short(uris[0])}")
        closed, said, last = False, "", False
        while True:
            last = not watch or closed
            try:
                done = carry(*uris, experiment)
            except (InputError, MlflowException, SQLAlchemyError, OSError) as error:
                if last:
                    raise error if isinstance(error, InputError) else InputError(short(first_line(error))) from None
                done = f"waiting: {short(first_line(error))}"
            if last:
                return done
            if done != said:
                print(done, flush=True)
            said = done
            closed = _pause(10, until_eof)


def _pause(seconds: float, until_eof: bool) -> bool:
    """Wait; return at once, and True, when the standard input ends."""
    if until_eof:
        return bool(select.select([sys.stdin], [], [], seconds)[0])
    time.sleep(seconds)
    return False


class Live:
    """A sync in a process of its own while runs are recorded: a target that does not answer costs the recording nothing.

    Args:
        source: the store that is recorded in.
        target: where the runs go; empty means that they stay.
        experiment: the one to carry.
        log: file for what it says.
    """

    def __init__(self, source: str, target: str, experiment: str, log: Path) -> None:
        self.target, self._process = target, None
        there = store.named(store.locate(target)) if target else "STORE"
        self._left = (
            f"python -m textlab sync --from {store.named(source)} --to {there} --experiment {shlex.quote(experiment)}"
        )
        if target:
            command = [
                sys.executable,
                "-m",
                "textlab",
                "sync",
                "--from",
                source,
                "--to",
                target,
                "--experiment",
                experiment,
            ]
            with log.open(
                "w", encoding="utf-8"
            ) as said:  # no session of its own: Linux would weigh it as much as the training
                self._process = subprocess.Popen(
                    [*command, "--watch", "--until-eof"],
                    stdin=subprocess.PIPE,
                    stdout=said,
                    stderr=said,
                    process_group=0,
                )
            if os.name == "posix":
                psutil.Process(self._process.pid).nice(19)  # training goes first

    def finish(self, seconds: float = 60) -> str:
        """Let it carry the rest, for a bounded time, and return in one sentence what is left to do."""
        if not self._process:
            return f"The runs are in this store only. To carry them to another: {self._left}"
        self._process.stdin.close()
        try:
            if self._process.wait(seconds) == 0:
                return f"All runs have been carried to {short(self.target)}."
        except subprocess.TimeoutExpired:
            processes.stop(self._process)
        return f"{short(self.target)} does not have all runs yet. Once it answers: {self._left}"


def carry(source: str, target: str, experiment: str = "") -> str:
    """Carry once; see `sync`.

    Args:
        source, target: addresses of the stores.

    Returns:
        What was carried, in one sentence.
    """
    giver, taker = store.open_client(source, create=False), store.open_client(target)
    for uri in (source, target):
        store.count(uri)
    if source.startswith("sqlite"):
        store.close_stale(giver, [found.experiment_id for found in paged(giver.search_experiments)])
    if experiment:
        store.use_experiment(giver, experiment, create=False)
    carrier = _Carrier(giver, taker)
    for found in list(paged(giver.search_experiments)):
        if found.name == experiment or not experiment:
            carrier.attempt(f"experiment {found.name}", lambda: carrier.experiment(found))
    carrier.registry()
    if carrier.failed:
        reasons = [f"{what}: {why}" for what, why in carrier.failed.items()]
        raise InputError(
            f"{len(reasons)} could not be carried, all else was: {'; '.join(reasons[:3])}{' ...' if reasons[3:] else ''}"
        )
    counts = ", ".join(f"{number} {name}" for name, number in carrier.done.items() if number)
    return f"carried to {short(target)}: {counts or 'nothing, all was there'}"


@dataclass
class _Carrier:
    """One passage from a store to another: the clients, and what is known about the copies."""

    source: MlflowClient
    target: MlflowClient
    done: Counter = field(default_factory=Counter)
    copies: dict[str, str] = field(default_factory=dict)  # id of a run or model in the source -> in the target
    known: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))  # origin -> runs in the target
    owned: set[str] = field(default_factory=set)  # ids of runs in the source that are copies of the target's
    failed: dict[str, str] = field(default_factory=dict)  # what could not be carried, and why
    loose: bool = False  # the run in hand refers to a run or model that has no copy yet

    def attempt(self, what: str, carry: Callable[[], None]) -> None:
        """Carry something; if that cannot be, remember why and go on with the rest, unless a store does not answer."""
        try:
            carry()
        except (InputError, MlflowException, OSError) as error:
            if store.unanswered(error):
                raise
            self.failed[what] = short(first_line(error))

    def experiment(self, found: Experiment) -> None:
        """Carry the runs of an experiment and the models that they logged."""
        runs = paged(self.source.search_runs, [found.experiment_id], order_by=["attributes.start_time ASC"])
        if (first := next(runs, None)) is None:
            return
        tags = {key: value for key, value in found.tags.items() if not key.startswith("textlab.")}
        copy = store.use_experiment(self.target, found.name, tags=tags)
        for key, value in tags.items() - self.target.get_experiment(copy).tags.items():
            self.target.set_experiment_tag(copy, key, value)
        self.known.clear()
        for run in paged(self.target.search_runs, [copy], run_view_type=ViewType.ALL):
            self.known[_origin(run.data.tags, run.info.run_id)].append(_slim(run))
        models = self._models(found.experiment_id)
        if alone := models.pop("", []) + models.pop(None, []):
            self.done["models left behind, since no run has made them"] += len(alone)
        again = []
        for run in chain([first], runs):
            if run.info.run_id not in self.copies:
                self.attempt(f"run {run.info.run_name} ({run.info.run_id})", lambda: self.run(run, copy, models))
                again += [run] if self.loose else []
        for run in again:
            self.attempt(f"run {run.info.run_name} ({run.info.run_id})", lambda: self.run(run, copy, models))

    def run(self, run: Run, experiment: str, models: dict[str, list[LoggedModel]]) -> None:
        """Carry a run, its parent first."""
        parent = run.data.tags.get("mlflow.parentRunId")
        if parent and parent not in self.copies:
            try:
                found = self.source.get_run(parent)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
            else:
                if found.info.lifecycle_stage == "active":
                    self.run(found, *self._place(found, run, experiment, models))
        _undisturbed(
            lambda: self._run(run, experiment, models.get(run.info.run_id, [])),
            lambda: self.known.pop(_origin(run.data.tags, run.info.run_id), None),
        )

    def _place(
        self, parent: Run, run: Run, experiment: str, models: dict[str, list[LoggedModel]]
    ) -> tuple[str, dict[str, list[LoggedModel]]]:
        """Return where the parent of a run belongs in the target, with the models of that experiment."""
        own = parent.info.experiment_id
        if own == run.info.experiment_id:
            return experiment, models
        return store.use_experiment(self.target, self.source.get_experiment(own).name), self._models(own)

    def _models(self, experiment_id: str) -> dict[str, list[LoggedModel]]:
        """Return the logged models of an experiment in the source, by the run that made them."""
        models = defaultdict(list)
        for model in paged(self.source.search_logged_models, [experiment_id]):
            models[model.source_run_id].append(model)
        return models

    def _run(self, run: Run, experiment: str, models: list[LoggedModel]) -> None:
        origin, self.loose = _origin(run.data.tags, run.info.run_id), False
        copy = self._claim(run, origin, experiment)
        if copy is None:
            return
        self.copies[run.info.run_id] = copy.info.run_id
        if copy.info.run_id == origin:  # the target holds what the source has a copy of
            self.owned.add(run.info.run_id)
            return
        files = _Files(self.source, run.info.artifact_uri)
        others = [
            [_facts_of_model(model) for model in models],
            files.listing(),
            *[_Files(self.source, model.artifact_location).listing() for model in models],
        ]
        state = _digest_of(_facts(run), *others)
        if copy.data.tags.get(STATE_TAG) == state and run.info.status != "RUNNING":
            self.copies |= {
                model.model_id: found.model_id for model in models if (found := self._find_model(model, copy))
            }
            return
        run, there = (
            self.source.get_run(run.info.run_id),
            self.target.get_run(copy.info.run_id),
        )  # a search leaves model inputs out
        state = _digest_of(_facts(run), *others)
        tags = {
            key: value for key, value in run.data.tags.items() if there.data.tags.get(key) != value and key != STATE_TAG
        }
        if (parent := tags.pop("mlflow.parentRunId", None)) in self.copies:
            tags["mlflow.parentRunId"] = self.copies[parent]
        points = [point for name in run.data.metrics for point in self._missing_points(run, there, name)]
        self.target.log_batch(
            there.info.run_id,
            metrics=points,
            tags=[RunTag(*tag) for tag in tags.items()],
            params=[Param(*param) for param in run.data.params.items() if param[0] not in there.data.params],
        )
        if run.inputs.dataset_inputs:
            self.target.log_inputs(there.info.run_id, run.inputs.dataset_inputs)
        self.done["files"] += files.carry(_Files(self.target, there.info.artifact_uri))
        for model in models:
            self.copies[model.model_id] = self._model(model, experiment, there.info.run_id)
        self._links(run, there)
        status = run.info.status
        if status == "RUNNING":
            if there.info.status != status:
                self.target.update_run(there.info.run_id, status)
        elif (status, run.info.end_time) != (there.info.status, there.info.end_time):
            self.target.set_terminated(there.info.run_id, status, run.info.end_time)
        if there.data.tags.get(STATE_TAG) != state and not self.loose:
            self.target.set_tag(there.info.run_id, STATE_TAG, state)
            self.done["runs"] += 1

    def _claim(self, run: Run, origin: str, experiment: str) -> Run | None:
        """Return the copy of a run, made if need be; None when the target's user has deleted it."""

        def search() -> list[Run]:
            return list(paged(self.target.search_runs, [experiment], f"tags.`{SOURCE_TAG}` = '{origin}'", ViewType.ALL))

        found = self.known.get(origin) or search()
        if not found:
            # Not every tag yet: the parent's is another there, and the rest follows with all else.
            tags = {SOURCE_TAG: origin} | {key: run.data.tags[key] for key in ("mlflow.user",) if key in run.data.tags}
            if parent := self.copies.get(run.data.tags.get("mlflow.parentRunId", "")):
                tags["mlflow.parentRunId"] = parent
            self.target.create_run(experiment, run.info.start_time, tags, run.info.run_name)
            found = search()
        if original := [run for run in found if run.info.run_id == origin]:
            return original[0]
        alive = sorted((run for run in found if run.info.lifecycle_stage == "active"), key=lambda run: run.info.run_id)
        for late in alive[1:]:
            self.target.delete_run(late.info.run_id)
        self.known[origin] = [_slim(run) for run in alive[:1] or found]
        return alive[0] if alive else None

    def _missing_points(self, run: Run, there: Run, name: str) -> list[Metric]:
        """Return the points of a metric that the target lacks."""
        points = self.source.get_metric_history(run.info.run_id, name)
        if name not in there.data.metrics:
            return points
        have = {_key(point) for point in self.target.get_metric_history(there.info.run_id, name)}
        return [point for point in points if _key(point) not in have]

    def _links(self, run: Run, there: Run) -> None:
        """Link the copy of a run to the copies of the models that it read and made."""
        have = {link.model_id for link in (*there.inputs.model_inputs, *there.outputs.model_outputs)}
        read, made = run.inputs.model_inputs, run.outputs.model_outputs
        self.loose |= any(link.model_id not in self.copies for link in (*read, *made))
        into = [copy for link in read if (copy := self.copies.get(link.model_id, "")) not in have | {""}]
        made = [(copy, link.step) for link in made if (copy := self.copies.get(link.model_id, "")) not in have | {""}]
        if into:
            self.target.log_inputs(there.info.run_id, models=[LoggedModelInput(copy) for copy in into])
        if made:
            self.target.log_outputs(there.info.run_id, [LoggedModelOutput(copy, step) for copy, step in made])

    def _find_model(self, model: LoggedModel, copy: Run) -> LoggedModel | None:
        """Return the copy of a model; copies that another sync made as well are deleted."""
        origin = _origin(model.tags, model.model_id)
        found = list(
            paged(
                self.target.search_logged_models,
                [copy.info.experiment_id],
                filter_string=f"tags.`{SOURCE_TAG}` = '{origin}'",
            )
        )
        found.sort(key=lambda one: (one.source_run_id != copy.info.run_id, one.creation_timestamp, one.model_id))
        for late in found[1:]:
            self.target.delete_logged_model(late.model_id)
        return found[0] if found else None

    def _model(self, model: LoggedModel, experiment: str, run_id: str) -> str:
        """Carry a LoggedModel and return the id of its copy."""
        run = self.target.get_run(run_id)
        tags = {key: value for key, value in model.tags.items() if key not in (SOURCE_TAG, VERSIONS_TAG)}
        there = self._find_model(model, run)
        if there is None or there.source_run_id != run_id:
            if there:  # it belongs to a copy of the run that lost
                self.target.delete_logged_model(there.model_id)
            self.target.create_logged_model(
                experiment,
                model.name,
                run_id,
                tags | {SOURCE_TAG: _origin(model.tags, model.model_id)},
                model.params,
                model.model_type,
            )
            there = _present(self._find_model(model, run))
            self.done["models"] += 1
        self.done["files"] += _Files(self.source, model.artifact_location).carry(
            _Files(self.target, there.artifact_location)
        )
        have = {(point.key, _key(point)) for point in there.metrics or []}
        points = defaultdict(list)
        for point in model.metrics or []:
            self.loose |= point.run_id not in self.copies
            if (holder := self.copies.get(point.run_id)) and (point.key, _key(point)) not in have:
                points[holder].append(
                    Metric(
                        point.key,
                        point.value,
                        point.timestamp,
                        point.step,
                        there.model_id,
                        point.dataset_name,
                        point.dataset_digest,
                    )
                )
        for holder, some in points.items():
            self.target.log_batch(holder, metrics=some)
        if changed := dict(tags.items() - there.tags.items()):
            self.target.set_logged_model_tags(there.model_id, changed)
        if str(model.status) != str(there.status) and str(model.status) in ("READY", "FAILED"):
            self.target.finalize_logged_model(there.model_id, str(model.status))
        return there.model_id

    def registry(self) -> None:
        """Carry the registered versions of all runs and models that were carried, and the aliases that point at them."""
        for model in list(paged(self.source.search_registered_models)):
            versions = sorted(
                paged(self.source.search_model_versions, f"name='{model.name}'"), key=lambda one: int(one.version)
            )
            if alone := [version for version in versions if not version.run_id]:
                self.done[f"versions of {model.name} left behind, since no run has made them"] += len(alone)
            mine = [version for version in versions if version.run_id in self.copies.keys() - self.owned]
            if mine:
                self.attempt(
                    f"registered model {model.name}", lambda: _undisturbed(lambda: self._registered(model, mine))
                )

    def _registered(self, model: RegisteredModel, versions: list[ModelVersion]) -> None:
        use_registered_model(self.target, model.name, model.tags, model.description)
        numbers = {str(version.version): self._version(version) for version in versions}
        self._aliases(model.name, {version: number for version, number in numbers.items() if number})

    def _version(self, version: ModelVersion) -> str | None:
        """Carry a version and return its number in the target."""
        origin = _origin(version.tags, f"{version.source} {version.creation_timestamp}")
        run = self.copies[version.run_id]
        kind, _, rest = version.source.partition(":/")
        there, _, path = rest.partition("/")
        if kind not in ("models", "runs") or there not in self.copies:
            self.done[f"versions of {version.name} left behind, since their files are in none of the carried runs"] += 1
            return None

        def search() -> ModelVersion | None:
            found = [
                one
                for one in paged(self.target.search_model_versions, f"name='{version.name}'")
                if _origin(one.tags, f"{one.source} {one.creation_timestamp}") == origin
            ]
            found.sort(key=lambda one: (one.run_id != run, int(one.version)))
            for late in found[1:]:
                self.target.delete_model_version(late.name, late.version)
            return found[0] if found else None

        found = search()
        if found is None:
            copy = f"{kind}:/{self.copies[there]}" + (f"/{path}" if path else "")
            with as_global(self.target.tracking_uri):
                self.target.create_model_version(
                    version.name,
                    copy,
                    run,
                    version.tags | {SOURCE_TAG: origin},
                    description=version.description,
                    model_id=self.copies[there] if kind == "models" else None,
                )
            self.done["model versions"] += 1
            found = _present(search())
        for key, value in version.tags.items() - found.tags.items():
            if key != SOURCE_TAG:
                self.target.set_model_version_tag(version.name, found.version, key, value)
        return str(found.version)

    def _aliases(self, name: str, numbers: dict[str, str]) -> None:
        """Point the target's aliases where the source's point, unless one has gone to a version that the source lacks."""
        there = {alias: str(number) for alias, number in self.target.get_registered_model(name).aliases.items()}
        for alias, version in self.source.get_registered_model(name).aliases.items():
            wanted = numbers.get(str(version))
            if wanted and there.get(alias, wanted) != wanted and there[alias] not in numbers.values():
                self.done[f"alias {alias} of {name} left at the target's own version"] += 1
            elif wanted and there.get(alias) != wanted:
                self.target.set_registered_model_alias(name, alias, wanted)
                self.done["aliases"] += 1


def _undisturbed(carry: Callable[[], None], forget: Callable[[], Any] = lambda: None) -> None:
    """Carry something; what another sync disturbs is begun again, from what is there then."""
    for attempt in range(5):
        try:
            return carry()
        except (MlflowException, OSError) as error:
            if attempt == 4 or "Connection refused" in str(error):
                raise
            forget()
            time.sleep(random.uniform(0.1, 0.5) * (attempt + 1))


def _present(found: Any) -> Any:
    """Return what was just created, unless another sync has deleted it again."""
    if found is None:
        raise MlflowException("another sync is at work on the same copy")
    return found


@dataclass(frozen=True)
class _Files:
    """The artifacts of a run or a LoggedModel."""

    client: MlflowClient
    address: str

    @property
    def _folder(self) -> Path | None:
        return Path(local_file_uri_to_path(self.address)) if is_local_uri(self.address) else None

    def listing(self) -> dict[str, tuple[int, str]]:
        """Return path -> size in bytes and SHA-256; the latter is empty for files on a server."""
        if folder := self._folder:
            found = {
                file.relative_to(folder).as_posix(): _measure(file)
                for file in sorted(folder.rglob("*"))
                if file.is_file()
            }
        else:
            repository = get_artifact_repository(self.address, tracking_uri=self.client.tracking_uri)
            found = {file.path: (file.file_size, "") for file in _walk(repository.list_artifacts, None)}
        found.pop(LEFT_BEHIND, None)
        return found

    def fetch(self, path: str, folder: str) -> Path:
        """Return a file, downloaded into a folder if it is not on this machine."""
        if self._folder:
            return self._folder / path
        return Path(
            get_artifact_repository(self.address, tracking_uri=self.client.tracking_uri).download_artifacts(
                path, folder
            )
        )

    def carry(self, target: _Files) -> int:
        """Send the files that the target lacks or has with another content; return how many."""
        here, there = self.listing(), target.listing()
        with (
            tempfile.TemporaryDirectory() as own,
            tempfile.TemporaryDirectory() as others,
            tempfile.TemporaryDirectory() as parcel,
        ):
            sent = set()
            for path, (size, digest) in here.items():
                if path in there and there[path][0] == size:
                    mine, other = (target.address, path, digest or _measure(self.fetch(path, own))[1]), there[path][1]
                    if (
                        mine[2] == other
                        if other
                        else mine in _CARRIED or mine[2] == _measure(target.fetch(path, others))[1]
                    ):
                        _CARRIED.add(mine)
                        continue
                link = Path(parcel) / path
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(self.fetch(path, own))
                sent.add((target.address, path, digest))
            if sent:
                get_artifact_repository(target.address, tracking_uri=target.client.tracking_uri).log_artifacts(parcel)
                _CARRIED.update(sent)
        return len(sent)


def _walk(list_artifacts: Callable, folder: str | None) -> Iterator[Any]:
    for found in list_artifacts(folder):
        if found.is_dir:
            yield from _walk(list_artifacts, found.path)
        else:
            yield found


def _measure(file: Path) -> tuple[int, str]:
    """Return the size and SHA-256 of a file; a file that has not changed is read once."""
    facts = file.stat()
    return facts.st_size, _sha256(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _sha256(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _origin(tags: dict[str, str], own: str) -> str:
    """Return the id of what something is a copy of, through all stores that it came through; an original's own id."""
    return tags.get(SOURCE_TAG, own)


def _key(point: Metric) -> tuple[int, int, str]:
    """Return what makes a point of a metric, NaN included, the same as another."""
    return point.step, point.timestamp, repr(float(point.value))


def _slim(run: Run) -> Run:
    """Return a run without its figures, of which thousands are kept in memory."""
    tags = [RunTag(key, value) for key, value in run.data.tags.items() if key in (SOURCE_TAG, STATE_TAG)]
    return Run(run.info, type(run.data)(tags=tags))


def _facts(run: Run) -> list:
    """Return what is carried of a run, but for its files."""
    info, inputs = run.info, [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs]
    tags = {key: value for key, value in run.data.tags.items() if key != STATE_TAG}
    links = sorted(link.model_id for link in run.outputs.model_outputs)
    return [
        info.run_name,
        info.status,
        info.start_time,
        info.end_time,
        tags,
        run.data.params,
        run.data.metrics,
        sorted(inputs),
        links,
    ]


def _facts_of_model(model: LoggedModel) -> list:
    points = sorted((point.key, *_key(point)) for point in model.metrics or [])
    tags = {key: value for key, value in model.tags.items() if key != VERSIONS_TAG}
    return [model.model_id, model.name, str(model.status), tags, model.params, points]


def _digest_of(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
