"""The server of the page: on this machine alone, for pages of its own alone, and nothing goes elsewhere."""

from __future__ import annotations

from pathlib import Path

import gradio
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...machine import processes

#: Names of this machine. Another name that leads here is that of an attacker who lets it (DNS rebinding).
HOSTS = ["127.0.0.1", "localhost"]
#: How the page looks, and how large a file may be that is uploaded.
LOOK = {
    "footer_links": [],
    "run_history": False,
    "max_file_size": "20mb",
    "css_paths": Path(__file__).with_name("page.css"),
}
#: What the page may ask for: this server, and what is inside the page itself.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'self'; form-action 'self'; base-uri 'self'; object-src 'none'"
)


class OwnPages:
    """Middleware: refuses what pages of other addresses send, and lets a browser ask no other address for anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else {}
        origin, host = headers.get("origin"), headers.get("host")
        if origin not in (None, f"http://{host}", f"https://{host}"):
            await PlainTextResponse("Pages of another address may not ask here.", 403)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._app(scope, receive, send_with_policy)


def guarded(page: gradio.Blocks) -> FastAPI:
    """Return the application that serves a page."""
    app = FastAPI(openapi_url=None)
    app.add_middleware(OwnPages)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
    return gradio.mount_gradio_app(app, page, path="", **LOOK)


def serve(page: gradio.Blocks, port: int, browse: bool) -> int:
    """Serve a page until Ctrl-C, and return the exit status; arguments as for `serve_demo`."""
    config = uvicorn.Config(guarded(page), host=HOSTS[0], port=port, log_level="critical", timeout_graceful_shutdown=2)
    server = _Announced(config, browse)
    server.run()
    return 0 if server.started else 1


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, browse: bool) -> None:
        super().__init__(config)
        self._browse = browse

    async def startup(self, *args, **options) -> None:
        await super().startup(*args, **options)
        processes.announce(f"http://{self.config.host}:{self.config.port}", self._browse)
