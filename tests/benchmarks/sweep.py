"""What a sweep costs beside separate trainings, run by hand: `python tests/benchmarks/sweep.py -o FILE.json`.

A sweep of notebook 3's defaults with so many trials, then trainings of the same data in fresh processes, with our
recipe and with the course script's, each at settings drawn from the same space. Of the separate trainings a few are run
and multiplied.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textlab import data, evaluation, hub, training
from textlab.settings import make_recipe, parameters

CASES = {"ours": "short_text", "course script": "lab"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3, help="of the whole comparison; the median counts")
    parser.add_argument(
        "--separate", type=int, default=2, help="separate trainings that are run of each kind in a repeat"
    )
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # recipe and learning rate, in a process of its own
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps({"validation_macro_f1": train_once(*chosen.one)}))
        return
    found = []
    for repeat in range(chosen.repeats):
        with tempfile.TemporaryDirectory() as folder:
            values = [
                "-p",
                "n_trials",
                str(chosen.trials),
                "-p",
                "study",
                f"benchmark-{repeat}",
                "-p",
                "seed",
                str(42 + repeat),
            ]
            seconds, said = timed([sys.executable, "-m", "textlab", "sweep", *values, "--out", folder])
        states = [line.split()[1] for line in said.splitlines()[2:]]
        best = max(float(line.split()[2]) for line in said.splitlines()[2:] if line.split()[1] == "COMPLETE")
        row = {"sweep_seconds": seconds, "best": best, "pruned": states.count("PRUNED")}
        for name, recipe in CASES.items():
            rates = [2e-4, 1e-3, 5e-4, 1.5e-3][: chosen.separate]
            runs = [
                timed(
                    [sys.executable, __file__, "--one", recipe, str(rate if name == "ours" else rate / 25), "-o", "-"]
                )
                for rate in rates
            ]
            row[f"{name}, seconds"] = statistics.mean(seconds for seconds, _ in runs) * chosen.trials
            row[f"{name}, best"] = max(json.loads(said.splitlines()[-1])["validation_macro_f1"] for _, said in runs)
        found.append(row)
        print(row, file=sys.stderr, flush=True)
    for name in CASES:
        shares = [row["sweep_seconds"] / row[f"{name}, seconds"] for row in found]
        print(
            f"a sweep of {chosen.trials} takes {statistics.median(shares):.3f} of {chosen.trials} separate trainings, "
            f"{name} ({', '.join(f'{share:.3f}' for share in shares)})"
        )
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1))


def timed(command: list[str]) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return time.perf_counter() - start, done.stdout


def train_once(recipe: str, rate: str) -> float:
    """Train on notebook 3's data as a script of its own would, and return macro F1 on validation."""

    defaults = parameters.defaults("03_mlflow_tracking")
    texts = data.load(defaults["dataset"], max_train_rows=defaults["max_train_rows"])
    chosen = make_recipe(
        recipe, learning_rate=float(rate), epochs=defaults["epochs"] if recipe == "short_text" else None
    )
    source = hub.resolve_model(defaults["model"])
    tokenizer = training.load_tokenizer(source)
    with tempfile.TemporaryDirectory() as folder:
        fitted = training.fit(
            training.load_model(source, texts.labels, chosen, 42),
            tokenizer,
            data.tokenize(texts.splits, tokenizer, chosen.max_length),
            chosen,
            42,
            training.Unsaved(Path(folder)),
        )
    answers = training.probabilities(
        fitted.model, tokenizer, texts.splits["validation"]["text"][:], chosen.max_length
    ).argmax(1)
    return evaluation.score(texts.splits["validation"], answers)["macro_f1"]


if __name__ == "__main__":
    main()
