"""A model trained, and each row answered by a model that has not seen it: by splits, or by folds where rows are few."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from datasets import DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from ..data import Data
from ..settings import Recipe
from .callbacks import Progress
from .fitting import Fit, Resumable, Unsaved, fit
from .frozen_memory import FrozenMemory
from .inference import probabilities


def train_and_answer(
    texts: Data,
    tokens: DatasetDict,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    seed: int,
    plan: Resumable | Unsaved,
    fresh: Callable[[], PreTrainedModel],
    callbacks: Sequence[TrainerCallback] = (),
    first: Sequence[TrainerCallback] = (),
    memory: FrozenMemory | None = None,
) -> tuple[Fit, dict[str, np.ndarray]]:
    """Train as `fit` does; return the model that is kept, and probabilities for the rows of all splits but train.

    Without folds one model learns from train and answers the others. With folds, each fold's model learns from the
    other folds, and the model that is kept learns from all rows and answers none of them. Where validation chooses the
    epoch that is kept (`Recipe.keep`), folds are validated on rows that they neither learn from nor answer.

    Args:
        texts, tokens: the same splits as texts and as tokens.
        fresh: returns a new model to train, the same each time.
        first: callbacks of the first training only.

    Returns:
        With folds, the fit has the history of the first fold, whose validation was not learned from, and the seconds
        and notes of all trainings. The probabilities of a split have the shape (rows, classes).
    """
    progress = next((one for one in callbacks if isinstance(one, Progress)), Progress())
    others = [one for one in callbacks if one is not progress]

    def train(part: DatasetDict, watching: Sequence[TrainerCallback]) -> Fit:
        return fit(fresh(), tokenizer, part, recipe, seed, plan, [*watching, *others], memory)

    def answer(fitted: Fit, rows: Sequence[str]) -> np.ndarray:
        return probabilities(fitted.model, tokenizer, rows, fitted.recipe.max_length)

    folds = texts.folds
    if folds is None:
        fitted = train(tokens, [*first, progress])
        return fitted, {name: answer(fitted, part["text"][:]) for name, part in texts.splits.items() if name != "train"}
    rows, known, chooses = texts.splits["test"], tokens["test"], recipe.keep == "best"
    answers, seconds, notes = [], 0.0, []
    for fold, numbers in enumerate(folds.answered):
        shown = progress.part(f"part {fold + 1} of {len(folds)}")
        fitted = train(folds.training(known, fold, chooses), [shown] if fold else [*first, shown])
        answers.append(answer(fitted, rows.select(numbers)["text"][:]))
        seconds += fitted.seconds
        notes += [f"Part {fold + 1}: {note}" for note in fitted.notes]
        if fold == 0:
            history = fitted.history
        del fitted  # or two models were in memory
    kept = train(folds.kept(known, chooses), [progress.part("all rows", last=True)])
    notes = *notes, *(f"All rows: {note}" for note in kept.notes)
    whole = dataclasses.replace(kept, history=history, notes=notes, seconds=seconds + kept.seconds)
    return whole, folds.collect(answers)
