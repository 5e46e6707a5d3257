"""What users see of the project: the pages of a run, and the notebooks in JupyterLab, in a real browser."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import browser
from conftest import NOTEBOOKS, ROOT

pytestmark = [pytest.mark.slow, browser.needed]
WIDTHS = [1280, 700]
PAGES = ["index", *NOTEBOOKS, "sweep_summary"]
#: JavaScript that returns what is wrong with a page, a line each.
FAULTS = r"""(async () => {
  await new Promise(done => setTimeout(done, 500));  // for what scripts do late
  const faults = [], root = document.scrollingElement;
  const scrolls = (box) => ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
  if (root.scrollWidth > root.clientWidth)
    faults.push(`the page is ${root.scrollWidth} pixels wide in a window of ${innerWidth}`);

  // Every piece of text lies inside the window and all boxes that could cut it off; a table may scroll by itself.
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let text; (text = walker.nextNode());) {
    const owner = text.parentElement;
    if (!text.data.trim() || owner.matches("script, style")) continue;
    if (!owner.checkVisibility({visibilityProperty: true})) continue;
    const rects = [...text.data.matchAll(/\S+/g)].flatMap(word => {  // the space at the end of a line may hang over
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      return [...range.getClientRects()];
    });
    const left = Math.min(...rects.map(r => r.left)), right = Math.max(...rects.map(r => r.right));
    for (let box = owner; box; box = box.parentElement) {
      const {overflowX} = getComputedStyle(box);
      const edge = box === document.documentElement ? {left: 0, right: root.clientWidth}
        : box === document.body || overflowX === "visible" ? null : box.getBoundingClientRect();
      if (!edge || left >= edge.left - 1 && right <= edge.right + 1) continue;
      if (scrolls(box) && owner.closest("table") && box.contains(owner.closest("table"))) break;
      faults.push(`text is cut off in ${box.tagName}, from ${left} to ${right} ` +
                  `instead of ${edge.left} to ${edge.right}: ${text.data.trim().slice(0, 60)}`);
      break;
    }
  }

  for (const image of document.images) {
    const name = `picture ${image.alt || image.src.slice(0, 60)}`;
    if (!image.complete || !image.naturalWidth) { faults.push(`${name} does not show`); continue; }
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const colours = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    if (colours.every(colour => colour === colours[0])) faults.push(`${name} is empty`);
  }

  for (const link of document.querySelectorAll('a[href^="#"]'))
    if (![link.hash, decodeURIComponent(link.hash)].some(hash => document.getElementById(hash.slice(1))))
      faults.push(`nothing is at ${link.hash}`);
  return faults;
})()"""
#: What the checks have to report -> markup with that fault.
BROKEN = {
    "the console": "<script>console.error('the console')</script>",
    "nobody catches": "<script>setTimeout(() => { throw Error('nobody catches') })</script>",
    "asks for http://127.0.0.1:9/x.js": "<script src='http://127.0.0.1:9/x.js'></script>",
    "the page is": "<div style='width: 1500px'>wide</div>",
    "in PRE": "<pre style='overflow-x: auto'>" + 300 * "code" + "</pre>",
    "in DIV": "<div style='overflow: hidden; width: 300px'><table><tr><td>" + 100 * "cell" + "</td></tr></table></div>",
    "does not show": "<img src='data:image/png;base64,AAAA'>",
    "is empty": '<img src=\'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\'>',
    "nothing is at #nowhere": "<nav><a href='#nowhere'>x</a></nav>",
    "nowhere.html is no file": "<a href='nowhere.html'>x</a>",
}
#: Console errors in JupyterLab that are not ours, with the reason for each.
NOISE = [
    "colab.research.google.com/assets/colab-badge.svg",  # badges, where there is an address: pictures from elsewhere
    "kaggle.com/static/images/open-in-kaggle.svg",
    "Could not restore the debugger state: Canceled future",  # JupyterLab asks the kernel while that is restarted
]
#: JavaScript for the notebook that is open in JupyterLab, and for its code cells.
NOTEBOOK = "jupyterapp.shell.currentWidget"
CELLS = f"{NOTEBOOK}.content.widgets.filter(cell => cell.model.type === 'code')"
#: What a page may ask for: itself and what is inside it.
OWN = re.compile(r"file:|data:|blob:|about:blank")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser for all tests of this file."""
    with browser.Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The folder for pictures of pages."""
    return browser.picture_folder(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The output folder of a run of all notebooks."""
    folder = tmp_path_factory.mktemp("run")
    subprocess.run(
        [sys.executable, "-m", "textlab", "run", "all", "--profile", "smoke", "--out", folder],
        check=True,
        capture_output=True,
    )
    return folder


def faults(page: browser.Page) -> list[str]:
    """Return what is wrong with a page, a line each."""
    linked = page.evaluate("[...document.links].map(link => link.href).filter(address => address.startsWith('file:'))")
    missing = {
        address for address in linked if not Path(urllib.request.url2pathname(address[7:].partition("#")[0])).is_file()
    }
    return [
        *page.evaluate(FAULTS),
        *page.errors,
        *(f"{address} is no file" for address in sorted(missing)),
        *(f"asks for {address}" for address in page.requests if not OWN.match(address)),
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_all_it_holds(chromium, pictures, folder, name, width):
    with chromium.open((folder / f"{name}.html").as_uri(), width) as page:
        page.picture(pictures / f"{name}-{width}.png")
        assert faults(page) == []
        assert page.evaluate("document.images.length") >= 1
        assert page.evaluate("document.links.length") >= 1 or name == "sweep_summary"
        assert page.evaluate("document.querySelectorAll('nav a').length") >= (3 if name in NOTEBOOKS else 0)


@pytest.mark.parametrize("fault", BROKEN)
def test_the_checks_see_a_fault(chromium, tmp_path, fault):
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset='utf-8'><body>{BROKEN[fault]}</body>")
    with chromium.open((tmp_path / "page.html").as_uri(), WIDTHS[0]) as page:
        assert any(fault in line for line in faults(page)), faults(page)


def test_the_checks_let_a_wide_table_scroll(chromium, tmp_path):
    (tmp_path / "page.html").write_text(
        f"<div style='overflow: auto'><table><tr><td>{300 * 'cell'}</td></tr></table></div>"
    )
    with chromium.open((tmp_path / "page.html").as_uri(), WIDTHS[0]) as page:
        assert faults(page) == []


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address, token and log file of `textlab lab` on a copy of the project, with outputs and settings of its own."""
    home = tmp_path_factory.mktemp("lab")
    subprocess.run(["git", "clone", "-q", ROOT, home / "project"], check=True)
    (home / "config").mkdir()
    (home / "config" / "jupyter_lab_config.py").write_text(
        "c.LabApp.expose_app_in_browser = True  # for the menu's commands\n"
    )
    environment = os.environ | {
        "PYTHONPATH": str(home / "project" / "lib"),
        "TEXTLAB_OUTPUTS": str(home / "outputs"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    with open(home / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "textlab", "lab", "--no-browser"], cwd=home, env=environment, stderr=log
        )
    deadline = time.monotonic() + 120
    while not (link := re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*\?token=(\w+)", (home / "log").read_text())):
        assert server.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
        time.sleep(0.5)
    yield *link.groups(), home / "log"
    server.terminate()
    server.wait(60)


@pytest.mark.parametrize("name", [NOTEBOOKS[3], *NOTEBOOKS[:3]])  # the last one first: without runs it has to make some
def test_a_notebook_runs_from_jupyterlabs_menu(chromium, lab, pictures, name):
    address, token, log = lab
    with chromium.open(f"{address}/lab/tree/notebooks/{name}.ipynb?token={token}&reset") as page:
        page.wait(f"window.jupyterapp?.shell.currentWidget?.context?.path === 'notebooks/{name}.ipynb'", 120)
        page.wait(f"{NOTEBOOK}.sessionContext.session?.kernel?.status === 'idle'", 120)
        page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs').then(() => true)")
        assert set(page.evaluate(f"{CELLS}.map(cell => cell.model.executionCount)")) == {None}

        page.evaluate(
            "ended = ''; jupyterapp.commands.execute('runmenu:restart-and-run-all').then("
            "() => ended = 'well', error => ended = String(error)); null"
        )
        page.wait("document.querySelector('.jp-Dialog button.jp-mod-accept')")
        page.evaluate("document.querySelector('.jp-Dialog button.jp-mod-accept').click()")
        page.wait("ended", 1800)
        assert page.evaluate("ended") == "well"
        counts = page.evaluate(f"{CELLS}.map(cell => cell.model.executionCount)")
        outputs = page.evaluate(f"{CELLS}.flatMap(cell => cell.outputArea.model.toJSON())")
        page.evaluate("jupyterapp.commands.execute('docmanager:save').then(() => true)")
        page.evaluate("jupyterapp.shell.collapseLeft()")
        for width in WIDTHS:
            page.resize(width, 12_000)  # JupyterLab scrolls inside its window: a high one shows all
            page.evaluate(f"{NOTEBOOK}.content.scrollToItem(0).then(() => new Promise(done => setTimeout(done, 2000)))")
            assert page.picture(pictures / f"lab-{name}-{width}.png").stat().st_size > 100_000
        page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll().then(() => true)")
    assert [out for out in outputs if out["output_type"] == "error" or out.get("name") == "stderr"] == []
    assert counts == list(range(1, len(counts) + 1))
    assert "without encryption" not in log.read_text()
    assert [error for error in page.errors if not any(known in error for known in NOISE)] == []
