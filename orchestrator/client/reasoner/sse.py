"""Server-sent events without I/O: bytes to `data:` payloads, payloads to the few fields that a trace needs.

The rule: any chunking of the same bytes gives the same events.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.errors import StreamBroken

__all__ = [
    "DONE",
    "ChatMarkers",
    "Choice",
    "Delta",
    "Logprobs",
    "SseSplitter",
    "StreamEvent",
    "Usage",
    "decode_event",
]

DONE = b"[DONE]"
"""The last payload of a stream from an OpenAI-compatible server."""

MAX_EVENT_BYTES = 32 * 2**20
"""An event may hold all prompt ids of a long context (about 7 bytes each), but never more than this."""

REASONING_OPENS = "<think>\n"
REASONING_CLOSES = "\n</think>\n\n"


class SseSplitter:
    """Splits a byte stream into the payloads of its events.

    Line ends may be LF, CRLF or CR; comments and other fields are dropped; several data lines of one event are
    joined with LF. An event is complete at its blank line: bytes after the last blank line are never returned.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = b""
        self._half_line_end = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`, in order. Raises StreamBroken when an event never ends."""
        if self._half_line_end or b"\r" in data:
            data = self._with_plain_line_ends(data)
        *events, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > self._max_event_bytes:
            raise StreamBroken(
                f"The server sent an event of more than {self._max_event_bytes} bytes.", "decode"
            )
        return [payload for event in events if (payload := _payload(event)) is not None]

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        data = self._half_line_end + data
        self._half_line_end = b"\r" if data.endswith(b"\r") else b""
        if self._half_line_end:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payload(event: bytes) -> bytes | None:
    """The data of one event; None if it has no data line, as with comments and keep-alives."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = list(_data_lines(event))
    return b"\n".join(lines) if lines else None


def _data_lines(event: bytes) -> Iterator[bytes]:
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            yield value.removeprefix(b" ")


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Token counts of one request so far (continuous) or at its end."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class Delta(msgspec.Struct, gc=False):
    """New text in a chat stream; servers have two names for the reasoning."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class Logprob(msgspec.Struct, gc=False):
    """One of the likely tokens at a position of a chat stream."""

    logprob: float


class Position(msgspec.Struct, gc=False):
    """One token of a chat stream."""

    top_logprobs: list[Logprob] = []


class Logprobs(msgspec.Struct, gc=False):
    """The likely tokens of each new one: `top_logprobs` by text (completions), or in `content` (chat)."""

    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[Position] | None = None


class Choice(msgspec.Struct, gc=False):
    """New text (completions) or a delta (chat), its tokens, and the reason if the stream ends here."""

    text: str | None = None
    delta: Delta | None = None
    token_ids: list[int] | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class StreamEvent(msgspec.Struct):
    """One chunk of a completions or chat stream; unknown fields are ignored."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(StreamEvent)


def decode_event(payload: bytes) -> StreamEvent:
    """The event in `payload`.

    Raises StreamBroken: boundary "decode" for an invalid event, "server" for an error object.
    """
    try:
        event = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StreamBroken(
            f"The server sent an event that cannot be read: {error}", "decode"
        ) from None
    if event.error is not None:
        raise StreamBroken(
            f"The server reported an error in the stream: {_error_text(event.error)}"
        )
    return event


def _error_text(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text or error).split())[:300]


class ChatMarkers:
    """Joins a chat's reasoning and content into one text, with the marks of a completions stream between them.

    The marks are added here, so they do not count as tokens.
    """

    def __init__(self) -> None:
        self._reasoning = False

    def text(self, delta: Delta) -> str:
        """The text of `delta`, with a mark where reasoning begins or ends."""
        reasoning = delta.reasoning or delta.reasoning_content or ""
        content = delta.content or ""
        text = ""
        if reasoning:
            text = reasoning if self._reasoning else REASONING_OPENS + reasoning
            self._reasoning = True
        if content:
            text += REASONING_CLOSES + content if self._reasoning else content
            self._reasoning = False
        return text
