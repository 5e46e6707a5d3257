"""What a notebook shows: its set-up table, quotations, tables for people."""

from __future__ import annotations

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
    pd.set_option("display.html.use_mathjax", False)  # $ is a letter
    environment.fix(seed, strict)
    facts = environment.fingerprint()
    shown = {"Python": facts["python"]}
    shown |= {package: facts[package] for package in ("torch", "transformers", "datasets", "mlflow")}
    shown |= {"device": f"{facts['device']}, {facts['threads']} threads", "precision": facts["precision"], "seed": seed}
    return pd.DataFrame({"value": shown.values()}, index=list(shown))


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table to show: three significant digits, nothing for a missing value, no name above the index."""

    def cell(value: Any) -> Any:
        if value is None or value != value:
            return ""
        return f"{value:.3g}" if isinstance(value, float) else value

    return table.astype(object).map(cell).rename_axis(index=None)


def text_table(table: pd.DataFrame, longest: int = 300) -> HTML:
    """Return a table whose columns hold sentences for a notebook: aligned left, without the index.

    Args:
        longest: a text that has more letters is cut.
    """

    def cut(value: Any) -> Any:
        return f"{value[: longest - 1]}…" if isinstance(value, str) and len(value) > longest else value

    markup = table.map(cut).to_html(
        index=False,
        border=0,
        justify="left",
        float_format=lambda value: f"{value:.2f}" if abs(value) >= 0.005 else f"{value:.1g}",
    )
    return HTML(markup.replace("<td>", '<td style="text-align:left">').replace("<th>", '<th style="text-align:left">'))


def quote(text: str) -> Markdown:
    """Return a text for a notebook as a quotation, with its Markdown rendered."""
    return Markdown("\n".join(f"> {line}" for line in text.splitlines()))
