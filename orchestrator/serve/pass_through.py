"""Requests that cannot be voted on (images, tools, formats, helper prompts) go to the reasoner as they are."""

from typing import Any

import msgspec
from aiohttp import web

from orchestrator.client.reasoner.sse import DONE, SseSplitter
from orchestrator.errors import StreamBroken
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.serve.streaming import EventWriter

__all__ = ["pass_through"]

_CHAT = "chat/completions"


async def pass_through(
    request: web.Request, body: bytes, endpoints: Endpoints, reason: str
) -> web.StreamResponse:
    """The reasoner's own reply to a chat request; its field `deepprune` says why it was not voted on.

    Raises:
        EndpointError: the reasoner refuses the request or fails.
    """
    sent: dict[str, Any] = msgspec.json.decode(body)
    sent.pop("deepprune", None)
    sent["model"] = endpoints.capabilities.model
    said = {"deepprune": {"passed_through": reason}}
    headers = {"X-DeepPrune-Passed-Through": reason}
    client = endpoints.reasoner.client()
    async with client.forward(_CHAT, sent) as upstream:
        if not sent.get("stream"):
            reply = await client.read_forwarded(upstream)
            return web.json_response({**reply, **said}, headers=headers)
        writer = await EventWriter.open(request, headers)
        splitter = SseSplitter()
        async for data in upstream.content.iter_any():
            for payload in splitter.feed(data):
                if payload == DONE:
                    return await writer.close()
                await writer.send(_event(payload) | said)
                said = {}
    raise StreamBroken(f"{endpoints.capabilities.endpoint} broke off the answer.")


def _event(payload: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreamBroken(
            f"The server sent an event that cannot be read: {error}", "decode"
        ) from None
    return event
