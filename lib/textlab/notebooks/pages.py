"""HTML pages of a run: each notebook's, the index, and the summary of a sweep."""

from __future__ import annotations

import copy
import re
import shlex
import sys
from pathlib import Path

import bleach
import jinja2
import nbformat
from bleach.css_sanitizer import CSSSanitizer

from .. import machine, tracking
from . import results, story

#: What each notebook answers, as the index shows it.
_QUESTIONS = {
    "01_hub_exploration": "Which model and which data, and what is in them?",
    "02_fine_tuning": "How well does the fine-tuned model work, and how sure is that?",
    "03_mlflow_tracking": "How are runs recorded, varied and registered?",
    "04_sweep_analysis": "Which settings go with good results, and which model wins?",
}
#: Data set -> what others have published on its test split, from the models' cards on the Hub.
_PUBLISHED = {
    "dair-ai/emotion": "on the 2,000 rows of test (a 95 % interval is about 1.1 points either way), DistilBERT has an "
    "accuracy of 0.9185 to 0.932 and a macro F1 of 0.868 to 0.887, MiniLM 0.9135 and 0.8605."
}
#: Style of a notebook's page: long lines break between words, and what is printed stands right below the code.
_STYLE = (
    ".jp-Notebook pre { white-space: pre-wrap !important; word-break: normal !important; overflow-wrap: anywhere; } "
    ".jp-OutputArea-child:not(.jp-OutputArea-executeResult) > .jp-RenderedText pre { padding-left: 9px; } "
    "nav ul { columns: 16rem; }"
)
#: Tags of cells whose outputs other pages show: pictures on the index, sentences on top of the summary, its parts.
_HEADLINE, _LEAD, _SUMMARY = "headline", "summary-lead", "summary"


def notebook_page(book: nbformat.NotebookNode, title: str) -> str:
    """Return an executed notebook as one HTML page, which loads nothing from elsewhere and runs no script of a cell."""
    from nbconvert import HTMLExporter  # takes seconds to import, and notebooks import this module without needing it

    book = copy.deepcopy(book)
    for cell in book.cells:
        if cell.cell_type == "markdown":  # a picture from elsewhere, such as a badge, becomes its words
            cell.source = re.sub(r"!\[([^]]*)\]\(https?:[^)]*\)", r"\1", cell.source)
    no_scripts = dict.fromkeys(["require_js_url", "mathjax_url", "mermaid_js_url", "jquery_url"], "")
    exporter = HTMLExporter(sanitize_html=True, filters={"clean_html": _clean}, **no_scripts)
    page = exporter.from_notebook_node(book, resources={"metadata": {"name": title}})[0]
    headings = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', page)
    contents = "".join(f'<li><a href="#{anchor}">{words}</a></li>' for anchor, words in headings)
    page = page.replace("</h1>", f"</h1><nav><ul>{contents}</ul></nav>" if headings else "</h1>", 1)
    page = page.replace("</head>", f"<style>{_STYLE}</style></head>", 1)
    return re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', page)  # links between notebooks lead to their pages


def write_index(folder: Path) -> Path:
    """Write `index.html`: the model that leads, what each notebook found, pictures, how to use and repeat it all.

    A completed notebook 4 also gets its `sweep_summary.html`.

    Args:
        folder: of the run, with executed notebooks and `results/`.

    Returns:
        The path of the index.
    """
    outcomes = results.read_all(folder)
    main, analysis = (outcomes.get(name, {}) for name in ("02_fine_tuning", "04_sweep_analysis"))
    lead = story.lead(outcomes)
    tone, verdict = story.verdict(lead, outcomes) if lead else ("", "")
    page = _template("index.html").render(
        run=folder.name,
        lead=lead,
        tone=tone,
        verdict=verdict,
        rows=story.table(lead, outcomes) if lead else [],
        elsewhere=bool(lead) and story.comparable(lead, outcomes) is False,
        data=story.named(lead.trained["data"]) if lead and lead.trained else "",
        published=_PUBLISHED.get(lead.trained.get("data", {}).get("source", "").partition("@")[0], "") if lead else "",
        questions=_QUESTIONS,
        outcomes=outcomes,
        main=main,
        findings=story.findings(outcomes),
        figures=[(name, part) for name in outcomes for part in _tagged(folder, name, _HEADLINE) if "picture" in part],
        summary=_write_summary(folder, analysis),
        commands=_commands(folder, outcomes, lead),
        python=_python(),
        environment=next((found["environment"] for found in (main, *outcomes.values()) if "environment" in found), {}),
    )
    machine.write_text(folder / "index.html", page)
    return folder / "index.html"


def _commands(folder: Path, outcomes: story.Outcomes, lead: story.Lead | None) -> list[tuple[str, str]]:
    """Return what one may do with a run now, each with its command; FOLDER stands for the folder of the run."""
    main, analysis = (outcomes.get(name, {}) for name in ("02_fine_tuning", "04_sweep_analysis"))
    use, repeat = [], []
    champion = analysis.get("champion") or analysis.get("stays")
    if champion:  # only now is a store wanted, and with it MLflow, which takes seconds
        uri = tracking.store.locate(analysis.get("params", {}).get("tracking_uri", ""))
        here = {tracking.store.default_uri(): "", tracking.store.store_uri(folder / "mlflow"): " --tracking-uri FOLDER"}
        where = here.get(uri, f" --tracking-uri {tracking.store.named(uri)}")
        model = shlex.quote(f"models:/{champion['name']}@champion")
        use.append(
            (
                f"Label texts with the champion, version {champion['version']}",
                f"predict {model} texts.csv -o labelled.csv{where}",
            )
        )
        if lead and lead.role == "champion" and lead.trained and not lead.same:
            run_id = analysis["winner"]["run_id"]
            repeat.append(("Repeat the champion's training, and compare", f"reproduce {run_id}{where}"))
    if main.get("status") == "completed" and (folder / "model").is_dir():
        same = ", which is the same" if lead and lead.same else ""
        use.append((f"Label texts with notebook 2's model{same}", "predict FOLDER texts.csv -o labelled.csv"))
    if "record" in main:
        repeat.append(("Repeat notebook 2's training, and compare", "reproduce FOLDER"))
    return use + repeat


def _python() -> str:
    """Return how a person calls this Python from the project's folder."""
    own = machine.project_root() / ".venv"
    return ".venv/bin/python" if own.resolve() == Path(sys.prefix).resolve() else "python"


def _write_summary(folder: Path, analysis: dict) -> str:
    """Write the summary of a sweep and return its file name; empty if there is no completed notebook 4 to make it from.

    Args:
        analysis: the results of notebook 4.
    """
    name = "sweep_summary.html"
    lead, parts = (_tagged(folder, "04_sweep_analysis", tag) for tag in (_LEAD, _SUMMARY))
    if analysis.get("status") != "completed" or not parts:
        return ""
    machine.write_text(folder / name, _template("summary.html").render(analysis=analysis, lead=lead, parts=parts))
    return name


def _tagged(folder: Path, notebook: str, tag: str) -> list[dict[str, str]]:
    """Return what the cells with a tag show in an executed notebook, one mapping an output.

    Returns:
        Each has heading (the nearest one above, without its number), and picture (PNG in base64), markup (HTML without
        scripts) or text.
    """
    file = folder / f"{notebook}.ipynb"
    heading, parts = "", []
    for cell in nbformat.read(file, as_version=4).cells if file.is_file() else []:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^##+ (?:\d+\. )?(.+)", cell.source, re.MULTILINE) or [heading])[-1]
        elif tag in cell.metadata.get("tags", []):
            parts += [{"heading": heading} | _content(output) for output in cell.outputs]
    return parts


def _content(output: nbformat.NotebookNode) -> dict[str, str]:
    data = output.get("data", {})
    if picture := data.get("image/png"):
        return {"picture": picture}
    if markup := data.get("text/html"):
        return {"markup": _clean(markup)}
    return {"text": output.get("text", data.get("text/plain", "")).strip()}


def _clean(markup: str | bytes) -> str:
    """Return HTML without scripts, style sheets and event handlers; tables, headings and our notices stay.

    It stands in for nbconvert's filter of that name, which escapes headings and table heads as well.
    """
    markup = markup.decode() if isinstance(markup, bytes) else str(markup)
    markup = re.sub(r"<(style|script)\b.*?</\1\s*>", "", markup, flags=re.DOTALL | re.IGNORECASE)
    tags = {*bleach.ALLOWED_TAGS, *"h1 h2 h3 h4 p div span br hr pre img table thead tbody tr th td".split()}
    spans = ["rowspan", "colspan"]
    attributes = {"*": ["id", "class", "style"], "img": ["src", "alt"], "th": spans, "td": spans}
    styles = CSSSanitizer(allowed_css_properties=["border", "border-left-width", "padding", "margin", "text-align"])
    return bleach.clean(markup, tags, bleach.ALLOWED_ATTRIBUTES | attributes, css_sanitizer=styles)


def _template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    return jinja2.Environment(autoescape=True, loader=loader).get_template(name)
