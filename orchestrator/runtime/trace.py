"""One trace on the servers: opens its streams, obeys pause, resume and stop, and emits its events.

The rules: every trace ends in exactly one terminal event; nothing that was received is lost (a stream that is
hung up is read to its end, and a resume sends exactly the ids received); a failed trace is a
event, so its siblings live on. Only a server that rejects the very first request ends the whole run.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from orchestrator.answers.equality import AnswerBook
from orchestrator.client.reasoner.client import Chunk, Prompt, ReasonerClient
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.client.retry import RETRYABLE, backoff
from orchestrator.core.answer import extract_answer
from orchestrator.core.events import (
    Boundary,
    Event,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)
from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    StreamBroken,
)
from orchestrator.journal.recovery import RecoveredTrace
from orchestrator.runtime.limiter import StreamLimiter

__all__ = ["TraceRunner", "TraceSettings"]

_backoff = backoff(first=0.5, most=20.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What all traces of a question share: where to stream from, how to read an answer, where events go."""

    reasoner: ReasonerClient
    endpoint: str
    prompt: Prompt
    resumable: bool
    limiter: StreamLimiter
    launching: asyncio.Event
    """Set while first streams may be opened."""
    max_attempts: int
    answer_regex: str | None
    book: AnswerBook
    emit: Callable[[Event], Awaitable[None]]
    clock: Callable[[], float]
    top_logprobs: int | None = None
    """Log-probabilities of each token that make its confidence; None asks for none."""


class TraceRunner:
    """Carries one trace from its first stream to its terminal event; commands may come at any time."""

    def __init__(
        self, trace: int, shared: TraceSettings, recovered: RecoveredTrace | None = None
    ) -> None:
        """`recovered` is what an earlier process has left of the trace."""
        before = recovered or RecoveredTrace()
        self._trace = trace
        self._shared = shared
        self._wanted = before.wanted
        self._stop_reason = before.stop_reason
        self._changed = asyncio.Event()
        self._streaming: asyncio.Task[str | None] | None = None
        self._line = StreamHandle()
        self._text = before.text
        self._token_ids = before.token_ids
        self._tokens = before.tokens
        self._finish_reason = before.finish_reason
        self._unsent: list[Event] = []
        self._opened = before.opened
        self._paused = before.paused
        self._fruitless = 0  # streams in a row that brought no token

    def pause(self) -> None:
        """Closes the stream; what was received stays."""
        self._want("pause")

    def resume(self) -> None:
        """Goes on from what was received."""
        self._want("run")

    def stop(self, reason: str) -> None:
        """Ends the trace for good."""
        self._stop_reason = reason
        self._want("stop")

    async def run(self) -> None:
        """Lives as long as the trace; the last thing it emits is the terminal event."""
        try:
            await self._emit(await self._live())
        except EndpointRejected as error:
            if not self._tokens:
                raise
            await self._emit(self._failed("server", error))
        except StreamBroken as error:
            await self._emit(
                self._failed("decode" if error.boundary == "decode" else "server", error)
            )
        except EndpointError as error:
            await self._emit(self._failed("server", error))

    async def _live(self) -> Event:
        """Streams and waits as ordered, until the trace has an end; that end is the terminal event."""
        while True:
            self._changed.clear()
            if self._finish_reason is not None:
                return await self._finished(self._finish_reason)
            if self._wanted == "stop":
                return TraceStopped(
                    at=self._shared.clock(),
                    trace=self._trace,
                    reason=self._stop_reason,
                    tokens=self._tokens,
                )
            if self._wanted == "pause":
                await self._tell_pause()
                await self._changed.wait()
            else:
                self._finish_reason = await self._stream_until_ordered()

    async def _tell_pause(self) -> None:
        """Emits the event once for each pause, also where an earlier process has done so."""
        if not self._paused:
            self._paused = True
            await self._emit(
                TracePaused(at=self._shared.clock(), trace=self._trace, tokens=self._tokens)
            )

    async def _stream_until_ordered(self) -> str | None:
        """The finish reason, or None when an order closed the stream first."""
        if self._wanted != "run":
            return None
        self._streaming = asyncio.create_task(self._stream(), name=f"trace {self._trace}")
        try:
            await asyncio.wait({self._streaming})
        finally:  # also when this task itself is cancelled
            self._streaming.cancel()
            with contextlib.suppress(asyncio.CancelledError, EndpointError):
                await self._streaming
        await self._flush()
        return None if self._streaming.cancelled() else self._streaming.result()

    async def _stream(self) -> str | None:
        """Streams to the end, through retries; each retry goes on from the tokens received.

        The finish reason, or None when an order ended the stream.
        """
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RETRYABLE),
            stop=self._given_up,
            wait=_backoff,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._stream_in_turn(attempt.retry_state.attempt_number - 1)
        raise AssertionError("the retries end in a result or an error")

    async def _stream_in_turn(self, attempt: int) -> str | None:
        """One stream as soon as there is room; a first one waits while launching is held."""
        while True:
            if not self._opened:
                await self._shared.launching.wait()
            async with self._shared.limiter.one():
                if self._opened or self._shared.launching.is_set():
                    return await self._stream_once(attempt)

    async def _stream_once(self, attempt: int) -> str | None:
        try:
            finish_reason = await self._read_stream(attempt)
        except EndpointBusy:
            self._shared.limiter.shrink()
            raise
        self._shared.limiter.grow()
        return finish_reason

    async def _read_stream(self, attempt: int) -> str | None:
        self._fruitless += 1
        before = self._tokens
        line = self._line = StreamHandle()
        stream = self._shared.reasoner.stream(
            self._shared.prompt,
            self._token_ids,
            generated_tokens=before,
            line=line,
            top_logprobs=self._shared.top_logprobs,
        )
        try:
            async with contextlib.aclosing(stream):
                first = True
                async for chunk in stream:
                    if first:
                        self._unsent.append(self._opening(chunk, attempt))
                        first = False
                    self._absorb(chunk, before)
                    await self._flush()
                    if chunk.finish_reason is not None:
                        return chunk.finish_reason
        finally:
            self._line = StreamHandle()
        if line.hung_up:
            return None
        raise StreamBroken("the server closed the stream before its end")

    def _opening(self, chunk: Chunk, attempt: int) -> Event:
        """The event of a stream's first event."""
        usage = {
            "prompt_tokens": chunk.prompt_tokens,
            "cached_prompt_tokens": chunk.cached_prompt_tokens,
        }
        at, endpoint = self._shared.clock(), self._shared.endpoint
        self._paused = False
        if self._opened:
            return TraceResumed(
                at=at, trace=self._trace, endpoint=endpoint, attempt=attempt, **usage
            )
        self._opened = True
        return TraceStarted(at=at, trace=self._trace, endpoint=endpoint, **usage)

    def _absorb(self, chunk: Chunk, before: int) -> None:
        """Takes a chunk in, without awaiting: from here on it cannot be lost."""
        tokens = before + chunk.generated
        if tokens > self._tokens:
            self._fruitless = 0
        if not chunk.text and tokens == self._tokens and chunk.finish_reason is None:
            return
        self._tokens = tokens
        self._text.append(chunk.text)
        self._token_ids.extend(chunk.token_ids)
        self._unsent.append(
            TokensArrived(
                at=self._shared.clock(),
                trace=self._trace,
                text=chunk.text,
                tokens=tokens,
                token_ids=chunk.token_ids,
                confidences=chunk.confidences,
                finish_reason=chunk.finish_reason,
            )
        )

    async def _flush(self) -> None:
        while self._unsent:
            await self._shared.emit(self._unsent[0])
            self._unsent.pop(0)

    async def _emit(self, event: Event) -> None:
        await self._shared.emit(event)

    async def _finished(self, finish_reason: str) -> Event:
        raw = extract_answer(
            "".join(self._text),
            regex=self._shared.answer_regex,
            finished=finish_reason != "length",
        )
        answer = None if raw is None else await self._shared.book.classify(raw)
        return TraceFinished(
            at=self._shared.clock(),
            trace=self._trace,
            answer=answer,
            raw_answer=raw,
            finish_reason=finish_reason,
            tokens=self._tokens,
        )

    def _failed(self, boundary: Boundary, error: EndpointError) -> Event:
        return TraceFailed(
            at=self._shared.clock(),
            trace=self._trace,
            boundary=boundary,
            message=str(error),
            tokens=self._tokens,
        )

    def _want(self, wanted: Literal["run", "pause", "stop"]) -> None:
        if self._wanted in ("stop", wanted):
            return
        self._wanted = wanted
        self._changed.set()
        if wanted != "run" and self._streaming is not None and not self._line.half_close():
            self._streaming.cancel()  # it waits for a slot, or to try again

    def _given_up(self, state: RetryCallState) -> bool:
        """No further try: too many without a token, or a stream that cannot be continued."""
        stuck = self._fruitless >= self._shared.max_attempts
        return stuck or (self._tokens > 0 and not self._shared.resumable)
