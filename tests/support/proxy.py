"""A plain TCP proxy before a real server, whose connections a test can cut or refuse."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit


class Proxy:
    """Forwards bytes to a real server; `cut` breaks what is open, `refuse` what is to come, until `accept`."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._path = parts.path
        self._open: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._cut_after: int | None = None
        self._last_request: tuple[bytes, int] | None = None
        self.cuts = 0

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}{self._path}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            self.cut()

    def cut(self) -> None:
        """Breaks every open connection."""
        for writer in self._open:
            self.cuts += 1
            writer.transport.abort()
        self._open.clear()

    def cut_each_after(self, count: int) -> None:
        """Breaks each answer on a new connection once it has brought `count` bytes from the server."""
        self._cut_after = count

    def refuse(self) -> None:
        """From now on the server is gone."""
        self._refusing = True
        self.cut()

    def refuse_at(self, request: bytes, number: int) -> None:
        """The server is gone when a client sends the request line that begins so for the `number`th time."""
        self._last_request = request, number

    def accept(self) -> None:
        """The server is back."""
        self._refusing = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        if self._refusing:  # perhaps only since the client connected
            upstream_writer.transport.abort()
            writer.transport.abort()
            return
        self._open.add(writer)
        answer = _Answer(self._cut_after)

        def see_request(data: bytes) -> bool:
            answer.begin()
            self._see_request(data)
            return True

        forward = asyncio.create_task(_copy(reader, upstream_writer, see_request))
        try:
            if not await _copy(upstream_reader, writer, answer.may_have):
                self.cuts += 1
        finally:
            forward.cancel()
            self._open.discard(writer)
            upstream_writer.transport.abort()
            writer.transport.abort()

    def _see_request(self, sent: bytes) -> None:
        if self._last_request is not None:
            request, left = self._last_request
            left -= sent.startswith(request)
            self._last_request = request, left
            if left == 0:
                self.refuse()


class _Answer:
    """The bytes of the newest answer on a connection, which may be kept for the next one: its count begins anew."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._bytes = 0

    def begin(self) -> None:
        """A request has come."""
        self._bytes = 0

    def may_have(self, data: bytes) -> bool:
        """Counts `data`, and says whether it is within the limit."""
        self._bytes += len(data)
        return self._limit is None or self._bytes <= self._limit


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Callable[[bytes], bool]
) -> bool:
    """Hands on what comes, to the end; False as soon as something does not pass."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(4096):
            if not passes(data):
                return False
            writer.write(data)
            await writer.drain()
    return True
