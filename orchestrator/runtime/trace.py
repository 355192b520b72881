"""One trace on the servers: opens its streams, carries out pause, resume and stop, and emits its events.

The rules: every trace ends in exactly one terminal event; no token that was received is lost (a stream that is
half-closed is read to its end, and a resume sends exactly the ids received); a failed trace is an event, so the
other traces run on. Only servers that refuse every trace before any answer end the whole run, and servers that are away for
longer than the settings allow interrupt it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Literal

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.client.reasoner.chunks import ChunkFold
from orchestrator.client.reasoner.client import Chunk, Prompt
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.client.retry import RETRYABLE, backoff
from orchestrator.core.answer import extract_answer
from orchestrator.core.events import (
    Boundary,
    Event,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceStopped,
    TraceWarned,
    WarningKind,
)
from orchestrator.errors import EndpointError, EndpointRejected, StreamBroken
from orchestrator.journal.recovery import TraceProgress
from orchestrator.runtime.attempts import AWAY, Attempts, error_of
from orchestrator.runtime.fleet import Fleet, Turn
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.server_record import ServerRecord
from orchestrator.settings import EndpointSettings, SamplingSettings

__all__ = ["TraceRunner", "TraceSettings"]

_backoff = backoff(first=0.5, most=10.0)

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
    settings: EndpointSettings
    """How often and how long a trace tries again."""
    record: ServerRecord
    """What the traces have seen of the servers."""
    answer_regex: str | None
    book: AnswerBook
    emit: Callable[[Event], Awaitable[None]]
    emit_now: Callable[[Event], bool]
    """Emits at once, if there is room."""
    clock: Callable[[], float]
    sampling: SamplingSettings | None = None
    top_logprobs: int | None = None
    """Log-probabilities that make the confidence of one token; None asks for none."""

    def behind(self, ids: Sequence[int]) -> "TraceSettings":
        """The same for a trace that goes on behind tokens of another one; its answer is read from its own text."""
        if not ids:
            return self
        prompt = msgspec.structs.replace(
            self.prompt, token_ids=(*(self.prompt.token_ids or ()), *ids)
        )
        return replace(self, prompt=prompt)


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
        self._intake = Intake(trace, self._progress, resumable=shared.resumable, clock=shared.clock)
        self._session = f"{shared.session}-{trace}"
        self._asked: str | None = None
        """The server that was asked for the last stream."""
        self._streams = 0
        self._is_answered = False
        """The last stream has given a chunk."""
        self._attempts = Attempts(shared.settings, shared.clock)

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
            EndpointRejected: the servers refuse this trace and all others, and none has had an answer.
            ServersAway: they have been away for longer than the settings allow, for all traces.
        """
        self._shared.record.enter()
        try:
            await self._shared.emit(await self._live())
        except EndpointError as error:
            if await self._concerns_all(error):
                raise
            is_decoding = isinstance(error, StreamBroken) and error.boundary == "decode"
            await self._fail("decode" if is_decoding else "server", error)
        finally:
            self._shared.record.leave()

    async def _concerns_all(self, error: EndpointError) -> bool:
        """Whether the error is one of the whole run. Raises ServersAway if it is an outage of all servers."""
        record, since = self._shared.record, self._attempts.away_since
        if isinstance(error, EndpointRejected):
            return await record.all_are_refused(lambda: self._progress.wanted == "stop")
        if not isinstance(error, AWAY) or since is None or record.answered_since(since):
            return False
        if self._attempts.has_waited_out:
            raise self._attempts.outage(error) from None
        return False

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
        if not self._can_go_on:
            raise StreamBroken(
                "The server left out the ids of some tokens, so the trace cannot be continued.",
                "decode",
            )
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RETRYABLE),
            stop=self._gives_up,
            wait=self._wait_seconds,
            before_sleep=self._announce_wait,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                try:
                    await self._stream_in_turn(attempt.retry_state.attempt_number - 1)
                except EndpointError as error:
                    self._note_failure(error)
                    raise

    def _note_failure(self, error: EndpointError) -> None:
        """Raises EndpointError, after which there is no further attempt, if the server asks to wait for too long."""
        self._attempts.failed(error)
        if self._attempts.is_too_long(error) and not self._has_alternative:
            seconds = self._shared.settings.retry_after_seconds
            raise EndpointError(
                f"{error} That is longer than {seconds:g} seconds; "
                "raise endpoint.retry_after_seconds or ask again later."
            ) from None

    async def _stream_in_turn(self, attempt: int) -> None:
        """One stream as soon as a server has room for it; a first one waits while launching is held."""
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
        self._is_answered = False
        self._intake.begin()
        handle = self._handle = StreamHandle()
        stream = turn.client.stream(
            self._shared.prompt,
            self._progress.token_ids,
            generated_tokens=len(self._progress.token_ids),
            handle=handle,
            top_logprobs=self._shared.top_logprobs,
            sampling=self._shared.sampling,
            headers=self._shared.fleet.headers(
                session=self._session, request=f"{self._session}-{self._streams}-{_PROCESS}"
            ),
            take=self._take,
        )
        try:
            async with contextlib.aclosing(stream):
                async for chunk in stream:
                    if not self._is_answered:
                        turn.answered()
                        self._intake.opened(
                            chunk, endpoint=turn.address, attempt=attempt, moved=turn.moved
                        )
                        self._is_answered = True
                    self._receive(chunk)
                    await self._flush()
                    if chunk.finish_reason is not None:
                        return
        finally:
            self._handle = StreamHandle()
        if not handle.half_closed:
            raise StreamBroken("the server closed the stream before its end")

    def _take(self, fold: ChunkFold) -> bool:
        """Receives and emits what a tick has brought, if nothing waits before it and there is room."""
        if not self._is_answered or self._intake.unsent:
            return False
        if (chunk := fold.take()) is not None:
            self._receive(chunk)
        unsent = self._intake.unsent
        while unsent and self._shared.emit_now(unsent[0]):
            unsent.pop(0)
        return not unsent

    def _receive(self, chunk: Chunk) -> None:
        """Records a chunk without awaiting, so that a cancellation cannot lose it."""
        new = self._intake.receive(chunk)
        if new or chunk.text:
            self._attempts.received(new)
            self._shared.record.note_answer(self._intake.unsent[-1].at)

    async def _flush(self) -> None:
        """Emits what was received; an event leaves the list once it is emitted."""
        unsent = self._intake.unsent
        while unsent:
            await self._shared.emit(unsent[0])
            unsent.pop(0)

    async def _finished(self, finish_reason: str) -> Event:
        raw = extract_answer(
            str(self._progress.text),
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
        if self._progress.wanted in ("stop", wanted) or (wanted == "pause" and not self._can_go_on):
            return
        self._progress.wanted = wanted
        self._commanded.set()
        self._shared.record.wake()
        if wanted != "run" and self._streaming is not None and not self._handle.half_close():
            self._streaming.cancel()  # it waits for its turn, or to try again

    @property
    def _can_go_on(self) -> bool:
        """Whether a further stream takes up the trace exactly, or begins one of which no text has come."""
        progress = self._progress
        return (self._shared.resumable and progress.has_all_ids) or not progress.has_text

    @property
    def _has_alternative(self) -> bool:
        """Whether another server can take the trace at once."""
        return self._asked is not None and self._shared.fleet.has_alternative(self._asked)

    def _wait_seconds(self, state: RetryCallState) -> float:
        """Seconds before the next attempt; none where another server can take the trace at once."""
        return 0.0 if self._has_alternative else self._attempts.longest(_backoff(state))

    def _gives_up(self, state: RetryCallState) -> bool:
        """No further try: too many without progress, or a stream that cannot be continued."""
        return not self._can_go_on or self._attempts.is_last(error_of(state))

    async def _announce_wait(self, state: RetryCallState) -> None:
        message = self._attempts.announcement(error_of(state), state.upcoming_sleep)
        if message is not None:
            await self._warn("wait", message)
