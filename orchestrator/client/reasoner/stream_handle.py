"""Ending a stream from this side without losing what the server has already sent.

The rule: hanging up closes only our half of the connection. The server sees that at once, stops generating and
sends what it still holds; those tokens were generated, so they are received and billed. A server that goes on
regardless is cut off after `PATIENCE_SECONDS`.
"""

import asyncio

import aiohttp

__all__ = ["PATIENCE_SECONDS", "StreamHandle"]

PATIENCE_SECONDS = 0.5


class StreamHandle:
    """The connection of one stream, as far as ending it goes."""

    def __init__(self) -> None:
        self._response: aiohttp.ClientResponse | None = None
        self.hung_up = False

    def attach(self, response: aiohttp.ClientResponse) -> None:
        """From now on there is something to hang up."""
        self._response = response

    def half_close(self) -> bool:
        """Tells the server to stop; False when no stream is open yet, so that nothing can be lost."""
        if self._response is None:
            return False
        if not self.hung_up:
            self.hung_up = True
            _close_our_half(self._response)
        return True


def _close_our_half(response: aiohttp.ClientResponse) -> None:
    transport = response.connection.transport if response.connection is not None else None
    if transport is None or not transport.can_write_eof():  # at its end, or encrypted
        response.close()
        return
    transport.write_eof()
    asyncio.get_running_loop().call_later(PATIENCE_SECONDS, response.close)
