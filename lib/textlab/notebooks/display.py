"""What a notebook shows: its set-up table, notices, quotations, tables for people."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
from IPython.display import HTML, Markdown

from ..evaluation import plots
from ..machine import environment


def setup(seed: int, strict: bool = False) -> pd.DataFrame:
    """Prepare a notebook: quiet libraries, plot style, seeds; return a table that says what runs where.

    Args:
        seed: for all random numbers.
        strict: allow only operations that are deterministic everywhere, even if they are slower.
    """
    environment.quiet()
    plots.use_style()
    pd.set_option("display.max_colwidth", 80)
    environment.fix(seed, strict)
    facts = environment.fingerprint()
    shown = {"Python": facts["python"]}
    shown |= {package: facts[package] for package in ("torch", "transformers", "datasets", "mlflow")}
    shown |= {"device": f"{facts['device']}, {facts['threads']} threads", "precision": facts["precision"], "seed": seed}
    return pd.DataFrame({"value": shown.values()}, index=list(shown))


class Notice:
    """A coloured box in a notebook; where there is only text, a line that begins with `MARK`."""

    MARK = "notice: "

    def __init__(self, messages: Sequence[str], colour: str) -> None:
        self.messages, self.colour = messages, colour

    def __repr__(self) -> str:
        return f"{self.MARK}{' '.join(self.messages)}"

    def _repr_html_(self) -> str:
        style = f"border:2px solid {self.colour};border-left-width:10px;padding:8px 12px;margin:8px 0"
        return f'<div style="{style}">{"<br>".join(html.escape(message) for message in self.messages)}</div>'


def notice(messages: str | Sequence[str], kind: str = "bad") -> Notice | None:
    """Return a box for a notebook: red for `bad`, amber for `note`; None when there are no messages."""
    messages = [message for message in ([messages] if isinstance(messages, str) else messages) if message]
    return Notice(messages, {"bad": "#B3261E", "note": "#B26A00"}[kind]) if messages else None


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table to show: three significant digits, nothing for a missing value, no name above the index."""

    def cell(value: Any) -> Any:
        if value is None or value != value:
            return ""
        return f"{value:.3g}" if isinstance(value, float) else value

    return table.astype(object).map(cell).rename_axis(index=None)


def text_table(table: pd.DataFrame, longest: int = 80) -> HTML:
    """Return a table whose columns hold sentences for a notebook: aligned left, without the index.

    Args:
        longest: a text that has more letters is cut.
    """
    with pd.option_context("display.max_colwidth", longest):
        markup = table.to_html(
            index=False,
            border=0,
            justify="left",
            float_format=lambda value: f"{value:.2f}" if abs(value) >= 0.005 else f"{value:.1g}",
        )
    return HTML(markup.replace("<td>", '<td style="text-align:left">').replace("<th>", '<th style="text-align:left">'))


def quote(text: str) -> Markdown:
    """Return a text for a notebook as a quotation, with its Markdown rendered."""
    return Markdown("\n".join(f"> {line}" for line in text.splitlines()))
