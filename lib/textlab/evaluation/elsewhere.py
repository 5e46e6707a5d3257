"""What a model is worth on kinds of text that it has not learned from, beside the best baseline there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from .answers import as_array, same
from .scores import compare


def beside_best(
    kinds: Sequence[str],
    true: Sequence[int],
    answers: Mapping[str, Sequence[int]],
    model: str,
    seed: int = 0,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Return how often a model is right on each kind of text, beside the most accurate of the others there.

    Args:
        kinds, true: of each text: its kind, its class id, or 0 and 1 for each label, all of which must be right.
        answers: name of a model -> its answers, like `true`; those of `model` and of at least one other.
        model: the one that is asked about.
        seed, resamples: of the intervals, paired bootstraps over texts.

    Returns:
        A row for each kind, in the order in which they come first: kind, texts, accuracy (of `model`), best (name of
        the other), best_accuracy, difference (of `model` minus the other), low and high (its 95 % interval).
    """
    kinds, true, rows = np.asarray(kinds), as_array(true), []
    ids = {name: as_array(some) for name, some in answers.items()}
    for kind in dict.fromkeys(kinds.tolist()):
        here = kinds == kind
        accuracy = {name: float(same(true, some)[here].mean()) for name, some in ids.items()}
        best = max((name for name in ids if name != model), key=accuracy.get)
        gap = compare(true[here], ids[model][here], ids[best][here], seed, resamples)
        own = (kind, int(here.sum()), accuracy[model], best, accuracy[best])
        rows.append((*own, gap["difference"], *gap["difference_ci95"]))
    return pd.DataFrame(
        rows, columns=["kind", "texts", "accuracy", "best", "best_accuracy", "difference", "low", "high"]
    )


def sentences(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each row of the table of `beside_best`."""
    return [
        f"Outside of its own data, on {row.kind}: {row.accuracy:.3f}, {versus(row.low, row.high)} {row.best} "
        f"({row.best_accuracy:.3f}; difference {row.difference:+.3f}, {row.low:+.3f} to {row.high:+.3f})."
        for row in table.itertuples()
    ]


def versus(low: float, high: float) -> str:
    """Return how to say in words where the 95 % interval of a difference lies.

    >>> versus(0.01, 0.05), versus(-0.05, -0.01), versus(-0.01, 0.05)
    ('better than', 'worse than', 'not to be told from')
    """
    return "better than" if low > 0 else "worse than" if high < 0 else "not to be told from"
