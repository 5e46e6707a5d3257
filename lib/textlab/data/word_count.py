"""How many words a text has, in any script."""

from __future__ import annotations

import re

#: A letter of a script that writes no blanks between words: Thai, Lao, Burmese, Khmer, kana, Chinese characters.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def count_words(text: str) -> float:
    """Return the number of words of a text; two letters of an unspaced script count as one.

    >>> count_words("so fine a day"), count_words("今日 ok")
    (4.0, 2.0)
    """
    spaced, unspaced = UNSPACED.subn(" ", text)
    return len(spaced.split()) + unspaced / 2
