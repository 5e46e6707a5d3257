"""Texts that a model is given, compared with those that it was trained on: are they of another kind?"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence

from .. import training
from ..evaluation import kinds

#: Different texts of a part of the input that are looked at, evenly spread.
SAMPLE = 128
#: The fewest texts, and the fewest letters, from which something is concluded.
FEWEST_TEXTS, FEWEST_LETTERS = 20, 20
#: How many times more or fewer words a text, and pieces a word, are worth telling.
MORE_WORDS, MORE_PIECES = 1.5, 1.3


class Watch:
    """What a model is given to answer, part after part; without a saved kind of texts nothing is watched or said."""

    def __init__(self, classifier: training.Classifier) -> None:
        self._known, self._seen = classifier.kind, None
        if self._known is not None:
            own = copy.deepcopy(classifier.tokenizer)  # each use sets it up anew, perhaps beside another thread's
            self._seen = training.text_kind.Gathered(classifier.model, own, len(self._known.mean))

    def see(self, texts: Sequence[str | None]) -> None:
        """Take a sample of some more texts into account; those that are missing or blank are passed over."""
        if self._seen is None:
            return
        different = list(dict.fromkeys(text for text in texts if isinstance(text, str) and text.strip()))
        if different:
            self._seen.add([different[i] for i in training.text_kind.spread(len(different), SAMPLE).tolist()])

    def tell(self) -> None:
        """Warn in one line if the texts so far are of another kind than those that the model was trained on."""
        if self._seen is None or not self._seen.count:
            return
        if differences := ", and ".join(self._differences()):
            warnings.warn(
                f"these texts are of another kind than those that the model was trained on: {differences}; "
                "its measured figures need not hold for them, so check some answers by hand",
                stacklevel=3,
            )

    def _differences(self) -> Iterator[str]:
        """Yield in what the texts differ, in words; nothing if they are of the known kind, or too few."""
        known, seen = self._known, self._seen.kind()
        strange = kinds.strange_scripts(known.letters, seen.letters) if self._seen.n_letters >= FEWEST_LETTERS else {}
        share, least = kinds.told_apart(known.moments, seen.moments) if seen.texts >= FEWEST_TEXTS else (0.5, 0.5)
        if not strange and least <= kinds.TOLD_APART:
            return
        for script, part in list(strange.items())[:3]:
            yield f"{part:.0%} of their letters are {script.capitalize() if len(script) > 3 else script}"
        if seen.texts >= FEWEST_TEXTS:
            if _ratio(seen.words, known.words) >= MORE_WORDS:
                yield f"about {seen.words:.0f} words each and not {known.words:.0f}"
            if _ratio(seen.pieces, known.pieces) >= MORE_PIECES:
                yield f"{seen.pieces:.1f} pieces a word and not {known.pieces:.1f}"
            yield f"a linear rule on words and length tells {min(share, 0.99):.0%} of both rightly"


def _ratio(one: float, other: float) -> float:
    """Return how many times the larger of two numbers is the smaller one."""
    return max(one, other) / min(one, other)
