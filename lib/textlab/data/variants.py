"""What variants of a text have in common, so that no variant of a training text is scored as if it were new."""

from __future__ import annotations

import re
import unicodedata

#: What people are called and where a link leads says nothing; the last two only change how the sign before them looks.
_LEFT_OUT = re.compile("https?://\\S+|www\\.\\S+|(?<!\\w)@\\w+|[\ufe00-\ufe0f\u20e3]")


class _Kept(dict[int, int | None]):
    """Code point -> itself for letters, the marks on them and digits, None for all else, as `str.translate` has it."""

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else None
        return self[code]


_KEPT = _Kept()


def bare(text: str) -> str:
    """Return a text's letters and digits, whatever its case, punctuation, white space, @names and links.

    Case and compatibility forms are folded (NFKC, then `str.casefold`). Of a text without any letters and digits the
    whole is kept but for its white space, which becomes single blanks.

    >>> bare("DAMN, running late SUCKS."), bare("@anna damn!! running late sucks!!  https://t.co/x")
    ('damnrunninglatesucks', 'damnrunninglatesucks')
    >>> bare(" :-)  :-)")
    ':-) :-)'
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _LEFT_OUT.sub(" ", plain).translate(_KEPT) or " ".join(plain.split())
