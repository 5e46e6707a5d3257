"""What the page shows, in three tabs: a sentence, many texts, and what is known of the model."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import gradio

from ...hub import card
from .answers import COLOURS, MOST_LETTERS, answer, label_many, paragraph
from .start import Known

#: Labels with a bar of their own.
MOST_LABELS = 20


def build(known: Known, folder: Path) -> gradio.Blocks:
    """Return the page of a model.

    Args:
        folder: where the tables for visitors are made.
    """
    with gradio.Blocks(title="textlab", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gradio.HTML(_head(known), padding=False)
        with gradio.Tab("A sentence"):
            _sentence_tab(known)
        with gradio.Tab("Many texts"):
            _many_tab(known, folder)
        with gradio.Tab("About the model"):
            gradio.Markdown(known.card or known.figures, latex_delimiters=[])
    return page


def _head(known: Known) -> str:
    classifier = known.classifier
    told = f"{card.about_labels(classifier.labels, classifier.thresholds is not None, MOST_LABELS)} {known.figures}"
    faults = "".join(paragraph(f"⚠ {warning}") for warning in known.warnings)
    return f"<h1>{html.escape(known.name)}</h1>{paragraph(told)}{faults}"


def _sentence_tab(known: Known) -> None:
    text = gradio.Textbox(label="A sentence", max_length=MOST_LETTERS, autofocus=True)
    ask = gradio.Button("Ask the model", variant="primary")
    told = gradio.HTML(padding=False, elem_id="answer")
    with gradio.Row():
        chances = gradio.Label(label="Probabilities", num_top_classes=MOST_LABELS, show_heading=False)
        words = gradio.HighlightedText(
            label="The words that decided",
            color_map=COLOURS,
            show_legend=True,
            show_inline_category=False,
            elem_id="words",
        )
    _on((ask.click, text.submit), lambda text: answer(known, text), [text], [told, chances, words])


def _many_tab(known: Known, folder: Path) -> None:
    with gradio.Row():
        lines = gradio.Textbox(label="Texts, one a line", lines=6)
        file = gradio.File(label="or a file: txt, csv, tsv, jsonl or parquet, up to 20 MB", type="filepath", height=160)
    column = gradio.Textbox(label="The file's text column", placeholder="text, sentence, content or tweet")
    ask = gradio.Button("Label them", variant="primary")
    told = gradio.HTML(padding=False, elem_id="done")
    rows = gradio.Dataframe(label="The first rows", interactive=False, wrap=True, datatype="str")
    table = gradio.File(label="All rows, as csv", interactive=False)
    _on((ask.click,), lambda *given: label_many(known, folder, *given), [lines, file, column], [told, rows, table])


def _on(triggers: tuple, function: Callable, inputs: list, outputs: list) -> None:
    gradio.on(triggers, function, inputs, outputs, api_visibility="private", concurrency_limit=1)
