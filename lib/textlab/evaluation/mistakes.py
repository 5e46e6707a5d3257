"""Texts to look at: the answers that are most wrong, and labels that are likely wrong themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
from datasets import Dataset

from .answers import as_array, names, same, truth, words


def worst_errors(
    dataset: Dataset, probabilities: np.ndarray, n: int = 10, predicted: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the n wrong answers with the highest cross-entropy loss: there the model was most sure, and wrong.

    Args:
        dataset: columns text and label.
        probabilities: of each class or label for each row, shape (rows, classes).
        predicted: the answers; None: the likeliest class. Where texts have several labels they have to be given, 0 and
            1 for each label, since thresholds decide on them. The loss is then the sum over the labels.

    Returns:
        Columns text, label, predicted, confidence (of the prediction; of several labels, in what it got wrong and was
        most sure of), loss; highest loss first. `attrs["rows"]` has the row numbers of all wrong answers, in the same
        order.
    """
    labels, true = names(dataset), truth(dataset)
    predicted = _answers(true, probabilities, predicted)
    given = _given(true, probabilities)
    loss = -np.log(np.clip(given, 1e-12, 1)).reshape(len(true), -1).sum(1)
    wrong = np.flatnonzero(~same(true, predicted))
    wrong = wrong[np.argsort(-loss[wrong], kind="stable")]
    rows = wrong[:n]
    table = pd.DataFrame(
        {
            "text": [dataset[int(i)]["text"] for i in rows],
            "label": [words(answer, labels) for answer in true[rows]],
            "predicted": [words(answer, labels) for answer in predicted[rows]],
            "confidence": _confidence(true, predicted, probabilities)[rows],
            "loss": loss[rows],
        }
    )
    table.attrs["rows"] = wrong.tolist()
    return table


def label_issues(
    dataset: Dataset, probabilities: np.ndarray, n: int = 10, predicted: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the n labels that are most likely wrong, by confident learning (Northcutt et al. 2021, cleanlab).

    Args:
        dataset: columns text and label; the model was not trained on its rows.
        probabilities, predicted: as for `worst_errors`.

    Returns:
        Columns text, label, "the model says", "share it gives the label" (of several labels, what it gives the most
        doubtful one, or that it is not there), the most likely first. `attrs["found"]` is the number of all such
        labels; of several labels, that a text has one and that it has not both count. `attrs["rows"]` has the row
        numbers of their texts.
    """
    labels, true = names(dataset), truth(dataset)
    predicted = _answers(true, probabilities, predicted)
    issues, found = (_issues if true.ndim == 1 else _issues_of_several)(true, probabilities)
    rows = issues[:n]
    table = pd.DataFrame(
        {
            "text": [dataset[int(i)]["text"] for i in rows],
            "label": [words(answer, labels) for answer in true[rows]],
            "the model says": [words(answer, labels) for answer in predicted[rows]],
            "share it gives the label": _given(true, probabilities).reshape(len(true), -1).min(1)[rows],
        }
    )
    table.attrs |= {"found": found, "rows": issues.tolist()}
    return table


def _answers(true: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray | None) -> np.ndarray:
    if predicted is None and true.ndim == 2:
        raise ValueError("texts with several labels need `predicted`, the answers that thresholds came to")
    return probabilities.argmax(1) if predicted is None else as_array(predicted)


def _given(answers: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of each row's class, shape (rows,), or of what is said of each label, (rows, labels)."""
    if answers.ndim == 1:
        return probabilities[np.arange(len(answers)), answers]
    return np.where(answers, probabilities, 1 - probabilities)


def _confidence(true: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of each row's answer; of several labels, the highest of the wrong ones."""
    sure = _given(predicted, probabilities)
    return sure if true.ndim == 1 else np.where(predicted != true, sure, 0).max(1)


def _issues(true: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the rows whose class is likely wrong, the most likely first, and their number."""
    present = np.unique(true)  # cleanlab wants every class to occur
    rows = find_label_issues(
        labels=np.searchsorted(present, true),
        pred_probs=probabilities[:, present] / probabilities[:, present].sum(1, keepdims=True),
        n_jobs=1,
        return_indices_ranked_by="self_confidence",
    )
    return rows, len(rows)


def _issues_of_several(true: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the rows of which a label is likely wrong or missing, the most likely first, and how many labels."""
    told = true.any(0) & ~true.all(0)  # cleanlab wants texts with each label, and without it
    if not told.any():
        return np.array([], dtype=int), 0
    labels = [np.flatnonzero(row).tolist() for row in true[:, told]]
    issues = find_multilabel_issues_per_class(labels, probabilities[:, told], n_jobs=1)
    rows, least = np.flatnonzero(issues.any(1)), _given(true, probabilities).min(1)
    return rows[np.argsort(least[rows], kind="stable")], int(issues.sum())
