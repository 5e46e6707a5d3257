"""textlab: from the Hugging Face Hub to a registered, trustworthy text classifier.

Each module does one job; see the folder map in README.md. Importing the package does no work.
"""

__version__ = "0.1.0"


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


def __getattr__(name: str):
    if name == "predict":  # on demand: it needs torch, and importing the package must not
        from .prediction import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
