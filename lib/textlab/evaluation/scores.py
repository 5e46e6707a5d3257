"""How good a model is: metrics with their intervals, over rows and seeds, beside baselines and other models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy.sparse import csr_array
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from .answers import accuracy_name, as_array, names, same, truth

#: Numbers that a bootstrap holds at a time, for each of a few tables: 32 MB.
AT_ONCE = 2**22
#: What is measured, in this order; the last one only where a text may have several labels.
METRICS = ("accuracy", "macro_f1", "micro_f1")
#: Baseline -> its name for readers.
BASELINES = {"majority": "most frequent class", "tfidf_svm": "TF-IDF + linear SVM", "linear_probe": "linear probe"}


def score(split: Dataset, predicted: Sequence[int], seed: int = 0, resamples: int = 2000) -> dict:
    """Return accuracy, macro F1 and weighted F1, the first two with 95 % intervals.

    The intervals are percentile bootstrap intervals over rows (Efron 1979). Where all answers are right, or none is,
    resamples do not differ, and that of accuracy is exact (Clopper and Pearson 1934). Where texts have several labels,
    accuracy is exact match, the share of texts whose labels are all right and none is missing, and there is micro F1,
    too.

    Args:
        split: its `label` column holds the true classes; classes that never occur count into macro F1 as 0.
        predicted: class ids, one a row; or 0 and 1 for each label, shape (rows, labels).
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        Keys accuracy, macro_f1, weighted_f1, accuracy_ci95 and macro_f1_ci95 (each [low, high]); numbers from 0 to 1.
        With several labels a text micro_f1 and micro_f1_ci95, too.

    Raises:
        ValueError: labels and answers differ in number, or only one of them is of several labels a text.

    >>> from datasets import ClassLabel, Features
    >>> split = Dataset.from_dict({"label": [0, 0, 1, 1]}, Features({"label": ClassLabel(names=["sad", "glad"])}))
    >>> scores = score(split, [0, 0, 1, 0])
    >>> scores["accuracy"], scores["accuracy_ci95"]
    (0.75, [0.25, 1.0])
    """
    true, n = truth(split), len(names(split))
    kinds, counts = _kinds(true, predicted)
    if true.ndim == 1 and (kinds[:, -1] < n - 1).any():
        # the last kind gets what the others left, so which one it is decides the draw
        kinds, counts = np.append(kinds, [[n - 1], [n - 1]], axis=1), np.append(counts, 0)
    values = _bootstrap(kinds, counts, n, np.random.default_rng(seed), resamples)
    return _figures(values[..., 0], _weighted_f1(true, predicted, n), len(true))


def score_table(scores: dict[str, dict]) -> pd.DataFrame:
    """Return scores for reading: a row for each name, accuracy and macro F1 each with its 95 % interval if it has one.

    With several labels a text accuracy is called exact match, and micro F1 stands beside it.
    """
    several = any("micro_f1" in figures for figures in scores.values())
    columns = {accuracy_name(several): "accuracy", "macro F1": "macro_f1"}
    columns |= {"micro F1": "micro_f1"} if several else {}

    def words(figures: dict, metric: str) -> str:
        interval = figures.get(f"{metric}_ci95")
        return f"{figures[metric]:.3f}" + ("  ({:.3f} to {:.3f})".format(*interval) if interval else "")

    rows = {
        name: {column: words(figures, metric) for column, metric in columns.items()} for name, figures in scores.items()
    }
    return pd.DataFrame(rows).T.rename(BASELINES)


def headline_rows(fine_tuning: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the headline table of a fine-tuning result: a row for each baseline and for the model.

    Args:
        fine_tuning: what `results/02_fine_tuning.json` holds.

    Returns:
        Rows with name, split, accuracy, macro_f1 and, for the model, their intervals. The split is test where that was
        measured, else validation; without either there are no rows.
    """
    split = "test" if "test" in fine_tuning else "validation"
    if split not in fine_tuning:
        return []
    rows = [{"name": BASELINES[name], "split": split, **scores} for name, scores in fine_tuning["baselines"].items()]
    seeds = len(fine_tuning.get("seeds", [])) or 1
    name = f"fine-tuned {fine_tuning['model']['source']}" + (f", mean of {seeds} seeds" if seeds > 1 else "")
    return rows + [{"name": name, "split": split, **fine_tuning[split]}]


def per_class(true: Sequence[int], predicted: Sequence[int], labels: Sequence[str]) -> pd.DataFrame:
    """Return precision, recall, f1 and rows for each class, indexed by label name; answers as for `compare`."""
    columns = precision_recall_fscore_support(
        as_array(true), as_array(predicted), labels=range(len(labels)), zero_division=0
    )
    return pd.DataFrame(dict(zip(("precision", "recall", "f1", "rows"), columns)), index=list(labels))


def compare(
    true: Sequence[int],
    first: Sequence[int],
    second: Sequence[int],
    seed: int = 0,
    resamples: int = 2000,
    labels: int | None = None,
) -> dict:
    """Return how two models differ on the same rows, and whether that may be chance.

    Args:
        true, first, second: class ids, one a row: the labels, and the answers of two models; or 0 and 1 for each label,
            shape (rows, labels), where a row is right if all its labels are (exact match).
        seed: of the resampling.
        resamples: number of bootstrap samples.
        labels: number of all labels; those that never occur count into macro F1 as 0, as for `score`. None: the highest
            class id that occurs is the last label.

    Returns:
        first_right and second_right: how many rows only this model gets right. p_value: of the exact McNemar test
        (1947; binomial) that both are equally good. difference (of accuracy) and macro_f1_difference: first minus
        second, each with a 95 % interval of a paired bootstrap over rows (`..._ci95`: [low, high]). With several labels
        a text micro_f1_difference, too.

    Raises:
        ValueError: the labels and the answers differ in number, or a class id is not below the number of labels.

    >>> test = compare(true=[0, 0, 1, 1, 1, 1], first=[0, 0, 1, 1, 1, 1], second=[0, 1, 0, 0, 0, 1])
    >>> test["first_right"], test["second_right"], test["p_value"]  # four times heads may still be chance
    (4, 0, 0.125)
    """
    true, first, second = (as_array(ids) for ids in (true, first, second))
    if not len(true) == len(first) == len(second):
        raise ValueError(
            f"the models must answer the same rows: got {len(true)} labels, {len(first)} and {len(second)} answers"
        )
    right, rival = same(true, first), same(true, second)
    first_right, second_right = int((right & ~rival).sum()), int((rival & ~right).sum())
    n = true.shape[1] if true.ndim == 2 else labels or int(max(true.max(), first.max(), second.max())) + 1
    values = _bootstrap(*_kinds(true, first, second), n, np.random.default_rng(seed), resamples)
    gaps = _figures(values[..., 0] - values[..., 1])
    discordant = first_right + second_right
    p_value = binomtest(first_right, discordant).pvalue if discordant else 1.0
    micro_f1 = {name.replace("f1", "f1_difference"): gap for name, gap in gaps.items() if name.startswith("micro")}
    return {
        "first_right": first_right,
        "second_right": second_right,
        "p_value": float(p_value),
        "difference": gaps["accuracy"],
        "difference_ci95": gaps["accuracy_ci95"],
        "macro_f1_difference": gaps["macro_f1"],
        "macro_f1_difference_ci95": gaps["macro_f1_ci95"],
        **micro_f1,
    }


def p_words(p_value: float) -> str:
    """Return a p value for reading, to three digits.

    >>> p_words(7e-32), p_words(0.0214)
    ('< 0.001', '0.021')
    """
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


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
    """Return the mean scores of a recipe trained with several seeds, with 95 % intervals over seeds and rows together.

    A bootstrap sample draws rows and seeds, both with repetition (the two-way bootstrap of Owen 2007). The rows are the
    same for all seeds, since all seeds answered the same rows. A few seeds tell little about others: `over_seeds` has
    their sd.

    Args:
        split: as for `score`.
        answers: of each seed's model, as for `score`; those of one model give its interval.
        seed: of the resampling.
        resamples: number of bootstrap samples.

    Returns:
        The keys of `score`.
    """
    true, n, k = truth(split), len(names(split)), len(answers)
    dice = np.random.default_rng(seed)
    values = _bootstrap(*_kinds(true, *answers), n, dice, resamples)
    seeds = np.vstack([np.arange(k), dice.integers(k, size=(resamples, k))])
    means = np.take_along_axis(values, seeds[None], axis=2).mean(axis=2)
    return _figures(means, float(np.mean([_weighted_f1(true, ids, n) for ids in answers])), len(true))


def _kinds(*classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the kinds of rows, a kind a column (its label, then each model's answer), and how many rows each has.

    Where labels and answers are matrices, the kinds have a third axis, of labels.
    """
    return np.unique(np.stack([as_array(ids) for ids in classes]), axis=1, return_counts=True)


def _bootstrap(
    kinds: np.ndarray, counts: np.ndarray, n_classes: int, dice: np.random.Generator, resamples: int
) -> np.ndarray:
    """Return the metrics of every model on the rows themselves and on resamples of them.

    Rows of one kind are interchangeable, so a resample of rows is a multinomial draw of the counts, which is fast.
    Few resamples are drawn and counted at a time, so that the memory grows with the rows and the classes only.

    Returns:
        Shape (metrics, 1 + resamples, models); the metrics are accuracy and macro F1, and micro F1 where rows have
        several labels; the first of the second axis are the rows themselves.
    """
    labels, *models = kinds
    several = labels.ndim == 2
    rights = [same(labels, answers).astype(float) for answers in models]
    ones = [_of_class(classes, n_classes) for classes in kinds]
    hits = [ones[0] * answered for answered in ones[1:]]  # cell by cell: has the label, and gets it
    either = [ones[0] + answered for answered in ones[1:]]

    def measured(draws: np.ndarray) -> np.ndarray:
        values = []
        for right, hit, one in zip(rights, hits, either):
            found, all_of_it = (np.ascontiguousarray((kind @ draws.T).T) for kind in (hit, one))
            f1 = _f1(found, all_of_it)
            micro_f1 = [_f1(found.sum(1), all_of_it.sum(1))] if several else []
            values.append([draws @ right / counts.sum(), f1.mean(1), *micro_f1])
        return np.stack(values, axis=-1)

    at_once = max(1, AT_ONCE // max(kinds.shape[1], n_classes))
    sizes = [min(at_once, resamples - done) for done in range(0, resamples, at_once)]
    shares = counts / counts.sum()
    drawn = (dice.multinomial(counts.sum(), shares, size=size).astype(float) for size in sizes)
    return np.concatenate([measured(counts[None].astype(float)), *map(measured, drawn)], axis=1)


def _f1(found: np.ndarray, either: np.ndarray) -> np.ndarray:
    """Return F1 from true positives and from labels and answers together; 0 where there are neither."""
    return np.divide(2 * found, either, out=np.zeros(found.shape), where=either > 0)


def _of_class(classes: np.ndarray, n_classes: int) -> csr_array:
    """Return which kinds of rows are of which class, shape (classes, kinds), as ones."""
    if classes.ndim == 2:
        return csr_array(classes.T.astype(float))
    rows = np.arange(len(classes))
    return csr_array((np.ones(len(classes)), (classes, rows)), shape=(n_classes, len(classes)))


def _figures(values: np.ndarray, weighted_f1: float | None = None, rows: int = 0) -> dict:
    """Return the keys of `score` from the values of one model on some rows, shape (metrics, 1 + resamples)."""
    metrics = METRICS[: len(values)]
    figures = dict(zip(metrics, values[:, 0].tolist()))
    weighted = {} if weighted_f1 is None else {"weighted_f1": weighted_f1}
    bounds = np.percentile(values[:, 1:], [2.5, 97.5], axis=1).T.tolist()
    if rows and figures["accuracy"] in (0, 1):
        bounds[0] = all_or_none(figures["accuracy"], rows)
    return figures | weighted | {f"{metric}_ci95": interval for metric, interval in zip(metrics, bounds)}


def all_or_none(accuracy: float, rows: int) -> list[float]:
    """Return the exact 95 % interval of an accuracy of 1 or 0, of which all resamples are the same.

    >>> [round(end, 3) for end in all_or_none(1.0, 100)]
    [0.964, 1.0]
    """
    return [*map(float, binomtest(round(accuracy) * rows, rows).proportion_ci())]


def _weighted_f1(true: np.ndarray, predicted: Sequence[int], n_classes: int) -> float:
    predicted = as_array(predicted)
    return float(f1_score(true, predicted, labels=range(n_classes), average="weighted", zero_division=0))
