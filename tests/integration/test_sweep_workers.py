"""Sweeps that are killed again and again, that share a database, and that run on a Ray cluster with real servers.

Repeats are few by default; `TEXTLAB_REPEATS=100 tests/run.sh -m slow tests/integration/test_sweep_workers.py` does
more.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from mlflow_stores import Server
from sweep_bench import Bench, outcome, study
from textlab import tracking, workflows
from textlab.settings import parameters
from textlab.settings.sweep_options import SWEEP_OPTIONS
from textlab.tracking import store
from textlab.workflows.sweep.job_queue import DONE

REPEATS = int(os.environ.get("TEXTLAB_REPEATS", 8))
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch_size": [8, 16, 32]}
SMOKE = {
    "model": "tiny",
    "max_train_rows": 40,
    "epochs": 1,
    "experiment": "sweeps",
    "n_trials": 20,
    "search_space": SPACE,
    "study": "killed",
}


def values(folder, **chosen):
    """Return checked-able parameters of notebook 3 for a smoke sweep in a folder."""
    options = {"storage": f"sqlite:///{folder / 'studies.db'}"} | {
        name: chosen.pop(name) for name in SWEEP_OPTIONS if name in chosen
    }
    return (
        parameters.defaults("03_mlflow_tracking")
        | SMOKE
        | {"tracking_uri": store.store_uri(folder / "mlflow"), "sweep_options": options, "output_dir": str(folder)}
        | chosen
    )


def forked(work, *arguments):
    """Run a function in a child process, which has all modules loaded, and return its id."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(*arguments)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def save_trials(folder, file):
    """Join the sweep in a folder, and save the table of its trials."""
    workflows.join(values(folder)).to_pickle(file)


def runs(folder):
    tracking.connect(store.store_uri(folder / "mlflow"), "sweeps")
    return tracking.runs("sweeps", only_finished=False)


@pytest.mark.slow
def test_killed_at_random_moments_a_sweep_ends_as_if_nothing_had_happened(tmp_path):
    dice, kills, rounds = random.Random(7), 0, 0
    calm = tmp_path / "calm"
    clock = time.monotonic()
    assert os.waitpid(forked(workflows.join, values(calm)), 0)[1] == 0
    usual = time.monotonic() - clock
    while kills < REPEATS:
        folder, rounds = tmp_path / str(rounds), rounds + 1
        while True:
            child = forked(workflows.join, values(folder))
            deadline = time.monotonic() + dice.uniform(0, usual / 3)
            while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
                time.sleep(0.02)
            if not ended[0]:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills += 1
                continue
            assert ended[1] == 0
            break
        result = tmp_path / f"{rounds}.pkl"
        for place in (calm, folder):
            os.waitpid(forked(save_trials, place, result.with_stem(place.name)), 0)
        undisturbed, table = (pd.read_pickle(result.with_stem(place.name)) for place in (calm, folder))
        assert len(table) == 20 and set(table["state"]) <= {"COMPLETE", "PRUNED"}
        assert not table.duplicated(["learning_rate", "batch_size"]).any()
        assert outcome(table) == outcome(undisturbed)
        known = runs(folder)
        assert "RUNNING" not in set(known["status"])
        ended = known[known["tags.trial_state"].notna()]
        assert sorted(ended["name"]) == sorted(f"trial {i}" for i in range(1, 21))
    print(f"{kills} kills in {rounds} sweeps, undisturbed {usual:.0f} s")


def test_two_sweeps_on_one_database_do_not_mix(store, tmp_path):
    def work(name, seed):
        study(store, tmp_path, Bench(tmp_path, seconds=0.01), n_trials=6, study=name, seed=seed).search()

    children = [forked(work, name, seed) for name, seed in (("one", 1), ("two", 2))]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    tables = {
        name: study(store, tmp_path, n_trials=6, study=name, seed=seed).table()
        for name, seed in (("one", 1), ("two", 2))
    }
    for name, seed in (("one", 1), ("two", 2)):
        alone = tmp_path / name
        alone.mkdir()
        assert outcome(tables[name]) == outcome(study(store, alone, n_trials=6, study=name, seed=seed).search())
    assert not set(tables["one"]["run_id"]) & set(tables["two"]["run_id"])


def test_workers_on_one_study_share_the_trials(store, tmp_path):
    def work():
        study(store, tmp_path, Bench(tmp_path, seconds=0.05), n_trials=9, parallel=3, pruner="none").work()

    children = [forked(work) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    table = study(store, tmp_path, n_trials=9, parallel=3, pruner="none").table()
    alone = tmp_path / "alone"
    alone.mkdir()
    assert outcome(table) == outcome(study(store, alone, n_trials=9, parallel=3, pruner="none").search())
    runs = tracking.runs("sweeps")
    assert runs["name"].str.startswith("trial").sum() == 18 and table["run_id"].nunique() == 9


@pytest.fixture
def postgres(postgresql):
    return postgresql.replace(":@", "@")


@pytest.mark.slow
def test_a_ray_cluster_postgresql_and_a_server_lose_a_node_and_no_trial(tmp_path, postgres, monkeypatch):
    ray = pytest.importorskip("ray", reason="the optional group `cluster` is not installed")
    from ray.cluster_utils import Cluster

    server = Server(tmp_path / "server")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    folder = tmp_path / "ray"
    # trials that last, else two workers are done with all of them before the notebooks have started
    patient = {"pruner": "median", "parallel": 2, "trial_cpus": 1, "max_train_rows": 1500, "epochs": 3}
    chosen = values(folder, tracking_uri=server.uri, storage=postgres, engine="ray", **patient)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        cfg = parameters.check("03_mlflow_tracking", chosen)
        tracking.connect(cfg.tracking_uri, cfg.experiment)
        spread = workflows.Sweep(cfg, workflows.Workbench(cfg, folder))
        own = yaml.safe_dump(chosen | {"engine": "local"})
        jobs = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "papermill",
                    "--no-progress-bar",
                    ROOT / "notebooks" / "03_mlflow_tracking.ipynb",
                    tmp_path / f"{i}.ipynb",
                    "-y",
                    own,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
            )
            for i in range(2)
        ]

        def kill_a_node(study=spread.queue):
            while sum(job.state in DONE for job in study.trials()) < 6:
                time.sleep(0.2)
            cluster.remove_node(nodes[0], allow_graceful=False)

        killer = threading.Thread(target=kill_a_node)
        killer.start()
        table = spread.search()
        killer.join()
        assert [job.wait(600) for job in jobs] == [0, 0]
    finally:
        ray.shutdown()
        cluster.shutdown()
        server.stop()
    assert len(table) == 20 and set(table["state"]) <= {"COMPLETE", "PRUNED"}
    workers = {job.user_attrs["owner"] for job in spread.queue.trials()}
    assert len(workers) >= 3
    alone = workflows.join(values(tmp_path / "local", **patient))
    assert outcome(table) == outcome(alone)
