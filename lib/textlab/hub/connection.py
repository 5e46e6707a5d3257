"""The connection to the Hub, or to the mirror that HF_ENDPOINT names: whether it answers, and calls of bounded time."""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status
from huggingface_hub.utils._http import hf_request_event_hook

from ..errors import first_line

#: Seconds for one call to the Hub, its further tries included, and the waits before these tries.
LIMIT, WAITS = 10.0, (1.0, 2.0)
#: Answers that are worth another try: busy, or broken for a moment.
BUSY = (408, 429, 500, 502, 503, 504)
#: What calls to the Hub raise when it does not answer, or not as a Hub would (ValueError).
UNREACHED = (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, httpx2.HTTPError, OSError, ValueError)


def line() -> str:
    """Return one line that says how the Hub can be used now: online, mirror or offline."""
    if why := unreachable(constants.ENDPOINT):
        return f"offline: {endpoint()} cannot be reached ({why}); only what is on this machine can be used"
    return f"{'online' if constants.ENDPOINT == 'https://huggingface.co' else 'mirror'}: {endpoint()} answers"


def endpoint() -> str:
    """Return the address of the Hub or the mirror that HF_ENDPOINT names, for people: without a password in it."""
    return re.sub(r"//[^/@]*@", "//***@", constants.ENDPOINT)


@functools.cache
def unreachable(address: str, timeout: float = 3.0) -> str:
    """Return why the Hub at `address` cannot be used now, or an empty string; it is asked once in a process.

    Args:
        timeout: seconds for the whole call.
    """
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    silence = f"no answer within {timeout:g} s"
    outcome = []
    client = httpx2.Client(timeout=timeout)  # making it takes a moment, which must not count as the Hub's

    def ask() -> None:
        try:
            answer = client.get(f"{address}/api/models", params={"limit": 1})
            is_json = answer.headers.get("content-type", "").startswith("application/json")
            is_hub = answer.status_code == 200 and is_json
            outcome.append("" if is_hub else f"HTTP {answer.status_code}, not an answer of a Hub")
        except httpx2.TimeoutException:
            outcome.append(silence)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            outcome.append(reason(error))

    # The client's timeout holds for each address of a name and each read, and not for the name server.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return outcome[0] if outcome else silence


class GaveUp(httpx2.TransportError):
    """The Hub did not answer in time, or failed at every try; huggingface_hub does not try again after this."""


class _Client(httpx2.Client):
    """Bounds each call in time, and repeats a failed read: twice at most, after WAITS or as the Hub asks."""

    limit = LIMIT

    def send(self, request: httpx2.Request, **options) -> httpx2.Response:
        """Return the answer to a request; see httpx2.Client.send."""
        deadline = time.monotonic() + self.limit
        for tries, wait in enumerate((*WAITS, None), start=1):
            request.extensions["timeout"] = httpx2.Timeout(max(0.1, deadline - time.monotonic())).as_dict()
            try:
                answer = super().send(request, **options)
                if answer.status_code not in BUSY:
                    return answer
                answer.close()
                asked = answer.headers.get("retry-after", "")
                wait = float(asked) if wait and asked.isdigit() else wait
                failure = f"HTTP {answer.status_code}" + (f", asks to wait {asked} s" if asked.isdigit() else "")
            except httpx2.TimeoutException:
                raise GaveUp(f"no answer within {self.limit:g} s") from None
            except httpx2.TransportError as error:
                failure = reason(error)
            if wait is None or request.method not in ("GET", "HEAD") or time.monotonic() + wait > deadline:
                raise GaveUp(f"{failure}; tried {tries} times" if tries > 1 else failure)
            time.sleep(wait)


def bound_calls(limit: float | None = None) -> None:
    """Give every call of the Hub client a limit in seconds (LIMIT) and further tries; by default it may never end."""

    def factory() -> httpx2.Client:
        client = _Client(event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True)
        client.limit = limit or LIMIT
        return client

    huggingface_hub.set_client_factory(factory)


def reason(error: Exception) -> str:
    """Return the first line of an error, without its number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", first_line(error))


def fetch(url: str, part: Path, size: int, show: Callable[[int], None]) -> None:
    """Download a file of `size` bytes into `part`, which may hold its beginning.

    The size is not checked at the end: the caller compares digests.

    Args:
        show: gets the number of bytes that are here, after each chunk.
    """

    def ask(have: int) -> None:
        if have and have >= size:
            return
        headers = build_hf_headers() | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with get_session().stream("GET", url, headers=headers) as answer:
            if answer.status_code == 416:  # the server has no more of it
                return
            hf_raise_for_status(answer)
            with part.open("ab" if answer.status_code == 206 else "wb") as stream:
                for chunk in answer.iter_bytes():
                    stream.write(chunk)
                    show(stream.tell())

    go_on(part, ask)


def go_on(part: Path, ask: Callable[[int], None]) -> None:
    """Call `ask` until it downloads without a break; one that breaks is called again after WAITS.

    It gives up, and raises what the last one did, when `part` does not grow in three calls.

    Args:
        ask: gets the number of bytes that `part` has, and appends to it.
    """
    part.touch()
    failures = 0
    while True:
        have = part.stat().st_size
        try:
            return ask(have)
        except (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError):
            failures = 1 if part.stat().st_size > have else failures + 1
            if failures > len(WAITS):
                raise
            time.sleep(WAITS[failures - 1])
