"""Training benchmarks, run by hand: `python tests/benchmarks/training.py TABLE --dataset FOLDER -o FILE.json`.

throughput   the course script, `run_classification.py` in its two forms, and our recipe, in turn, in a process each
time-to      seconds of training until a validation accuracy is reached, our recipe and the course script
rows         seconds and memory of loading, tokenizing and 50 steps as the number of rows grows
profile      where the time of 50 steps of our recipe goes, in fp32 and in the precision that is fast here

Each writes its measurements as JSON and draws a picture beside it. Ratios are taken within one run: machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textlab import data, hub, settings, training
from textlab.evaluation import plots
from textlab.machine import environment

RECIPES = {
    "course script": 320,
    "run_classification.py": 160,
    "run_classification.py, --pad_to_max_length False": 320,
    "ours": 2400,  # up to 2,000 would have the contrastive term, which more rows do not
}  # name -> rows of one measurement, so that each takes a quarter of a minute or so


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("throughput", "time-to", "rows", "profile"))
    parser.add_argument("--dataset", default="packaged:all", help="as in the notebooks (default: packaged:all)")
    parser.add_argument("--model", default="packaged")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--limit", type=float, default=600, help="time-to: seconds of training after which a recipe is stopped"
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 50_000, 200_000, 1_000_000])
    parser.add_argument(
        "-o", dest="out", type=Path, required=True, help="JSON file; the picture gets its name with .png"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)  # one measurement, in a process of its own
    chosen = parser.parse_args()
    measure = {"throughput": one_throughput, "time-to": one_time_to, "rows": one_rows, "profile": one_profile}[
        chosen.table
    ]
    if chosen.one:
        print(json.dumps(measure(chosen, chosen.one)))
        return
    cases = {
        "throughput": list(RECIPES) * chosen.repeats,
        "time-to": ["ours", "course script"],
        "rows": [str(n) for n in chosen.rows],
        "profile": list({"fp32": 1, environment.precision(): 1}) * chosen.repeats,
    }[chosen.table]
    found = []
    for case in cases:
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--one", case], stdout=subprocess.PIPE, text=True, check=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(found[-1], file=sys.stderr, flush=True)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1))
    shows = {"throughput": show_throughput, "time-to": show_time_to, "rows": show_rows, "profile": show_profile}
    shows[chosen.table](found, chosen.out.with_suffix(".png"))


#: What a step does -> the operations of PyTorch that do it; all others are "the rest".
WORK = {
    "linear layers": ("mm", "addmm"),
    "attention": ("bmm", "baddbmm", "_softmax", "_softmax_backward_data"),
    "GELU": ("gelu", "gelu_backward"),
    "layer norms": ("native_layer_norm", "native_layer_norm_backward"),
    "copies and casts": ("copy_", "_to_copy"),
    "optimizer, gradient norm": ("_fused_adamw_", "linalg_vector_norm"),
    "average of the weights": ("lerp_", "_foreach_lerp_"),
}


def setting(chosen, max_rows=None):

    environment.quiet()
    texts = data.load(chosen.dataset, max_train_rows=max_rows)
    source = hub.resolve_model(chosen.model)
    return texts, source, training.load_tokenizer(source)


def matrix_rate(kind: str) -> float:
    """Return the measured rate of the matrix product of 704 x 384 and 384 x 1536, in 10^12 operations a second."""
    import torch

    a, b = torch.randn(704, 384).to(getattr(torch, kind)), torch.randn(384, 1536).to(getattr(torch, kind))
    times = []
    for _ in range(60):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 704 * 384 * 1536 / statistics.median(times) / 1e12


def stock_trainer(name, texts, source, tokenizer, folder, epochs, callbacks=()):
    """Return the stock Trainer as the course script or `run_classification.py` of transformers sets it up."""
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

    fixed = name == "run_classification.py"
    padding = (
        "max_length" if fixed else name == "course script"
    )  # True: to the longest of the 1,000 that map hands over

    def encode(batch):
        return tokenizer(batch["text"], truncation=True, max_length=128, padding=padding)

    tokens = texts.splits.map(encode, batched=True, batch_size=1000, remove_columns="text")
    model = AutoModelForSequenceClassification.from_pretrained(
        source.path, num_labels=len(texts.labels), local_files_only=True
    )
    course = name == "course script"
    arguments = TrainingArguments(
        output_dir=folder,
        learning_rate=2e-5 if course else 5e-5,
        per_device_train_batch_size=16 if course else 8,
        num_train_epochs=epochs,
        weight_decay=0.01 if course else 0.0,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=environment.device() == "cpu",
    )
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=tokens["train"],
        eval_dataset=tokens["validation"],
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=list(callbacks),
    )


def our_trainer(texts, source, tokenizer, folder, **chosen):

    recipe = settings.make_recipe("short_text", **chosen)
    tokens = data.tokenize(texts.splits, tokenizer, recipe.max_length)
    model = training.load_model(source, texts.labels, recipe, 1)
    return training.build(model, tokenizer, tokens, recipe, 1, training.Unsaved(Path(folder))), recipe, tokens


def stopwatch(skip: int = 2):
    """Return a callback that times the steps after the first few."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        steps, begin, end = 0, 0.0, 0.0

        def on_step_end(self, args, state, control, **kwargs):
            self.steps += 1
            self.end = time.perf_counter()
            if self.steps == skip:
                self.begin = self.end

        def rate(self, rows: int, batch: int, before: float) -> float:
            return (rows - skip * batch) / (self.end - self.begin + before)

    return Stopwatch()


def one_throughput(chosen, name):
    import torch

    rates = {kind: matrix_rate(kind) for kind in ("float32", "bfloat16")}
    texts, source, tokenizer = setting(chosen, RECIPES[name])
    own = int(
        sum(
            len(ids)
            for ids in tokenizer(texts.splits["train"]["text"][:], truncation=True, max_length=128)["input_ids"]
        )
    )
    texts.splits["validation"] = texts.splits["validation"].select(range(64))
    watch = stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        if name == "ours":
            trainer, recipe, tokens = our_trainer(texts, source, tokenizer, folder)
            trainer.add_callback(watch)
            trainer.train()
        else:
            trainer = stock_trainer(name, texts, source, tokenizer, folder, 1, [watch])
            trainer.train()
    rows = len(texts.splits["train"])
    rate = watch.rate(
        rows * int(trainer.args.num_train_epochs), trainer.args.train_batch_size, getattr(trainer, "preparing", 0.0)
    )
    weights = sum(p.numel() for layer in training.layers_of(trainer.model) for p in layer.parameters())
    return {
        "recipe": name,
        "rows": rows,
        "samples_per_second": rate,
        "tokens_per_second": rate * own / rows,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "nominal_tflops": 6 * weights * rate * own / rows / 1e12,
        "matrix_tflops": rates,
        "device": environment.fingerprint()["device"],
        "precision": environment.precision() if name == "ours" else "fp32",
        "threads": torch.get_num_threads(),
    }


def show_throughput(found, picture):
    import matplotlib.pyplot as plt

    plots.use_style()
    print(f"\n{'recipe':<48} samples/s (lowest to highest)  tokens/s   MB  of matrix rate (fp32, bf16)")
    medians = {}
    for name in RECIPES:
        rows = [row for row in found if row["recipe"] == name]
        rates = sorted(row["samples_per_second"] for row in rows)
        medians[name] = statistics.median(rates)
        shares = [
            statistics.median(row["nominal_tflops"] / row["matrix_tflops"][kind] for row in rows)
            for kind in ("float32", "bfloat16")
        ]
        tokens = statistics.median(row["tokens_per_second"] for row in rows)
        print(
            f"{name:<48} {medians[name]:6.1f} ({rates[0]:.1f} to {rates[-1]:.1f}) {tokens:10.0f}"
            f" {max(r['peak_memory_mb'] for r in rows):6.0f}  {shares[0]:.2f}, {shares[1]:.2f}"
        )
    for name in [name for name in medians if name != "ours"]:
        print(f"ours is {medians['ours'] / medians[name]:.1f} times as fast as {name}")
    figure, axes = plt.subplots(figsize=(7, 2.6))
    axes.barh(list(medians)[::-1], list(medians.values())[::-1], color=["C1", "C0", "C0", "C0"])
    axes.set(title="Training throughput", xlabel="texts a second (median)")
    figure.savefig(picture)


def one_time_to(chosen, name):
    from sklearn.metrics import accuracy_score
    from transformers import TrainerCallback

    texts, source, tokenizer = setting(chosen)
    curve = []

    class Clock(TrainerCallback):
        """Scores validation every 50 steps of 32 texts, off the clock."""

        def __init__(self, every):
            self.every, self.seconds, self.started = every, 0.0, None

        def on_step_begin(self, args, state, control, **kwargs):
            self.started = self.started or time.perf_counter()

        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step % self.every:
                return
            self.seconds, self.started = self.seconds + time.perf_counter() - self.started, None
            chances = training.probabilities(model, tokenizer, texts.splits["validation"]["text"][:], 128)
            accuracy = accuracy_score(texts.splits["validation"]["label"][:], chances.argmax(1))
            curve.append({"seconds": round(self.seconds, 1), "accuracy": accuracy})
            print(name, curve[-1], file=sys.stderr, flush=True)
            control.should_training_stop = accuracy >= 0.92 or self.seconds > chosen.limit

    with tempfile.TemporaryDirectory() as folder:
        if name == "ours":
            trainer, *_ = our_trainer(texts, source, tokenizer, folder)
            trainer.add_callback(Clock(50))
            trainer.train()
        else:
            stock_trainer(name, texts, source, tokenizer, folder, 3, [Clock(100)]).train()
    reached = {str(goal): next((p["seconds"] for p in curve if p["accuracy"] >= goal), None) for goal in (0.90, 0.92)}
    return {"recipe": name, "seconds_to": reached, "curve": curve}


def show_time_to(found, picture):
    import matplotlib.pyplot as plt

    plots.use_style()
    figure, axes = plt.subplots()
    for row in found:
        axes.plot([p["seconds"] for p in row["curve"]], [p["accuracy"] for p in row["curve"]], label=row["recipe"])
        print(row["recipe"], row["seconds_to"], "last", row["curve"][-1])
    axes.set(title="Validation accuracy over training time", xlabel="seconds of training", ylabel="accuracy")
    axes.legend()
    figure.savefig(picture)


def one_rows(chosen, rows):

    rows = int(rows)
    texts, source, tokenizer = setting(chosen)
    pool = [
        (text, label)
        for text, label in zip(
            texts.splits["train"]["text"],
            texts.splits["train"].features["label"].int2str(texts.splits["train"]["label"][:]),
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.csv"
        with file.open("w", encoding="utf-8") as stream:
            stream.write("text,label\n")
            for i in range(rows):
                text, label = pool[i % len(pool)]
                stream.write(f'"{text} {i}",{label}\n')
        start = time.perf_counter()
        loaded = data.load(str(file))
        read = time.perf_counter()
        tokens = data.tokenize(loaded.splits, tokenizer, 96)
        tokenized = time.perf_counter()
        recipe = settings.make_recipe("short_text", epochs=1)
        few = type(tokens)(train=tokens["train"], validation=tokens["validation"].select(range(64)))
        trainer = training.build(
            training.load_model(source, loaded.labels, recipe, 1),
            tokenizer,
            few,
            recipe,
            1,
            training.Unsaved(Path(folder) / "t"),
        )
        trainer.args.max_steps = 50
        before = time.perf_counter()
        trainer.train()
        trained = time.perf_counter()
    return {
        "rows": rows,
        "load_seconds": read - start,
        "tokenize_seconds": tokenized - read,
        "seconds_of_50_steps": trained - before,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def one_profile(chosen, precision):
    from torch.profiler import ProfilerActivity, profile

    texts, source, tokenizer = setting(chosen, 1600)
    texts.splits["validation"] = texts.splits["validation"].select(range(64))
    chosen_settings = {"precision": precision, "epochs": 1, "contrastive": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        trainer, _, tokens = our_trainer(texts, source, tokenizer, folder, **chosen_settings)
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            trainer.train()
    times = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in seen.key_averages()}
    total = sum(times.values())
    shares = {part: sum(times.get(name, 0) for name in names) / total for part, names in WORK.items()}
    layers = (
        training.work(trainer.model, tokens["train"], trainer.recipe) * 2e9 / (shares["linear layers"] * total / 1e6)
    )
    kind = {"fp32": "float32", "bf16": "bfloat16"}[precision]
    return {
        "precision": precision,
        "shares": shares | {"the rest": 1 - sum(shares.values())},
        "linear_tflops": layers / 1e12,
        "matrix_tflops": matrix_rate(kind),
    }


def show_profile(found, picture):
    import matplotlib.pyplot as plt
    import pandas as pd

    plots.use_style()
    rows = pd.DataFrame([row["shares"] | {"precision": row["precision"]} for row in found])
    table = rows.groupby("precision", sort=False).median().T
    print(table.map("{:.1%}".format).to_string())
    for precision in table:
        rates = [row["linear_tflops"] / row["matrix_tflops"] for row in found if row["precision"] == precision]
        print(f"{precision}: linear layers reach {statistics.median(rates):.0%} of the rate of one matrix product")
    figure, axes = plt.subplots(figsize=(7, 2.6))
    table[::-1].plot.barh(ax=axes)
    axes.set(title="Where the time of a training step goes", xlabel="share of the time")
    figure.savefig(picture)


def show_rows(found, picture):
    import matplotlib.pyplot as plt

    plots.use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    counts = [row["rows"] for row in found]
    for key in ("load_seconds", "tokenize_seconds", "seconds_of_50_steps"):
        left.loglog(counts, [row[key] for row in found], "o-", label=key.replace("_", " "))
    left.set(title="Time", xlabel="rows", ylabel="seconds")
    left.legend()
    right.semilogx(counts, [row["peak_memory_mb"] for row in found], "o-")
    right.set(title="Peak memory", xlabel="rows", ylabel="MB", ylim=(0, None))
    figure.savefig(picture)
    for row in found:
        print({name: round(value, 1) for name, value in row.items()})


if __name__ == "__main__":
    main()
