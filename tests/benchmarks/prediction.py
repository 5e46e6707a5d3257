"""How fast and in how much memory textlab predicts, against transformers' own pipeline. Run by hand:

    .venv/bin/python tests/benchmarks/prediction.py --out outputs/benchmarks
    .venv/bin/python tests/benchmarks/prediction.py --model tiny --rows 50000 200000 1000000 --out outputs/benchmarks

All variants run in one process, in turn, on the same model, texts and threads, so that their ratios can be compared
also where other jobs disturb the machine. Files: `prediction.json` and `prediction.png`.

With `--onnx` the model is also exported, its products are made dynamic int8, and ONNX Runtime answers. That needs the
packages onnx, onnxscript and onnxruntime, which the library does not: run it in an environment of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import AutoModelForSequenceClassification, pipeline

from textlab import data, hub, machine, settings, training, workflows
from textlab.evaluation import plots
from textlab.machine import environment
from textlab.workflows.watch import Watch

#: What `--onnx` needs beside this project's packages.
ONNX = ("onnx", "onnxscript", "onnxruntime")


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
    parser.add_argument("--onnx", action="store_true", help="compare with ONNX Runtime, too, with dynamic int8")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="file sizes of the memory table")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args()
    if chosen.onnx and (lacking := [name for name in ONNX if importlib.util.find_spec(name) is None]):
        parser.error(f"--onnx needs packages that are not here; install them: pip install {' '.join(lacking)}")
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
            found["throughput"] = throughput(model, texts[: chosen.sample], chosen.repeats, chosen.onnx)
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


def throughput(model: str, texts: list[str], repeats: int, onnx: bool = False) -> dict:
    """Return texts/s of each variant (median, lowest, highest), and the share of labels that equal the pipeline's."""
    classifier = workflows.load(model)
    variants = variants_of(model, classifier, onnx)
    for variant in variants.values():
        variant(texts[:64])  # warm up
    speeds, labels = {name: [] for name in variants}, {}
    for _, (name, variant) in itertools.product(range(repeats), variants.items()):
        started = time.perf_counter()
        labels[name] = variant(texts)
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


def variants_of(model: str, classifier: training.Classifier, onnx: bool) -> dict[str, Callable[[list[str]], list[str]]]:
    """Return what is compared: functions that give the label of each text; the pipeline as it comes is the first."""
    usual = pipeline("text-classification", model=model, device=environment.device())
    cut = {"truncation": True, "max_length": classifier.max_length}

    def piped(texts: list[str], **options: int) -> list[str]:
        return [row["label"] for row in usual(texts, **cut, **options)]

    def in_batches(texts: list[str]) -> list[str]:
        return piped(texts, batch_size=32)

    def exact(texts: list[str]) -> list[str]:
        tools = classifier.model, classifier.tokenizer
        chances = training.probabilities(*tools, texts, classifier.max_length, exact=True)
        return [classifier.labels[i] for i in chances.argmax(1)]

    variants = {
        "pipeline, as it comes": piped,
        "pipeline, batch_size=32": in_batches,
        "pipeline, batch_size=32, sorted": lambda texts: by_length(in_batches, texts),
        "textlab, in fp32": exact,
        "textlab.predict": lambda texts: workflows.predict(classifier, texts)["label"].tolist(),
    }
    return variants | ({"ONNX Runtime, int8": in_onnx(model, classifier)} if onnx else {})


def by_length(answer: Callable[[list[str]], Sequence[str]], texts: list[str]) -> list[str]:
    """Return the answers to texts in their order, when they are asked for from the shortest to the longest."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    given = dict(zip(order, answer([texts[i] for i in order]), strict=True))
    return [given[i] for i in range(len(texts))]


def in_onnx(model: str, classifier: training.Classifier) -> Callable[[list[str]], list[str]]:
    """Return a function that answers through ONNX Runtime, with dynamic int8, in sorted batches of 32 texts."""
    import onnxruntime  # not among the packages of this project
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as scratch:
        whole, small = Path(scratch) / "model.onnx", Path(scratch) / "int8.onnx"
        export(model, whole)
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True)
        session = onnxruntime.InferenceSession(small, options, providers=["CPUExecutionProvider"])
    wanted = [given.name for given in session.get_inputs()]

    def answer(texts: list[str]) -> list[str]:
        labels = []
        for start in range(0, len(texts), 32):
            batch = classifier.tokenizer(
                texts[start : start + 32],
                truncation=True,
                max_length=classifier.max_length,
                padding=True,
                return_token_type_ids=True,
                return_tensors="np",
            )
            logits = session.run(["logits"], {name: batch[name] for name in wanted})[0]
            labels += [classifier.labels[i] for i in logits.argmax(1)]
        return labels

    return lambda texts: by_length(answer, texts)


def export(model: str, file: Path) -> None:
    """Write a model as ONNX, for batches of any number of texts of any length."""
    plain = AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager", dtype=torch.float32)
    ids = torch.arange(5, 29).view(2, 12)
    taken = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    accepted = inspect.signature(plain.forward).parameters
    taken = {name: values for name, values in taken.items() if name in accepted}
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=512)}
    torch.onnx.export(
        plain.eval(),
        kwargs=taken,
        f=file,
        dynamo=True,
        verbose=False,
        output_names=["logits"],
        dynamic_shapes=dict.fromkeys(taken, sizes),
    )


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
