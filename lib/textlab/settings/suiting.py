"""What fits the data: the settings of a recipe that were left empty, each with its reason.

What is behind each number stands in the README of the room training.
"""

from __future__ import annotations

import dataclasses

from ..errors import InputError
from .recipe import Recipe

#: The fewest passes over the rows.
EPOCHS = 3
#: The fewest texts of a training: of any, the more for each row, up to how many; and for each class.
FEW_TEXTS, TEXTS_OF_A_ROW, TEXTS, TEXTS_OF_A_CLASS = 2_400, 8, 9_600, 320
#: Up to so many rows the contrastive term helps, with this weight.
CONTRASTIVE_ROWS, CONTRASTIVE = 2_000, 0.3
#: Up to so many rows, or so many for each class, the names of the labels help as texts, so often each.
NAMED_ROWS, NAMED_ROWS_OF_A_CLASS, NAMES = 1_000, 20, 4
#: Tokens: what is cut at least, and at most, when more than a tenth of the texts is longer.
SHORT, LONG = 96, 256

#: Settings that are made for one label a text.
FOR_ONE_LABEL = ("label_smoothing", "contrastive", "class_weights", "label_names")
NOT_COMPUTED = "cannot be computed for this kind of model"


def suited(
    recipe: Recipe,
    rows: int,
    classes: int,
    tokens: int,
    longest: int | None = None,
    contrasts: bool = True,
    several: bool = False,
    named: bool = False,
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
            one: the first two are left out then, and the last are refused, as are names of labels as texts.
        named: whether the names of the labels are words that the model tells apart.

    Raises:
        InputError: class weights, or names of labels as texts, for several labels a text.

    >>> few, why = suited(Recipe(), rows=200, classes=3, tokens=20)
    >>> few.epochs, few.contrastive, few.max_length, why["epochs"]
    (20, 0.3, 96, '200 rows: 20 epochs, since fewer than 4,000 texts leave a new head untrained')
    >>> suited(Recipe(epochs=4), rows=50_000, classes=3, tokens=400)[0].max_length
    256
    """
    for name in ("class_weights", "label_names"):
        if several and (value := getattr(recipe, name)):
            got = f"{name}: got {str(value).lower()}"
            raise InputError(f"{got}; it is for one label a text, and here a text has several; leave it out")
    names, about_names = _names(rows, classes, named, several)
    given = names if recipe.label_names is None else recipe.label_names
    texts = min(TEXTS, FEW_TEXTS + TEXTS_OF_A_ROW * rows)
    wanted, reason = max(
        (texts, "leave a new head untrained"), (TEXTS_OF_A_CLASS * classes, f"do not teach {classes} classes")
    )
    epochs = max(EPOCHS, round(wanted / (rows + given * classes)))
    why = f"fewer than {wanted:,} texts {reason}" if epochs > EPOCHS else "more gained nothing on as many rows"
    length = min(SHORT if tokens <= SHORT else min(-(-tokens // 8) * 8, LONG), longest or LONG)
    chosen = {
        "epochs": (epochs, f"{rows:,} rows: {epochs} epochs, since {why}"),
        "contrastive": _contrast(rows, contrasts, several),
        "label_names": (names, about_names),
        "max_length": (length, f"nine in ten texts have at most {tokens} tokens: they are cut at {length}"),
    }
    empty = {name: found for name, found in chosen.items() if getattr(recipe, name) is None}
    values, reasons = ({name: pair[i] for name, pair in empty.items()} for i in range(2))
    if several:  # what is set, too, for a recipe's own values are made for one label
        if recipe.label_smoothing or recipe.contrastive:
            reasons["label_smoothing"] = "several labels a text: they are not smoothed, and not drawn together"
        values |= {"label_smoothing": 0.0, "contrastive": 0.0}
    return dataclasses.replace(recipe, **values), reasons


def _contrast(rows: int, contrasts: bool, several: bool) -> tuple[float, str]:
    """Return the weight of the contrastive term, and why; see `suited` for the arguments."""
    if several or not contrasts:
        return 0.0, f"no contrastive term: it {'is for one label a text' if several else NOT_COMPUTED}"
    if rows > CONTRASTIVE_ROWS:
        return 0.0, f"{rows:,} rows: no contrastive term, which helps only with fewer"
    return CONTRASTIVE, f"{rows:,} rows: texts of one label are drawn together, which helps with few rows"


def _names(rows: int, classes: int, named: bool, several: bool) -> tuple[int, str]:
    """Return how many texts more each label's name is, and why; see `suited` for the arguments."""
    if several or not named:
        why = "that is for one label a text" if several else "not each of them is a word of its own"
        return 0, f"the names of the labels are not learned from: {why}"
    if rows > max(NAMED_ROWS, NAMED_ROWS_OF_A_CLASS * classes):
        return 0, f"{rows:,} rows: the names of the labels are not learned from, which helps only with fewer"
    return NAMES, f"{rows:,} rows: each label's name is learned from as {NAMES} texts more, which helps with few rows"
