"""Requests of somebody else, sent on as they are, and what the server replies to them.

The replies are theirs, but errors are this project's: no key that a server quotes goes out.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec

from orchestrator.client.http import HttpClient
from orchestrator.client.messages import text_of_error
from orchestrator.client.reasoner.repair import repaired
from orchestrator.client.reasoner.sse import DONE, SseSplitter
from orchestrator.errors import StreamBroken

__all__ = ["Forwarded", "forwarded"]

_decoder = msgspec.json.Decoder(dict[str, Any])


class Forwarded:
    """The reply to one request. Its methods raise EndpointError if it breaks off, is an error or cannot be read."""

    def __init__(self, http: HttpClient, response: aiohttp.ClientResponse) -> None:
        self._http = http
        self._response = response

    async def whole(self) -> dict[str, Any]:
        """The reply that is no stream."""
        return self._no_error(await self._http.read_json(self._response, dict[str, Any]))

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """The events of the reply that is a stream."""
        complete = False
        async for payload in self._payloads():
            if payload.strip() == DONE:
                return
            event = self._no_error(_object(payload))
            complete = complete or _is_last(event)
            if event:  # an empty one only keeps the stream alive
                yield event
        if not complete:
            raise StreamBroken(f"{self._http.address} broke off the answer.")

    async def _payloads(self) -> AsyncGenerator[bytes, None]:
        splitter = SseSplitter()
        try:
            async for data in self._response.content.iter_any():
                for payload in splitter.feed(data):
                    yield payload
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._http.translate(error) from None
        for payload in splitter.close():
            yield payload

    def _no_error(self, reply: dict[str, Any]) -> dict[str, Any]:
        if reply.get("error") or reply.get("object") == "error":
            said = text_of_error(reply, self._http.secrets)
            raise StreamBroken(f"{self._http.address} answered with an error: {said}")
        return reply


@contextlib.asynccontextmanager
async def forwarded(
    http: HttpClient, path: str, body: Mapping[str, Any]
) -> AsyncIterator[Forwarded]:
    """The server's own reply to a request of somebody else; leaving the block early stops it.

    Raises the errors of `HttpClient.response`.
    """
    async with http.response("POST", f"{http.address.base}/{path}", body) as response:
        yield Forwarded(http, response)


def _object(payload: bytes) -> dict[str, Any]:
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = error
    try:
        return _decoder.decode(repaired(payload))
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise StreamBroken(
            f"The server sent an event that cannot be read: {reason}.", "decode"
        ) from None


def _is_last(event: Mapping[str, Any]) -> bool:
    """Whether an event ends a choice; some servers send nothing behind it."""
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )
