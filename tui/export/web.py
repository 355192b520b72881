"""`--web`: the same screens in a browser, one app process for each page that is opened.

The server answers only under the names of the address it is bound to and only its own pages, so that other sites
cannot reach it through a browser. The page loads nothing from elsewhere.
"""

import asyncio
import shlex
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager
from textual_serve.server import Server, to_int

__all__ = ["PAGE", "PageServer", "serve"]

PAGE = Path(__file__).parent / "page"
"""The folder of the page's template."""

_LARGEST = (1000, 500)  # cells; the memory of an app grows with their number
_MOST_PAGES = 32
_EXIT_SECONDS = 2.0

# what Textual's server raises on a message that our page does not send
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(
    command: Sequence[str], host: str, port: int, *, allowed_hosts: Sequence[str] = ()
) -> None:
    """Serves the app that `command` runs, until Ctrl-C.

    Args:
        command: the program of an app and its arguments.
        host: the address to listen on.
        port: the port to listen on.
        allowed_hosts: further names by which browsers may address the server.

    Raises:
        OSError: the address is taken.
    """
    PageServer(command, host, port, allowed_hosts=allowed_hosts).serve()


class PageServer(Server):
    """Textual's server with checks of who asks, bounds, and children that end with their page."""

    def __init__(
        self, command: Sequence[str], host: str, port: int, *, allowed_hosts: Sequence[str] = ()
    ) -> None:
        super().__init__(
            shlex.join(command), host=host, port=port, title="deepprune", templates_path=PAGE
        )
        self._command = command
        self._allowed_hosts = {name.lower() for name in allowed_hosts}
        self._pages: set[web.WebSocketResponse] = set()

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._check_host)
        return app

    @web.middleware
    async def _check_host(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuses names that others may have pointed at this machine (DNS rebinding)."""
        try:
            name = (request.url.origin().host or "").lower()
        except ValueError as error:
            raise web.HTTPBadRequest(text="The Host header cannot be read.") from error
        if name not in self._allowed_hosts and not is_name_of(name, self.host):
            raise web.HTTPForbidden(
                text="This name is not allowed: open the address that deepprune-tui printed, or "
                "restart it with --allow-host NAME."
            )
        return await handler(request)

    async def handle_index(self, request: web.Request) -> Any:
        """The page, with addresses as the browser sees them."""
        self.public_url = str(request.url.origin())
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """The connection between a page and its app, which ends with the page."""
        origin = urlsplit(request.headers.get("Origin", ""))
        if origin.scheme not in ("http", "https") or origin.netloc != request.host:
            raise web.HTTPForbidden(text="Open the page itself.")
        if len(self._pages) >= _MOST_PAGES:
            raise web.HTTPServiceUnavailable(text="Too many pages are open: close one.")
        websocket = web.WebSocketResponse(heartbeat=15, timeout=_EXIT_SECONDS)
        self._pages.add(websocket)
        app = _PageApp(self._command, websocket, self.download_manager)
        try:
            await websocket.prepare(request)
            await app.start(
                to_int(request.query.get("width", "80"), 80),
                to_int(request.query.get("height", "24"), 24),
            )
            await self._process_messages(websocket, app)
        except _UNREADABLE:
            await websocket.close(code=WSCloseCode.INVALID_TEXT)
        finally:
            await app.stop()
            await websocket.close()
            self._pages.discard(websocket)
        return websocket

    async def on_startup(self, app: web.Application) -> None:
        """Prints the address."""
        sys.stderr.write(f"Serving at {self.public_url} until Ctrl-C.\n")

    async def on_shutdown(self, app: web.Application) -> None:
        """Closes all pages, which ends their apps."""
        await asyncio.gather(
            *(page.close(code=WSCloseCode.GOING_AWAY) for page in list(self._pages))
        )

    def initialize_logging(self) -> None:
        """Nothing is logged."""


class _PageApp(AppService):
    """The app process of one page: of bounded size, started without a shell, and always ended."""

    def __init__(
        self,
        command: Sequence[str],
        websocket: web.WebSocketResponse,
        download_manager: DownloadManager,
    ) -> None:

        async def close() -> None:
            await websocket.close()

        super().__init__(
            shlex.join(command),
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=close,
            download_manager=download_manager,
        )
        self._argv = command

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        environment = super()._build_environment(*_bounded(width, height))
        return {**environment, "TEXTUAL_DRIVER": "tui.export.web_driver:PageDriver"}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width, height)
        process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )
        self._process, self._stdin = process, process.stdin
        return process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Resizes the app within the bounds."""
        await super().set_terminal_size(*_bounded(width, height))

    async def run(self) -> None:
        """Passes the app's output on; closes the page when the app has ended."""
        await super().run()
        await self.remote_close()

    async def stop(self) -> None:
        """Asks the app to quit and kills it if it does not."""
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(_EXIT_SECONDS):
                await super().stop()
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            self._process = None


def _bounded(width: Any, height: Any) -> tuple[int, int]:
    """A terminal size in cells within the bounds, from what a browser sent."""
    return min(_LARGEST[0], max(1, int(width))), min(_LARGEST[1], max(1, int(height)))


def is_name_of(name: str, bound: str) -> bool:
    """Whether `name` (of a Host header) addresses a server that is bound to the address `bound`.

    A server on a loopback address has all loopback names; one on all addresses has every address and the name of the
    machine. An address cannot be rebound; a name can.
    """
    address, listening = _address(name), _address(bound)
    if bound.lower() == "localhost" or (listening is not None and listening.is_loopback):
        return name == "localhost" or (address is not None and address.is_loopback)
    if not bound or (listening is not None and listening.is_unspecified):
        return address is not None or name in ("localhost", socket.gethostname().lower())
    return name == bound.lower() or (address is not None and address == listening)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
