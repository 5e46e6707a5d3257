"""How fast and in how much memory textlab predicts, against transformers' own pipeline. Run by hand:

    .venv/bin/python tests/benchmarks/prediction.py --out outputs/benchmarks
    .venv/bin/python tests/benchmarks/prediction.py --model tiny --rows 50000 200000 1000000 --out outputs/benchmarks

All variants run in one process, in turn, on the same model, texts and threads, so that their ratios can be compared
also where other jobs disturb the machine. Files: `prediction.json` and `prediction.png`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import pipeline

from textlab import data, hub, machine, settings, training, workflows
from textlab.evaluation import plots
from textlab.machine import environment
from textlab.workflows.watch import Watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default="packaged", help="folder of a fine-tuned model, or packaged or tiny with a fresh head"
    )
    parser.add_argument("--texts", type=Path, help="file with texts, instead of the packaged sentences")
    parser.add_argument(
        "--sample", type=int, default=1000, help="texts of the comparison with the pipeline; 0 leaves it out"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="file sizes of the memory table")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args()
    if chosen.texts:
        texts = [
            text for part, _ in data.stream_texts(chosen.texts, "", 2048) for text in part if text and text.strip()
        ]
    else:
        texts = [text for split in data.load("packaged:all").splits.values() for text in split["text"]]
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        model = (
            chosen.model if chosen.model not in ("packaged", "tiny") else fresh(chosen.model, Path(scratch) / "model")
        )
        found = {"model": chosen.model, "machine": platform.machine(), "environment": environment.fingerprint()}
        if chosen.sample:
            found["throughput"] = throughput(model, texts[: chosen.sample], chosen.repeats)
        found["watch"] = {rows: watching(model, texts[:rows]) for rows in (100, 2048)}
        found["files"] = [file_run(model, texts, rows, Path(scratch)) for rows in chosen.rows]
    machine.write_text(chosen.out / "prediction.json", json.dumps(found, indent=1) + "\n")
    draw(found, chosen.out / "prediction.png")


def fresh(name: str, folder: Path) -> str:
    """Save a pretrained model with an untrained head, whose speed is that of a trained one; return its folder."""
    source, recipe = hub.resolve_model(name), settings.Recipe()
    tokenizer = training.load_tokenizer(source)
    tokenizer.model_max_length = recipe.max_length
    tokenizer.save_pretrained(folder)
    training.load_model(source, ["negative", "neutral", "positive"], recipe, seed=0).save_pretrained(folder)
    return str(folder)


def watching(model: str, texts: list[str]) -> float:
    """Return which share of the processor time of answering texts goes into `Watch`, with the model loaded."""
    classifier = workflows.load(model)
    classifier.table(texts[:20])  # the first answers take longer
    started = time.process_time()
    classifier.table(texts)
    answered = time.process_time()
    watch = Watch(classifier)
    watch.see(texts)
    watch.tell()
    ended = time.process_time()
    return (ended - answered) / (ended - started)


def throughput(model: str, texts: list[str], repeats: int) -> dict:
    """Return texts/s of each variant (median, lowest, highest), and the share of labels that equal the pipeline's."""
    classifier = workflows.load(model)
    usual = pipeline("text-classification", model=model, device=environment.device())
    cut = {"truncation": True, "max_length": classifier.max_length}
    variants = {
        "pipeline, as it comes": lambda: [row["label"] for row in usual(texts, **cut)],
        "pipeline, batch_size=32": lambda: [row["label"] for row in usual(texts, batch_size=32, **cut)],
        "textlab.predict": lambda: workflows.predict(classifier, texts)["label"].tolist(),
    }
    usual(texts[:8], **cut), workflows.predict(classifier, texts[:64])  # warm up
    speeds, labels = {name: [] for name in variants}, {}
    for _, (name, variant) in itertools.product(range(repeats), variants.items()):
        started = time.perf_counter()
        labels[name] = variant()
        speeds[name].append(len(texts) / (time.perf_counter() - started))
        print(f"{name}: {speeds[name][-1]:.1f} texts/s", flush=True)
    plain = next(iter(variants))
    tokens = [len(ids) for ids in classifier.tokenizer(texts)["input_ids"]]
    rows = {
        name: {
            "median": statistics.median(values),
            "lowest": min(values),
            "highest": max(values),
            "times_the_plain_pipeline": statistics.median(values) / statistics.median(speeds[plain]),
            "same_label": sum(map(str.__eq__, labels[name], labels[plain])) / len(texts),
        }
        for name, values in speeds.items()
    }
    print(json.dumps(rows, indent=1))
    return {
        "texts": len(texts),
        "tokens_per_text": statistics.mean(tokens),
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "texts_per_second": rows,
    }


def file_run(model: str, texts: list[str], rows: int, scratch: Path) -> dict:
    """Run `textlab predict` on a file of so many rows in a process of its own; return its seconds and peak memory."""
    source, target = scratch / "texts.csv", scratch / "labelled.csv"
    with source.open("w", encoding="utf-8") as stream:
        stream.write("text\n")
        stream.writelines(
            '"' + text.replace('"', '""') + '"\n' for text in itertools.islice(itertools.cycle(texts), rows)
        )
    started = time.perf_counter()
    job = subprocess.Popen([sys.executable, "-m", "textlab", "predict", model, str(source), "-o", str(target)])
    _, status, used = os.wait4(job.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"predict ended with status {os.waitstatus_to_exitcode(status)}")
    found = {
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
    }
    print(json.dumps(found), flush=True)
    return found


def draw(found: dict, path: Path) -> None:
    """Draw what was measured: bars of texts/s, and memory and time over rows."""
    plots.use_style()
    figure, axes = plt.subplots(1, 3, figsize=(12, 3), layout="constrained")
    rows = found.get("throughput", {}).get("texts_per_second", {})
    medians = [row["median"] for row in rows.values()]
    spread = [[abs(row[end] - row["median"]) for row in rows.values()] for end in ("lowest", "highest")]
    axes[0].barh(list(rows), medians, xerr=spread if rows else None)
    axes[0].set(title="Throughput", xlabel="texts per second, median and range")
    counts = [row["rows"] for row in found["files"]]
    panels = (("peak_mib", "Memory", "MiB, peak"), ("cpu_seconds", "Time", "CPU seconds"))
    for place, (key, title, unit) in zip(axes[1:], panels):
        place.plot(counts, [row[key] for row in found["files"]], "o-")
        place.set(title=title, xlabel="rows", ylabel=unit, ylim=(0, None))
    figure.savefig(path)


if __name__ == "__main__":
    main()
