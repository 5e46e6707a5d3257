"""The page to try a model, in a real browser: typed, clicked, uploaded, by ten people, and nothing goes elsewhere."""

import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

import browser
from conftest import save_tiny
from textlab import workflows

pytest.importorskip("gradio", reason="the optional group `demo` is not installed")
pytestmark = [pytest.mark.slow, browser.needed]
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> sad'
#: JavaScript that finds what a person clicks or types into.
BUTTON = (
    "[...document.querySelectorAll('button')].find("
    "one => one.checkVisibility({{visibilityProperty: true}}) && one.innerText.trim() === '{}')"
)
BOX = "[...document.querySelectorAll('textarea')].filter(one => one.checkVisibility())[0]"
ANSWER, DONE = "document.querySelector('#answer p')", "document.querySelector('#done p')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a tiny classifier whose card holds a picture from elsewhere and a script."""
    folder = tmp_path_factory.mktemp("run") / "model"
    save_tiny(folder, ["bad", "good"])
    (folder / "README.md").write_text("# Mine\n\n![x](http://192.0.2.1/x.png)\n\n<script>document.title=3</script>")
    return folder


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory):
    """Process and address of the verb on that model, with a folder for what it keeps while it runs."""
    log, scratch = tmp_path_factory.mktemp("log") / "log", tmp_path_factory.mktemp("scratch")
    with open(log, "w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "textlab", "demo", folder, "--port", "0", "--no-browser"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": str(scratch)},
        )
    deadline = time.monotonic() + 300
    while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    yield process, found[0], scratch
    process.kill()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def opened(chromium, address, width=1280):
    page = chromium.open(address, width)
    page.wait(f"{BOX} && {BUTTON.format('Ask the model')}")
    return page


def write(page, text):
    page.evaluate(f"{BOX}.focus()")
    page.call("Input.insertText", text=text)


def click(page, button):
    page.evaluate(f"{BUTTON.format(button)}.click()")


def show(page, tab):
    """Click a tab; Gradio keeps a copy of each, out of sight, to measure its width."""
    page.evaluate(f"[...document.querySelectorAll('[role=tab]')].find(one => one.innerText.trim() === {tab!r}).click()")


def elsewhere(page, address):
    """Return what a page asked of other addresses; what its policy forbids never gets there."""
    hosts = {urlsplit(one).netloc for one in page.requests if urlsplit(one).scheme not in ("data", "blob", "about")}
    return hosts - {urlsplit(address).netloc}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 700])
def test_a_sentence_is_answered(chromium, served, folder, tmp_path, width, scheme):
    address = served[1]
    with opened(chromium, address, width) as page:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.go(address)
        page.wait(f"{BOX} && {BUTTON.format('Ask the model')}")
        write(page, HOSTILE)
        if scheme == "dark":
            click(page, "Ask the model")
        else:
            page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r")
        page.wait(ANSWER)
        page.wait("document.querySelector('#words .textfield')")
        [row] = workflows.predict(str(folder), [HOSTILE]).to_dict("records")
        shown = page.evaluate("document.body.innerText")
        assert f"({row['p_' + row['label']]:.2f})" in shown or f"of {row['p_' + row['label']]:.2f}." in shown
        assert page.evaluate("document.querySelector('#words .textfield').textContent.replace(/\\s+/g, '')") == re.sub(
            r"\s+", "", HOSTILE
        )
        assert page.evaluate("document.body.classList.contains('dark')") is (scheme == "dark")
        assert page.evaluate("document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth")
        page.picture(browser.picture_folder(tmp_path) / f"demo-{scheme}-{width}.png")
        assert page.evaluate("document.title") == "textlab" and page.errors == []
        assert elsewhere(page, address) == set()


def test_lines_are_labelled(chromium, served, tmp_path):
    with opened(chromium, served[1]) as page:
        show(page, "Many texts")
        page.wait(BUTTON.format("Label them"))
        write(page, f"one\n{HOSTILE}")
        click(page, "Label them")
        page.wait(
            f"{DONE} && [...document.querySelectorAll('[role=gridcell]')].some(one => /onerror/.test(one.innerText))"
        )
        assert "2 rows" in page.evaluate(f"{DONE}.innerText") and page.evaluate("document.title") == "textlab"
        link = page.evaluate("[...document.links].find(one => one.href.endsWith('labelled.csv')).href")
        table = page.evaluate(f"fetch({link!r}).then(answer => answer.text())")
        assert table.startswith("text,label,p_bad,p_good\none,") and len(table.splitlines()) == 3


def upload(page, file):
    root = page.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    box = page.call("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=box, files=[str(file)])


def test_a_file_is_uploaded_and_too_large_a_one_refused(chromium, served, tmp_path):
    (tmp_path / "mine.csv").write_text("text\n" + "so good\n" * 25)
    (tmp_path / "large.csv").write_text("text\n" + "so good\n" * 6_500_000)
    with opened(chromium, served[1]) as page:
        show(page, "Many texts")
        upload(page, tmp_path / "large.csv")
        page.wait("/maximum/.test(document.body.innerText)")
        upload(page, tmp_path / "mine.csv")
        page.wait("document.body.innerText.includes('mine.csv')")
        click(page, "Label them")
        page.wait(DONE)
        assert "25 rows" in page.evaluate(f"{DONE}.innerText")


def test_a_card_asks_nothing_of_another_address(chromium, served):
    with opened(chromium, served[1]) as page:
        show(page, "About the model")
        page.wait("document.body.innerText.includes('Mine')")
        time.sleep(2)
        assert page.evaluate("document.title") == "textlab"
        blocked = page.evaluate("[...document.images].filter(one => one.src.includes('192.0.2.1') && one.naturalWidth)")
        assert not blocked


def test_ten_people_get_their_own_answers(chromium, served, folder):
    texts = [f"{'so ' * i}good and {i}" for i in range(10)]
    pages = [opened(chromium, served[1]) for _ in texts]
    for page, text in zip(pages, texts):
        write(page, text)
    for page in pages:
        click(page, "Ask the model")
    for page, text, row in zip(pages, texts, workflows.predict(str(folder), texts).to_dict("records")):
        page.wait(ANSWER)
        page.wait("document.querySelector('#words .textfield')")
        assert f"{row['p_' + row['label']]:.2f}" in page.evaluate(f"{ANSWER}.innerText"), text
        assert (
            page.evaluate("document.querySelector('#words .textfield').textContent.replace(/\\s+/g, ' ')").strip()
            == text
        )
        page.__exit__()


def test_ctrl_c_ends_it_and_what_was_uploaded_is_gone(served):
    process, _, scratch = served
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0 and [one for one in scratch.rglob("*") if one.is_file()] == []
