"""What the tests of tracking share: a real MLflow server as a process, a full store, and a store's whole content."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import chain
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from textlab.machine import processes
from textlab.tracking import store


class Server:
    """A real `mlflow server` with served artifacts, on a port of its own; it can be killed and started again."""

    def __init__(
        self, folder: Path, backend: str = "", *options: str, prefix: tuple[str, ...] = (), **environment: str
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        settings = {
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
            "--backend-store-uri": backend or f"sqlite:///{folder / 'server.db'}",
            "--artifacts-destination": str(folder / "artifacts"),
            "--allowed-hosts": f"127.0.0.1:{self.port}",
        }
        self.command = [*prefix, sys.executable, "-m", "mlflow", "server", *chain(*settings.items()), *options]
        self.environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | environment
        self.start()
        self.wait()

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, start_new_session=True, stdout=log, stderr=log
            )

    def wait(self, seconds: float = 600) -> None:
        """Wait until it answers; an idle machine needs 5 seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        """kill -9 the server and its workers."""
        os.killpg(self.process.pid, 9)
        self.process.wait()

    def stop(self) -> None:
        processes.stop(self.process)


def fill(uri: str, experiment: str = "sweep", children: int = 2, points: int = 20) -> str:
    """Record a parent with children, with all that can be carried, and return the parent's run id."""
    client = store.open_client(uri)
    place = store.use_experiment(client, experiment, tags={"about": "a test"})
    parent = client.create_run(place, 1_000, {"note": "päränt"}, "the sweep").info.run_id
    client.log_dict(parent, {"epochs": [1, 2]}, "search_space.json")
    for number in range(children):
        run = client.create_run(
            place, 2_000 + number, {"mlflow.parentRunId": parent, "guards": "passed"}, f"trial {number}"
        ).info.run_id
        curve = [Metric("loss", 1 / (step + 3), 5_000 + 7 * step, step) for step in range(points)]
        odd = [Metric("odd", value, 6_000, step) for step, value in enumerate([float("nan"), 0.1 + 0.2, -1e-300, 1e20])]
        client.log_batch(
            run, curve + odd, [Param("lr", f"0.{number}"), Param("none", "None")], [RunTag("long", "x" * 4_000)]
        )
        client.log_inputs(
            run,
            [
                DatasetInput(
                    Dataset("texts", f"d{split}", "code", "{}", "{}", "{}"), [InputTag("mlflow.data.context", split)]
                )
                for split in ("train", "test")
            ],
        )
        client.log_text(run, "naïve\n" * 50, "notes/über die Läufe 1 %.txt")
        client.log_text(run, "", "empty.txt")
        model = client.create_logged_model(place, "model", run, {"kind": "best"}, {"lr": "1"}, "classifier")
        client.log_batch(run, [Metric("score", 0.5 + number / 10, 7_000, 3, model.model_id, "texts", "dtest")])
        folder = Path(store.file_of(uri).parent) / experiment / f"model-{number}"
        (folder / "deep").mkdir(parents=True)
        (folder / "MLmodel").write_text(f"model_id: {model.model_id}\n")
        (folder / "deep" / "weights.bin").write_bytes(hashlib.sha256(bytes([number])).digest() * 5_000)
        client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run, [LoggedModelOutput(model.model_id, 3)])
        client.set_terminated(run, ("FINISHED", "FAILED", "KILLED")[number % 3], 9_000 + number)
        register(client, model, {"macro_f1": f"0.{number}"})
    client.set_registered_model_alias("emotions", "champion", "1")
    client.set_registered_model_alias("emotions", "candidate", str(children))
    client.set_terminated(parent, "FINISHED", 10_000)
    return parent


def many_runs(folder: Path, experiment: str, runs: int, curves: int = 100, points: int = 100) -> str:
    """Return the address of a store with so many runs, each with so many curves of so many points.

    One is recorded; the others are copies of it, made in SQL, each an hour later than the one before.
    """
    uri = store.store_uri(folder)
    client = store.open_client(uri)
    first = client.create_run(store.use_experiment(client, experiment)).info.run_id
    for number in range(curves):
        client.log_batch(
            first, [Metric(f"metric {number}", step / (number + 1), 1_000 + step, step) for step in range(points)]
        )
    client.log_batch(first, params=[Param(f"parameter {number}", str(number)) for number in range(20)])
    client.set_terminated(first)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for number in range(1, runs):
            copy = f"{experiment.encode().hex()}{number:016x}".rjust(32, "0")
            for table in ("runs", "metrics", "latest_metrics", "params", "tags"):
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                values = ", ".join(
                    "?"
                    if column == "run_uuid"
                    else f"replace(artifact_uri, '{first}', '{copy}')"
                    if column == "artifact_uri"
                    else f"{column} + {number * 3_600_000}"
                    if column in ("timestamp", "start_time", "end_time")
                    else column
                    for column in columns
                )
                database.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE run_uuid = ?",
                    (copy, first),
                )
    return uri


def register(client: MlflowClient, model, tags: dict[str, str]) -> None:
    """Register a version of the model `emotions`."""
    if not client.search_registered_models("name='emotions'"):
        client.create_registered_model("emotions", {"team": "a"}, "which emotion")
    with store.as_global(client.tracking_uri):
        client.create_model_version(
            "emotions",
            f"models:/{model.model_id}",
            model.source_run_id,
            tags,
            description="one",
            model_id=model.model_id,
        )


def content(uri: str) -> dict:
    """Return all that a store holds, by what it is a copy of, as plain values; two equal stores give equal contents."""
    client = store.open_client(uri)
    names = {one.experiment_id: one.name for one in store.paged(client.search_experiments)}
    runs = [run for place in names for run in store.paged(client.search_runs, [place], "", ViewType.ACTIVE_ONLY)]
    models = [model for place in names for model in store.paged(client.search_logged_models, [place])]
    origin = {run.info.run_id: run.data.tags.get(store.SOURCE_TAG, run.info.run_id) for run in runs}
    origin |= {model.model_id: model.tags.get(store.SOURCE_TAG, model.model_id) for model in models}
    assert len(set(origin.values())) == len(origin), "something is there twice"
    versions = [
        (registered, version)
        for registered in store.paged(client.search_registered_models)
        for version in store.paged(client.search_model_versions, f"name='{registered.name}'")
    ]
    contents = {
        "runs": {
            origin[run.info.run_id]: (names[run.info.experiment_id], *run_facts(client, run, origin)) for run in runs
        },
        "models": {origin[model.model_id]: model_facts(client, model, origin) for model in models},
        "versions": {
            origin[version.source.removeprefix("models:/")]: version_facts(client, registered, version, origin)
            for registered, version in versions
        },
    }
    assert len(contents["versions"]) == len(versions), "a version is there twice"
    return contents


def run_facts(client: MlflowClient, run: Run, origin: dict[str, str]) -> tuple:
    """Return what is compared of a run; ids are replaced by what they are copies of."""
    info = run.info
    tags = {
        key: value for key, value in run.data.tags.items() if not key.startswith("textlab.") or key == "textlab.owner"
    }
    if parent := tags.pop("mlflow.parentRunId", None):
        tags["parent"] = origin[parent]
    points = {
        name: sorted((p.step, p.timestamp, repr(p.value)) for p in client.get_metric_history(info.run_id, name))
        for name in run.data.metrics
    }
    assert all(len(set(some)) == len(some) for some in points.values()), "a point is there twice"
    inputs = sorted(
        (i.dataset.name, i.dataset.digest, str(i.dataset.source), str([(t.key, t.value) for t in i.tags]))
        for i in run.inputs.dataset_inputs
    )
    links = sorted((origin[link.model_id], link.step) for link in run.outputs.model_outputs)
    times = info.start_time, info.end_time
    stored = files(client, info.artifact_uri)
    return info.run_name, info.status, *times, tags, run.data.params, points, inputs, links, stored


def model_facts(client: MlflowClient, model: LoggedModel, origin: dict[str, str]) -> tuple:
    """Return what is compared of a logged model."""
    tags = {
        key: value
        for key, value in model.tags.items()
        if not key.startswith("textlab.") and key != "mlflow.modelVersions"
    }
    points = sorted(
        (p.key, p.step, p.timestamp, repr(p.value), p.dataset_name, p.dataset_digest, origin[p.run_id])
        for p in model.metrics or []
    )
    run, stored = origin.get(model.source_run_id), files(client, model.artifact_location)
    return model.name, str(model.status), model.model_type, tags, model.params, points, run, stored


def version_facts(
    client: MlflowClient, registered: RegisteredModel, version: ModelVersion, origin: dict[str, str]
) -> tuple:
    """Return what is compared of a registered version, with its aliases."""
    tags = {key: value for key, value in version.tags.items() if not key.startswith("textlab.")}
    numbers = client.get_registered_model(registered.name).aliases
    aliases = sorted(alias for alias, number in numbers.items() if str(number) == str(version.version))
    about = registered.name, registered.description, dict(registered.tags)
    return *about, tags, version.description, origin[version.run_id], aliases


def files(client: MlflowClient, address: str) -> dict[str, str]:
    """Return path -> SHA-256 of the artifacts at an address."""
    repository = get_artifact_repository(address, tracking_uri=client.tracking_uri)

    def walk(folder=None):
        for one in repository.list_artifacts(folder):
            yield from walk(one.path) if one.is_dir else [one.path]

    return {
        path: hashlib.sha256(Path(repository.download_artifacts(path)).read_bytes()).hexdigest()
        for path in walk()
        if path != "registered_model_meta"
    }
