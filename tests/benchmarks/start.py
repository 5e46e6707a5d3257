"""How long a person waits before anything happens, and for what. Run by hand:

    .venv/bin/python tests/benchmarks/start.py --model outputs/demo -o outputs/benchmarks/start.json

Each command is a process of its own, and they take turns, so that other work on the machine hits all alike. Measured
are the processor time, the memory, and the seconds until the first output and until the end. Further processes import
what a prediction needs, one package after the other, and load the model: the processor time of each part. The picture
has the name of the JSON file and ends in .png.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from textlab import __main__ as command_line
from textlab import machine, workflows

TEXTS = ["I love this", "This is awful"]
#: What a prediction imports, in an order in which each is counted without those before it. The four that follow
#: `transformers.models` are imported by `transformers.modeling_utils`, whatever the model.
PARTS = ["numpy", "pandas", "pyarrow.parquet", "torch", "transformers", "transformers.models"]
PARTS += ["torch.distributed.tensor", "torch._dynamo", "scipy.optimize", "accelerate", "transformers.modeling_utils"]
#: What other commands import, each in a process of its own.
OTHERS = ["mlflow", "datasets", "sklearn.metrics", "papermill", "matplotlib.pyplot"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="outputs/demo", help="as predict takes it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--inside", nargs="+", metavar="PACKAGE", help=argparse.SUPPRESS)  # see `inside`
    chosen = parser.parse_args()
    if chosen.inside:
        chosen.out.write_text(json.dumps(parts(chosen.model, chosen.inside)), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as scratch:
        rounds = [round_of_all(chosen.model, Path(scratch) / str(number)) for number in range(chosen.repeats)]
    found = medians(rounds)
    machine.write_text(chosen.out, json.dumps({"repeats": chosen.repeats} | found, indent=1) + "\n")
    draw(found, chosen.out.with_suffix(".png"))
    print(json.dumps(found, indent=1))


def round_of_all(model: str, scratch: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Measure everything once: group -> what was measured -> fact -> figure."""
    scratch.mkdir()
    texts = scratch / "texts.txt"
    texts.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    model = str(Path(model).resolve()) if Path(model).exists() else model
    answers = str(scratch / "answers.csv")
    commands = {
        "--help": command(["--help"]),
        "an error about a parameter": command(["run", "02", "-p", "epochs", "many"], status=2),
        "an error about a file": command(["predict", model, "missing.txt", "-o", answers], status=2),
        "an error about a model": command(["predict", "no/such/model", str(texts), "-o", answers], status=2),
        "predict, two lines": command(["predict", model, str(texts), "-o", answers]),
        "run 01, to its first line": command(["run", "01", "--out", str(scratch / "run")], status=None),
    }
    one_after_the_other = inside(model, scratch, PARTS)
    others = {name: {"cpu_seconds": inside("", scratch, [name])[name]} for name in OTHERS}
    return {
        "commands": commands,
        "parts_of_predict": {name: {"cpu_seconds": value} for name, value in one_after_the_other.items()},
        "imports_of_others": others,
    }


def command(arguments: Sequence[str], status: int | None = 0) -> dict[str, float]:
    """Run a command and return what it took.

    Args:
        status: with which it has to end; None stops it at its first output.
    """
    started = time.perf_counter()
    job = subprocess.Popen(
        [sys.executable, "-m", "textlab", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    job.stdout.read(1)
    first = time.perf_counter() - started
    if status is None:
        job.terminate()
    said = job.stdout.read()
    _, ended, used = os.wait4(job.pid, 0)
    if status is not None and os.waitstatus_to_exitcode(ended) != status:
        raise SystemExit(f"{' '.join(arguments)} did not end with status {status}: {said.decode()}")
    found = {"first_output_seconds": first}
    if status is not None:
        found |= {"seconds": time.perf_counter() - started, "cpu_seconds": used.ru_utime + used.ru_stime}
        found |= {"peak_mib": used.ru_maxrss / 1024}
    return found


def inside(model: str, scratch: Path, packages: Sequence[str]) -> dict[str, float]:
    """Return `parts` of a process of its own."""
    out = scratch / "parts.json"
    subprocess.run([sys.executable, __file__, "--model", model, "-o", out, "--inside", *packages], check=True)
    return json.loads(out.read_text(encoding="utf-8"))


def parts(model: str, packages: Sequence[str]) -> dict[str, float]:
    """Return the processor time in seconds of each import and, with a model, of loading it and of two answers."""
    gc.set_threshold(command_line.OBJECTS)
    seconds, started = {}, time.process_time()

    def took(what: str) -> None:
        nonlocal started
        seconds[what], started = time.process_time() - started, time.process_time()

    for name in packages:
        importlib.import_module(name)
        took(name)
    if model:
        classifier = workflows.load(model)
        took("the model, loaded and checked")
        workflows.predict(classifier, TEXTS)
        took("two answers")
    return seconds


def medians(rounds: Sequence) -> dict | float:
    """Return the median of each figure over rounds: numbers, or mappings of such."""
    if isinstance(rounds[0], dict):
        return {name: medians([one[name] for one in rounds]) for name in rounds[0]}
    return round(statistics.median(rounds), 3)


def draw(found: dict, path: Path) -> None:
    """Draw what the commands and their parts take."""
    import matplotlib.pyplot as plt  # here, since the processes that count imports begin without it

    from textlab.evaluation import plots

    plots.use_style()
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    panels = (
        ("commands", "first_output_seconds", "Commands", "seconds to the first output"),
        ("parts_of_predict", "cpu_seconds", "Parts of predict", "processor time, seconds"),
    )
    for place, (group, fact, title, unit) in zip(axes, panels):
        place.barh(list(found[group]), [row[fact] for row in found[group].values()])
        place.invert_yaxis()
        place.set(title=title, xlabel=unit)
    figure.savefig(path)


if __name__ == "__main__":
    main()
