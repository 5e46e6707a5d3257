"""What can go wrong in a way that a user can mend, and the one line in which it is said."""

from __future__ import annotations

import re
import reprlib
from urllib.parse import urlsplit

#: Characters of a message, and of a value in a message; of longer ones the middle is left out.
LONGEST, LONGEST_VALUE = 1500, 200
#: An address, or the beginning of one without a scheme: user:password@host.
_SECRETIVE = re.compile(r"\w[\w+.-]{0,30}://\S+|(?<![\w.+-])[\w.+-]{1,64}:[^\s/@'\"]{1,200}@(?=[\w\[])")
_LONG_WORD = re.compile(r"(\S{150})\S{100,}(\S{150})")
_AFTER_AN_ADDRESS = "'\"`),.;:]>"


class _OneLine:
    """An error whose message is fit for a screen; a notebook shows it instead of a traceback."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class InputError(_OneLine, ValueError):
    """Something that the user gave cannot be used.

    The message is one line that says what came, what is accepted and what to do; see `one_line`. Notebooks show that
    line instead of a traceback; the command line prints it and exits with status 2. Finer kinds are for the library
    alone: whoever sees them, or runs a notebook and knows an error by its name, is to see an InputError.
    """

    def __init_subclass__(cls) -> None:
        cls.__name__ = InputError.__name__


class NoAnswerError(InputError):
    """A server does not answer; what was asked of it can be asked again as it is."""


class IncompleteError(_OneLine, RuntimeError):
    """A job was done but for some of it, which the message names in one line; the exit status is 1."""


class TrainingError(_OneLine, RuntimeError):
    """Training was stopped because going on could not give a usable model; the message says why in one line."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing, fit for a screen."""
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])


def one_line(message: object) -> str:
    r"""Return a message as one line of bounded length, without control characters, passwords and tokens.

    >>> one_line("got 'a\x00b' from http://me:p@ss@host/x?token=abc")
    "got 'a\\x00b' from http://***@host/x?***"
    """
    text = without_secrets(str(message))
    text = _LONG_WORD.sub(r"\1...\2", text)
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def show(value: object) -> str:
    """Return a value as a message shows it: its repr, of bounded length whatever the value is.

    >>> show([8]), show("x" * 1000).count("x"), show(10**5000)
    ('[8]', 195, 'a number of some 5001 digits')
    """
    return _SHORT.repr(without_secrets(value) if isinstance(value, str) else value)


def without_secrets(text: str) -> str:
    """Return a text with what is secret in its addresses replaced by `***`: users, passwords, queries, tokens.

    >>> without_secrets("sqlite:///a@b?c.db, postgresql://me:a/b@c@host/db, databricks://dapi1, //me:pw@host")
    'sqlite:///a@b?c.db, postgresql://***@host/db, databricks://***, //***@host'
    """
    return _SECRETIVE.sub(lambda found: _public(found[0]) if "://" in found[0] else "***@", text)


def _public(address: str) -> str:
    bare = address.rstrip(_AFTER_AN_ADDRESS)
    scheme, _, rest = bare.partition("://")
    kind, after = scheme.lower(), address[len(bare) :]
    if kind.startswith(("sqlite", "file")):
        return address
    if kind.startswith("databricks"):
        return f"{scheme}://***{after}"
    place = re.match(r"[^/?#]*", rest)[0]
    if "@" in rest and ("@" in place or ":" in place):  # a password may hold any character, if wrongly
        rest = f"***@{rest.rpartition('@')[2]}"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
    except ValueError:
        return f"{scheme}://***{after}"
    query, fragment = "?***" if parts.query else "", parts.fragment and f"#{parts.fragment}"
    fragment = "#***" if "=" in fragment else fragment
    place = re.sub(r";[^/=]*=[^/]*", ";***", parts.netloc + parts.path)
    return f"{scheme}://{place}{query}{fragment}{after}"


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 4, LONGEST_VALUE, LONGEST_VALUE, 80
        self.maxlist = self.maxdict = self.maxtuple = self.maxset = 20

    def repr_int(self, number: int, level: int) -> str:
        try:
            return super().repr_int(number, level)
        except ValueError:  # Python writes no longer ones
            return f"a number of some {int(number.bit_length() * 0.30103) + 1} digits"


_SHORT = _Short()
