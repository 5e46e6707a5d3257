"""The page of a run: what it shows, and what it never lets through."""

import re

import nbformat
import pandas as pd
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
    "data": {"source": "practice", "rows": {"train": 4000}},
    "model": {"source": "MiniLM"},
    "seed": 1,
    "baselines": {"majority": {"accuracy": 0.344, "macro_f1": 0.085}, "tfidf_svm": {"accuracy": 0.8, "macro_f1": 0.7}},
    "validation": SCORE,
    "guards": [],
}


def book(*outputs, tags=()):
    cell = new_code_cell(
        "1", outputs=[new_output("display_data", data) for data in outputs], metadata={"tags": list(tags)}
    )
    return new_notebook(cells=[new_markdown_cell("# Title\n\n[next](02_fine_tuning.ipynb)"), cell])


def test_published_figures_stand_beside_results_on_the_same_data_only(tmp_path):
    results.write(tmp_path, "02_fine_tuning", **FINE_TUNING)
    assert "Published" not in pages.write_index(tmp_path).read_text()
    results.write(
        tmp_path, "02_fine_tuning", **FINE_TUNING | {"data": {"source": "dair-ai/emotion", "rows": {"train": 16000}}}
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


def test_no_notice_without_a_message():
    assert notebooks.notice([]) is None


def test_text_table_is_aligned_left_and_escaped():
    markup = notebooks.text_table(pd.DataFrame({"text": ["a <b>"], "loss": [1.234], "share": [0.00123]})).data
    assert (
        markup.count("text-align:left") >= 2 and "a &lt;b&gt;" in markup and "1.23<" in markup and ">0.001<" in markup
    )


def test_a_summary_shows_tables_without_a_row_for_the_name_of_their_index(tmp_path):
    summary = pages.Summary("t")
    summary.add("Runs", pd.DataFrame({"state": ["completed"], "runs": [8]}).set_index("state"))
    page = summary.write(tmp_path / "summary.html").read_text()
    assert ">completed<" in page and "state" not in page
