"""The events of one stream folded into chunks: text, token ids, exact counts and confidences.

One read of a stream (`orchestrator/client/paced_answer.py`) makes one chunk, however many events it holds.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest

import msgspec

from orchestrator.client.messages import one_line
from orchestrator.client.reasoner.counting import StreamWarning, TokenCounter
from orchestrator.client.reasoner.sse import (
    DONE,
    ChatMarkers,
    Choice,
    Logprobs,
    StreamEvent,
    UsualEvent,
    decode_event,
    decode_usual,
)
from orchestrator.client.usage import Usage
from orchestrator.errors import EndpointError, EndpointRejected, StreamBroken

__all__ = ["Chunk", "ChunkFold", "token_confidences"]

_DROPPED = frozenset(
    (
        "abort",
        "aborted",
        "error",
        "cancelled",
        "canceled",
        "timeout",
        "insufficient_system_resource",
        "network_error",
    )
)
"""Finish reasons of a request that the server dropped before the model had finished."""

_FILTERED = (
    "content_filter",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "sensitive",
)
"""Beginnings of the finish reasons of a filter that cut the text."""

_AT_LIMIT = frozenset(
    (
        "length",
        "max_tokens",
        "model_length",
        "max_output_tokens",
        "model_context_window_exceeded",
        "repetition",  # vLLM cuts a text that repeats itself
    )
)

_MOST_CHARS_PER_TOKEN = 256
"""On average over a trace; a single token may be longer."""

_MOST_REASON_CHARS = 40

_MOST_DONE_BYTES = 16

_MOST_UNUSUAL_READS = 3

_DECIMALS = 3  # of a confidence, as in the public code; it keeps the journal's lines short


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """What one read of the stream added to a trace.

    `generated` is the number of tokens that this request has generated so far: from the token ids, otherwise from the
    server's usage, otherwise the number of events with text; `discarded` of them are not in the trace. `prompt_tokens` is
    0, and `cached_prompt_tokens` too, until the server tells them. `finish_reason` is set only in the last chunk, which may
    have text and ids of its own. `confidences` has one value per token, or none. `warnings` are those found since the last
    chunk.
    """

    text: str
    token_ids: tuple[int, ...]
    generated: int
    prompt_tokens: int
    cached_prompt_tokens: int
    finish_reason: str | None
    confidences: tuple[float, ...] = ()
    discarded: int = 0
    warnings: tuple[StreamWarning, ...] = ()


class ChunkFold:
    """Collects events until `take`.

    After `ended` only a final usage can follow. `finish_reason` stays None in a stream without a proper end. Behind an
    event that cannot be read (`broken`), and once the fold is closed, tokens are counted and not added to the trace: what
    lies between is not known.

    Args:
        prompt_tokens: the length of the prompt, as far as it is known before.
        top_logprobs: the number of log-probabilities that make the confidence of a token; None makes none.
        secrets: masked in what the server says.
    """

    def __init__(
        self,
        prompt_tokens: int = 0,
        *,
        top_logprobs: int | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self.finish_reason: str | None = None
        self.broken: EndpointError | None = None
        """Why the stream cannot go on."""
        self.ended = False
        self.has_confidences = False
        self.counter = TokenCounter()
        self._top_logprobs = top_logprobs
        self._secrets = secrets
        self._confidences: list[float] = []
        self._markers = ChatMarkers()
        self._text: list[str] = []
        self._chars = 0
        self._token_ids: list[int] = []
        self._generated_taken = 0
        self._discards_from: int | None = None
        self._discarded_taken = 0
        self._prompt_tokens = prompt_tokens
        self._cached_prompt_tokens = 0
        self._unusual_reads = 0
        """Since the last read that held usual events alone."""

    @property
    def has_token_ids(self) -> bool:
        """Whether token ids came, and none was left out."""
        return self.counter.has_ids and not self.counter.ids_missing

    def feed(self, payloads: Sequence[bytes], *, is_rest: bool = False) -> None:
        """Adds events; `is_rest` if they were cut off by the end of the stream, and may be no whole ones."""
        if not payloads or self._add_usual(payloads):
            return
        for payload in payloads:
            if len(payload) <= _MOST_DONE_BYTES and payload.strip() == DONE:
                self.ended = True
                self._close()  # whatever follows is not of this stream
                continue
            try:
                event = decode_event(payload, self._secrets)
            except EndpointError as error:
                is_cut = is_rest and isinstance(error, StreamBroken) and error.boundary == "decode"
                if self.finish_reason is None and not is_cut:
                    self.fail(error)
            else:
                self._add(event)

    def fail(self, error: EndpointError) -> None:
        """What comes from now on is not added to the trace; the first error is the one that counts."""
        self.broken = self.broken or error
        self._close()

    def stop_at(self, limit: int) -> bool:
        """Ends a trace of a server that went beyond the limit of tokens, and says whether it did."""
        if self.ended or not self.is_beyond(limit):
            return False
        self.counter.warnings.append(
            StreamWarning("limit", f"The server went on beyond the limit of {limit} tokens.")
        )
        self.ended = True
        self.finish_reason = "length"
        self._close()
        return True

    def is_beyond(self, limit: int) -> bool:
        """Whether the server went beyond the limit of tokens."""
        too_long = self._chars > _MOST_CHARS_PER_TOKEN * (limit + 1)
        return too_long or self.counter.is_beyond(limit, self._chars)

    def take(self) -> Chunk | None:
        """What was added since the last chunk; None if that is neither text nor a token."""
        if not (self._text or self._token_ids or self.counter.generated > self._generated_taken):
            return None
        return self._chunk()

    def last(self) -> Chunk:
        """The rest, with the finish reason. Raises `broken`, or StreamBroken if there is none."""
        if self.finish_reason is None:
            raise self.broken or StreamBroken("The stream ended before its finish reason.")
        return self._chunk()

    def _chunk(self) -> Chunk:
        generated = self.counter.generated
        discarded = 0 if self._discards_from is None else max(0, generated - self._discards_from)
        chunk = Chunk(
            text="".join(self._text),
            token_ids=tuple(self._token_ids),
            generated=generated,
            prompt_tokens=self._prompt_tokens,
            cached_prompt_tokens=self._cached_prompt_tokens,
            finish_reason=self.finish_reason,
            confidences=tuple(self._confidences),
            discarded=discarded - self._discarded_taken,
            warnings=tuple(self.counter.warnings),
        )
        self._confidences.clear()
        self._text.clear()
        self._token_ids.clear()
        self.counter.warnings.clear()
        self._generated_taken = generated
        self._discarded_taken = discarded
        return chunk

    def _close(self) -> None:
        if self._discards_from is None:
            self._discards_from = self.counter.generated

    def _add_usual(self, payloads: Sequence[bytes]) -> bool:
        """Takes in events from the middle of a completions stream, with ids and usages that agree and say nothing new.

        Nearly all reads hold nothing else. All others are left to `_add`, which gives the same for these at a higher cost;
        False says that it is one of those, and that nothing was taken in. A server that has sent several reads in a row
        without such events is not expected to send any.
        """
        if self._unusual_reads >= _MOST_UNUSUAL_READS:
            return False
        if self.ended or self._discards_from is not None:
            return False
        events = None if self._cached_prompt_tokens else decode_usual(payloads)
        if not events or not self._agree(events):
            self._unusual_reads += 1
            return False
        self._unusual_reads = 0
        for event in events:
            choice = event.choices[0]
            self._token_ids += choice.token_ids
            if choice.text:
                self._text.append(choice.text)
                self._chars += len(choice.text)
        return True

    def _agree(self, events: list[UsualEvent]) -> bool:
        """Counts the tokens of the events; False, and none is counted, unless each usage agrees with all ids until then."""
        prompt, total = self._prompt_tokens, self.counter.ids
        for event in events:
            ids, usage = len(event.choices[0].token_ids), event.usage
            total += ids
            if usage.completion_tokens != total or usage.prompt_tokens != prompt or not ids:
                return False
        return self.counter.add_exact(total, events=len(events))

    def _add(self, event: StreamEvent) -> None:
        usage = event.usage
        if usage is not None:
            self._note_prompt(usage)
        is_counted = False
        for choice in event.choices or ():
            if choice is not None:
                self._add_choice(choice, usage)
                is_counted = True
        if not is_counted:
            self.counter.add(has_text=False, ids=0, usage=usage, ended=self.ended)

    def _add_choice(self, choice: Choice, usage: Usage | None) -> None:
        text = choice.text or ""
        if choice.delta is not None:
            text += self._markers.text(choice.delta)
        ids = choice.token_ids or ()
        if self.counter.repeats(ids=len(ids), usage=usage):
            return
        if choice.finish_reason:
            self._end(choice.finish_reason)
        self.counter.add(has_text=bool(text), ids=len(ids), usage=usage, ended=self.ended)
        if self._discards_from is not None:
            return
        if text:
            self._text.append(text)
            self._chars += len(text)
        self._token_ids += ids
        if choice.logprobs is not None and self._top_logprobs is not None:
            confidences = token_confidences(choice.logprobs, self._top_logprobs)
            self._confidences += confidences
            self.has_confidences |= bool(confidences)

    def _end(self, reason: str) -> None:
        self.ended = True
        shown = one_line(reason, self._secrets, _MOST_REASON_CHARS)
        if reason.lower() in _DROPPED:
            self.broken = self.broken or StreamBroken(
                f"The server dropped the request (finish reason {shown})."
            )
        elif reason.lower().startswith(_FILTERED):
            self.broken = self.broken or EndpointRejected(
                f"A filter of the server cut the answer (finish reason {shown})."
            )
        elif self.broken is None:
            self.finish_reason = "length" if reason.lower() in _AT_LIMIT else shown

    def _note_prompt(self, usage: Usage) -> None:
        if prompt := usage.prompt:
            self._prompt_tokens = prompt
            self._cached_prompt_tokens = usage.cached


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
        yield _known((by_text or {}).values())
    for position in logprobs.content or ():
        yield _known(candidate.logprob for candidate in position.top_logprobs or ())


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
