"""One trace on the servers: opens its streams, carries out pause, resume and stop, and emits its events.

The rules: every trace ends in exactly one terminal event; no token that was received is lost (a stream that is
half-closed is read to its end, and a resume sends exactly the ids received); a failed trace is an event, so the
other traces run on. Only a server that rejects the very first request ends the whole run.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Literal

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.client.reasoner.client import Chunk, Prompt
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
    TraceWarned,
    WarningKind,
)
from orchestrator.errors import (
    EndpointError,
    EndpointRejected,
    StreamBroken,
)
from orchestrator.journal.recovery import TraceProgress
from orchestrator.runtime.fleet import Fleet, Turn

__all__ = ["TraceRunner", "TraceSettings"]

_backoff = backoff(first=0.5, most=20.0)

_PROCESS = token_hex(2)
"""Tells the requests of this process from those of an earlier one whose run it continues: servers refuse equal ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What all traces of a question share: where to stream from, how to read an answer, where events go.

    `clock` gives seconds since the run started.
    """

    fleet: Fleet
    session: str
    """Names the question among all that are asked of the servers."""
    prompt: Prompt
    resumable: bool
    launching: asyncio.Event
    """Set while first streams may be opened."""
    max_attempts: int
    """Streams opened in a row without a new token before the trace fails."""
    answer_regex: str | None
    book: AnswerBook
    emit: Callable[[Event], Awaitable[None]]
    clock: Callable[[], float]
    top_logprobs: int | None = None
    """Log-probabilities that make the confidence of one token; None asks for none."""


class TraceRunner:
    """Runs one trace from its first stream to its terminal event; commands may come at any time.

    Args:
        trace: its number in the question.
        shared: what all traces of the question share.
        progress: what an earlier process has left of the trace. The runner owns it from here on.
    """

    def __init__(
        self, trace: int, shared: TraceSettings, progress: TraceProgress | None = None
    ) -> None:
        self._trace = trace
        self._shared = shared
        self._progress = progress or TraceProgress()
        self._commanded = asyncio.Event()
        self._streaming: asyncio.Task[None] | None = None
        self._handle = StreamHandle()
        self._unsent: list[Event] = []
        self._session = f"{shared.session}-{trace}"
        self._asked: str | None = None
        """The server that was asked for the last stream."""
        self._streams = 0
        self._attempts_without_progress = 0

    @property
    def progress(self) -> TraceProgress:
        """How far the trace is; for reading only."""
        return self._progress

    def pause(self) -> None:
        """Closes the stream; what was received stays."""
        self._want("pause")

    def resume(self) -> None:
        """Continues from what was received."""
        self._want("run")

    def stop(self, reason: str) -> None:
        """Ends the trace for good."""
        self._progress.stop_reason = reason
        self._want("stop")

    async def run(self) -> None:
        """Returns when the trace has ended; the last thing it emits is the terminal event.

        Raises:
            EndpointRejected: the server refuses the request, and no token has come yet.
        """
        try:
            await self._shared.emit(await self._live())
        except EndpointRejected as error:
            if not self._progress.tokens:
                raise
            await self._fail("server", error)
        except StreamBroken as error:
            await self._fail("decode" if error.boundary == "decode" else "server", error)
        except EndpointError as error:
            await self._fail("server", error)

    async def _live(self) -> Event:
        """Streams and waits as commanded, until the trace has an end; that end is the terminal event."""
        progress = self._progress
        while True:
            self._commanded.clear()
            if progress.finish_reason is not None:
                return await self._finished(progress.finish_reason)
            if progress.wanted == "stop":
                return TraceStopped(
                    at=self._shared.clock(),
                    trace=self._trace,
                    reason=progress.stop_reason,
                    tokens=progress.tokens,
                )
            if progress.wanted == "pause":
                await self._emit_pause()
                await self._commanded.wait()
            else:
                await self._stream_until_commanded()

    async def _emit_pause(self) -> None:
        """Emits the event once for each pause, also where an earlier process has done so."""
        if not self._progress.paused:
            self._progress.paused = True
            await self._shared.emit(
                TracePaused(
                    at=self._shared.clock(), trace=self._trace, tokens=self._progress.tokens
                )
            )

    async def _stream_until_commanded(self) -> None:
        """Streams to the end of the trace, or until a command closes the stream."""
        self._streaming = asyncio.create_task(self._stream(), name=f"trace {self._trace}")
        try:
            await asyncio.wait({self._streaming})
        finally:  # also when this task itself is cancelled
            self._streaming.cancel()
            with contextlib.suppress(asyncio.CancelledError, EndpointError):
                await self._streaming
        await self._flush()
        if not self._streaming.cancelled():
            self._streaming.result()

    async def _stream(self) -> None:
        """Streams to the end; each retry continues from the tokens received."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RETRYABLE),
            stop=self._gives_up,
            wait=self._wait_seconds,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                await self._stream_in_turn(attempt.retry_state.attempt_number - 1)

    async def _stream_in_turn(self, attempt: int) -> None:
        """One stream as soon as a server has room for it; a first one waits while launching is held."""
        self._attempts_without_progress += 1
        while True:
            if not self._progress.opened:
                await self._shared.launching.wait()
            async with self._shared.fleet.stream(self._session, self._progress.endpoint) as turn:
                if self._progress.opened or self._shared.launching.is_set():
                    await self._read_stream(attempt, turn)
                    return

    async def _read_stream(self, attempt: int, turn: Turn) -> None:
        self._asked = turn.address
        self._streams += 1
        before = self._progress.tokens
        handle = self._handle = StreamHandle()
        stream = turn.client.stream(
            self._shared.prompt,
            self._progress.token_ids,
            generated_tokens=before,
            handle=handle,
            top_logprobs=self._shared.top_logprobs,
            headers=self._shared.fleet.headers(
                session=self._session, request=f"{self._session}-{self._streams}-{_PROCESS}"
            ),
        )
        try:
            async with contextlib.aclosing(stream):
                first = True
                async for chunk in stream:
                    if first:
                        turn.answered()
                        self._unsent.append(self._opening(chunk, attempt, turn))
                        first = False
                    self._receive(chunk, before)
                    await self._flush()
                    if chunk.finish_reason is not None:
                        return
        finally:
            self._handle = StreamHandle()
        if not handle.half_closed:
            raise StreamBroken("the server closed the stream before its end")

    def _opening(self, chunk: Chunk, attempt: int, turn: Turn) -> Event:
        """The event that says that a stream has begun; made from its first chunk."""
        started = TraceStarted(
            at=self._shared.clock(),
            trace=self._trace,
            endpoint=turn.address,
            prompt_tokens=chunk.prompt_tokens,
            cached_prompt_tokens=chunk.cached_prompt_tokens,
        )
        self._progress.paused = False
        self._progress.endpoint = turn.address
        if self._progress.opened:
            return TraceResumed(
                **msgspec.structs.asdict(started), attempt=attempt, moved=turn.moved
            )
        self._progress.opened = True
        return started

    def _receive(self, chunk: Chunk, before: int) -> None:
        """Records a chunk without awaiting, so that a cancellation cannot lose it.

        `before` is the number of tokens that the trace had when the stream was opened.
        """
        progress = self._progress
        tokens = before + chunk.generated
        if tokens > progress.tokens:
            self._attempts_without_progress = 0
        if not chunk.text and tokens == progress.tokens and chunk.finish_reason is None:
            return
        arrived = TokensArrived(
            at=self._shared.clock(),
            trace=self._trace,
            text=chunk.text,
            tokens=tokens,
            token_ids=chunk.token_ids,
            confidences=chunk.confidences,
            finish_reason=chunk.finish_reason,
        )
        progress.receive(arrived)
        self._unsent.append(arrived)

    async def _flush(self) -> None:
        """Emits what was received; an event leaves the list once it is emitted."""
        while self._unsent:
            await self._shared.emit(self._unsent[0])
            self._unsent.pop(0)

    async def _finished(self, finish_reason: str) -> Event:
        raw = extract_answer(
            "".join(self._progress.text),
            regex=self._shared.answer_regex,
            finished=finish_reason != "length",
        )
        answer = None if raw is None else await self._shared.book.classify(raw)
        undecided = self._shared.book.take_undecided()
        if undecided.comparisons:
            await self._warn("answers", undecided.message)
        return TraceFinished(
            at=self._shared.clock(),
            trace=self._trace,
            answer=answer,
            raw_answer=raw,
            finish_reason=finish_reason,
            tokens=self._progress.tokens,
            undecided=undecided.comparisons,
        )

    async def _warn(self, warning: WarningKind, message: str) -> None:
        await self._shared.emit(
            TraceWarned(
                at=self._shared.clock(), trace=self._trace, warning=warning, message=message
            )
        )

    async def _fail(self, boundary: Boundary, error: EndpointError) -> None:
        await self._shared.emit(
            TraceFailed(
                at=self._shared.clock(),
                trace=self._trace,
                boundary=boundary,
                message=str(error),
                tokens=self._progress.tokens,
            )
        )

    def _want(self, wanted: Literal["run", "pause", "stop"]) -> None:
        if self._progress.wanted in ("stop", wanted):
            return
        self._progress.wanted = wanted
        self._commanded.set()
        if wanted != "run" and self._streaming is not None and not self._handle.half_close():
            self._streaming.cancel()  # it waits for its turn, or to try again

    def _wait_seconds(self, state: RetryCallState) -> float:
        """Seconds before the next attempt; none where another server can take the trace at once."""
        if self._asked is not None and self._shared.fleet.has_alternative(self._asked):
            return 0.0
        return _backoff(state)

    def _gives_up(self, state: RetryCallState) -> bool:
        """No further try: too many without a token, or a stream that cannot be continued."""
        stuck = self._attempts_without_progress >= self._shared.max_attempts
        return stuck or (self._progress.tokens > 0 and not self._shared.resumable)
