"""Server-sent events without I/O: bytes to `data:` payloads, payloads to the few fields that a trace needs.

Any chunking of the same bytes gives the same events. What a server says instead of a stream (a JSON error, a web page)
or beside it (`error:` lines, `event: error`) comes out as the payload of an error.
"""

import codecs
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from orchestrator.client.messages import text_of_error
from orchestrator.client.reasoner.repair import repaired
from orchestrator.client.usage import Usage
from orchestrator.core.events.base import TokenId
from orchestrator.errors import EndpointBusy, EndpointError, StreamBroken

__all__ = [
    "DONE",
    "MAX_EVENT_BYTES",
    "ChatMarkers",
    "Choice",
    "Delta",
    "Logprobs",
    "SseSplitter",
    "StreamEvent",
    "UsualEvent",
    "decode_event",
    "decode_usual",
]

DONE = b"[DONE]"
"""The last payload of a stream from an OpenAI-compatible server."""

MAX_EVENT_BYTES = 32 * 2**20
"""An event may hold all prompt ids of a long context (about 7 bytes each), but never more than this."""

MAX_STRANGE_BYTES = 2**16
"""Kept of a body that is no stream, for the message."""

REASONING_OPENS = "<think>\n"
REASONING_CLOSES = "\n</think>\n\n"


class SseSplitter:
    """Splits a byte stream into the payloads of its events.

    Line ends may be LF, CRLF or CR; comments and other fields are dropped; several data lines of one event are
    joined with LF. An event is complete at its blank line, or at the end of the stream (`close`).
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        self._half_line_end = b""
        self._is_stream = False
        self._strange = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`, in order. Raises StreamBroken when an event never ends."""
        if self._half_line_end or b"\r" in data:
            data = self._with_plain_line_ends(data)
        elif not self._rest and data.startswith(b"data: ") and data.endswith(b"\n\n"):
            payloads = data[6:-2].split(b"\n\ndata: ")
            if data.count(b"\n") == 2 * len(payloads):  # each event is one line, as in most reads
                self._is_stream = True
                return payloads
        if self._rest:  # each byte of a long event is looked at once
            searched = len(self._rest) - 1
            self._rest += data
            data = bytes(self._rest) if self._rest.find(b"\n\n", searched) >= 0 else b""
            if data:
                self._rest.clear()
        *events, rest = data.split(b"\n\n")
        self._rest += rest
        if len(self._rest) > self._max_event_bytes:
            raise StreamBroken(
                f"The server sent an event of more than {self._max_event_bytes} bytes.", "decode"
            )
        return [payload for event in events if (payload := self._payload(event)) is not None]

    def close(self) -> list[bytes]:
        """The payload of an event that lacks its blank line; an error if the body was no stream at all."""
        rest, self._rest, self._half_line_end = bytes(self._rest), bytearray(), b""
        payload = self._payload(rest) if rest.strip() else None
        if payload is not None:
            return [payload]
        return (
            [] if self._is_stream or not self._strange.strip() else [_error(bytes(self._strange))]
        )

    def _keep_strange(self, line: bytes) -> None:
        if not self._is_stream and len(self._strange) < MAX_STRANGE_BYTES:
            self._strange += line[:MAX_STRANGE_BYTES] + b"\n"

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        data = self._half_line_end + data
        self._half_line_end = b"\r" if data.endswith(b"\r") else b""
        if self._half_line_end:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _payload(self, event: bytes) -> bytes | None:
        """The data of one event; None if it has no data line, as with comments and keep-alives."""
        if event.startswith(b"data: ") and b"\n" not in event:
            self._is_stream = True
            return event[6:]
        data: list[bytes] = []
        errors: list[bytes] = []
        is_error = False
        for line in event.split(b"\n"):
            name, colon, value = line.removeprefix(codecs.BOM_UTF8).partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"error" and colon:
                errors.append(value)
            elif name == b"event":
                is_error = value.strip() == b"error"
            elif name not in (b"", b"id", b"retry"):
                self._keep_strange(line)
        if errors or (is_error and data):
            self._is_stream = True
            return _error(b"\n".join(errors or data))
        self._is_stream |= bool(data)
        return b"\n".join(data) if data else None


def _error(said: bytes) -> bytes:
    """The payload of an error: JSON or text of a server."""
    try:
        error = msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = said.decode("utf-8", errors="replace")
    if isinstance(error, dict) and "choices" in error:
        error = "it answered as a whole instead of as a stream"
    return msgspec.json.encode({"error": error})


class Delta(msgspec.Struct, gc=False):
    """New text in a chat stream; servers have two names for the reasoning."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class Logprob(msgspec.Struct, gc=False):
    """One of the likely tokens at a position of a chat stream."""

    logprob: float | None = None


class Position(msgspec.Struct, gc=False):
    """One token of a chat stream."""

    top_logprobs: list[Logprob] | None = None


class Logprobs(msgspec.Struct, gc=False):
    """The likely tokens of each new one: `top_logprobs` by text (completions), or in `content` (chat)."""

    top_logprobs: list[dict[str, float | None] | None] | None = None
    content: list[Position] | None = None


class Choice(msgspec.Struct, gc=False):
    """New text (completions) or a delta (chat), its tokens, and the reason if the stream ends here."""

    text: str | None = None
    delta: Delta | None = None
    token_ids: list[TokenId] | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class StreamEvent(msgspec.Struct):
    """One chunk of a completions or chat stream; unknown fields are ignored."""

    choices: list[Choice | None] | None = None
    usage: Usage | None = None
    error: Any = None
    object: Any = None
    message: Any = None
    code: Any = None


class UsualChoice(msgspec.Struct, gc=False):
    """New text and its tokens, and nothing else."""

    text: str
    token_ids: list[TokenId]
    delta: None = None
    logprobs: None = None
    finish_reason: None = None


class UsualUsage(msgspec.Struct, gc=False):
    """Counts of tokens, without what only the last event of a stream has."""

    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: None = None


class UsualEvent(msgspec.Struct, gc=False):
    """What nearly all events of a completions stream of vLLM are; any other is no value of this type."""

    choices: tuple[UsualChoice]
    usage: UsualUsage
    object: Literal["text_completion"] = "text_completion"
    error: None = None


_decoder = msgspec.json.Decoder(StreamEvent)
_usual_decoder = msgspec.json.Decoder(UsualEvent)


def decode_usual(payloads: Sequence[bytes]) -> list[UsualEvent] | None:
    """The events, decoded at a fraction of the cost; None unless all of them are usual ones."""
    decode = _usual_decoder.decode
    try:
        return [decode(payload) for payload in payloads]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_event(payload: bytes, secrets: Sequence[str] = ()) -> StreamEvent:
    """The event in `payload`; no message shows the `secrets`.

    Raises StreamBroken: boundary "decode" for an invalid event, "server" for an error object. An error that says 429 or
    503 raises EndpointBusy.
    """
    try:
        event = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        event = _decode_leniently(payload, error)
    if event.error or event.object == "error":
        raise _reported(event, secrets)
    return event


def _decode_leniently(payload: bytes, reason: Exception) -> StreamEvent:
    """An event that means the same as a usual one."""
    try:
        return _decoder.decode(repaired(payload))
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise StreamBroken(
            f"The server sent an event that cannot be read: {reason}.", "decode"
        ) from None


def _reported(event: StreamEvent, secrets: Sequence[str]) -> EndpointError:
    error = event.error or event.message
    said = f"The server reported an error in the stream: {text_of_error(error, secrets)}"
    code = error.get("code") if isinstance(error, dict) else event.code
    return EndpointBusy(said) if code in (429, 503, "429", "503") else StreamBroken(said)


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
