"""One line of progress, and durations in words."""

from __future__ import annotations

import sys
import time


class ProgressLine:
    """One line that is rewritten in place, in a notebook or a terminal, at most twice a second."""

    def __init__(self) -> None:
        self._last = 0.0
        self._handle = None

    def show(self, text: str, final: bool = False) -> None:
        """Show `text` in place of the line before; `final` ends the line."""
        if not final and time.monotonic() - self._last < 0.5:
            return
        self._last = time.monotonic()
        if _in_notebook():
            self._show_in_notebook(text, final)
        elif sys.stderr.isatty():
            print(f"\r\x1b[2K{text}", end="\n" if final else "", file=sys.stderr, flush=True)
        elif final:
            print(text, file=sys.stderr)

    def _show_in_notebook(self, text: str, final: bool) -> None:
        from IPython.display import display  # only a notebook has it for sure

        bundle = {"text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        if final:
            self._handle = None


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def duration(seconds: float) -> str:
    """Return a duration for people: `8 s`, `3 min 05 s`, `2 h 10 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
