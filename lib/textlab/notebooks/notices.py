"""Notices: coloured boxes in a notebook, a marked line in a text or a log."""

from __future__ import annotations

import html
from collections.abc import Sequence


class Notice:
    """A coloured box in a notebook; where there is only text, a line that begins with `MARK`."""

    MARK = "notice: "

    def __init__(self, messages: Sequence[str], colour: str) -> None:
        self.messages, self.colour = messages, colour

    def __repr__(self) -> str:
        return f"{self.MARK}{' '.join(self.messages)}"

    def _repr_html_(self) -> str:
        style = f"border:2px solid {self.colour};border-left-width:10px;padding:8px 12px;margin:8px 0"
        lines = "<br>".join(html.escape(message) for message in self.messages)
        return f'<div class="tex2jax_ignore mathjax_ignore" style="{style}">{lines}</div>'  # in which $ is a letter


def notice(messages: str | Sequence[str], kind: str = "bad") -> Notice | None:
    """Return a box for a notebook: red for `bad`, amber for `note`; None when there are no messages."""
    messages = [message for message in ([messages] if isinstance(messages, str) else messages) if message]
    return Notice(messages, {"bad": "#B3261E", "note": "#B26A00"}[kind]) if messages else None
