"""A model trained, and each row answered by a model that has not seen it: by splits, or by folds where rows are few."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from .. import evaluation, machine
from ..data import Data
from ..settings import Recipe
from .callbacks import Progress
from .fitting import Fit, Resumable, Unsaved, fit, identity
from .frozen_memory import FrozenMemory
from .inference import probabilities
from .text_kind import kind_of


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
    keeps: bool = True,
) -> tuple[Fit | None, dict[str, np.ndarray]]:
    """Train as `fit` does; return the model that is kept, and probabilities for the rows of all splits but train.

    Without folds one model learns from train and answers the others. With folds, each fold's model learns from the
    other folds, and the model that is kept learns from all rows and answers none of them. Where validation chooses the
    epoch that is kept (`Recipe.keep`), folds are validated on rows that they neither learn from nor answer. With
    `Resumable`, the same call goes on in the part at hand, and finished parts are not trained again.

    Args:
        texts, tokens: the same splits as texts and as tokens.
        fresh: returns a new model to train, the same each time.
        first: callbacks of the first training only.
        keeps: False where only the answers are wanted. Then, with folds, no model learns from all rows.

    Returns:
        The fit has the kind of the texts that its model learned from. With folds, it has the history of the first fold,
        whose validation was not learned from, and the seconds and notes of all trainings; or it is None, if none is
        kept. The probabilities of a split have the shape (rows, classes).
    """
    progress = next((one for one in callbacks if isinstance(one, Progress)), Progress())
    others = [one for one in callbacks if one is not progress]

    def train(part: DatasetDict, watching: Sequence[TrainerCallback]) -> Fit:
        return fit(fresh(), tokenizer, part, recipe, seed, plan, [*watching, *others], memory)

    def with_kind(fitted: Fit, rows: Dataset, **more: Any) -> Fit:
        return dataclasses.replace(fitted, kind=kind_of(fitted.model, tokenizer, rows["text"][:]), **more)

    def answer(fitted: Fit, rows: Sequence[str]) -> np.ndarray:
        return probabilities(fitted.model, tokenizer, rows, fitted.recipe.max_length)

    folds = texts.folds
    if folds is None:
        fitted = train(tokens, [*first, progress])
        chances = {name: answer(fitted, part["text"][:]) for name, part in texts.splits.items() if name != "train"}
        return with_kind(fitted, texts.splits["train"]), chances
    rows, known, chooses = texts.splits["test"], tokens["test"], recipe.keep == "best"
    place = _place(plan, texts, known, recipe, seed, fresh())

    def keep(parts: Sequence[_Part]) -> Fit:
        """Return the model that learns from all rows, with what is to be told of the parts."""
        kept = train(folds.kept(known, chooses), [progress.part("all rows", last=True)])
        notes = [f"Part {fold + 1}: {note}" for fold, part in enumerate(parts) for note in part.notes]
        return with_kind(
            kept,
            folds.kept(rows, chooses)["train"],
            history=parts[0].history,
            seconds=kept.seconds + sum(part.seconds for part in parts),
            notes=(*notes, *(f"All rows: {note}" for note in kept.notes)),
        )

    parts = []
    for fold, numbers in enumerate(folds.answered):
        part = _Part.read(place, fold)
        if part is None:
            shown = progress.part(f"part {fold + 1} of {len(folds)}")
            fitted = train(folds.training(known, fold, chooses), [shown] if fold else [*first, shown])
            found = answer(fitted, rows.select(numbers)["text"][:])
            part = _Part(found, fitted.history, fitted.seconds, fitted.notes)
            part.write(place, fold)
            del fitted  # or two models were in memory
        parts.append(part)
    chances = folds.collect([part.answers for part in parts])
    whole = keep(parts) if keeps else None
    if place:
        shutil.rmtree(place, ignore_errors=True)
    return whole, chances


def decided(texts: Data, chances: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return the answers that probabilities make, and with several labels a text the thresholds of the kept model.

    Args:
        chances: split -> probabilities, as `train_and_answer` returns them.

    Returns:
        Split -> class ids, or 1 for each label that a text has, shape (rows, labels); see `evaluation.decisions`.
    """
    true = {split: evaluation.truth(texts.splits[split]) for split in chances}
    return evaluation.decisions(true, chances, texts.parts if "test" in chances else ())


@dataclass(frozen=True)
class _Part:
    """What came of the training of a fold; a resumable plan keeps it until all of them are done."""

    answers: np.ndarray  # shape (rows, classes)
    history: pd.DataFrame
    seconds: float
    notes: tuple[str, ...]

    @classmethod
    def read(cls, place: Path | None, fold: int) -> _Part | None:
        """Return a part that an interrupted run left whole in a folder, or None: it is trained again then."""
        if place is None or not (place / f"{fold}.json").is_file():
            return None
        content, table = (place / f"{fold}.{kind}" for kind in ("json", "csv"))
        told = json.loads(content.read_text(encoding="utf-8"))
        if not table.is_file() or told.pop("sha256") != _digest(told, table):
            return None
        answers = np.array(told["answers"], dtype=told["dtype"])
        return cls(answers, pd.read_csv(table), told["seconds"], tuple(told["notes"]))

    def write(self, place: Path | None, fold: int) -> None:
        """Leave the part in a folder, whole or not at all."""
        if place is None:
            return
        table = place / f"{fold}.csv"
        machine.write_text(table, self.history.to_csv(index=False))
        told = {"answers": self.answers.tolist(), "dtype": str(self.answers.dtype)}
        told |= {"seconds": self.seconds, "notes": list(self.notes)}
        machine.write_text(place / f"{fold}.json", json.dumps(told | {"sha256": _digest(told, table)}))


def _digest(told: dict, table: Path) -> str:
    return hashlib.sha256(json.dumps([told, machine.sha256(table)]).encode()).hexdigest()


def _place(
    plan: Resumable | Unsaved, texts: Data, tokens: Dataset, recipe: Recipe, seed: int, model: PreTrainedModel
) -> Path | None:
    """Return the folder for finished parts of exactly this cross-validation; None if they are not to be kept."""
    if not isinstance(plan, Resumable):
        return None
    which = identity(model, DatasetDict(train=tokens, validation=tokens), recipe, seed)
    dealt = hashlib.sha256(repr([part.tolist() for part in texts.folds.answered] + [texts.folds.most]).encode())
    place = plan.folder / f"parts-{which}-{dealt.hexdigest()[:8]}"
    if not plan.resume:
        shutil.rmtree(place, ignore_errors=True)
    return place
