"""Asks running traces for their answers; each command is answered by exactly one event, so a fault ends no run."""

import asyncio
import time

from orchestrator.core.answer import extract_answer
from orchestrator.core.events import Event, ProbeFailed, TraceProbed
from orchestrator.errors import EndpointError
from orchestrator.journal.recovery import TraceProgress
from orchestrator.runtime.trace import TraceSettings
from orchestrator.settings import ModelSettings

__all__ = ["Prober"]

_MOST_SECONDS = 30.0
"""What an answer is worth waiting for: by then the trace has written on."""


class Prober:
    """The probes of one question.

    Args:
        shared: what all of its traces share.
        model: how an answer is forced out of the model.
    """

    def __init__(self, shared: TraceSettings, model: ModelSettings) -> None:
        self._shared = shared
        self._model = model

    async def probe(self, number: int, trace: TraceProgress) -> None:
        """Emits `TraceProbed`, or `ProbeFailed` if there is no answer."""
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                event = await self._probe(number, trace)
        except TimeoutError:
            event = self.failed(number, f"no answer within {_MOST_SECONDS:g} seconds")
        except EndpointError as error:
            event = self.failed(number, str(error))
        await self._shared.emit(event)

    def failed(self, number: int, message: str) -> ProbeFailed:
        """The event of a probe without an answer."""
        return ProbeFailed(at=self._shared.clock(), trace=number, message=message)

    async def _probe(self, number: int, trace: TraceProgress) -> Event:
        if trace.ended or trace.finish_reason is not None:
            return self.failed(number, "the trace has ended")
        text = str(trace.text)
        ending = self._model.forced_ending(text)
        if ending is None:
            return self.failed(number, "no text is known that forces an answer out of this model")
        ids, asked_at, started = tuple(trace.token_ids), trace.tokens, time.monotonic()
        found = await self._shared.fleet.client(trace.endpoint).force_answer(
            self._shared.prompt, ids, ending, logprobs=self._shared.top_logprobs is not None
        )
        raw = None
        if found.whole:
            said = self._model.behind_thinking(text) + ending + found.text
            raw = extract_answer(said, regex=self._shared.answer_regex)
        return TraceProbed(
            at=self._shared.clock(),
            trace=number,
            answer=None if raw is None else await self._shared.book.classify(raw),
            raw_answer=raw,
            asked_at=asked_at,
            tokens=found.tokens,
            prompt_tokens=found.prompt_tokens,
            cached_prompt_tokens=found.cached_prompt_tokens,
            seconds=round(time.monotonic() - started, 6),
            logprob=found.logprob,
        )
