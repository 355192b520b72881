"""`--web`: the same screens in a browser, one app for each page that is opened.

The rule: it listens on the loopback address unless told otherwise, answers only its own pages, and those load
nothing from elsewhere.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from textual_serve.server import Server

__all__ = ["PAGE", "PageServer", "serve"]

PAGE = Path(__file__).parent / "page"
"""The folder of the page's template."""


class PageServer(Server):
    """Textual's server with our page, whatever address the browser knows it by."""

    async def handle_index(self, request: web.Request) -> Any:
        """The page, with addresses as the browser sees them."""
        self.public_url = str(request.url.origin())
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """The connection that drives an app; pages of other sites get none."""
        origin = request.headers.get("Origin", "")
        if origin.split("://")[-1] != request.host:
            raise web.HTTPForbidden(text="Open the page itself.")
        return await super().handle_websocket(request)

    async def on_startup(self, app: web.Application) -> None:
        """Says where it is."""
        sys.stderr.write(f"Serving at {self.public_url} until Ctrl-C.\n")

    def initialize_logging(self) -> None:
        """Nothing is logged."""


def serve(command: Sequence[str], host: str, port: int) -> None:
    """Serves the app that `command` runs, until Ctrl-C.

    Raises:
        OSError: the address is taken.
    """
    server = PageServer(
        shlex.join(command),
        host=host,
        port=port,
        title="deepprune",
        templates_path=PAGE,
    )
    server.serve()
