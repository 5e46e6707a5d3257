"""The page of a run: what it shows, and what it never lets through."""

import copy
import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from conftest import ROOT, altered
from textlab import evaluation, notebooks
from textlab.errors import InputError
from textlab.notebooks import pages, results
from textlab.tracking import store

SCORE = {
    "accuracy": 0.9,
    "macro_f1": 0.85,
    "weighted_f1": 0.9,
    "accuracy_ci95": [0.88, 0.92],
    "macro_f1_ci95": [0.8, 0.89],
}
FINE_TUNING = {
    "data": {"source": "owner/texts", "sha256": "0" * 64, "rows": {"train": 4000, "validation": 500}},
    "model": {"source": "MiniLM", "sha256": "1" * 64},
    "seed": 1,
    "baselines": {"majority": {"accuracy": 0.344, "macro_f1": 0.085}, "tfidf_svm": {"accuracy": 0.8, "macro_f1": 0.7}},
    "validation": SCORE,
    "guards": [],
}
#: A demo of our making: its champion is notebook 2's model, which notebook 3 trained again as its first run.
ROWS = {"train": 2900, "validation": 420, "test": 840}
DATA = {"source": "packaged", "sha256": "0" * 64, "rows": ROWS}
RECORD = {"splits": {"validation": "2" * 64, "test": "3" * 64}}
DEMO = {
    "01_hub_exploration": {
        "data": DATA,
        "model": FINE_TUNING["model"],
        "candidates": {"models": [{}] * 12, "datasets": [{}] * 10},
        "quality": [
            {"problem": "repeated text", "rows": n, "split": split} for split, n in (("train", 7), ("test", 2))
        ],
    },
    "02_fine_tuning": FINE_TUNING
    | {
        "data": DATA,
        "test": SCORE,
        "versus": {"baseline": "tfidf_svm", "difference": 0.1, "difference_ci95": [0.07, 0.13], "p_value": 0.0},
        "weights_sha256": "a" * 64,
        "record": RECORD,
        "people": {"accuracy": 0.85, "accuracy_ci95": [0.84, 0.86]},
        "environment": {"torch": "2"},
    },
    "03_mlflow_tracking": {
        "data": DATA,
        "model": FINE_TUNING["model"],
        "seed": 1,
        "params": {"search_space": {"learning_rate": {}, "batch_size": {}, "average": {}}},
        "first_run": {"run_id": "one", "version": "1", "guards": [], "weights_sha256": "a" * 64},
        "record": RECORD,
        "sweep": {
            "trials": [{"state": "COMPLETE"}, {"state": "PRUNED"}, {"state": "COMPLETE"}],
            "confirmed": [{"trial": 3, "mean": 0.7, "batch_size": 16, "learning_rate": 0.0003071, "average": 0.9996}],
            "best": {"run_id": "two", "version": "2", "guards": [], "weights_sha256": "b" * 64},
        },
    },
    "04_sweep_analysis": {
        "experiment": "mine",
        "params": {"tracking_uri": ""},
        "champion": {"name": "mine", "version": 1},
        "winner": {"run_id": "one"},
        "test": {
            "most frequent class": {"accuracy": 0.344, "macro_f1": 0.085},
            "TF-IDF + linear SVM": {"accuracy": 0.8, "macro_f1": 0.7},
            "fine-tuned": SCORE,
        },
        "tests": [
            {"index": "the sweep's pick, trial 3", "split": "test", "low": -0.01, "high": 0.01, "p_value": 1.0},
            {"index": "TF-IDF + linear SVM", "split": "test", "low": 0.07, "high": 0.13, "p_value": 0.0},
        ],
        "conclusion": "The sweep found nothing better than the default settings (0.9 against 0.8).",
        "promotion": "Registered model mine. Version 1 is the champion.",
    },
}


def index(folder, change=lambda demo: None):
    """Return the index of a changed demo, each piece of white space as one blank, with the space before % as usual."""
    demo = copy.deepcopy(DEMO)
    change(demo)
    for name, outcome in demo.items():
        results.write(folder, name, **outcome)
    page = pages.write_index(folder).read_text()
    assert "http" not in page and "<script" not in page and "practice" not in page and "synthetic" not in page
    return " ".join(page.split())


def rows_of(page):
    """Return the names and the words below them in the headline table."""
    table = page.partition('<table class="headline">')[2].partition("</table>")[0]
    return [re.sub("<[^>]*>", "", name).strip() for name in re.findall(r"<tr><td>(.*?)</td>", table)]


def tone(page):
    return re.findall(r'<section class="lead (\w+)">', page)


def second_champion(demo):
    """Make the winner of the sweep the champion."""
    demo["04_sweep_analysis"] |= {"winner": {"run_id": "two"}, "champion": {"name": "mine", "version": 2}}


@pytest.mark.parametrize(
    "bounds, told",
    [([-0.02, 0.03], "not to be told from"), ([0.01, 0.03], "better than"), ([-0.3, -0.1], "worse than")],
)
def test_a_model_and_one_person_are_held_against_each_other_on_the_same_texts(tmp_path, bounds, told):
    def measured(demo):
        demo["02_fine_tuning"]["beside_person"] = {"difference": 0.005, "difference_ci95": bounds}

    low, high = (f"{100 * bound:+.1f}" for bound in bounds)
    expected = f"the model is {told} that on the same texts (+0.5 points, 95 % interval {low} to {high})."
    assert expected in index(tmp_path, measured)


def test_the_champion_comes_first_with_its_figures_and_a_verdict(tmp_path):
    page = index(tmp_path)
    assert tone(page) == ["good"] and "<h1>mine version 1</h1>" in page and "The champion of run" in page
    assert (
        "mine version 1 is right on 90.0 % of the 840 test rows of the packaged data (tweets). That is better than the "
        "best baseline, TF-IDF + linear SVM (+10.0 points, 95 % interval +7.0 to +13.0, p &lt; 0.001). One person "
        "agrees with the others on 85.0 % (95 % interval 84.0 % to 86.0 %); the model is above that interval.</p>"
    ) in page
    figures = "<dt>accuracy on test</dt><dd>0.900 <small>0.880 to 0.920</small></dd>"
    assert figures in page and "<dt>macro F1 on test</dt><dd>0.850 <small>0.800 to 0.890</small></dd>" in page
    assert rows_of(page) == [
        "mine version 1 fine-tuned MiniLM, the same weights as notebook 2&#39;s",
        "one person against the others",
        "most frequent class",
        "TF-IDF + linear SVM",
    ]
    assert "2,900 rows to train on; seed 1." in page and page.index("<h1>") < page.index("<details>")


def test_a_champion_with_other_weights_has_notebook_2s_model_below_it(tmp_path):
    page = index(tmp_path, second_champion)
    assert rows_of(page)[:2] == ["mine version 2 fine-tuned MiniLM", "fine-tuned MiniLM notebook 2&#39;s model"]


def test_a_model_that_was_scored_on_other_rows_does_not_stand_beside_the_champion(tmp_path):
    def change(demo):
        demo["02_fine_tuning"]["record"] = {"splits": {"test": "4" * 64}}
        second_champion(demo)

    page = index(tmp_path, change)
    assert rows_of(page) == ["mine version 2 fine-tuned MiniLM", "most frequent class", "TF-IDF + linear SVM"]
    assert "Notebook 2's model was scored on other rows" in page and "One person" not in page


def test_a_champion_of_unknown_training_is_told_without_rows_and_data(tmp_path):
    page = index(tmp_path, lambda demo: demo["04_sweep_analysis"].update(winner={"run_id": "elsewhere"}))
    assert "is right on 90.0 % of the test rows. That" in page and "rows to train on" not in page
    assert rows_of(page)[0] == "mine version 1"


def interrupted(demo):
    """Let notebook 3's results be missing, while notebook 4's hold the record of the champion's training."""
    del demo["03_mlflow_tracking"]
    facts = {"data": DATA | {"labels": "several"}, "model": FINE_TUNING["model"], "seed": 7, "weights_sha256": "a" * 64}
    demo["04_sweep_analysis"]["trained"] = facts | RECORD


def test_without_notebook_3_the_champions_training_is_told_by_notebook_4(tmp_path):
    page = index(tmp_path, interrupted)
    assert "has a macro F1 of 0.850 on the 840 test rows of the packaged data (tweets). That is better" in page
    assert "<dt>exact match on test</dt>" in page and "2,900 rows to train on; seed 7." in page
    assert rows_of(page)[0] == "mine version 1 fine-tuned MiniLM, the same weights as notebook 2&#39;s"


@pytest.mark.parametrize("known", [True, False])
def test_rows_are_called_other_ones_only_where_both_are_known(tmp_path, known):
    def change(demo):
        interrupted(demo)
        demo["04_sweep_analysis"]["trained"]["splits"] = {"test": "4" * 64} if known else {}

    page = index(tmp_path, change)
    assert ("Notebook 2's model was scored on other rows" in page) == known and "One person" not in page


def test_without_a_champion_notebook_2s_model_leads_and_the_reason_is_told(tmp_path):
    def change(demo):
        del demo["04_sweep_analysis"]["champion"]
        demo["04_sweep_analysis"]["promotion"] = "Registered model mine. No version was promoted: <why>."

    page = index(tmp_path, change)
    assert "The model of run" in page and "<h1>fine-tuned MiniLM</h1>" in page and "@champion" not in page
    assert "Registered model mine. No version was promoted: &lt;why&gt;.</p>" in page
    assert rows_of(page)[0] == "fine-tuned MiniLM" and tone(page) == ["good"] and "champion is still" not in page


@pytest.mark.parametrize("guards, shown", [([], "doubt"), (["It predicts one class."], "bad")])
def test_a_champion_that_stays_is_named_in_the_verdict_and_can_be_used(tmp_path, guards, shown):
    def change(demo):
        demo["04_sweep_analysis"]["stays"] = demo["04_sweep_analysis"].pop("champion") | {"version": 7}
        demo["02_fine_tuning"]["guards"] = guards

    page = index(tmp_path, change)
    assert tone(page) == [shown] and "<h1>fine-tuned MiniLM</h1>" in page
    assert "The champion is still mine version 7." in page.partition("</section>")[0]
    assert "Label texts with the champion, version 7:" in page and "predict models:/mine@champion" in page
    assert "Repeat the champion" not in page


def test_figures_of_a_cross_validation_are_not_called_those_of_a_test_split(tmp_path):
    def change(demo):
        for outcome in demo.values():
            if "data" in outcome:
                outcome["data"] = {
                    **DATA,
                    "rows": {"train": 160, "validation": 40, "test": 200},
                    "folds": 5,
                    "kept_rows": 200,
                }

    page = index(tmp_path, change)
    assert "accuracy by cross-validation" in page and "<th>by cross-validation</th>" in page
    assert "of the 200 cross-validated rows of" in page and "on test" not in page.partition("What each notebook")[0]
    assert "200 rows to train on, each answered by a model that had not seen it (5-fold cross-validation);" in page
    assert "200 rows, for a 5-fold cross-validation." in page


def test_notebook_2_alone_is_shown_with_what_is_known(tmp_path):
    def change(demo):
        for name in demo.keys() - {"02_fine_tuning"}:
            del demo[name]
        del demo["02_fine_tuning"]["people"]

    page = index(tmp_path, change)
    assert tone(page) == ["good"] and "+10.0 points, 95 % interval +7.0 to +13.0" in page
    assert page.count(">not run<") == 3 and "One person" not in page and "one person" not in page


@pytest.mark.parametrize(
    ("low", "high", "shown", "words"),
    [
        (-0.02, 0.03, "doubt", "It is not shown to be better than the best baseline"),
        (-0.13, -0.07, "bad", "That is worse than the best baseline"),
    ],
)
def test_a_model_that_does_not_beat_the_baselines_never_looks_like_one_that_does(tmp_path, low, high, shown, words):
    page = index(tmp_path, lambda demo: demo["04_sweep_analysis"]["tests"][1].update(low=low, high=high))
    assert tone(page) == [shown] and words in page and "That is better" not in page


def test_a_champion_that_stays_can_be_used_where_notebook_2_was_not_run(tmp_path):
    def change(demo):
        demo["04_sweep_analysis"]["stays"] = demo["04_sweep_analysis"].pop("champion")
        del demo["02_fine_tuning"]

    page = index(tmp_path, change)
    assert tone(page) == [] and "predict models:/mine@champion" in page


@pytest.mark.parametrize("p_value, shown", [(0.062, "doubt"), (0.031, "good")])
@pytest.mark.parametrize("leads", ["champion", "model"])
def test_a_gap_that_may_be_chance_by_mcnemars_test_is_in_doubt_as_in_notebook_2(tmp_path, leads, p_value, shown):
    def change(demo):
        demo["02_fine_tuning"]["versus"]["p_value"] = p_value
        demo["04_sweep_analysis"]["tests"][1]["p_value"] = p_value
        if leads == "model":
            del demo["04_sweep_analysis"]["champion"]

    page = index(tmp_path, change)
    assert tone(page) == [shown] and f"interval +7.0 to +13.0, p {p_value})" in page


def test_the_best_baseline_counts_and_without_a_paired_test_the_models_own_interval(tmp_path):
    page = index(tmp_path, lambda demo: demo["04_sweep_analysis"]["test"]["most frequent class"].update(accuracy=0.89))
    assert tone(page) == ["doubt"]
    assert "best baseline, most frequent class (+1.0 points, 95 % interval of the model alone -1.0 to +3.0)" in page


@pytest.mark.parametrize(("accuracy", "place"), [(0.85, "above"), (0.91, "within"), (0.95, "below")])
def test_the_model_is_above_within_or_below_what_one_person_reaches(tmp_path, accuracy, place):
    people = {"accuracy": accuracy, "accuracy_ci95": [accuracy - 0.02, accuracy + 0.02]}
    page = index(tmp_path, lambda demo: demo["02_fine_tuning"].update(people=people))
    assert f"the model is {place} that interval" in page


def test_a_model_that_failed_its_checks_gets_no_figures_on_top(tmp_path):
    def change(demo):
        demo["02_fine_tuning"]["guards"] = ["It <predicts> one class."]
        del demo["04_sweep_analysis"]["champion"]

    page = index(tmp_path, change)
    assert tone(page) == ["bad"] and "<dl>" not in page and "That is better" not in page
    assert "fine-tuned MiniLM did not pass its checks on the 840 test rows" in page
    assert page.index('<p class="bad">It &lt;predicts&gt; one class.</p>') < page.index("<h1>")
    assert "It did not pass its checks: accuracy 0.900" in page


def test_guards_of_notebook_2_are_told_beside_a_champion_too(tmp_path):
    def change(demo):
        demo["02_fine_tuning"]["guards"] = ["It predicts one class."]
        second_champion(demo)

    page = index(tmp_path, change)
    assert tone(page) == ["good"] and '<p class="bad">Notebook 2\'s model: It predicts one class.</p>' in page


def test_a_pick_that_is_the_default_settings_is_told_as_such(tmp_path):
    def change(demo):
        demo["03_mlflow_tracking"]["sweep"]["best"] = demo["03_mlflow_tracking"]["first_run"]

    assert "That pick is the default settings, version 1 in the registry." in index(tmp_path, change)


def test_a_failed_notebook_comes_first_in_red_and_the_run_is_in_doubt(tmp_path):
    def change(demo):
        demo["03_mlflow_tracking"] = {"status": "failed", "error": "cell 3 (`x = 1`): ValueError: <no>"}
        del demo["04_sweep_analysis"]

    page = index(tmp_path, change)
    failed = '<p class="bad">03_mlflow_tracking failed in cell 3 (`x = 1`): ValueError: &lt;no&gt;</p>'
    assert page.index(failed) < page.index("<h1>")
    assert tone(page) == ["doubt"] and "Not every notebook of this run completed." in page
    assert '<span class="status failed">failed</span>' in page


def test_each_notebook_tells_what_it_found(tmp_path):
    page = index(tmp_path)
    for sentences in (
        "12 models and 10 data sets were compared. MiniLM and the packaged data (tweets) were chosen: 2,900 train, 420 "
        "validation, 840 test rows. Faults in it: repeated text (9 rows).",
        "It passed all checks: accuracy 0.900 and macro F1 0.850 on test.",
        "The model of the default settings has the same weights as notebook 2&#39;s model. 3 trials, 1 of them pruned; "
        "the sweep&#39;s pick: learning_rate 0.0003071, batch_size 16, average 0.9996. That pick, trained on "
        "all rows, is version 2 in the registry.",
        "The sweep found nothing better than the default settings (0.9 against 0.8). Registered model mine. Version 1 "
        "is the champion.",
    ):
        assert f"<p>{sentences}</p>" in page
    assert all(f'href="{name}.html"' in page for name in DEMO)

    def change(demo):
        demo["01_hub_exploration"]["quality"] = []
        demo["01_hub_exploration"]["candidates"] = {"models": [{}], "datasets": [{}] * 2}
        demo["03_mlflow_tracking"]["sweep"]["trials"] = [{"state": "COMPLETE"}]
        demo["03_mlflow_tracking"]["first_run"]["weights_sha256"] = "c" * 64
        demo["03_mlflow_tracking"]["sweep"]["best"]["guards"] = ["It is poor."]

    page = index(tmp_path, change)
    assert (
        "1 model and 2 data sets were compared." in page
        and "1 trial; the sweep" in page
        and "No faults were found in it." in page
        and "The model of the default settings has other weights than notebook" in page
    )
    assert "It did not pass its checks: It is poor." in page


def test_the_page_says_how_to_use_the_models_and_to_repeat_the_training(tmp_path):
    commands = re.compile(r"<pre><code>(?:\.venv/bin/)?python -m textlab (.*?)</code></pre>")
    champion = "predict models:/mine@champion texts.csv -o labelled.csv"
    assert commands.findall(index(tmp_path)) == [champion, "reproduce FOLDER"]  # no model was saved
    (tmp_path / "model").mkdir()
    page = index(tmp_path)
    own = "predict FOLDER texts.csv -o labelled.csv"
    assert commands.findall(page) == [champion, own, "reproduce FOLDER"] and "model, which is the same:" in page

    def in_folder(demo):
        demo["04_sweep_analysis"]["params"] = {"tracking_uri": store.store_uri(tmp_path / "mlflow")}
        second_champion(demo)

    page = index(tmp_path, in_folder)
    here = " --tracking-uri FOLDER"
    assert commands.findall(page) == [champion + here, own, "reproduce two" + here, "reproduce FOLDER"]
    assert "which is the same" not in page


@pytest.mark.parametrize("prefix, python", [(ROOT / ".venv", ".venv/bin/python"), (ROOT / "other", "python")])
def test_commands_name_the_python_that_has_the_project(tmp_path, monkeypatch, prefix, python):
    monkeypatch.setattr("sys.prefix", str(prefix))
    assert f"<pre><code>{python} -m textlab predict models:/mine" in index(tmp_path)


def test_a_store_elsewhere_is_named_without_its_password(tmp_path):
    elsewhere = {"tracking_uri": "postgresql://me:secret@db.example/runs"}
    page = index(tmp_path, lambda demo: demo["04_sweep_analysis"].update(params=elsewhere))
    assert "labelled.csv --tracking-uri" in page and "db.example/runs" in page and "secret" not in page


@pytest.mark.parametrize("name", ["01_hub_exploration", "03_mlflow_tracking", "04_sweep_analysis"])
def test_an_altered_results_file_makes_an_index_or_is_refused_in_one_line(tmp_path, name):
    index(tmp_path)
    path, refused = tmp_path / "results" / f"{name}.json", 0
    for other in list(altered(json.loads(path.read_text())))[::5]:
        path.write_text(json.dumps(other).replace("Infinity", "1e999"))
        try:
            pages.write_index(tmp_path)
        except InputError as caught:
            assert "\n" not in str(caught)
            refused += 1
    assert refused > 30


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
    assert "It &lt;predicts&gt; one class." in page
    assert f"data:image/png;base64,{picture}" in page
    assert page.count(">not run<") == 3 and 'href="02_fine_tuning.html"' in page


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
