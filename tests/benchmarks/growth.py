"""How time and memory grow with the rows of a data set and with the runs of a store. Run by hand:

    .venv/bin/python tests/benchmarks/growth.py -o outputs/benchmarks/growth.json

Pieces of work, each at sizes that grow tenfold, in a process of its own, so that its peak of memory is its own:

read       a csv file of so many rows, its splits drawn, with its report of quality
tokenize   such rows, as a model reads them
train      a tiny random model for one epoch on such rows: the way of the data, hardly any arithmetic
predict    a file of so many rows, by such a model: all but the model
list       the runs of a store with so many of them, as notebook 4 reads them, each with 5 curves of 20 points
sync       such a store, to a new one

What the file holds already is not measured again, so a higher `--up-to` goes on with it. The exponent that is printed
is the slope of the processor time in the last tenfold step, in logarithms: 1 is in proportion to the size, 2 its
square. The picture has the name of the JSON file and ends in .png.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from textlab import data, hub, machine, tracking, training, workflows
from textlab.evaluation import sweep_analysis
from textlab.machine import environment
from textlab.settings import Recipe, make_recipe
from textlab.tracking import store, sync

sys.path.insert(0, str(Path(__file__).parents[1]))

EXPERIMENT, METRIC = "many", "metric 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", nargs="+", choices=PIECES, default=list(PIECES))
    parser.add_argument("--up-to", type=int, default=10**6, help="rows, from 1,000")
    parser.add_argument("--runs-up-to", type=int, default=10**4, help="runs of a store, from 10")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a piece, of what lies in the folder `out`
    chosen = parser.parse_args()
    environment.quiet()
    if chosen.one:
        print(json.dumps(measure(PIECES[chosen.one](chosen.out))))
        return
    found = json.loads(chosen.out.read_text()) if chosen.out.exists() else []
    known = {(row["piece"], row["size"]) for row in found}
    for piece in chosen.pieces:
        smallest, largest = (10, chosen.runs_up_to) if piece in OF_STORES else (1000, chosen.up_to)
        sizes = (smallest * 10**step for step in range(9))
        for size in [size for size in sizes if size <= largest]:
            if (piece, size) not in known:
                found.append({"piece": piece, "size": size} | alone(piece, size))
                print(found[-1], file=sys.stderr, flush=True)
                machine.write_text(chosen.out, json.dumps(found, indent=1) + "\n")
    draw(found, chosen.out.with_suffix(".png"))
    print(*table(found), sep="\n")


def alone(piece: str, size: int) -> dict[str, float]:
    """Return `measure` of a process of its own, in a folder with what that needs."""
    with tempfile.TemporaryDirectory() as folder:
        if piece in OF_STORES:
            from mlflow_stores import many_runs

            many_runs(Path(folder), EXPERIMENT, size, curves=5, points=20)
        else:
            write_rows(Path(folder) / "rows.csv", size)
        command = [sys.executable, __file__, "--one", piece, "-o", folder]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Return seconds and processor seconds of a piece of work, and the peak of this process's memory in MiB."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - used,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def write_rows(path: Path, rows: int) -> None:
    """Write the packaged texts with their labels again and again, each with a number, so that no two are the same."""
    splits = data.load("packaged").splits.values()
    texts = [text for split in splits for text in split["text"]]
    labels = [label for split in splits for label in data.label_words(split)]
    numbers, whole = range(rows), math.ceil(rows / len(texts))
    numbered = [f"{text} {number}" for text, number in zip(texts * whole, numbers)]
    pd.DataFrame({"text": numbered, "label": (labels * whole)[:rows]}).to_csv(path, index=False)


def loaded(folder: Path) -> tuple[data.Data, hub.Source, Recipe]:
    """Return the rows of a folder, the tiny model, and the recipe for them."""
    rows, model = data.load(str(folder / "rows.csv")), hub.resolve_model("tiny")
    recipe, _ = training.suit(
        make_recipe("short_text", epochs=1), rows.splits["train"], training.load_tokenizer(model), model
    )
    return rows, model, recipe


def read(folder: Path) -> Callable[[], object]:
    return lambda: data.load(str(folder / "rows.csv"))


def tokenize(folder: Path) -> Callable[[], object]:
    rows, model, recipe = loaded(folder)
    tokenizer = training.load_tokenizer(model)
    return lambda: data.tokenize(rows.splits, tokenizer, recipe.max_length)


def train(folder: Path) -> Callable[[], object]:
    rows, model, recipe = loaded(folder)
    tokenizer = training.load_tokenizer(model)
    tokens = data.tokenize(rows.splits, tokenizer, recipe.max_length)
    fresh = training.load_model(model, rows.labels, recipe, seed=0)
    return lambda: training.fit(fresh, tokenizer, tokens, recipe, 0, training.Unsaved(folder))


def predict(folder: Path) -> Callable[[], object]:
    source, recipe, model = hub.resolve_model("tiny"), Recipe(), folder / "model"
    tokenizer = training.load_tokenizer(source)
    tokenizer.model_max_length = recipe.max_length
    tokenizer.save_pretrained(model)
    training.load_model(source, ["negative", "neutral", "positive"], recipe, seed=0).save_pretrained(model)
    return lambda: workflows.predict_file(model, folder / "rows.csv", folder / "labelled.csv")


def list_runs(folder: Path) -> Callable[[], object]:
    def listed() -> sweep_analysis.Runs:
        tracking.connect(store.store_uri(folder), EXPERIMENT, create=False)
        return sweep_analysis.comparable(tracking.runs(EXPERIMENT, only_finished=False), METRIC)

    return listed


def carry(folder: Path) -> Callable[[], object]:
    return lambda: sync.carry(store.store_uri(folder), store.store_uri(folder / "copy"))


#: Name -> a function that prepares the work on what lies in a folder, and returns it.
PIECES = {"read": read, "tokenize": tokenize, "train": train, "predict": predict, "list": list_runs, "sync": carry}
OF_STORES = ("list", "sync")


def table(found: Sequence[dict]) -> Iterator[str]:
    """Yield a table in Markdown: a line for each piece and size, with the exponent of the step that led there."""
    yield "| piece | size | seconds | CPU seconds | peak MiB | exponent |"
    yield "|---|---|---|---|---|---|"
    for _, rows in by_piece(found):
        for before, row in zip([None, *rows], rows):
            exponent = f"{slope(before, row):.2f}" if before else ""
            figures = f"{row['seconds']:.2f} | {row['cpu_seconds']:.2f} | {row['peak_mib']:.0f}"
            yield f"| {row['piece']} | {row['size']:,} | {figures} | {exponent} |"


def slope(before: dict, row: dict) -> float:
    return math.log(row["cpu_seconds"] / before["cpu_seconds"]) / math.log(row["size"] / before["size"])


def by_piece(found: Sequence[dict]) -> Iterator[tuple[str, list[dict]]]:
    """Yield each piece that was measured, and its rows by size."""
    for piece in dict.fromkeys(row["piece"] for row in found):
        yield piece, sorted((row for row in found if row["piece"] == piece), key=lambda row: row["size"])


def draw(found: Sequence[dict], path: Path) -> None:
    """Draw processor time and memory over size, in logarithms."""
    import matplotlib.pyplot as plt  # here, since it would count in the memory of each piece

    from textlab.evaluation import plots

    plots.use_style()
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    panels = (("cpu_seconds", "Time", "processor time, seconds"), ("peak_mib", "Memory", "peak, MiB"))
    for place, (key, title, unit) in zip(axes, panels):
        for piece, rows in by_piece(found):
            place.loglog([row["size"] for row in rows], [row[key] for row in rows], "o-", label=piece)
        place.set(title=title, xlabel="rows, or runs of a store", ylabel=unit)
    axes[0].legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
