"""How far one training moves with threads, precision and instruction sets. Run by hand:

    python tests/benchmarks/tolerance.py TABLE -o FILE.json

spread   the same training under each setting, in its own process, against the first: weights, metrics, predictions.
         What `textlab.workflows.receipt.TOLERANCE` allows follows from it.
strict   processor seconds of training with `strict` off and on, in turn, which other work on the machine hardly moves

Each writes its measurements as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textlab import data, evaluation, hub, settings, training
from textlab.machine import environment

METRICS = ("accuracy", "macro_f1", "weighted_f1")
CAPPED = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
#: Name -> (threads, precision, environment variables). The first is what the others are compared with.
SETTINGS: dict[str, tuple[int, str, dict[str, str]]] = {
    "2 threads, fp32": (2, "fp32", {}),
    "the same again": (2, "fp32", {"PYTHONHASHSEED": "7"}),
    "1 thread": (1, "fp32", {}),
    "ATen AVX2": (2, "fp32", {"ATEN_CPU_CAPABILITY": "avx2"}),
    "ATen default": (2, "fp32", {"ATEN_CPU_CAPABILITY": "default"}),
    "oneDNN AVX2": (2, "fp32", {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "oneDNN SSE4.1": (2, "fp32", {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "MKL AVX2": (2, "fp32", {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}),
    "MKL SSE4.2": (2, "fp32", {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}),
    "all AVX2, 1 thread": (1, "fp32", dict(zip(CAPPED, ("avx2", "AVX2", "AVX2")))),
    "bf16": (2, "bf16", {}),
    "bf16, 1 thread": (1, "bf16", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("spread", "strict"))
    parser.add_argument("--dataset", default="packaged:all", help="as in the notebooks (default: packaged:all)")
    parser.add_argument("--model", default="packaged")
    parser.add_argument("--rows", type=int, default=4000, help="to train on (default: 4000)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42], help="the whole table is measured with each")
    parser.add_argument("--repeats", type=int, default=3, help="of strict")
    parser.add_argument(
        "--only", nargs="+", metavar="SETTING", default=list(SETTINGS), help="these settings beside the first"
    )
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # one measurement, in a process of its own
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen, **json.loads(chosen.one))))
        return
    found = (spread if chosen.table == "spread" else strict)(chosen)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1))


def measure(environment: dict[str, str], **case) -> dict:
    clean = {name: value for name, value in os.environ.items() if name not in CAPPED}
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--one", json.dumps(case)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=clean | environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def one(chosen, threads: int, precision: str, seed: int, strict: bool = False) -> dict:
    import torch

    torch.set_num_threads(threads)
    environment.quiet()
    environment.fix(seed, strict)
    texts, source = data.load(chosen.dataset, seed=seed, max_train_rows=chosen.rows), hub.resolve_model(chosen.model)
    recipe = settings.make_recipe("short_text", epochs=chosen.epochs, precision=precision)
    tokenizer = training.load_tokenizer(source)
    environment.precision = lambda: precision  # of predictions too, as on a machine that has it
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        fitted = training.fit(
            training.load_model(source, texts.labels, recipe, seed),
            tokenizer,
            data.tokenize(texts.splits, tokenizer, recipe.max_length),
            recipe,
            seed,
            training.Resumable(Path(folder)),
        )
        seconds = time.process_time() - started
    found = {
        "weights": training.weights_sha256(fitted.model),
        "seconds": seconds,
        "environment": environment.fingerprint(),
    }
    for split in [name for name in texts.splits if name != "train"]:
        predicted = training.probabilities(
            fitted.model, tokenizer, texts.splits[split]["text"][:], recipe.max_length
        ).argmax(1)
        found[split] = evaluation.score(texts.splits[split], predicted, resamples=1) | {"predicted": predicted.tolist()}
    return found


def spread(chosen) -> list[dict]:
    """Measure all settings and print how far each is from the first, at most over splits and seeds."""
    names = list(dict.fromkeys([next(iter(SETTINGS)), *chosen.only]))
    found = []
    for seed in chosen.seeds:
        for name in names:
            threads, precision, environment = SETTINGS[name]
            found.append(
                {"setting": name, "seed": seed} | measure(environment, threads=threads, precision=precision, seed=seed)
            )
            print(name, f"seed {seed}", found[-1]["weights"][:12], file=sys.stderr, flush=True)
    print(
        f"{'setting':<20} weights    "
        + "".join(f"{metric:>12}" for metric in METRICS)
        + "   equal predictions (lowest split)"
    )
    for name in names:
        gaps, shares, same = {metric: [] for metric in METRICS}, [], []
        for row in (row for row in found if row["setting"] == name):
            first = next(other for other in found if other["setting"] == names[0] and other["seed"] == row["seed"])
            same.append(row["weights"] == first["weights"])
            for split in ("validation", "test"):
                if split in row:
                    pairs = list(zip(row[split]["predicted"], first[split]["predicted"]))
                    shares.append(statistics.fmean(a == b for a, b in pairs))
                    for metric in METRICS:
                        gaps[metric].append(abs(row[split][metric] - first[split][metric]))
        print(
            f"{name:<20} {'the same' if all(same) else 'differ':<10}"
            + "".join(f"{max(gaps[metric]):12.4f}" for metric in METRICS)
            + f"   {min(shares):.2%}"
        )
    return found


def strict(chosen) -> list[dict]:
    """Measure the price of `strict` and print it."""
    found = []
    for _ in range(chosen.repeats):
        for on in (False, True):
            case = measure(
                {"MKL_CBWR": "AUTO,STRICT"} if on else {},
                threads=os.cpu_count(),
                precision="fp32",
                seed=chosen.seeds[0],
                strict=on,
            )
            found.append({"strict": on, "seconds": case["seconds"], "weights": case["weights"]})
            print(found[-1], file=sys.stderr, flush=True)
    usual, slow = (statistics.median(row["seconds"] for row in found if row["strict"] == on) for on in (False, True))
    print(
        f"processor time: usual {usual:.1f} s, strict {slow:.1f} s: {slow / usual - 1:+.0%}; "
        f"{len({(row['strict'], row['weights']) for row in found})} different weights of {len(found)} trainings"
    )
    return found


if __name__ == "__main__":
    main()
