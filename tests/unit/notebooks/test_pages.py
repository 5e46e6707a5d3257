"""The page of a run: what it shows, and what it never lets through."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from textlab import evaluation, notebooks
from textlab.notebooks import pages, results

SCORE = {
    "accuracy": 0.9,
    "macro_f1": 0.85,
    "weighted_f1": 0.9,
    "accuracy_ci95": [0.88, 0.92],
    "macro_f1_ci95": [0.8, 0.89],
}
FINE_TUNING = {
    "data": {"source": "practice", "sha256": "0" * 64, "rows": {"train": 4000}},
    "model": {"source": "MiniLM", "sha256": "1" * 64},
    "seed": 1,
    "baselines": {"majority": {"accuracy": 0.344, "macro_f1": 0.085}, "tfidf_svm": {"accuracy": 0.8, "macro_f1": 0.7}},
    "validation": SCORE,
    "guards": [],
}


def cell(*outputs, tags=()):
    outputs = [
        new_output("stream", text=shown) if isinstance(shown, str) else new_output("display_data", shown)
        for shown in outputs
    ]
    return new_code_cell("1", outputs=outputs, metadata={"tags": list(tags)})


def book(*outputs, tags=()):
    title = new_markdown_cell("# Title\n\n[next](02_fine_tuning.ipynb)")
    return new_notebook(cells=[title, cell(*outputs, tags=tags)])


def test_published_figures_stand_beside_results_on_the_same_data_only(tmp_path):
    results.write(tmp_path, "02_fine_tuning", **FINE_TUNING)
    assert "Published" not in pages.write_index(tmp_path).read_text()
    results.write(
        tmp_path,
        "02_fine_tuning",
        **FINE_TUNING | {"data": FINE_TUNING["data"] | {"source": "dair-ai/emotion", "rows": {"train": 16000}}},
    )
    page = pages.write_index(tmp_path).read_text()
    assert "Published" in page and "DistilBERT" in page and "16,000 rows to train on" in page


def test_index_says_which_version_was_promoted_or_why_none_was(tmp_path):
    assert "Registered model" not in pages.write_index(tmp_path).read_text()
    results.write(tmp_path, "04_sweep_analysis", promotion="Registered model mine. No version was promoted: <why>.")
    assert (
        "<p>Registered model mine. No version was promoted: &lt;why&gt;.</p>" in pages.write_index(tmp_path).read_text()
    )


def test_a_page_has_a_table_of_contents_that_leads_to_its_sections():
    page = pages.notebook_page(
        new_notebook(cells=[new_markdown_cell("# T"), new_markdown_cell("## 1. A & b"), new_markdown_cell("## 2. C")]),
        "t",
    )
    links = re.findall(r'<li><a href="#([^"]+)">(.*?)</a></li>', page)
    assert [words for _, words in links] == ["1. A &amp; b", "2. C"]
    assert all(page.count(f'id="{anchor}"') == 1 for anchor, _ in links)


def test_a_page_shows_a_badge_as_words():
    page = pages.notebook_page(
        new_notebook(cells=[new_markdown_cell("[![Open in Colab](https://a.example/badge.svg)](https://b.example/x)")]),
        "t",
    )
    assert '<a href="https://b.example/x">Open in Colab</a>' in page and "badge.svg" not in page


def test_page_keeps_tables_and_notices_and_drops_scripts():
    page = pages.notebook_page(
        book(
            {
                "text/html": "<style scoped>b{}</style><table><thead><tr><th>head</th></tr></thead></table>"
                "<script>alert('in output')</script><img src=x onerror=alert(1)>"
            },
            {"text/html": notebooks.notice("Careful <b>")._repr_html_()},
        ),
        "t",
    )
    assert "<th>head</th>" in page and '<h1 id="Title">' in page
    assert "alert('in output')" not in page and "onerror" not in page and "b{}" not in page
    assert "border:2px solid" in page.replace(": ", ":") and "Careful &lt;b&gt;" in page


def test_page_links_pages_and_loads_nothing_from_elsewhere():
    page = pages.notebook_page(book(), "t")
    assert 'href="02_fine_tuning.html"' in page
    assert 'src="http' not in page and 'href="http' not in page


def test_index_shows_headline_intervals_guards_and_pictures(tmp_path):
    picture = "aGVsbG8="
    nbformat.write(book({"image/png": picture}, tags=["headline"]), tmp_path / "02_fine_tuning.ipynb")
    results.write(
        tmp_path,
        "02_fine_tuning",
        **FINE_TUNING | {"guards": ["It <predicts> one class."], "environment": {"torch": "2"}},
    )
    page = pages.write_index(tmp_path).read_text()
    assert "on validation" in page and "0.900" in page and "0.880 to 0.920" in page and "0.344" in page
    assert "It &lt;predicts&gt; one class." in page and "synthetic practice text" in page
    assert f"data:image/png;base64,{picture}" in page
    assert page.count("not run") == 3 and 'href="02_fine_tuning.html"' in page


def test_index_of_a_failed_run_says_where_it_failed(tmp_path):
    results.write(tmp_path, "02_fine_tuning", status="failed", error="cell 3 (`x = 1`): ValueError: no")
    page = pages.write_index(tmp_path).read_text()
    assert "02_fine_tuning failed in cell 3" in page and "accuracy" not in page


def test_headline_prefers_test_and_never_invents_it():
    assert {row["split"] for row in evaluation.headline_rows(FINE_TUNING)} == {"validation"}
    assert {row["split"] for row in evaluation.headline_rows(FINE_TUNING | {"test": SCORE})} == {"test"}
    assert evaluation.headline_rows({"status": "failed"}) == []


def sweep_book():
    """An executed notebook 4 of our making."""
    table = "<table class='dataframe'><tbody><tr><td>8</td></tr></tbody></table>"
    unclean = f"<style scoped>b{{}}</style>{table}<script>alert(1)</script>"
    return new_notebook(
        cells=[
            new_markdown_cell("# 4 · Title"),
            cell("not tagged"),
            new_markdown_cell("## 1. The <runs>\n\nHow did they end?"),
            cell({"text/plain": "8", "text/html": unclean}, tags=["summary"]),
            new_markdown_cell("Words without a heading."),
            cell({"text/plain": "<Figure>", "image/png": "aGVsbG8="}, tags=["headline", "summary"]),
            new_markdown_cell("## 2. More\n\n### The next search space"),
            cell("search_space:\n  a: [1, <2>]\n", tags=["summary"]),
            new_markdown_cell("## What we found"),
            cell("Best: <one>.\nNo version was promoted.\n", tags=["summary-lead"]),
        ]
    )


def test_the_summary_of_a_sweep_shows_what_the_tagged_cells_show(tmp_path):
    nbformat.write(sweep_book(), tmp_path / "04_sweep_analysis.ipynb")
    results.write(tmp_path, "04_sweep_analysis", experiment="<mine>")
    index = pages.write_index(tmp_path).read_text()
    assert '<a href="sweep_summary.html">' in index and index.count("data:image/png") == 1
    page = (tmp_path / "sweep_summary.html").read_text()
    parts = [
        "<h1>Sweep analysis: &lt;mine&gt;</h1>",
        "<ul><li>Best: &lt;one&gt;.</li><li>No version was promoted.</li></ul>",
        "<h2>The &lt;runs&gt;</h2>",
        '<table class="dataframe"><tbody><tr><td>8</td></tr></tbody></table>',
        '<figure><img src="data:image/png;base64,aGVsbG8=" alt="The &lt;runs&gt;"></figure>',
        "<h2>The next search space</h2>",
        "<pre>search_space:\n  a: [1, &lt;2&gt;]</pre>",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places) and page.count("<h2>") == 2
    assert "alert" not in page and "b{}" not in page and "not tagged" not in page
    assert "http" not in page


@pytest.mark.parametrize("status", ["failed", None])
def test_a_sweep_that_is_not_completed_has_no_summary(tmp_path, status):
    nbformat.write(sweep_book(), tmp_path / "04_sweep_analysis.ipynb")
    if status:
        results.write(tmp_path, "04_sweep_analysis", status=status, error="cell 3 (`x`): ValueError: no")
    assert "sweep_summary" not in pages.write_index(tmp_path).read_text()
    assert not (tmp_path / "sweep_summary.html").exists()
