"""The linear probe: logistic regression on what a pretrained model makes of texts, before any training of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from datasets import DatasetDict
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from torch.nn.functional import layer_norm
from transformers import PreTrainedTokenizerBase

from .. import evaluation
from ..data import drawn_by_class
from ..hub import Source
from ..machine import environment
from .inference import mean_states
from .model import read_model

#: Strengths of the regularisation to choose from (its inverse, as scikit-learn has it), folds, most rows for that.
INVERSE_STRENGTHS, FOLDS, ROWS_FOR_CHOICE = (0.001, 0.01, 0.1, 1.0), 3, 2000
#: Most steps of its solver.
MOST_STEPS = 1000
#: Most rows to learn from: 10,000 take a CPU half a minute.
MOST_ROWS = 10_000


class Probe:
    """The linear probe, a baseline: logistic regression on the pretrained model's mean-pooled states.

    Each text's mean is brought to mean 0 and variance 1, as `Recipe.pooling` does it. The strength of the L2
    regularisation is chosen by cross-validation within train. What the model makes of a text is computed once.

    Args:
        source, tokenizer: of the pretrained model.
        labels: label names in the order of their ids.
        max_length: tokens; longer texts are cut.
        seed: of the folds.
    """

    def __init__(
        self, source: Source, labels: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
    ) -> None:
        self._model = read_model(source, labels, seed, "sdpa").to(environment.device())
        self._tokenizer, self._max_length, self._seed = tokenizer, max_length, seed
        self._known: dict[str, np.ndarray] = {}  # text -> its state, shape (hidden size,)

    def __call__(self, splits: DatasetDict) -> dict[str, dict[str, np.ndarray]]:
        """Return what the probe answers.

        Args:
            splits: each with columns text and label; the regression learns from train and answers the others.

        Returns:
            `linear_probe` -> split -> answers, as `evaluation.decide` gives them; empty for an architecture that gives
            no state for each token.
        """
        train = splits["train"]
        train = train.select(drawn_by_class(train["label"][:], MOST_ROWS, self._seed))
        splits = DatasetDict(splits | {"train": train})
        states = {name: self._states(split["text"][:]) for name, split in splits.items()}
        if any(found is None for found in states.values()):
            return {}
        true, others = evaluation.truth(train), [name for name in states if name != "train"]
        if true.ndim == 2:
            answer = _of_several(states["train"], true, self._seed)
        else:
            answer = _regression(states["train"], true, self._seed).predict
        return {"linear_probe": {name: answer(states[name]) for name in others}}

    def _states(self, texts: Sequence[str]) -> np.ndarray | None:
        """Return the states of texts, shape (texts, hidden size)."""
        if unknown := [text for text in dict.fromkeys(texts) if text not in self._known]:
            found = mean_states(self._model, self._tokenizer, unknown, self._max_length)
            if found is None:
                return None
            found = layer_norm(torch.from_numpy(found), found.shape[1:]).numpy()
            self._known |= dict(zip(unknown, found, strict=True))
        return np.stack([self._known[text] for text in texts])


def _regression(states: np.ndarray, ids: np.ndarray, seed: int) -> LogisticRegression:
    """Return a fitted logistic regression, as strong in its regularisation as cross-validation says."""
    few = drawn_by_class(ids, ROWS_FOR_CHOICE, seed)
    chosen = INVERSE_STRENGTHS[len(INVERSE_STRENGTHS) // 2]
    *_, second, most = np.sort(np.bincount(ids[few]))
    if most >= FOLDS and second >= 2:  # so that two classes are left to learn from, whichever fold is held out
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        rough = LogisticRegression(max_iter=MOST_STEPS, tol=1e-2)
        search = GridSearchCV(rough, {"C": INVERSE_STRENGTHS}, cv=folds, refit=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a weak one need not get to its end to be compared
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            chosen = search.fit(states[few], ids[few]).best_params_["C"]
    return LogisticRegression(C=chosen, max_iter=MOST_STEPS).fit(states, ids)


def _of_several(states: np.ndarray, true: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from states to answers: a logistic regression for each label, with thresholds chosen on train.

    The strength of the regularisation, one for all labels, is the one whose probabilities have the least loss on the
    parts of a cross-validation; those are what the thresholds are chosen by.

    Args:
        states: shape (rows, hidden size).
        true: 0 and 1 for each label, shape (rows, labels).
    """
    few = np.random.default_rng(seed).permutation(len(true))[:ROWS_FOR_CHOICE]

    def held_out(strength: float) -> np.ndarray:
        chances = np.zeros((len(few), true.shape[1]))
        for rest, part in KFold(FOLDS).split(few):
            chances[part] = _one_against_rest(states[few[rest]], true[few[rest]], strength, 1e-2)(states[few[part]])
        return chances

    answered = {strength: held_out(strength) for strength in INVERSE_STRENGTHS}
    chosen = min(answered, key=lambda strength: log_loss(true[few].ravel(), answered[strength].ravel()))
    thresholds = evaluation.choose(true[few], answered[chosen])
    chances = _one_against_rest(states, true, chosen)
    return lambda found: evaluation.decide(chances(found), thresholds)


def _one_against_rest(
    states: np.ndarray, true: np.ndarray, strength: float, tolerance: float = 1e-4
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from states to the probability of each label, shape (rows, labels).

    A label that all rows have, or none, has nothing to be told from: it gets 1, or 0.
    """
    models = {}
    for label in np.flatnonzero(true.any(0) & ~true.all(0)):
        models[label] = LogisticRegression(C=strength, max_iter=MOST_STEPS, tol=tolerance).fit(states, true[:, label])

    def chances(found: np.ndarray) -> np.ndarray:
        values = np.tile(true.all(0).astype(float), (len(found), 1))
        for label, model in models.items():
            values[:, label] = model.predict_proba(found)[:, 1]
        return values

    return chances
