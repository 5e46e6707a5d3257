"""Tracking benchmarks, run by hand: `python tests/benchmarks/tracking.py TABLE -o FILE.json`.

logging   seconds of a training with and without a record of it, the model of each epoch among it, by turns
live      seconds of a training whose runs are carried to a server that is killed again and again, and of one that is
          not carried, by turns; that server runs here too, and its restarts take time from both
sync      runs a second and memory as the number of runs grows, 100 metrics of 100 points each; with --beside, in stores
          that hold so many other runs already
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import psutil

from textlab import tracking, training, workflows
from textlab.machine import environment
from textlab.settings import parameters
from textlab.tracking import store, sync
from textlab.workflows import tracked_training

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("logging", "live", "sync"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, help="of the packaged tweets to train on (default: all)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20, help="live: of the server")
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 30, 100, 300, 1000], help="sync: how many to carry")
    parser.add_argument("--beside", type=int, default=0, help="sync: how many runs both stores hold already")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # sync from, to, in a process of its own
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(carry_once(*chosen.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {"logging": measure_logging, "live": measure_live, "sync": measure_sync}[chosen.table](
            chosen, Path(folder)
        )
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1))


def workbench(chosen, folder: Path):
    environment.quiet()
    values = parameters.defaults("03_mlflow_tracking") | {"max_train_rows": chosen.rows, "epochs": chosen.epochs}
    cfg = parameters.check("03_mlflow_tracking", values)
    uri = tracking.connect(store.store_uri(folder / "here"), cfg.experiment)
    return workflows.Workbench(cfg, folder), uri


def train(bench, recorded: bool = True, checkpoints: bool = False) -> float:
    """Train once, and return the seconds that it took; unrecorded, nothing is recorded and no digest computed."""
    from transformers import TrainerCallback

    start = time.perf_counter()
    if recorded:
        with tracking.run("a training") as run:
            bench.train(run.info.run_id, bench.base, 1, checkpoints=checkpoints)
    else:
        silent = SimpleNamespace(
            **{name: lambda *_, **__: None for name in vars(tracking) if name.startswith(("log_", "set_"))},
            RunLogger=lambda *_: TrainerCallback(),
            data_inputs=lambda texts: {},
        )
        with (
            patch.object(tracked_training, "tracking", silent),
            patch.object(training, "weights_sha256", lambda model: ""),
            patch.object(tracked_training.record, "make", lambda *_, **__: {}),
        ):
            bench.train("", bench.base, 1)
    return time.perf_counter() - start


def measure_logging(chosen, folder: Path) -> list[dict]:
    bench, _ = workbench(chosen, folder)
    train(bench)  # what is loaded and computed once, is
    found = []
    for repeat in range(chosen.repeats):
        order = (True, False) if repeat % 2 else (False, True)
        seconds = {recorded: train(bench, recorded, checkpoints=recorded) for recorded in order}
        found.append({"recorded": seconds[True], "unrecorded": seconds[False]})
        print(found[-1], file=sys.stderr, flush=True)
    added = [row["recorded"] / row["unrecorded"] - 1 for row in found]
    spread = f"median of {len(added)}, {min(added):+.1%} to {max(added):+.1%}"
    print(f"a record adds {statistics.median(added):+.1%} ({spread})")
    return found


def measure_live(chosen, folder: Path) -> dict:
    from mlflow_stores import Server, content

    bench, uri = workbench(chosen, folder)
    train(bench)
    server, dice, rounds, kills = Server(folder / "server", prefix=("nice", "-n", "19")), random.Random(2), [], 0
    step_back(server.process.pid)

    def torment(times: float, over: threading.Event) -> None:
        while times > 0 and not over.is_set():
            time.sleep(dice.uniform(0, 8))
            server.kill()
            time.sleep(dice.uniform(0.1, 2))
            server.start()
            step_back(server.process.pid)
            server.wait()
            times -= 1

    for number in range(1, chosen.repeats + 1):
        times = chosen.kills * number // chosen.repeats - kills
        quiet, over = train(bench), threading.Event()  # it is carried too, but later
        tormentor, synced = threading.Thread(target=torment, args=(math.inf, over)), []
        tormentor.start()
        alone = [train(bench) for _ in range(5)]
        over.set()
        tormentor.join()
        live = sync.Live(uri, server.uri, bench.cfg.experiment, folder / "sync.log")
        tormentor = threading.Thread(target=torment, args=(times, threading.Event()))
        tormentor.start()
        while tormentor.is_alive():
            synced.append(train(bench))
        kills += times
        used = psutil.Process(live.process.pid).cpu_times()
        rounds.append(
            {
                "quiet": quiet,
                "alone": alone,
                "synced": synced,
                "kills": times,
                "sync_seconds": used.user + used.system,
                "share": statistics.median(synced) / statistics.median(alone) - 1,
            }
        )
        print(
            f"{quiet:.1f} s; not synced {', '.join(f'{seconds:.1f}' for seconds in alone)}; synced "
            f"{', '.join(f'{seconds:.1f}' for seconds in synced)} with {times} kills; {live.finish(300)}",
            flush=True,
        )
    sync.carry(uri, server.uri, bench.cfg.experiment)
    same = content(server.uri) == content(uri)
    server.stop()
    share = statistics.median(one["share"] for one in rounds)
    used, took = sum(one["sync_seconds"] for one in rounds), sum(sum(one["synced"]) for one in rounds)
    print(
        f"{kills} kills: a synced training takes {share:+.1%} (median of {len(rounds)} rounds); the sync itself used "
        f"{used:.0f} s of processor time in {took:.0f} s; the server's content is {'equal' if same else 'NOT EQUAL'}"
    )
    return {"rounds": rounds, "kills": kills, "equal": same}


def step_back(pid: int) -> None:
    """Let the training go first: the server would be another machine, but Linux weighs sessions alike, nice or not."""
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text("19")


def measure_sync(chosen, folder: Path) -> list[dict]:
    from mlflow_stores import many_runs

    found = []
    for runs in chosen.runs:
        uri, target = many_runs(folder / str(runs), "many", runs), folder / f"copy-{runs}"
        if chosen.beside:
            for place in (folder / str(runs), target):
                many_runs(place, "others", chosen.beside)
        done = subprocess.run(
            [sys.executable, __file__, "sync", "-o", "-", "--one", uri, str(target)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found.append({"runs": runs} | json.loads(done.stdout.splitlines()[-1]))
        found[-1]["runs_per_second"] = runs / found[-1]["seconds"]
        print({name: round(value, 2) for name, value in found[-1].items()}, flush=True)
    return found


def carry_once(source: str, target: str) -> dict:
    start, used = time.perf_counter(), time.process_time()
    sync.carry(source, store.locate(target), "many")
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - used,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
