"""Honest figures: baselines, metrics with intervals, comparisons, calibration, errors, and the guards that call out a
useless model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict
from scipy.stats import binomtest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

#: Baseline -> its name for readers.
BASELINES = {"majority": "most frequent class", "tfidf_svm": "TF-IDF + linear SVM"}


def score(split: Dataset, predicted: Sequence[int], seed: int = 0, resamples: int = 2000) -> dict:
    """Return accuracy, macro F1 and weighted F1, the first two with 95 % intervals.

    The intervals are percentile bootstrap intervals over rows (Efron 1979). Rows that share true and predicted class
    are interchangeable, so a resample of rows is a multinomial draw of the confusion matrix, which is fast.

    Args:
        split: its `label` column holds the true classes; classes that never occur count into macro F1 as 0.
        predicted: class ids, one a row.
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        Keys accuracy, macro_f1, weighted_f1, accuracy_ci95 and macro_f1_ci95 (each [low, high]); numbers from 0 to 1.

    >>> from datasets import ClassLabel, Features
    >>> split = Dataset.from_dict({"label": [0, 0, 1, 1]}, Features({"label": ClassLabel(names=["sad", "glad"])}))
    >>> scores = score(split, [0, 0, 1, 0])
    >>> scores["accuracy"], scores["accuracy_ci95"]
    (0.75, [0.25, 1.0])
    """
    true, n_classes = split["label"][:], split.features["label"].num_classes
    classes = range(n_classes)
    matrix = confusion_matrix(true, predicted, labels=list(classes))
    draws = np.random.default_rng(seed).multinomial(matrix.sum(), matrix.ravel() / matrix.sum(), size=resamples)
    samples = draws.reshape(resamples, n_classes, n_classes)
    figures = {
        "accuracy": accuracy_score(true, predicted),
        "macro_f1": f1_score(true, predicted, labels=list(classes), average="macro", zero_division=0),
        "weighted_f1": f1_score(true, predicted, labels=list(classes), average="weighted", zero_division=0),
        "accuracy_ci95": np.percentile(_accuracy(samples), [2.5, 97.5]).tolist(),
        "macro_f1_ci95": np.percentile(_macro_f1(samples), [2.5, 97.5]).tolist(),
    }
    return {name: value if isinstance(value, list) else float(value) for name, value in figures.items()}


def score_table(scores: dict[str, dict]) -> pd.DataFrame:
    """Return scores for reading: a row for each name, accuracy and macro F1 each with its 95 % interval."""

    def words(found: dict, metric: str) -> str:
        low, high = found[f"{metric}_ci95"]
        return f"{found[metric]:.3f}  ({low:.3f} to {high:.3f})"

    return pd.DataFrame(
        {
            name: {"accuracy": words(found, "accuracy"), "macro F1": words(found, "macro_f1")}
            for name, found in scores.items()
        }
    ).T.rename(BASELINES)


def baselines(splits: DatasetDict, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return what two models without any pretraining predict: name -> split -> class ids.

    `majority` always answers the most frequent class of train. `tfidf_svm` is a linear SVM on TF-IDF of words and
    word pairs, the model that any fine-tuned one has to beat.
    """
    models = {
        "majority": DummyClassifier(strategy="most_frequent"),
        "tfidf_svm": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC(random_state=seed)
        ),
    }
    answers = {}
    for name, model in models.items():
        model.fit(splits["train"]["text"][:], splits["train"]["label"][:])
        answers[name] = {split: model.predict(splits[split]["text"][:]) for split in splits if split != "train"}
    return answers


def headline_rows(fine_tuning: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the headline table of a fine-tuning result: a row for each baseline and for the model.

    Returns:
        Rows with name, split, accuracy, macro_f1 and, for the model, their intervals; on test where it was measured,
        else on validation.
    """
    split = "test" if "test" in fine_tuning else "validation"
    if split not in fine_tuning:
        return []
    rows = [{"name": BASELINES[name], "split": split, **scores} for name, scores in fine_tuning["baselines"].items()]
    seeds = len(fine_tuning.get("seeds", [])) or 1
    name = f"fine-tuned {fine_tuning['model']['source']}" + (f", mean of {seeds} seeds" if seeds > 1 else "")
    return rows + [{"name": name, "split": split, **fine_tuning[split]}]


def per_class(true: Sequence[int], predicted: Sequence[int], labels: Sequence[str]) -> pd.DataFrame:
    """Return precision, recall, f1 and rows for each class, indexed by label name."""
    report = classification_report(
        true, predicted, labels=range(len(labels)), target_names=list(labels), output_dict=True, zero_division=0
    )
    table = pd.DataFrame({label: report[label] for label in labels}).T
    return table.rename(columns={"f1-score": "f1", "support": "rows"}).astype({"rows": int})


def compare(
    true: Sequence[int], first: Sequence[int], second: Sequence[int], seed: int = 0, resamples: int = 2000
) -> dict:
    """Return how two models differ on the same rows, and whether that may be chance.

    Args:
        true, first, second: class ids, one a row: the labels, and the answers of two models.
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        first_right, second_right: rows that only this one gets right; p_value of the exact McNemar test (1947; binomial)
        that both are equally likely; difference (of accuracy) and macro_f1_difference, first minus second, each with a
        95 % interval of a paired bootstrap over rows (`..._ci95`: [low, high]).

    >>> found = compare(true=[0, 0, 1, 1, 1, 1], first=[0, 0, 1, 1, 1, 1], second=[0, 1, 0, 0, 0, 1])
    >>> found["first_right"], found["second_right"], found["p_value"]  # four times heads may still be chance
    (4, 0, 0.125)
    """
    true, first, second = (np.asarray(ids) for ids in (true, first, second))
    if not len(true) == len(first) == len(second):
        raise ValueError(
            f"the models must answer the same rows: got {len(true)} labels, {len(first)} and {len(second)} answers"
        )
    first_right = int(((first == true) & (second != true)).sum())
    second_right = int(((second == true) & (first != true)).sum())
    n = int(max(true.max(), first.max(), second.max())) + 1
    # Rows with the same label and the same two answers are interchangeable: a resample is a multinomial draw of their counts.
    cells, counts = np.unique(np.stack([true, first, second]), axis=1, return_counts=True)
    draws = np.vstack([counts, np.random.default_rng(seed).multinomial(len(true), counts / len(true), size=resamples)])
    matrices = np.zeros((2, len(draws), n, n))
    for matrix, answers in zip(matrices, cells[1:]):
        np.add.at(matrix, (slice(None), cells[0], answers), draws)
    figures = {}
    for name, figure in (("difference", _accuracy), ("macro_f1_difference", _macro_f1)):
        gaps = figure(matrices[0]) - figure(matrices[1])  # the first is that of the rows themselves
        figures |= {name: float(gaps[0]), f"{name}_ci95": np.percentile(gaps[1:], [2.5, 97.5]).tolist()}
    discordant = first_right + second_right
    p_value = binomtest(first_right, discordant).pvalue if discordant else 1.0
    return {"first_right": first_right, "second_right": second_right, "p_value": float(p_value), **figures}


def over_seeds(
    scores: Sequence[dict] | pd.DataFrame, metrics: Sequence[str] = ("accuracy", "macro_f1")
) -> pd.DataFrame:
    """Return mean, sd (of the sample), min, max and number of runs of each metric over the scores of several seeds.

    >>> over_seeds([{"accuracy": 0.90}, {"accuracy": 0.92}, {"accuracy": 0.94}], ["accuracy"]).round(3)
              mean    sd  min   max  seeds
    accuracy  0.92  0.02  0.9  0.94    3.0
    """
    table = pd.DataFrame(scores)[list(metrics)]
    return table.agg(["mean", "std", "min", "max", "count"]).rename(index={"std": "sd", "count": "seeds"}).T


def score_seeds(split: Dataset, answers: Sequence[Sequence[int]], seed: int = 0, resamples: int = 2000) -> dict:
    """Return the mean scores of one recipe trained with several seeds, with 95 % intervals over seeds and rows together.

    A bootstrap sample draws rows, the same for all seeds since all answered the same rows, and draws seeds too, both with
    repetition (the two-way bootstrap of Owen 2007). With few seeds it says too little about them: `over_seeds` has their sd.

    Args:
        split: as for `score`.
        answers: class ids of each seed's model, one a row; those of one model give the interval of `score`.
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        The keys of `score`.
    """
    true, n = np.array(split["label"][:]), split.features["label"].num_classes
    single = [score(split, ids, seed, 1) for ids in answers]
    dice = np.random.default_rng(seed)
    # Rows with the same label and the same answers are interchangeable: a resample is a multinomial draw of their counts.
    cells, counts = np.unique(np.stack([true, *map(np.asarray, answers)]), axis=1, return_counts=True)
    draws = dice.multinomial(len(true), counts / len(true), size=resamples)
    chosen = dice.integers(len(answers), size=(resamples, len(answers)))
    figures = {
        metric: float(np.mean([one[metric] for one in single])) for metric in ("accuracy", "macro_f1", "weighted_f1")
    }
    for metric, figure in (("accuracy", _accuracy), ("macro_f1", _macro_f1)):
        values = np.empty((resamples, len(answers)))
        for column, predicted in enumerate(cells[1:]):
            matrices = np.zeros((resamples, n, n))
            np.add.at(matrices, (slice(None), cells[0], predicted), draws)
            values[:, column] = figure(matrices)
        means = np.take_along_axis(values, chosen, axis=1).mean(axis=1)
        figures[f"{metric}_ci95"] = np.percentile(means, [2.5, 97.5]).tolist()
    return figures


def _accuracy(matrices: np.ndarray) -> np.ndarray:
    return np.trace(matrices, axis1=1, axis2=2) / matrices.sum((1, 2))


def _macro_f1(matrices: np.ndarray) -> np.ndarray:
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    either = matrices.sum(1) + matrices.sum(2)
    return np.divide(2 * hits, either, out=np.zeros(hits.shape), where=either > 0).mean(1)
