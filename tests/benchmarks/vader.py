"""What VADER, the rule-based scorer of the packaged data's authors, reaches on it, beside a finished run. By hand:

    .venv/bin/python tests/benchmarks/vader.py --run outputs/demo --python DIR/bin/python -o outputs/vader.json

The library runs no code of the package vaderSentiment, so it needs an environment of its own: `python3 -m venv DIR;
DIR/bin/pip install vaderSentiment==3.3.2`. Texts whose compound score is 0.05 or more are positive, those of -0.05 or
less negative, all others neutral: the cuts that its authors advise. Its words and rules were made with such texts in
view, by the people who gathered these; it has learned nothing from the training split.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from textlab import data, evaluation
from textlab.data import ratings
from textlab.evaluation import elsewhere

#: What runs in the package's own environment: a list of texts comes in, their compound scores go out.
SCORER = """
import json, sys
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
scorer = SentimentIntensityAnalyzer()
json.dump([scorer.polarity_scores(text)["compound"] for text in json.load(sys.stdin)], sys.stdout)
"""
#: A compound score, from -1 to 1, beyond which a text is negative or positive.
CUT = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a finished run of notebook 2 on the same data")
    parser.add_argument("--data", default="packaged", choices=list(ratings.PARTS), help="default: packaged, the tweets")
    parser.add_argument("--python", default=sys.executable, help="the Python of an environment with vaderSentiment")
    parser.add_argument("--seed", type=int, default=42, help="of the bootstrap samples")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="JSON file")
    chosen = parser.parse_args()
    texts = data.load(chosen.data)
    told = predictions(chosen.run, texts) if chosen.run else None
    test = texts.splits["test"]
    ids = classes(scores(test["text"][:], chosen.python))
    found = {"data": chosen.data, "rows": len(test), "vader": evaluation.score(test, ids, chosen.seed)}
    print(evaluation.score_table({"VADER": found["vader"]}).to_string())
    if told is not None:
        found["versus"] = evaluation.compare(test["label"][:], told, ids, chosen.seed, labels=len(texts.labels))
        print(*sentences(found["versus"]), sep="\n")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1))


def predictions(run: Path, texts: data.Data) -> list[int]:
    """Return the class ids that a run answered for test; one that answered other rows is refused."""
    file = run / "predictions" / "test.json"
    if not file.is_file():
        sys.exit(f"--run: {file} does not exist; give the folder of a finished run of notebook 2")
    told = json.loads(file.read_text(encoding="utf-8"))
    if told["rows_sha256"] != texts.digests["test"]:
        sys.exit(f"--run: {run} answered other test rows than those of this data; run notebook 2 again")
    return told["predicted"]


def scores(texts: list[str], python: str) -> np.ndarray:
    """Return the compound score of each text, from -1 to 1."""
    done = subprocess.run([python, "-c", SCORER], input=json.dumps(texts), capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"--python: {python} cannot run vaderSentiment ({done.stderr.strip().splitlines()[-1]})")
    return np.array(json.loads(done.stdout))


def classes(compound: np.ndarray) -> np.ndarray:
    """Return 0 for negative, 1 for neutral and 2 for positive scores."""
    return np.select([compound <= -CUT, compound >= CUT], [0, 2], 1)


def sentences(versus: dict) -> list[str]:
    """Return how the fine-tuned model differs from VADER on the same texts, a sentence for each metric."""
    words = {"difference": "accuracy", "macro_f1_difference": "macro F1"}
    return [
        f"In {name} the run's model is {elsewhere.versus(*versus[f'{key}_ci95'])} VADER: {versus[key]:+.3f} "
        f"({versus[f'{key}_ci95'][0]:+.3f} to {versus[f'{key}_ci95'][1]:+.3f})."
        for key, name in words.items()
    ]


if __name__ == "__main__":
    main()
