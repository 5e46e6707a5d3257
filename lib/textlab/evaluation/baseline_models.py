"""What two models without any pretraining answer: lines that any other model has to beat."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from datasets import DatasetDict
from scipy.special import expit
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from .answers import truth
from .thresholds import choose, decide


def baselines(
    splits: DatasetDict, seed: int, majority: int | Sequence[int] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Return what two models without any pretraining predict.

    `majority` always answers the most frequent class of train. `tfidf_svm` is a linear SVM on TF-IDF of words and
    word pairs, the model that any fine-tuned one has to beat. Where texts have several labels, `majority` answers the
    most frequent set of labels, and `tfidf_svm` has an SVM for each label, with thresholds chosen on train.

    Args:
        splits: each with columns text and label; the models learn from train and answer the others.
        seed: of the SVM.
        majority: class, or 0 and 1 for each label, that `majority` answers; None: the most frequent of train.

    Returns:
        Name of the baseline -> split -> class ids, one a row, or 0 and 1 for each label, shape (rows, labels).
    """
    texts, true = splits["train"]["text"][:], truth(splits["train"])
    asked = {split: splits[split]["text"][:] for split in splits if split != "train"}
    if true.ndim == 2:
        always = _most_frequent(true) if majority is None else np.asarray(majority, dtype=np.int8)
        return {
            "majority": {split: np.tile(always, (len(some), 1)) for split, some in asked.items()},
            "tfidf_svm": _one_against_rest(texts, true, asked, seed),
        }
    constant = {"strategy": "most_frequent"} if majority is None else {"strategy": "constant", "constant": majority}
    models = {
        "majority": DummyClassifier(**constant),
        "tfidf_svm": make_pipeline(_words(texts), LinearSVC(random_state=seed)),
    }
    for model in models.values():
        model.fit(texts, true)
    return {name: {split: model.predict(some) for split, some in asked.items()} for name, model in models.items()}


def _words(texts: Sequence[str]) -> TfidfVectorizer:
    """Return what counts words of two letters or more; where texts have none, such as emoji, what stands apart."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    has_words = any(map(re.compile(words.token_pattern).search, texts))
    return words if has_words else words.set_params(token_pattern=r"\S+")


def _most_frequent(true: np.ndarray) -> np.ndarray:
    """Return the set of labels that most rows have, as 0 and 1 for each label; it may be none."""
    sets, counts = np.unique(true, axis=0, return_counts=True)
    return sets[counts.argmax()]


def _one_against_rest(
    texts: Sequence[str], true: np.ndarray, asked: dict[str, Sequence[str]], seed: int
) -> dict[str, np.ndarray]:
    """Return what linear SVMs answer, one a label, by thresholds that are best for texts that they had not seen.

    Each third of the texts is answered by SVMs of the other two, and the thresholds are chosen on these answers.
    """
    known = np.zeros(true.shape)
    for rest, third in KFold(3, shuffle=True, random_state=seed).split(true):
        known[third] = _chances([texts[i] for i in rest], true[rest], [[texts[i] for i in third]], seed)[0]
    thresholds = choose(true, known)
    chances = _chances(texts, true, list(asked.values()), seed)
    return {split: decide(some, thresholds) for split, some in zip(asked, chances)}


def _chances(texts: Sequence[str], true: np.ndarray, asked: Sequence[Sequence[str]], seed: int) -> list[np.ndarray]:
    """Return how far texts are on the side of each label, as numbers from 0 to 1, an array for each list of texts.

    A label that all texts have, or none, has nothing to be told from: it gets 1, or 0.
    """
    words = _words(texts)
    known, new = words.fit_transform(texts), [words.transform(some) for some in asked]
    chances = [np.tile(true.all(0).astype(float), (len(some), 1)) for some in asked]
    for label in np.flatnonzero(true.any(0) & ~true.all(0)):
        machine = LinearSVC(random_state=seed).fit(known, true[:, label])
        for found, some in zip(chances, new):
            found[:, label] = expit(machine.decision_function(some))
    return chances
