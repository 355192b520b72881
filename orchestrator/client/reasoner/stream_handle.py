"""The connection of one stream: read, and half-closed to stop it without losing what the server already sent.

Half-closing ends only our side of the connection. The server sees that at once, stops generating and sends what
it still holds; those tokens were generated, so they are received and billed. A server that does not stop is
disconnected after `GRACE_SECONDS`.
"""

import asyncio
from typing import Protocol

import aiohttp

__all__ = ["DRAIN_SECONDS", "GRACE_SECONDS", "StreamHandle"]

GRACE_SECONDS = 0.5
"""From half-closing a stream to closing it."""

DRAIN_SECONDS = 2.0
"""The wait, after the finish reason, for the final usage and the end of the answer."""


class Content(Protocol):
    """What a stream is read from."""

    async def readany(self) -> bytes | None:
        """All bytes that have come, as soon as there are some; b"" at the end; None if some were taken already."""


class Paced(Protocol):
    """A stream that is read at ticks."""

    def release(self) -> None:
        """Reads at once what comes from now on."""


class StreamHandle:
    """The connection of one stream; `half_closed` says that it was stopped from this side."""

    def __init__(self) -> None:
        self._response: aiohttp.ClientResponse | None = None
        self._paced: Paced | None = None
        self._drained_until: float | None = None
        self.half_closed = False

    def attach(self, response: aiohttp.ClientResponse, paced: Paced | None = None) -> None:
        """The stream is open from now on; `paced` waits for no tick any more once it is half-closed."""
        self._response = response
        self._paced = paced

    def half_close(self) -> bool:
        """Tells the server to stop; False when no stream is open yet, so that nothing can be lost."""
        if self._response is None:
            return False
        if not self.half_closed:
            self.half_closed = True
            _close_our_side(self._response)
            if self._paced is not None:  # after the others that are stopped at the same time
                asyncio.get_running_loop().call_soon(self._paced.release)
        return True

    async def read(self, content: Content, *, finished: bool) -> bytes | None:
        """The next bytes, b"" at the end of the stream, None if they were taken already.

        Once the finish reason has come (`finished`), all of the rest is waited for at most `DRAIN_SECONDS`. Then, and
        after `half_close`, a connection that the server breaks is an end as well.
        """
        try:
            if not finished:
                return await content.readany()
            now = asyncio.get_running_loop().time()
            self._drained_until = self._drained_until or now + DRAIN_SECONDS
            if now >= self._drained_until:
                return b""
            async with asyncio.timeout_at(self._drained_until):
                return await content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError):
            if finished or self.half_closed:
                return b""
            raise


def _close_our_side(response: aiohttp.ClientResponse) -> None:
    connection = response.connection
    transport = None if connection is None else connection.transport
    if connection is None or transport is None or not transport.can_write_eof():
        response.close()  # at its end, or encrypted
        return
    if connection.protocol is not None:
        # a server that ends its answer properly leaves a connection on which nothing can be asked any more
        connection.protocol.force_close()
    transport.write_eof()
    asyncio.get_running_loop().call_later(GRACE_SECONDS, response.close)
