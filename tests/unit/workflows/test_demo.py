"""The page to try a model: right answers for all who ask, hostile texts as texts, and closed to other addresses."""

import importlib.util
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from conftest import error, save_tiny
from textlab import hub, training, workflows

pytest.importorskip("gradio", reason="the optional group `demo` is not installed")
from starlette.testclient import TestClient

from textlab.workflows.demo import answers, page, server, start

LABELS = ["bad", "<b>good</b>"]
HOSTILE = '<img src=x onerror=alert(1)> & "more"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a tiny classifier whose answers differ from text to text, without a card."""
    texts, guards = ["a b", "far away", "x"], ["It predicts a <single> class."]
    return save_tiny(tmp_path_factory.mktemp("run") / "model", LABELS, texts, max_length=24, guards=guards)


@pytest.fixture(scope="module")
def known(folder):
    return start.learn(folder, str(folder))


@pytest.fixture
def client(known, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with TestClient(server.guarded(page.build(known, tmp_path)), base_url="http://127.0.0.1:7860") as client:
        yield client


def weighed(text, *weights, probability=0.9):
    """Return a table as `word_weights` does."""
    words, starts = text.split(), [text.index(word) for word in text.split()]
    table = pd.DataFrame({"word": words, "start": starts, "end": [a + len(w) for a, w in zip(starts, words)]})
    table["weight"] = weights
    table["part"] = np.where(np.isnan(weights), -1, np.arange(len(words)))
    table.attrs = {"answer": 0, "probability": probability}
    return table


def test_what_guards_found_and_that_nothing_is_known_is_shown(known):
    assert known.warnings == [f"{known.name} did not pass its checks: It predicts a <single> class."]
    assert "is not known: it has no card" in known.figures and known.card == ""
    head = page._head(known)
    assert "It predicts a &lt;single&gt; class." in head and "bad, &lt;b&gt;good&lt;/b&gt;" in head


def test_an_answer_is_that_of_predict(known, folder):
    told, chances, parts = answers.answer(known, HOSTILE)
    [row] = workflows.predict(str(folder), [HOSTILE]).to_dict("records")
    assert chances == pytest.approx({label: row[f"p_{label}"] for label in LABELS}, abs=1e-5)
    assert "".join(part for part, _ in parts) == HOSTILE and {mark for _, mark in parts} <= {None, *answers.COLOURS}
    assert "<img" not in told and "<b>" not in told


@pytest.mark.parametrize("text, line", [(" \n", "Type a sentence first."), ("a" * 10_001, "accepted are 10,000")])
def test_what_is_no_sentence_gets_a_line(known, text, line):
    told, chances, parts = answers.answer(known, text)
    assert line in told and chances == {} and parts == []


def test_words_are_marked_by_what_they_weigh():
    text = "  I loved  it but so"
    words = weighed(text, 0.005, 0.5, 0.2, -0.15, np.nan)
    assert answers.marked(text, words) == [
        ("  I ", None), ("loved", "decides most"), ("  ", None), ("it", "speaks for it"), (" ", None),
        ("but", "speaks against it"), (" so", None),
    ]  # fmt: skip
    assert answers.about_words(words) == (
        "Without “loved” that would be 0.40. The last 1 words are not read: the text is too long for the model."
    )


def test_words_that_were_left_out_together_are_told_together():
    words = weighed("a very dull film", 0.1, 0.3, 0.3, 0.1).assign(part=[0, 1, 1, 2])
    words.attrs = {"answer": 0, "probability": 0.9}
    assert answers.about_words(words) == "Without “very … dull” that would be 0.60."
    words["weight"] = [0.001, 0.002, 0.002, 0.001]
    assert answers.about_words(words).startswith("No run of 2 words decides alone: without any one of them")


def test_that_no_word_decides_alone_is_said():
    words = weighed("fine fine", 0.004, 0.002)
    assert "No word decides alone" in answers.about_words(words)
    assert {mark for _, mark in answers.marked("fine fine", words)} == {None}
    assert answers.about_words(weighed("fine", 0.9)) == "It is the only word."


def test_ten_people_at_once_get_their_own_answers(known):
    texts = [f"{word} {i} far" for i in range(5) for word in ("joy", "a long grief that goes on and on")]
    alone = [answers.answer(known, text) for text in texts]
    barrier = threading.Barrier(10)

    def ask(text):
        barrier.wait()
        return answers.answer(known, text)

    with ThreadPoolExecutor(10) as people:
        assert list(people.map(ask, texts)) == alone
    assert len({str(chances) for _, chances, _ in alone}) == 10


def test_only_one_asks_the_model_at_a_time(known, monkeypatch):
    asking = []

    def table(self, texts):
        asking.append(1)
        assert len(asking) == 1
        threading.Event().wait(0.02)
        asking.pop()

    monkeypatch.setattr(training.Classifier, "table", table)
    with ThreadPoolExecutor(4) as people:
        list(people.map(known.classifier.table, [["a"]] * 8))


def test_lines_and_files_are_labelled_as_predict_does(known, folder, tmp_path):
    texts = [HOSTILE, "", "=1+1", "text;label", "ünï"]
    told, rows, table = answers.label_many(known, tmp_path, "\n".join(texts), None, "")
    wanted = workflows.predict(str(folder), [text for text in texts if text])
    assert "4 rows" in told and rows["text"].tolist() == [text for text in texts if text]
    assert rows["label"].tolist() == wanted["label"].tolist() == pd.read_csv(table)["label"].tolist()
    assert rows["p_bad"].to_numpy(dtype=float) == pytest.approx(wanted["p_bad"].to_numpy(), abs=1e-3)
    (tmp_path / "own.csv").write_text("words\n" + "one\n" * 30 + '""\n')
    told, rows, table = answers.label_many(known, tmp_path, "", str(tmp_path / "own.csv"), " words ")
    assert "31 rows" in told and "1 without a text" in told and len(rows) == 20 and len(pd.read_csv(table)) == 31


@pytest.mark.parametrize(
    "lines, name, line",
    [
        ("", None, "one a line, or choose a file, and not both"),
        ("a", "x.csv", "and not both"),
        ("", "x.csv", "none of the usual columns"),
        ("", "<b>.pdf", "&lt;b&gt;.pdf is of an unknown format; accepted are"),
    ],
)
def test_what_cannot_be_labelled_gets_a_line(known, tmp_path, lines, name, line):
    if name:
        (tmp_path / name).write_text("a,b\n1,2\n")
    told, rows, table = answers.label_many(known, tmp_path, lines, name and str(tmp_path / name), "")
    assert line in told and rows is None and table is None


def test_that_texts_are_of_another_kind_is_shown(known, tmp_path):
    words = ["a red tree", "the tall old house", "one small dog", "rain and wind", "two cups of tea"]
    learned = [f"{one} {other}" for one in words for other in words]
    classifier = known.classifier
    kind = training.text_kind.kind_of(classifier.model, classifier.tokenizer, learned)
    watched = replace(known, classifier=replace(classifier, kind=kind))
    usual, _, _ = answers.label_many(watched, tmp_path, "\n".join(learned), None, "")
    strange, _, _ = answers.label_many(watched, tmp_path, "дождь и ветер в старом доме", None, "")
    assert "another kind" not in usual and "⚠ these texts are of another kind" in strange and "Cyrillic" in strange


def test_the_page_answers_to_this_machine_alone(client):
    page_of = client.get("/")
    assert page_of.status_code == 200 and "default-src 'self'" in page_of.headers["Content-Security-Policy"]
    assert client.get("/", headers={"Host": "localhost:7860"}).status_code == 200
    for host in ("attacker.example:7860", "127.0.0.1.attacker.example", "10.0.0.1"):
        assert client.get("/", headers={"Host": host}).status_code == 400
    assert client.get("/config", headers={"Origin": "http://127.0.0.1:7860"}).status_code == 200
    for origin in ("http://attacker.example", "http://127.0.0.1:8888", "http://[", "null"):
        assert client.post("/gradio_api/upload", headers={"Origin": origin}).status_code == 403


def test_nothing_of_the_page_lies_elsewhere(client):
    config = client.get("/config").json()
    assert not config["analytics_enabled"] and config["max_file_size"] == 20 * 2**20
    assert "fonts.googleapis" not in client.get("/").text + client.get("/theme.css").text


def test_a_large_file_is_refused_and_not_kept(client, tmp_path):
    answer = client.post("/gradio_api/upload", files={"files": ("x.txt", b"x" * (21 * 2**20))})
    assert answer.status_code == 413 and "maximum" in answer.text
    assert not list(tmp_path.rglob("x.txt"))


def test_without_gradio_a_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert error(start.serve_demo, "nowhere").endswith("install it with .venv/bin/pip install -e '.[demo]'")


def test_a_card_is_shown(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    measured = {"data": {"source": "mine.csv", "rows": {"train": 9, "test": 3}}, "model": {"source": "tiny"}, "seed": 1}
    measured |= {"test": {"accuracy": 0.75}}
    hub.card.write_card(tmp_path / "model", measured, LABELS, [])
    known = start.learn(tmp_path / "model", "mine")
    assert known.figures == "By its card, on test of mine.csv: Accuracy 0.75." and "## Limits" in known.card


def test_ctrl_c_is_a_clean_end(monkeypatch, folder, tmp_path):
    def serve(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(start, "learn", lambda *_: SimpleNamespace(name="x"))
    monkeypatch.setattr(page, "build", lambda *_: None)
    monkeypatch.setattr(start.os, "environ", {})
    assert start.serve_demo(str(folder)) == 0
    assert start.os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
