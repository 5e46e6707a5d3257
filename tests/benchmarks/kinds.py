"""How often texts of another kind than a model's own are told from those, and how often its own are, by hand:

    .venv/bin/python tests/benchmarks/kinds.py --data packaged packaged:movies my_texts.csv -o outputs/kinds.json

A linear probe is trained on each data set, saved and loaded. Then it is given draws of its own rows that it has not
seen, and of those of the other data sets, as `predict` would be: those of test where there are any, else those of
validation. `--model` takes a trained model for the first data set instead; `--texts` adds files without labels.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from datasets import DatasetDict

from textlab import data, hub, training, workflows
from textlab.machine import environment
from textlab.settings import make_recipe
from textlab.workflows.watch import Watch

#: The most rows that a probe learns from, and that it is validated on, which nothing here reads.
LEARNED, VALIDATED = 1000, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["packaged", "packaged:movies"], help="as the parameter dataset")
    parser.add_argument("--texts", nargs="*", type=Path, default=[], help="files as predict takes them")
    parser.add_argument("--model", default="", help="trained on the first data set; its kind of texts is made anew")
    parser.add_argument("--rows", nargs="+", type=int, default=[100, 300], help="of a draw")
    parser.add_argument("--draws", type=int, nargs=2, default=[20, 5], help="of a model's own kind, and of each other")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    chosen = parser.parse_args()
    environment.quiet()
    sources = {Path(name).name: data.load(name, max_train_rows=LEARNED) for name in chosen.data}
    asked = {name: asked_of(texts) for name, texts in sources.items()}
    for file in chosen.texts:
        asked[file.name] = [text for part, _ in data.stream_texts(file, "", 2048) for text in part if text]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    found = []
    for place, (name, texts) in enumerate(sources.items()):
        classifier = known(texts, chosen.model if place == 0 else "")
        print(name, classifier.kind.texts, "texts", file=sys.stderr, flush=True)
        for other, rows in asked.items():
            for size in chosen.rows:
                draws = chosen.draws[name != other]
                told = [warned(classifier, drawn(rows, size, draw)) for draw in range(draws)]
                found.append({"model": name, "texts": other, "rows": size, "draws": len(told), "told": sum(told)})
        chosen.out.write_text(json.dumps(found, indent=1) + "\n")
    print(*table(found), sep="\n")


def asked_of(texts: data.Data) -> list[str]:
    """Return the texts that a model of this data has not learned from."""
    return texts.splits["test" if "test" in texts.splits else "validation"]["text"][:]


def known(texts: data.Data, model: str) -> training.Classifier:
    """Return a model with the kind of the texts that it is trained on; without one, a linear probe is trained."""
    if model:
        classifier = workflows.load(model)
        learned = texts.splits["train"]["text"][:]
        kind = training.text_kind.kind_of(classifier.model, classifier.tokenizer, learned)
        return dataclasses.replace(classifier, kind=kind)
    source = hub.resolve_model("packaged")
    tokenizer = training.load_tokenizer(source)
    recipe, _ = training.suit(make_recipe("probe", epochs=1), texts.splits["train"], tokenizer, source)
    watching = texts.splits["validation"].select(range(min(VALIDATED, texts.rows()["validation"])))
    few = DatasetDict(train=texts.splits["train"], validation=watching)
    tokens = data.tokenize(few, tokenizer, recipe.max_length)
    fresh = training.load_model(source, texts.labels, recipe, 1)
    with tempfile.TemporaryDirectory() as folder:
        plan = training.Unsaved(Path(folder))
        fitted = training.fit(fresh, tokenizer, tokens, recipe, 1, plan)
        kind = training.text_kind.kind_of(fitted.model, tokenizer, texts.splits["train"]["text"][:])
        training.save(dataclasses.replace(fitted, kind=kind), Path(folder) / "model")
        return workflows.load(folder)


def drawn(texts: Sequence[str], rows: int, seed: int) -> list[str]:
    """Return some of the texts; all, where there are fewer."""
    chosen = np.random.default_rng(seed).permutation(len(texts))[:rows]
    return [texts[i] for i in chosen]


def warned(classifier: training.Classifier, texts: Sequence[str]) -> bool:
    """Return whether a prediction for the texts would warn."""
    watch = Watch(classifier)
    watch.see(texts)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        watch.tell()
    return bool(said)


def table(found: Sequence[Mapping]) -> Iterator[str]:
    """Yield a table in Markdown: a line for each model, a column for the texts, and how many draws were told."""
    texts = list(dict.fromkeys(row["texts"] for row in found))
    yield f"| model of | {' | '.join(texts)} |"
    yield f"|---|{'---|' * len(texts)}"
    for model in dict.fromkeys(row["model"] for row in found):
        cells = []
        for other in texts:
            rows = [row for row in found if (row["model"], row["texts"]) == (model, other)]
            cells.append(", ".join(f"{row['told']} of {row['draws']}" for row in rows))
        yield f"| {model} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
