"""A real browser for the tests: Chromium, which takes its commands over the DevTools protocol.

The protocol's methods and events are described at https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import websocket

CHROMIUM = shutil.which("chromium")
needed = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
#: Greatest height of one picture, in pixels: Chromium repeats or leaves out what is further down.
TALLEST = 16_000


def picture_folder(otherwise: Path) -> Path:
    """Return the folder for pictures of pages: TEXTLAB_PICTURES, where they stay to be looked at, or the one given."""
    return Path(os.environ.get("TEXTLAB_PICTURES") or otherwise).absolute()


class Browser:
    """Chromium without a window, for a `with` block; its profile is a new folder in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._profile = folder / "chromium"

    def __enter__(self) -> Browser:
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self._profile}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port_file = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port_file.is_file() and port_file.read_text().count("\n")):
            assert self._process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.1)
        self._port = port_file.read_text().split()[0]
        return self

    def __exit__(self, *error) -> None:
        self._process.terminate()
        self._process.wait(30)

    def open(self, address: str, width: int = 1280, height: int = 900) -> Page:
        """Return the page at an address in a new tab, width and height in pixels; see `Page.go`."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        tab = json.load(direct.open(request, timeout=30))["webSocketDebuggerUrl"]
        page = Page(websocket.create_connection(tab, timeout=120, suppress_origin=True, http_no_proxy=["127.0.0.1"]))
        page.resize(width, height)
        page.go(address)
        return page


class Page:
    """A tab, for a `with` block.

    Attributes:
        errors: what the console calls an error, and uncaught exceptions.
        requests: the addresses that the page asked for.
    """

    def __init__(self, connection: websocket.WebSocket) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._connection, self._calls = connection, 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # else scripts take the tab for hidden

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *error) -> None:
        self.call("Page.close")
        self._connection.close()

    def call(self, method: str, **values) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events that come before it are noted."""
        self._calls += 1
        self._connection.send(json.dumps({"id": self._calls, "method": method, "params": values}))
        while True:
            message = json.loads(self._connection.recv())
            if message.get("id") == self._calls:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message["method"], message["params"])

    def _note(self, event: str, values: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif event == "Runtime.consoleAPICalled" and values["type"] in ("error", "assert"):
            words = (part.get("value", part.get("description", part["type"])) for part in values["args"])
            self.errors.append(" ".join(map(str, words)))
        elif event == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(f"{values['entry']['text']} {values['entry'].get('url', '')}".strip())

    def go(self, address: str) -> None:
        """Load another document with all that its markup names; for what scripts fetch later, use `wait`."""
        answer = self.call("Page.navigate", url=address)
        assert "errorText" not in answer, f"{address}: {answer['errorText']}"
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of JavaScript, which may be a promise; an exception in it fails the test."""
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in answer, (
            answer["exceptionDetails"].get("exception", {}).get("description", answer)
        )
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> None:
        """Wait until JavaScript is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({script})"):
            assert time.monotonic() < deadline, f"not true after {seconds} s: {script}"
            time.sleep(0.25)

    def resize(self, width: int, height: int = 900) -> None:
        """Set the size of the window, in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, file: Path) -> Path:
        """Write the whole page, from top to bottom, as a PNG file, and return its path.

        What is below `TALLEST` goes into further files, whose names end in -2, -3 ...
        """
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => true)")
        file.parent.mkdir(parents=True, exist_ok=True)
        for part, top in enumerate(range(0, math.ceil(size["height"]), TALLEST), start=1):
            clip = {"x": 0, "y": top, "width": size["width"], "height": min(TALLEST, size["height"] - top), "scale": 1}
            screenshot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
            place = file if part == 1 else file.with_stem(f"{file.stem}-{part}")
            place.write_bytes(base64.b64decode(screenshot["data"]))
        return file
