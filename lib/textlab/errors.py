"""What can go wrong in a way that a user can mend, and the one line in which it is said."""

from __future__ import annotations


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line that says what came, what is accepted and what to do. Notebooks show that line
    instead of a traceback; the command line prints it and exits with status 2.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class TrainingError(RuntimeError):
    """Training was stopped because going on could not give a usable model; the message says why in one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
