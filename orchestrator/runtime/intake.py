"""The chunks of a trace's streams, recorded in its progress and turned into events. No I/O, and nothing is awaited."""

from collections.abc import Callable

import msgspec

from orchestrator.client.reasoner.client import Chunk
from orchestrator.core.events import (
    Event,
    MoveReason,
    TokensArrived,
    TraceResumed,
    TraceStarted,
    TraceWarned,
)
from orchestrator.journal.recovery import TraceProgress

__all__ = ["Intake"]


class Intake:
    """Takes the chunks of one trace; `unsent` are the events that follow from them, for the caller to send.

    Args:
        trace: its number in the question.
        progress: of the trace, which is kept up to date.
        resumable: streams are continued, so that missing token ids matter.
        clock: gives seconds since the run started.
    """

    def __init__(
        self, trace: int, progress: TraceProgress, *, resumable: bool, clock: Callable[[], float]
    ) -> None:
        self.unsent: list[Event] = []
        self._trace = trace
        self._progress = progress
        self._resumable = resumable
        self._clock = clock
        self._before = 0
        """Tokens of the trace when its latest stream was opened."""
        self._told = (0, 0)
        """Prompt and cached tokens of the latest stream, as last told."""

    def begin(self) -> None:
        """A stream is asked for."""
        self._before = self._progress.tokens

    def opened(
        self, chunk: Chunk, *, endpoint: str, attempt: int, moved: MoveReason | None
    ) -> None:
        """The first chunk of a stream has come from the server `endpoint`; it is then to be received."""
        progress = self._progress
        started = TraceStarted(
            at=self._clock(),
            trace=self._trace,
            endpoint=endpoint,
            prompt_tokens=chunk.prompt_tokens,
            cached_prompt_tokens=chunk.cached_prompt_tokens,
        )
        self._told = (chunk.prompt_tokens, chunk.cached_prompt_tokens)
        if progress.opened:
            fields = msgspec.structs.asdict(started)
            self.unsent.append(TraceResumed(**fields, attempt=attempt, moved=moved))
        else:
            self.unsent.append(started)
        progress.opened = True
        progress.paused = False
        progress.endpoint = endpoint

    def receive(self, chunk: Chunk) -> int:
        """The number of tokens that the chunk has added to the trace; it may add none."""
        progress = self._progress
        tokens = self._before + chunk.generated
        new = tokens - progress.tokens
        self._warn(chunk)
        told = (chunk.prompt_tokens, chunk.cached_prompt_tokens)
        is_news = told != self._told and chunk.prompt_tokens > 0
        if chunk.text or new or is_news or chunk.finish_reason is not None:
            self._told = told
            arrived = TokensArrived(
                at=self._clock(),
                trace=self._trace,
                text=chunk.text,
                tokens=tokens,
                token_ids=chunk.token_ids,
                confidences=chunk.confidences,
                finish_reason=chunk.finish_reason,
                discarded=chunk.discarded,
                prompt_tokens=chunk.prompt_tokens if is_news else None,
                cached_prompt_tokens=chunk.cached_prompt_tokens if is_news else None,
            )
            progress.receive(arrived)
            self.unsent.append(arrived)
        return new - chunk.discarded

    def _warn(self, chunk: Chunk) -> None:
        for kind, message in chunk.warnings:
            if kind != "token_ids" or self._resumable:
                self.unsent.append(
                    TraceWarned(at=self._clock(), trace=self._trace, warning=kind, message=message)
                )
