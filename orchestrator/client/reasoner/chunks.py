"""The events of one stream folded into chunks: text, token ids, exact counts and confidences.

One network read makes one chunk, however many events it holds.
"""

from collections.abc import Iterable, Iterator
from heapq import nlargest

import msgspec

from orchestrator.client.reasoner.sse import (
    DONE,
    ChatMarkers,
    Choice,
    Logprobs,
    StreamEvent,
    Usage,
    decode_event,
)
from orchestrator.errors import StreamBroken

__all__ = ["Chunk", "ChunkFold", "token_confidences"]

_DROPPED = ("abort", "error")
"""Finish reasons of a request that the server dropped before the model had finished."""

_DECIMALS = 3  # of a confidence, as in the public code; it keeps the journal's lines short


class Chunk(msgspec.Struct, frozen=True):
    """What one network read added to a trace.

    `generated` is the number of tokens that this request has generated so far: from the server's continuous
    usage, otherwise the number of token ids, otherwise the number of events with text. `cached_prompt_tokens` is
    known only in the last chunk of a stream, from servers that report it. `finish_reason` is set only in the last
    chunk, which may have text and ids of its own. `confidences` has one value per token, or none.
    """

    text: str
    token_ids: tuple[int, ...]
    generated: int
    prompt_tokens: int
    cached_prompt_tokens: int
    finish_reason: str | None
    confidences: tuple[float, ...] = ()


class ChunkFold:
    """Collects events until `take`.

    After `ended` only a final usage can follow. `finish_reason` stays None in a stream without a proper end.
    `top_logprobs` is the number of log-probabilities that make the confidence of a token; None makes none.
    """

    def __init__(self, prompt_tokens: int = 0, *, top_logprobs: int | None = None) -> None:
        self.finish_reason: str | None = None
        self.ended = False
        self.has_token_ids = False
        self.has_continuous_usage = False
        self.has_confidences = False
        self._top_logprobs = top_logprobs
        self._confidences: list[float] = []
        self._markers = ChatMarkers()
        self._text: list[str] = []
        self._token_ids: list[int] = []
        self._generated = 0
        self._generated_taken = 0
        self._prompt_tokens = prompt_tokens
        self._cached_prompt_tokens = 0

    def feed(self, payloads: Iterable[bytes]) -> None:
        """Adds events. After StreamBroken, `take` still gives those before the invalid one."""
        for payload in payloads:
            if payload == DONE:
                self.ended = True
            else:
                self._add(decode_event(payload))

    def take(self) -> Chunk | None:
        """What was added since the last chunk; None if that is neither text nor a token."""
        if not (self._text or self._token_ids or self._generated > self._generated_taken):
            return None
        return self._chunk()

    def last(self) -> Chunk:
        """The rest, with the finish reason. Raises StreamBroken if there is none."""
        if self.finish_reason is None:
            raise StreamBroken("The stream ended before its finish reason.")
        return self._chunk()

    def _chunk(self) -> Chunk:
        chunk = Chunk(
            text="".join(self._text),
            token_ids=tuple(self._token_ids),
            generated=self._generated,
            prompt_tokens=self._prompt_tokens,
            cached_prompt_tokens=self._cached_prompt_tokens,
            finish_reason=self.finish_reason,
            confidences=tuple(self._confidences),
        )
        self._confidences.clear()
        self._text.clear()
        self._token_ids.clear()
        self._generated_taken = self._generated
        return chunk

    def _add(self, event: StreamEvent) -> None:
        for choice in event.choices:
            self._add_choice(choice)
            if event.usage is not None and event.usage.completion_tokens is not None:
                self.has_continuous_usage = True
        if event.usage is not None:
            self._add_usage(event.usage)

    def _add_choice(self, choice: Choice) -> None:
        text = choice.text or ""
        if choice.delta is not None:
            text += self._markers.text(choice.delta)
        if text:
            self._text.append(text)
        if choice.token_ids:
            self.has_token_ids = True
            self._token_ids += choice.token_ids
        if choice.logprobs is not None and self._top_logprobs is not None:
            confidences = token_confidences(choice.logprobs, self._top_logprobs)
            self._confidences += confidences
            self.has_confidences |= bool(confidences)
        if choice.finish_reason is not None:
            self.ended = True
            if choice.finish_reason not in _DROPPED:
                self.finish_reason = choice.finish_reason
        if not self.has_continuous_usage:
            self._generated += self._counted(choice, text)

    def _counted(self, choice: Choice, text: str) -> int:
        return len(choice.token_ids or ()) if self.has_token_ids else int(bool(text))

    def _add_usage(self, usage: Usage) -> None:
        if usage.completion_tokens is not None:
            self._generated = usage.completion_tokens
        if usage.prompt_tokens:
            self._prompt_tokens = usage.prompt_tokens
        if usage.prompt_tokens_details is not None:
            self._cached_prompt_tokens = usage.prompt_tokens_details.cached_tokens or 0


def token_confidences(logprobs: Logprobs, top: int) -> list[float]:
    """Minus the mean log-probability (nats) of the `top` likeliest tokens, for each new token.

    It is high where the model is sure and the other candidates are unlikely (arXiv 2508.15260, section 2). The
    server may send one candidate more than asked for, the token that was sampled; only the likeliest count.
    """
    found = [nlargest(top, position) for position in _positions(logprobs)]
    return [round(-sum(likely) / len(likely), _DECIMALS) for likely in found if likely]


def _positions(logprobs: Logprobs) -> Iterator[Iterable[float]]:
    """The log-probabilities at each new token."""
    for by_text in logprobs.top_logprobs or ():
        yield (by_text or {}).values()
    for position in logprobs.content or ():
        yield [candidate.logprob for candidate in position.top_logprobs]
