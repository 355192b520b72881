"""Requests that cannot be voted on (images, tools, formats, helper prompts) go to the reasoner as they are."""

from typing import Any

import msgspec
from aiohttp import web

from orchestrator.errors import EndpointError
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.serve.errors import ApiError, api_error
from orchestrator.serve.streaming import EventWriter

__all__ = ["pass_through"]

_CHAT = "chat/completions"


async def pass_through(
    request: web.Request, body: bytes, endpoints: Endpoints, reason: str
) -> web.StreamResponse:
    """The reasoner's own reply to a chat request; its field `deepprune` says why it was not voted on.

    Raises:
        ApiError: the body cannot be sent on.
        EndpointError: the reasoner refuses the request or fails.
    """
    sent = _decoded(body)
    sent.pop("deepprune", None)
    sent["model"] = endpoints.capabilities.model
    said = {"deepprune": {"passed_through": reason}}
    headers = {"X-DeepPrune-Passed-Through": reason}
    async with endpoints.reasoner.client().forward(_CHAT, sent) as reply:
        if not sent.get("stream"):
            return web.json_response({**await reply.whole(), **said}, headers=headers)
        writer = await EventWriter.open(request, headers)
        try:
            async for event in reply.events():
                await writer.send(event | said)
                said = {}
        except EndpointError as error:  # the head has been sent
            await writer.send(api_error(error).body())
        return await writer.close()


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        sent: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body is no JSON: {error}.") from None
    return sent
