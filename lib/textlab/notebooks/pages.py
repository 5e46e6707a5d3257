"""HTML pages of runs: a notebook's, the index of a run, the summary of a sweep."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nbformat
    import pandas as pd
    from matplotlib.figure import Figure

from .. import evaluation, machine
from ..settings import parameters
from . import results

#: What each notebook answers, as the index shows it.
QUESTIONS = {
    "01_hub_exploration": "Which model and which data, and what is in them?",
    "02_fine_tuning": "How well does the fine-tuned model work, and how sure is that?",
    "03_mlflow_tracking": "How are runs recorded, varied and registered?",
    "04_sweep_analysis": "Which settings go with good results, and which model wins?",
}
#: Data set -> what others have published on its test split, from the models' cards on the Hub.
PUBLISHED = {
    "dair-ai/emotion": "on the 2,000 rows of test (a 95 % interval is about 1.1 points either way), DistilBERT has an accuracy of "
    "0.9185 to 0.932 and a macro F1 of 0.868 to 0.887, MiniLM 0.9135 and 0.8605."
}
#: Style of a notebook's page: long lines are broken, between words, and what is printed stands right below the code.
NARROW = (
    ".jp-Notebook pre { white-space: pre-wrap !important; word-break: normal !important; overflow-wrap: anywhere; } "
    ".jp-OutputArea-child:not(.jp-OutputArea-executeResult) > .jp-RenderedText pre { padding-left: 9px; } "
    "nav ul { columns: 16rem; }"
)
#: Cells with this tag give their picture to the index page.
HEADLINE_TAG = "headline"


def notebook_page(book: nbformat.NotebookNode, title: str) -> str:
    """Return an executed notebook as one HTML page that loads nothing from elsewhere and runs no scripts of its cells."""
    from nbconvert import HTMLExporter

    book = copy.deepcopy(book)
    for cell in book.cells:
        if cell.cell_type == "markdown":  # a picture from elsewhere, such as a badge, becomes its words
            cell.source = re.sub(r"!\[([^]]*)\]\(https?:[^)]*\)", r"\1", cell.source)
    exporter = HTMLExporter(
        sanitize_html=True,
        filters={"clean_html": _clean},
        require_js_url="",
        mathjax_url="",
        mermaid_js_url="",
        jquery_url="",
    )
    page = exporter.from_notebook_node(book, resources={"metadata": {"name": title}})[0]
    headings = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', page)
    contents = "".join(f'<li><a href="#{anchor}">{words}</a></li>' for anchor, words in headings)
    page = page.replace("</h1>", f"</h1><nav><ul>{contents}</ul></nav>" if headings else "</h1>", 1)
    page = page.replace("</head>", f"<style>{NARROW}</style></head>", 1)
    return re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', page)  # links between notebooks lead to their pages


def _clean(markup: str | bytes) -> str:
    """Return HTML without scripts, style sheets and event handlers; tables, headings and our notices stay.

    It stands in for nbconvert's filter of that name, which escapes headings and table heads as well.
    """
    import bleach
    from bleach.css_sanitizer import CSSSanitizer

    markup = markup.decode() if isinstance(markup, bytes) else str(markup)
    markup = re.sub(r"<(style|script)\b.*?</\1\s*>", "", markup, flags=re.DOTALL | re.IGNORECASE)
    tags = {*bleach.ALLOWED_TAGS, *"h1 h2 h3 h4 p div span br hr pre img table thead tbody tr th td".split()}
    styles = CSSSanitizer(allowed_css_properties=["border", "border-left-width", "padding", "margin", "text-align"])
    return bleach.clean(
        markup,
        tags,
        bleach.ALLOWED_ATTRIBUTES
        | {
            "*": ["id", "class", "style"],
            "img": ["src", "alt"],
            "th": ["rowspan", "colspan"],
            "td": ["rowspan", "colspan"],
        },
        css_sanitizer=styles,
    )


class Summary:
    """One self-contained page of words, tables and pictures, gathered while a notebook shows them."""

    def __init__(self, title: str) -> None:
        self.title, self._lead, self._parts = title, [], []

    def lead(self, sentences: Sequence[str]) -> None:
        """Set the sentences that the page begins with."""
        self._lead = list(sentences)

    def add(self, heading: str, part: Figure | pd.DataFrame | str):
        """Add a figure, a table or a text under a heading, and return it for the notebook to show; a text is printed."""
        if isinstance(part, str):
            self._parts.append({"heading": heading, "text": part})
            print(part)
            return None
        if hasattr(part, "savefig"):
            stream = io.BytesIO()
            part.savefig(stream, format="png", metadata={"Software": None})
            self._parts.append({"heading": heading, "picture": base64.b64encode(stream.getvalue()).decode()})
        else:
            self._parts.append(
                {"heading": heading, "table": part.to_html(border=0, classes="plain", index_names=False)}
            )
        return part

    def write(self, path: Path) -> Path:
        """Write the page and return its path."""
        machine.write_text(path, _template("summary.html").render(title=self.title, lead=self._lead, parts=self._parts))
        return path


def _template(name: str):
    import jinja2

    return jinja2.Environment(
        autoescape=True, loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    ).get_template(name)


def write_index(folder: Path) -> Path:
    """Write `index.html`: headline table, guards, pictures and links of what has been run in `folder`."""
    found = {
        name: results.read(folder, name)
        for name in parameters.NOTEBOOKS
        if (folder / "results" / f"{name}.json").is_file()
    }
    page = _template("report.html").render(
        run=folder.name,
        questions=QUESTIONS,
        found=found,
        main=found.get("02_fine_tuning", {}),
        rows=evaluation.headline_rows(found.get("02_fine_tuning", {})),
        published=PUBLISHED.get(
            found.get("02_fine_tuning", {}).get("data", {}).get("source", "").partition("@")[0], ""
        ),
        figures=[(name, figure) for name in found for figure in _headline_figures(folder / f"{name}.ipynb")],
        analysis=found.get("04_sweep_analysis", {}),
    )
    path = folder / "index.html"
    machine.write_text(path, page)
    return path


def _headline_figures(notebook: Path) -> list[str]:
    """Return the pictures (base64 PNG) of the cells tagged as headline in an executed notebook."""
    if not notebook.is_file():
        return []
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [
        out for cell in cells if HEADLINE_TAG in cell["metadata"].get("tags", []) for out in cell.get("outputs", [])
    ]
    return [
        data if isinstance(data, str) else "".join(data)
        for out in outputs
        if (data := out.get("data", {}).get("image/png"))
    ]
