"""A streamed reply: events as server-sent events, comments while there is nothing to say."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["EventWriter"]

_KEEP_ALIVE_SECONDS = 10.0


class EventWriter:
    """Writes the events of one reply; what cannot be written is the client's leave, and cancels the handler."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._written_at = time.monotonic()

    @classmethod
    async def open(cls, request: web.Request, headers: Mapping[str, str]) -> "EventWriter":
        """Sends the head of the reply."""
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",  # nginx passes each event on at once
                **headers,
            }
        )
        await response.prepare(request)
        return cls(response)

    async def send(self, event: Mapping[str, Any]) -> None:
        """One event."""
        await self.send_encoded(msgspec.json.encode(event))

    async def send_encoded(self, payload: bytes) -> None:
        """One event, as JSON on one line."""
        await self._write(b"data: " + payload + b"\n\n")

    async def keep_alive(self) -> None:
        """A comment, if nothing was written for a while: proxies close what is silent."""
        if time.monotonic() - self._written_at >= _KEEP_ALIVE_SECONDS:
            await self._write(b": keep-alive\n\n")

    async def close(self) -> web.StreamResponse:
        """The end of the stream, as OpenAI marks it."""
        await self._write(b"data: [DONE]\n\n")
        await self._response.write_eof()
        return self._response

    async def _write(self, data: bytes) -> None:
        await self._response.write(data)
        self._written_at = time.monotonic()
