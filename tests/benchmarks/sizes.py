"""How good the default recipe is on few rows and on many, beside the baselines, the course script and SetFit, by hand:

    .venv/bin/python tests/benchmarks/sizes.py --data packaged my_texts.csv --sizes 50 200 1000 -o outputs/sizes.json

Every way learns from the same rows, drawn class by class, and answers the same ones: those of test where there are any,
else those of validation. What the file holds already is not measured again, so a longer list goes on with it.

What a setting gains is seen beside the default, `--ways default "default frozen_share=0"`.

SetFit needs an environment of its own: `python3 -m venv DIR; DIR/bin/pip install "setfit==1.2.0" "transformers<5"`, and
`--setfit DIR/bin/python`. It starts from the same pretrained model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset

from textlab import data, evaluation, hub, training
from textlab.errors import InputError
from textlab.machine import environment
from textlab.settings import Recipe, make_recipe

#: Recipes that are trained, by the names in the table.
TRAINED = {"default": "short_text", "course script": "lab"}
#: The most rows that are answered.
ANSWERED = 2000
#: What runs in SetFit's own environment: a folder with train.json (text, label), ask.json (text) and the model.
SETFIT = """
import json, sys
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
folder, model, seed = sys.argv[1:]
train = Dataset.from_dict(json.load(open(folder + "/train.json")))
model = SetFitModel.from_pretrained(model)
arguments = TrainingArguments(output_dir=folder, seed=int(seed), report_to="none", save_strategy="no")
Trainer(model=model, args=arguments, train_dataset=train).train()
answers = model.predict(json.load(open(folder + "/ask.json"))["text"], show_progress_bar=False)
json.dump([int(answer) for answer in answers], open(folder + "/answers.json", "w"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["packaged"], help="as the parameter dataset")
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 100, 200, 500, 1000, 2000])
    parser.add_argument("--draws", type=int, default=3, help="of the rows, each with its own seed")
    ways = f"beside baselines: {', '.join(TRAINED)}, with settings if you like, and setfit"
    parser.add_argument("--ways", nargs="+", default=["default"], help=ways)
    parser.add_argument("--setfit", default=sys.executable, help="the Python of SetFit's environment")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    chosen = parser.parse_args()
    for way in {*chosen.ways} - {"setfit"}:
        recipe_of(way)  # an unknown one is told before anything is measured
    environment.quiet()
    found = json.loads(chosen.out.read_text()) if chosen.out.exists() else []
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    for source in chosen.data:
        for size in chosen.sizes:
            for draw in range(chosen.draws):
                known = {row["way"] for row in found if (row["data"], row["size"], row["draw"]) == (source, size, draw)}
                for row in measure(source, size, draw, [way for way in chosen.ways if way not in known], chosen.setfit):
                    if row["way"] not in known:
                        found.append({"data": source, "size": size, "draw": draw} | row)
                        print(found[-1], file=sys.stderr, flush=True)
                        chosen.out.write_text(json.dumps(found, indent=1))
    print(*table(found), sep="\n")


def measure(source: str, size: int, draw: int, ways: Sequence[str], python: str) -> Iterator[dict]:
    """Yield for each baseline and each way its name, accuracy, macro F1 and seconds."""
    if not ways:
        return
    texts = data.load(source, seed=draw, max_train_rows=size)
    asked = texts.splits["test" if "test" in texts.splits else "validation"]
    asked = asked.select(data.drawn_by_class(asked["label"][:], ANSWERED, 0))
    model = hub.resolve_model("packaged")
    tokenizer = training.load_tokenizer(model)
    suited, _ = training.suit(make_recipe("short_text"), texts.splits["train"], tokenizer, model)
    parts = {"train": texts.splits["train"], "asked": asked}
    for name in ("linear baselines", *ways):
        start = time.perf_counter()
        if name == "linear baselines":
            answers = evaluation.baselines(parts, draw)
            answers |= training.Probe(model, texts.labels, tokenizer, suited.max_length, draw)(parts)
        elif name == "setfit":
            answers = {name: {"asked": setfit(parts, model.path, draw, python)}}
        else:
            answers = {name: {"asked": trained(texts, asked, model, recipe_of(name), draw)}}
        seconds = time.perf_counter() - start
        for way, answer in answers.items():
            scores = evaluation.score(asked, answer["asked"], resamples=1)
            yield {"way": way, "accuracy": scores["accuracy"], "macro_f1": scores["macro_f1"], "seconds": seconds}


def recipe_of(way: str) -> Recipe:
    """Return the recipe of a way, such as "default" or "default frozen_share=0 epochs=48"."""
    name = next((name for name in TRAINED if way == name or way.startswith(f"{name} ")), None)
    if name is None:
        raise InputError(f"--ways: got {way!r}; accepted are {', '.join(TRAINED)} and setfit")
    chosen = (option.split("=", 1) for option in way[len(name) :].split())
    return make_recipe(TRAINED[name], **{key: json.loads(value) for key, value in chosen})


def trained(texts: data.Data, asked: Dataset, model: hub.Source, recipe: Recipe, seed: int) -> np.ndarray:
    """Return the answers of a model that is trained by a recipe."""
    tokenizer = training.load_tokenizer(model)
    suited, _ = training.suit(recipe, texts.splits["train"], tokenizer, model)
    tokens = data.tokenize(texts.splits, tokenizer, suited.max_length)
    with tempfile.TemporaryDirectory() as folder:
        plan = training.Resumable(Path(folder)) if suited.keep == "best" else training.Unsaved(Path(folder), [1])
        fresh = training.load_model(model, texts.labels, suited, seed, several=texts.several)
        fitted = training.fit(fresh, tokenizer, tokens, suited, seed, plan)

    def chances(rows: Dataset) -> np.ndarray:
        return training.probabilities(fitted.model, tokenizer, rows["text"][:], suited.max_length)

    validation = texts.splits["validation"]
    thresholds = evaluation.choose(evaluation.truth(validation), chances(validation)) if texts.several else None
    return evaluation.decide(chances(asked), thresholds)


def setfit(parts: dict[str, Dataset], model: Path, seed: int, python: str) -> list[int]:
    """Return the class ids of SetFit with its own defaults."""
    with tempfile.TemporaryDirectory() as folder:
        rows = {"text": parts["train"]["text"][:], "label": parts["train"]["label"][:]}
        (Path(folder) / "train.json").write_text(json.dumps(rows))
        (Path(folder) / "ask.json").write_text(json.dumps({"text": parts["asked"]["text"][:]}))
        subprocess.run([python, "-c", SETFIT, folder, str(model), str(seed)], check=True, capture_output=True)
        return json.loads((Path(folder) / "answers.json").read_text())


def table(found: Sequence[dict]) -> Iterator[str]:
    """Yield a table in Markdown: a line for each data set, size and way, medians over the draws."""
    yield "| data | rows | way | accuracy | macro F1 | seconds | draws |"
    yield "|---|---|---|---|---|---|---|"
    for source, size, way in dict.fromkeys((row["data"], row["size"], row["way"]) for row in found):
        rows = [row for row in found if (row["data"], row["size"], row["way"]) == (source, size, way)]
        accuracy, macro_f1, seconds = (
            statistics.median(row[key] for row in rows) for key in ("accuracy", "macro_f1", "seconds")
        )
        figures = f"{accuracy:.3f} | {macro_f1:.3f} | {seconds:.0f} | {len(rows)}"
        yield f"| {Path(source).name} | {size} | {way} | {figures} |"


if __name__ == "__main__":
    main()
