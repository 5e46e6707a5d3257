"""What chosen rows teach beside random ones, by hand:

    .venv/bin/python tests/benchmarks/labelling.py --data packaged --recipe fast -o outputs/labelling.json

Each way begins with the same random rows. In each round a model is trained anew, answers test (validation where there
is no test), and says which rows of train are labelled next, as the verb `suggest` does it; or they are random. By
default the model is the linear probe, which takes seconds a round once the pretrained states are there; `--recipe`
takes a recipe instead, and minutes. What the file holds already is not measured again, so that more rounds or draws
go on with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict

from textlab import data, evaluation, hub, training
from textlab.machine import environment
from textlab.settings import make_recipe
from textlab.training.linear_probe import _regression

PROBE = "linear probe"
WAYS = ("suggest", "random")
#: The most rows that are answered, and rows that a training is watched on, which choose nothing.
ANSWERED, WATCHED = 2000, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["packaged"], help="as the parameter dataset")
    parser.add_argument("--recipe", default=PROBE, help="such as fast or short_text (default: the linear probe)")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--step", type=int, default=100, help="rows to begin with, and rows a round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--draws", type=int, default=3, help="of the first rows, each with its own seed")
    parser.add_argument("--pool", type=int, default=4000, help="rows of train to choose from, at most")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    chosen = parser.parse_args()
    environment.quiet()
    found = json.loads(chosen.out.read_text()) if chosen.out.exists() else []
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    for source in chosen.data:
        bench = Bench(source, chosen.pool, chosen.recipe)
        for draw in range(chosen.draws):
            for way in chosen.ways:
                begun = {"data": source, "recipe": chosen.recipe, "step": chosen.step, "way": way, "draw": draw}
                done = [row for row in found if begun.items() <= row.items()]
                for row in bench.rounds(way, draw, chosen.step, chosen.rounds, done):
                    found.append(begun | row)
                    print({key: found[-1][key] for key in found[-1] if key != "next"}, file=sys.stderr, flush=True)
                    chosen.out.write_text(json.dumps(found))
    print(*table(found), sep="\n")


class Bench:
    """A data set from whose rows of train some are labelled, round by round."""

    def __init__(self, source: str, pool: int, recipe: str) -> None:
        texts = data.load(source, seed=0)
        asked = texts.splits["test" if "test" in texts.splits else "validation"]
        self.asked = asked.select(data.drawn_by_class(asked["label"][:], ANSWERED, 0))
        train = texts.splits["train"]
        order = np.random.default_rng(0).permutation(len(train))
        _, first = np.unique(np.array(train["text"][:])[order], return_index=True)  # each text once
        self.pool = train.select(order[np.sort(first)][:pool])
        self.recipe, self.labels, self.model = recipe, texts.labels, hub.resolve_model("packaged")
        self.tokenizer = training.load_tokenizer(self.model)
        suited, _ = training.suit(make_recipe("probe"), self.pool, self.tokenizer, self.model)
        self.probe = training.Probe(self.model, self.labels, self.tokenizer, suited.max_length, 0)

    def rounds(self, way: str, draw: int, step: int, rounds: int, done: Sequence[dict]) -> Iterator[dict]:
        """Yield of each round that is not done its rows, accuracy, macro F1, seconds, and the rows that are next."""
        order = np.random.default_rng(draw).permutation(len(self.pool))
        learned = [*order[:step].tolist(), *(row for one in done for row in one["next"])]
        for _ in range(len(done), rounds):
            start = time.perf_counter()
            model = (Linear if self.recipe == PROBE else Trained)(self, self.pool.select(learned), draw)
            scores = evaluation.score(self.asked, model.answers(self.asked).argmax(1), resamples=1)
            rows, left = len(learned), order[~np.isin(order, learned)]
            taken = self.suggested(model, left, step, draw) if way == "suggest" else left[:step]
            learned += taken.tolist()
            figures = {key: scores[key] for key in ("accuracy", "macro_f1")}
            yield {"rows": rows, "seconds": time.perf_counter() - start, "next": taken.tolist()} | figures

    def suggested(self, model: Linear | Trained, left: np.ndarray, n: int, draw: int) -> np.ndarray:
        """Return which rows of those left are to be labelled next."""
        doubt = evaluation.doubts(model.answers(self.pool.select(left)))
        uniform = np.random.default_rng(draw).random(len(self.pool))[left]
        drawn = evaluation.drawn(evaluation.lots(doubt, uniform), len(left), n)
        return left[drawn[evaluation.to_label(doubt[drawn], model.states(self.pool.select(left[drawn])), n)[0]]]


class Linear:
    """The linear probe, fitted to some rows."""

    def __init__(self, bench: Bench, rows: Dataset, seed: int) -> None:
        self.probe, self.classes = bench.probe, len(bench.labels)
        self.fitted = _regression(self.states(rows), np.array(rows["label"][:]), seed)

    def states(self, rows: Dataset) -> np.ndarray:
        return self.probe._states(rows["text"][:])

    def answers(self, rows: Dataset) -> np.ndarray:
        """Return the probability of each class for each row; 0 for classes that were not learned."""
        chances = np.zeros((len(rows), self.classes))
        chances[:, self.fitted.classes_] = self.fitted.predict_proba(self.states(rows))
        return chances


class Trained:
    """A model that is trained on some rows alone, as a run trains it."""

    def __init__(self, bench: Bench, rows: Dataset, seed: int) -> None:
        recipe, _ = training.suit(make_recipe(bench.recipe), rows, bench.tokenizer, bench.model)
        parts = DatasetDict(train=rows, validation=rows.select(range(min(WATCHED, len(rows)))))
        tokens = data.tokenize(parts, bench.tokenizer, recipe.max_length)
        with tempfile.TemporaryDirectory() as folder:
            fresh = training.load_model(bench.model, bench.labels, recipe, seed)
            fitted = training.fit(fresh, bench.tokenizer, tokens, recipe, seed, training.Unsaved(Path(folder)))
        self.classifier = training.Classifier(fitted.model.eval(), bench.tokenizer, bench.labels, recipe.max_length)

    def states(self, rows: Dataset) -> np.ndarray:
        return self.classifier.states(rows["text"][:])

    def answers(self, rows: Dataset) -> np.ndarray:
        return self.classifier.table(rows["text"][:]).iloc[:, 2:].to_numpy()


def table(found: Sequence[dict]) -> Iterator[str]:
    """Yield a table in Markdown: a line for each data set, recipe, way and number of rows, means over the draws."""
    yield "| data | recipe | way | rows | accuracy | macro F1 | draws |"
    yield "|---|---|---|---|---|---|---|"
    keys = ("data", "recipe", "way", "rows")
    for key in dict.fromkeys(tuple(row[name] for name in keys) for row in found):
        rows = [row for row in found if tuple(row[name] for name in keys) == key]
        accuracy, macro_f1 = (statistics.mean(row[name] for row in rows) for name in ("accuracy", "macro_f1"))
        source, recipe, way, size = key
        yield f"| {Path(source).name} | {recipe} | {way} | {size} | {accuracy:.3f} | {macro_f1:.3f} | {len(rows)} |"


if __name__ == "__main__":
    main()
