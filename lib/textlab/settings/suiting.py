"""What fits the data: the settings of a recipe that were left empty, each with its reason.

What is behind each number stands in the README of the room training.
"""

from __future__ import annotations

import dataclasses

from ..errors import InputError
from .recipe import Recipe

#: The fewest passes over the rows; and the fewest texts of a training: of few rows, of more, and of each class.
EPOCHS, FEW_TEXTS, TEXTS, TEXTS_OF_A_CLASS = 3, 3_200, 9_600, 320
#: Up to so many rows the contrastive term helps, with this weight.
CONTRASTIVE_ROWS, CONTRASTIVE = 2_000, 0.3
#: Tokens: what is cut at least, and at most, when more than a tenth of the texts is longer.
SHORT, LONG = 96, 256

NOT_COMPUTED = "cannot be computed for this kind of model"


def suited(
    recipe: Recipe,
    rows: int,
    classes: int,
    tokens: int,
    longest: int | None = None,
    contrasts: bool = True,
    several: bool = False,
) -> tuple[Recipe, dict[str, str]]:
    """Return a recipe without empty settings, and for each that was chosen a sentence why.

    Args:
        recipe: what is set stays.
        rows: to train on.
        classes: of the data.
        tokens: of a text that nine in ten of the texts do not exceed.
        longest: text that the model can read, in tokens; None: no limit.
        contrasts: whether the contrastive term can be computed for the model.
        several: whether a text has several labels. The contrastive term, smoothed labels and class weights are made for
            one: the first two are left out then, and the last are refused.

    Raises:
        InputError: class weights for several labels a text.

    >>> few, why = suited(Recipe(), rows=200, classes=3, tokens=20)
    >>> few.epochs, few.contrastive, few.max_length, why["epochs"]
    (48, 0.3, 96, '200 rows: 48 epochs, since fewer than 9,600 texts leave a new head untrained')
    >>> suited(Recipe(epochs=4), rows=50_000, classes=3, tokens=400)[0].max_length
    256
    """
    if several and recipe.class_weights:
        raise InputError(
            "class_weights: got true; it is for one label a text, and here a text has several; leave it out"
        )
    contrasts = contrasts and not several
    texts = min(TEXTS, FEW_TEXTS + 32 * rows)
    wanted, reason = max(
        (texts, "leave a new head untrained"), (TEXTS_OF_A_CLASS * classes, f"do not teach {classes} classes")
    )
    epochs = max(EPOCHS, round(wanted / rows))
    why = f"fewer than {wanted:,} texts {reason}" if epochs > EPOCHS else "more gained nothing on as many rows"
    weight = CONTRASTIVE if contrasts and rows <= CONTRASTIVE_ROWS else 0.0
    length = min(SHORT if tokens <= SHORT else min(-(-tokens // 8) * 8, LONG), longest or LONG)
    chosen = {
        "epochs": (epochs, f"{rows:,} rows: {epochs} epochs, since {why}"),
        "contrastive": (
            weight,
            f"{rows:,} rows: texts of one label are drawn together, which helps with few rows"
            if weight
            else f"{rows:,} rows: no contrastive term, which helps only with fewer"
            if contrasts
            else f"no contrastive term: it {'is for one label a text' if several else NOT_COMPUTED}",
        ),
        "max_length": (length, f"nine in ten texts have at most {tokens} tokens: they are cut at {length}"),
    }
    empty = {name: found for name, found in chosen.items() if getattr(recipe, name) is None}
    values, reasons = ({name: pair[i] for name, pair in empty.items()} for i in range(2))
    if several:  # what is set, too, for a recipe's own values are made for one label
        if recipe.label_smoothing or recipe.contrastive:
            reasons["label_smoothing"] = "several labels a text: they are not smoothed, and not drawn together"
        values |= {"label_smoothing": 0.0, "contrastive": 0.0}
    return dataclasses.replace(recipe, **values), reasons
