"""Whether closing a stream stops the generation: tried once, where an engine's counters show it.

A gateway may go on reading from the engine after its client has left; then nothing that is pruned is saved.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from orchestrator.client.http import HttpClient
from orchestrator.client.reasoner.chunks import ChunkFold
from orchestrator.client.reasoner.request import Prompt, StreamRequests
from orchestrator.client.reasoner.stream import read_stream
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.client.server_counters import ServerCounters
from orchestrator.errors import EndpointError, EndpointRejected

__all__ = ["MOST_TOKENS", "stops_when_closed"]

MOST_TOKENS = 256
"""Generated where the stream is not stopped; few enough to be cheap, and so many that none ends before it is closed."""

_SECONDS = 10.0
"""How long the engine may take to be idle after the stream was closed."""

_POLL_SECONDS = 0.05


async def stops_when_closed(
    http: HttpClient,
    requests: StreamRequests,
    prompt: Prompt,
    counters: Callable[[], Awaitable[ServerCounters | None]],
) -> bool | None:
    """Whether the engine stops generating when a stream is closed, as a pruned trace's is; None if that cannot be told.

    It cannot be told without counters, while others use the engine, and of a stream that ended before it was closed.
    """
    before = await counters()
    if before is None or before.running or before.waiting:
        return None
    limit = _limit(requests, prompt)
    if not await _close_one(http, requests, prompt, limit):
        return None
    deadline = time.monotonic() + _SECONDS
    while (now := await counters()) is not None:
        generated = now.generation_tokens - before.generation_tokens
        if not now.running and not now.waiting and generated:
            finished = (
                None not in (now.finished, before.finished) and now.finished != before.finished
            )
            return not (finished or generated >= limit)
        if time.monotonic() > deadline:
            return False if now.running or now.waiting else None
        await asyncio.sleep(_POLL_SECONDS)
    return None


def _limit(requests: StreamRequests, prompt: Prompt) -> int:
    """Tokens of the stream: no more than a small context has room for."""
    if requests.max_model_len is None:
        return MOST_TOKENS
    room = requests.max_model_len - len(prompt.token_ids or ())
    return min(MOST_TOKENS, max(1, room // 2))


async def _close_one(
    http: HttpClient, requests: StreamRequests, prompt: Prompt, limit: int
) -> bool:
    """Opens a stream and closes it behind its first token; False if it could not be, or had ended before."""
    body = requests.body(prompt, max_tokens=limit)
    for fields in (
        {"ignore_eos": True},
        {},
    ):  # the second for servers that refuse what they do not know
        try:
            return await _closed_early(http, requests, {**body, **fields}, limit)
        except EndpointRejected:
            continue
        except EndpointError:
            return False
    return False


async def _closed_early(
    http: HttpClient, requests: StreamRequests, body: dict[str, Any], limit: int
) -> bool:
    fold, handle = ChunkFold(secrets=http.secrets), StreamHandle()
    url = f"{http.address.base}/{requests.path}"
    stream = read_stream(http, url, body, fold=fold, handle=handle, limit=limit)
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            if chunk.generated:
                handle.half_close()
    return handle.half_closed and fold.finish_reason is None
