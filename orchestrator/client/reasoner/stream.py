"""One stream, from its request to its end: read in chunks, closed where it must not go on.

What the server sent is read to its end also where its text cannot be used, because those tokens were generated.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import aiohttp

from orchestrator.client.http import HttpClient
from orchestrator.client.paced_answer import PacedAnswer
from orchestrator.client.reasoner.chunks import Chunk, ChunkFold
from orchestrator.client.reasoner.sse import MAX_EVENT_BYTES, SseSplitter
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.errors import EndpointError, StreamBroken

__all__ = ["read_stream"]

_MOST_TOKENS = 2**20
"""Of a stream whose limit is not known: no model writes more."""


async def read_stream(
    http: HttpClient,
    url: str,
    body: Any,
    *,
    fold: ChunkFold,
    handle: StreamHandle,
    limit: int | None,
    headers: Mapping[str, str] | None = None,
    take: Callable[[ChunkFold], bool] | None = None,
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a stream, one per tick; the last one has a finish reason.

    What a tick brings in the middle of the stream is offered to `take` first, which takes the chunk from the fold and
    says so; that costs half of what it costs to resume this generator and all that wait for it.

    A stream that `handle` half-closes from outside ends without one. A server that goes on beyond `limit` tokens is
    disconnected, and its trace ends as one that has reached the limit.

    Raises:
        EndpointError: the server refuses, fails, stalls, sends what cannot be read, or ends without a finish reason.
            Chunks that came before stay valid.
    """
    most = _MOST_TOKENS if limit is None else limit
    events = _Events(fold)

    def take_now(data: bytes) -> bool:
        events.feed(data)
        if handle.half_closed or fold.ended or fold.broken is not None or fold.is_beyond(most):
            return False
        return take is not None and take(fold)

    stopped = given_up = False
    async with contextlib.AsyncExitStack() as stack:
        response = await stack.enter_async_context(http.response("POST", url, body, headers))
        content = PacedAnswer(response, http.ticks, http.read_seconds, take_now if take else None)
        stack.callback(content.release)
        handle.attach(response, content)
        while True:
            failure = None
            try:
                data = await handle.read(content, finished=fold.ended)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                data, failure = b"", http.translate(error)
            if data:
                events.feed(data)
            elif data is not None:
                events.finish(failure)
            stopped = stopped or (handle.half_closed and not given_up)
            if fold.stop_at(most) or fold.broken is not None:
                given_up = handle.half_close()
            if data == b"":
                break
            if fold.finish_reason is None and (chunk := fold.take()) is not None:
                yield chunk
    if fold.finish_reason is None and (fold.broken is not None or stopped):
        if (chunk := fold.take()) is not None:
            yield chunk
        if fold.broken is not None and not stopped:
            raise fold.broken
        return
    yield fold.last()


class _Events:
    """Bytes into the fold, with a bound on those that bring no token."""

    def __init__(self, fold: ChunkFold) -> None:
        self._fold = fold
        self._splitter = SseSplitter()
        self._generated = 0
        self._fruitless = 0

    def feed(self, data: bytes) -> None:
        """The events that `data` completes."""
        try:
            self._fold.feed(self._splitter.feed(data))
        except StreamBroken as error:
            self._fold.fail(error)
        generated = self._fold.counter.generated
        self._fruitless = 0 if generated > self._generated else self._fruitless + len(data)
        self._generated = generated
        if self._fruitless > MAX_EVENT_BYTES:
            self._fold.fail(
                StreamBroken(
                    f"The server sent {MAX_EVENT_BYTES // 2**20} MiB without a token.", "decode"
                )
            )

    def finish(self, failure: EndpointError | None) -> None:
        """The event that lacks its blank line, if it is a whole one; `failure` is what ended the stream."""
        self._fold.feed(self._splitter.close(), is_rest=True)
        if failure is not None and self._fold.finish_reason is None:
            self._fold.fail(failure)
