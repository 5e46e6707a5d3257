"""The same training on fewer rows, to see what more rows are worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from transformers import PreTrainedTokenizerBase

from .. import data
from ..errors import TrainingError, first_line
from ..hub import Source
from ..settings import Recipe
from .callbacks import Progress
from .cross_validation import decided, train_and_answer
from .fitting import Resumable, Unsaved
from .frozen_memory import FrozenMemory
from .model import load_model, suit

#: Shares of the training rows, beside all of them; the fewest rows of a class, on average, that are worth a training.
SHARES, FEWEST = (1 / 8, 1 / 4, 1 / 2), 4


@dataclass(frozen=True)
class FewerRows:
    """Trainings on parts of the rows, each with the recipe that fits so many.

    Args:
        texts: of the whole training.
        wanted: its recipe, as it was before what was left empty was chosen.
        tokenizer, source: of the pretrained model.
        seed: of the trainings, and of the rows that are drawn, class by class.
    """

    texts: data.Data
    wanted: Recipe
    tokenizer: PreTrainedTokenizerBase
    source: Source
    seed: int

    def parts(self) -> dict[int, tuple[data.Data, Recipe]]:
        """Return number of rows -> the data with so many, and the recipe; nothing where rows are too few to divide."""
        found, here = {}, self.texts.rows()["train"]
        for rows in [round(share * here) for share in SHARES]:
            if rows < FEWEST * len(self.texts.labels):
                continue
            part = self.texts.fewer(rows, self.seed)
            train = part.splits["train"]
            found[len(train)] = part, suit(self.wanted, train, self.tokenizer, self.source)[0]
        return found if len(found) > 1 else {}  # two and all rows are the fewest that show how it goes on

    def cost(self) -> int:
        """Return how many texts these trainings learn from, each counted once an epoch."""
        trainings, classes = len(self.texts.folds) if self.texts.folds else 1, len(self.texts.labels)
        each = [(rows + classes * recipe.label_names) * recipe.epochs for rows, (_, recipe) in self.parts().items()]
        return sum(each) * trainings

    def answers(
        self, split: str, plan: Resumable | Unsaved, memory: FrozenMemory | None = None
    ) -> dict[int, np.ndarray]:
        """Train, and return number of rows -> the answers for a split; one that diverges is told and left out."""
        found = {}
        for rows, (part, recipe) in self.parts().items():
            tokens = data.tokenize(part.splits, self.tokenizer, recipe.max_length)
            fresh = partial(load_model, self.source, part.labels, recipe, self.seed, several=part.several)
            known = part, tokens, self.tokenizer, recipe, self.seed, plan, fresh
            try:
                _, chances = train_and_answer(*known, [Progress(f"{rows:,} rows")], memory=memory, keeps=False)
            except TrainingError as error:
                print(f"{rows:,} rows: {first_line(error)}")
                continue
            found[rows] = decided(part, chances)[0][split]
        return found
