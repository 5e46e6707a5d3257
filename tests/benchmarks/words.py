"""Do the words that are said to have decided mean something? Run by hand:

    .venv/bin/python tests/benchmarks/words.py --model outputs/demo -o outputs/benchmarks/words.json

The words that weigh most are taken out of each test text, and as many random ones; `evaluation.deletion_test` compares
by how much the probability of the answer falls. Beside leaving out words it measures integrated gradients (Sundararajan
et al. 2017), from padding to the text's embeddings. The picture has the name of the JSON file and ends in .png.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from textlab import data, evaluation, machine, training, workflows
from textlab.evaluation import plots

MOST, DRAWS, STEPS = (1, 2, 0.2), 3, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="outputs/demo", help="as predict takes it")
    parser.add_argument("--dataset", default="packaged", help="its test split is asked")
    parser.add_argument("--rows", type=int, default=None, help="first rows of it (default: all)")
    parser.add_argument(
        "--without-gradients", action="store_true", help="measure leaving out alone, in a third of the time"
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    chosen = parser.parse_args()
    asked = workflows.load(chosen.model)
    texts = data.load(chosen.dataset).splits["test"]["text"][: chosen.rows]
    found = {"model": chosen.model, "texts": len(texts)} | compared(asked, texts, not chosen.without_gradients)
    machine.write_text(chosen.out, json.dumps(found, indent=1))
    example = training.word_weights(asked.model, asked.tokenizer, texts[:1], asked.max_length)[0]
    plots.use_style()
    plots.word_weights(example).savefig(chosen.out.with_suffix(".png"))
    print(json.dumps(found, indent=1))


def compared(asked: training.Classifier, texts: list[str], with_gradients: bool) -> dict:
    """Return, for each way to weigh words, its seconds a text and for each number of words the deletion test."""
    started = time.monotonic()
    tables = training.word_weights(asked.model, asked.tokenizer, texts, asked.max_length)
    weights = {"leaving out": [table["weight"].dropna().to_numpy() for table in tables]}
    seconds = {"leaving out": (time.monotonic() - started) / len(texts)}
    if with_gradients:
        started = time.monotonic()
        weights["integrated gradients"] = [gradients(asked, text, table) for text, table in zip(texts, tables)]
        seconds["integrated gradients"] = (time.monotonic() - started) / len(texts)
    orders = {way: [np.argsort(-one, kind="stable") for one in several] for way, several in weights.items()}
    dice, tests = np.random.default_rng(0), {way: {"seconds": value} for way, value in seconds.items()}
    for most in MOST:
        drawn = [[dice.permutation(len(read)) for read in weights["leaving out"]] for _ in range(DRAWS)]
        at_random = np.stack([falls(asked, texts, tables, order, most) for order in drawn])
        found = {way: falls(asked, texts, tables, order, most) for way, order in orders.items()}
        for way, fall in found.items():
            tests[way][str(most)] = evaluation.deletion_test(fall, at_random)
        if with_gradients:  # the two ways on the same texts
            pair = evaluation.deletion_test(found["integrated gradients"], found["leaving out"][None])
            tests["integrated gradients"][str(most)]["beyond_leaving_out"] = pair["difference"]
            tests["integrated gradients"][str(most)]["beyond_leaving_out_ci95"] = pair["difference_ci95"]
    return tests


def falls(asked: training.Classifier, texts: list[str], tables: list, order: list, most: float) -> np.ndarray:
    """Return by how much the answers to texts fall without the first words of an order; see `without_words`."""
    return training.without_words(asked.model, asked.tokenizer, texts, asked.max_length, tables, order, most)


def gradients(asked: training.Classifier, text: str, table) -> np.ndarray:
    """Return what each word that is read of a text weighs by integrated gradients of the answer's logit."""
    read = asked.tokenizer(text, truncation=True, max_length=asked.max_length, return_offsets_mapping=True)
    ids, embed = torch.tensor(read["input_ids"]), asked.model.get_input_embeddings()
    special = torch.isin(ids, torch.tensor(asked.tokenizer.all_special_ids))
    own = embed(ids).detach()
    from_here = torch.where(special[:, None], own, embed(torch.tensor(asked.tokenizer.pad_token_id)).detach())
    steps = ((torch.arange(STEPS) + 0.5) / STEPS)[:, None, None]
    path = (from_here + steps * (own - from_here)).requires_grad_()
    mask = torch.ones(path.shape[:2], dtype=torch.long)
    logit = asked.model(inputs_embeds=path, attention_mask=mask).logits[:, table.attrs["answer"]].sum()
    pieces = (torch.autograd.grad(logit, path)[0].mean(0) * (own - from_here)).sum(-1).numpy()
    weights = np.zeros(len(table))
    for (start, end), piece in zip(read["offset_mapping"], pieces):
        if end > start:
            weights[np.flatnonzero((table["start"] < end) & (table["end"] > start))[0]] += piece
    return weights[: table["weight"].count()]


if __name__ == "__main__":
    main()
