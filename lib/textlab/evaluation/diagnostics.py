"""What is behind a score: errors, labels that are likely wrong, calibration, and the guards against a useless model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from datasets import Dataset
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


def worst_errors(dataset: Dataset, probabilities: np.ndarray, n: int = 10) -> pd.DataFrame:
    """Return the n wrong answers with the highest cross-entropy loss: there the model was most sure, and wrong.

    Args:
        dataset: columns text and label.
        probabilities: of each class for each row, shape (rows, classes).

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
    """Return how often the model is right, by how sure it is (DeGroot and Fienberg 1983).

    Args:
        true: class ids, one a row.
        probabilities: of each class for each row, shape (rows, classes).
        bins: number of equally wide bins of confidence.

    Returns:
        A row for each bin that has rows: confidence (its mean), accuracy, rows.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == np.asarray(true)
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    groups = pd.DataFrame({"bin": number, "confidence": confidence, "accuracy": right}).groupby("bin")
    return groups.agg(confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), rows=("bin", "size"))


def calibration_error(true: Sequence[int], probabilities: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy (Naeini et al. 2015).

    The bins are those of `reliability`, weighted by their rows.
    """
    table = reliability(true, probabilities, bins)
    return float(((table["confidence"] - table["accuracy"]).abs() * table["rows"]).sum() / table["rows"].sum())


def temperature(true: Sequence[int], probabilities: np.ndarray) -> float:
    """Return the temperature that makes the labels most likely (Guo et al. 2017); above 1 the model is too sure.

    Fit it on rows that are not scored afterwards.

    Args:
        true: class ids, one a row.
        probabilities: of each class for each row, shape (rows, classes).
    """
    logits, rows = np.log(np.clip(probabilities, 1e-12, 1)), np.arange(len(probabilities))

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, true].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def rescale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities at another temperature; which class is the likeliest stays the same."""
    return softmax(np.log(np.clip(probabilities, 1e-12, 1)) / temperature, axis=1)


def label_issues(dataset: Dataset, probabilities: np.ndarray, n: int = 10) -> pd.DataFrame:
    """Return the n labels that are most likely wrong, by confident learning (Northcutt et al. 2021, cleanlab).

    Args:
        dataset: columns text and label; the model was not trained on its rows.
        probabilities: of each class for each row, shape (rows, classes).

    Returns:
        Columns text, label, "the model says", "share it gives the label", the most likely first. `attrs["found"]` is
        the number of all such labels.
    """
    names, labels = dataset.features["label"].names, np.array(dataset["label"][:])
    present = np.unique(labels)  # cleanlab wants every class to occur
    issues = find_label_issues(
        labels=np.searchsorted(present, labels),
        pred_probs=probabilities[:, present] / probabilities[:, present].sum(1, keepdims=True),
        n_jobs=1,
        return_indices_ranked_by="self_confidence",
    )
    rows = issues[:n]
    table = pd.DataFrame(
        {
            "text": [dataset[int(i)]["text"] for i in rows],
            "label": [names[i] for i in labels[rows]],
            "the model says": [names[i] for i in probabilities[rows].argmax(1)],
            "share it gives the label": probabilities[rows, labels[rows]],
        }
    )
    table.attrs["found"] = len(issues)
    return table


def guards(predicted: Sequence[int], scores: dict[str, dict], labels: Sequence[str]) -> list[str]:
    """Return what makes a result untrustworthy, one sentence each; an empty list when nothing does.

    Args:
        predicted: class ids that the model gives on an evaluation split.
        scores: results of `score` on that split in the order majority baseline, TF-IDF + SVM baseline, model.
        labels: label names.
    """
    sentences = []
    if len(predicted) < 50:
        sentences.append(
            f"Only {len(predicted)} texts to score on: the figures say next to nothing, whatever their intervals."
        )
    majority, svm, own = (figures["macro_f1"] for figures in scores.values())
    classes = np.unique(predicted)
    if len(classes) == 1:
        sentences.append(
            f"The model predicts a single class, {labels[classes[0]]}, for every text. It has learned nothing: "
            "train longer, on more or shuffled rows, or with a higher learning rate."
        )
    if own <= majority:
        sentences.append(
            f"Its macro F1 of {own:.3f} does not beat always answering the most frequent class ({majority:.3f})."
        )
    elif own <= svm:
        sentences.append(
            f"Its macro F1 of {own:.3f} does not beat a linear SVM on word counts ({svm:.3f}), which trains in seconds."
        )
    return sentences
