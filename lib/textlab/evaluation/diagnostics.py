"""What is behind a score: errors, likely wrong labels, calibration, and the guards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


def worst_errors(dataset: Dataset, probabilities: np.ndarray, n: int = 10) -> pd.DataFrame:
    """Return the n wrong answers with the highest cross-entropy loss: the model was most sure, and wrong.

    Returns:
        Columns text, label, predicted, confidence (of the prediction), loss; highest loss first.
    """
    names = dataset.features["label"].names
    true = np.array(dataset["label"][:])
    predicted = probabilities.argmax(1)
    loss = -np.log(np.clip(probabilities[np.arange(len(true)), true], 1e-12, 1))
    wrong = np.flatnonzero(predicted != true)
    rows = wrong[np.argsort(-loss[wrong], kind="stable")][:n]
    return pd.DataFrame(
        {
            "text": [dataset[int(i)]["text"] for i in rows],
            "label": [names[i] for i in true[rows]],
            "predicted": [names[i] for i in predicted[rows]],
            "confidence": probabilities.max(1)[rows],
            "loss": loss[rows],
        }
    )


def reliability(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return how often the model is right when it is so and so sure (DeGroot and Fienberg 1983).

    Returns:
        One row for each of the equally wide bins of confidence that has rows: confidence (its mean), accuracy, rows.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == np.asarray(true)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": place, "confidence": confidence, "accuracy": right})
    return table.groupby("bin").agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), rows=("bin", "size")
    )


def calibration_error(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error (Naeini et al. 2015): mean gap of confidence and accuracy, weighted by rows."""
    table = reliability(true, probabilities, bins)
    return float(((table["confidence"] - table["accuracy"]).abs() * table["rows"]).sum() / table["rows"].sum())


def temperature(true: Sequence[int], probabilities: np.ndarray) -> float:
    """Return the temperature that makes probabilities most likely (Guo et al. 2017); above 1: the model is too sure.

    Fit it on rows that are not scored afterwards.
    """
    logits, rows = np.log(np.clip(probabilities, 1e-12, 1)), np.arange(len(probabilities))
    found = minimize_scalar(
        lambda log_t: -log_softmax(logits / np.exp(log_t), axis=1)[rows, true].mean(),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


def rescale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities at another temperature; which class is the likeliest stays the same."""
    return softmax(np.log(np.clip(probabilities, 1e-12, 1)) / temperature, axis=1)


def label_issues(dataset: Dataset, probabilities: np.ndarray, n: int = 10) -> pd.DataFrame:
    """Return the n labels that are likeliest wrong, by confident learning (Northcutt et al. 2021, cleanlab).

    Args:
        dataset: columns text and label, rows the model was not trained on.
        probabilities: its class probabilities, shape (rows, classes).

    Returns:
        Columns text, label, "the model says", "share it gives the label"; likeliest first. `attrs["found"]` counts all.
    """
    from cleanlab.filter import find_label_issues

    names, labels = dataset.features["label"].names, np.array(dataset["label"][:])
    present = np.unique(labels)  # cleanlab wants every class to occur
    chances = probabilities[:, present] / probabilities[:, present].sum(1, keepdims=True)
    found = find_label_issues(
        labels=np.searchsorted(present, labels),
        pred_probs=chances,
        n_jobs=1,
        return_indices_ranked_by="self_confidence",
    )
    rows = found[:n]
    table = pd.DataFrame(
        {
            "text": [dataset[int(i)]["text"] for i in rows],
            "label": [names[i] for i in labels[rows]],
            "the model says": [names[i] for i in probabilities[rows].argmax(1)],
            "share it gives the label": probabilities[rows, labels[rows]],
        }
    )
    table.attrs["found"] = len(found)
    return table


def guards(predicted: Sequence[int], scores: dict[str, dict], labels: Sequence[str]) -> list[str]:
    """Return what makes a result untrustworthy, one sentence each; an empty list when nothing does.

    Args:
        predicted: class ids that the model gives on an evaluation split.
        scores: results of `score` on that split in the order majority baseline, TF-IDF + SVM baseline, model.
        labels: label names.
    """
    found = []
    if len(predicted) < 50:
        found.append(
            f"Only {len(predicted)} texts to score on: the figures say next to nothing, whatever their intervals."
        )
    majority, svm, own = (figures["macro_f1"] for figures in scores.values())
    classes = np.unique(predicted)
    if len(classes) == 1:
        found.append(
            f"The model predicts a single class, {labels[classes[0]]}, for every text. It has learned nothing: "
            "train longer, on more or shuffled rows, or with a higher learning rate."
        )
    if own <= majority:
        found.append(
            f"Its macro F1 of {own:.3f} does not beat always answering the most frequent class ({majority:.3f})."
        )
    elif own <= svm:
        found.append(
            f"Its macro F1 of {own:.3f} does not beat a linear SVM on word counts ({svm:.3f}), which trains in seconds."
        )
    return found
