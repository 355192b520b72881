"""The errors of `orchestrator.errors` for what a server answers, and its own words in them.

A server's words are untrusted: they are searched in one place, keys in them are masked before they are cut, and they
end up on one line.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any

import msgspec

from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)

__all__ = [
    "error_for_status",
    "error_in_answer",
    "one_line",
    "retry_after_seconds",
    "server_message",
    "text_of_error",
]

MAX_MESSAGE_CHARS = 300
"""A longer message from a server is cut; some answer with whole web pages."""

_MASK = "***"
_LEAST_KEY_CHARS = 4
"""Shorter keys are placeholders such as "x", which occur in ordinary words."""

_TAG = re.compile(r"<(!doctype|html|head|body|title|h1|p)\b", re.IGNORECASE)
"""What tells a web page from a text."""

_MESSAGE_KEYS = ("error", "errors", "message", "detail", "msg", "reason", "title")
_DEEPEST_MESSAGE = 8


def one_line(text: str, secrets: Sequence[str] = (), limit: int = MAX_MESSAGE_CHARS) -> str:
    """Text of a server on one line of at most `limit` characters, with the secrets masked before it is cut."""
    for secret in secrets:
        if len(secret) >= _LEAST_KEY_CHARS:
            text = text.replace(secret, _MASK)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def server_message(content: bytes, secrets: Sequence[str] = ()) -> str:
    """The server's own message in the body of an error.

    In JSON it is found under "error", "message", "detail" and the like; of a web page it is the title and the
    headings; otherwise it is the text.
    """
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = content.decode("utf-8", errors="replace")
    return text_of_error(answer, secrets)


def text_of_error(error: Any, secrets: Sequence[str] = ()) -> str:
    """The message in a decoded error, such as the one of an event in a stream; of a web page, see `server_message`."""
    found = _find_message(error)
    return one_line(_text_of_page(found) if _TAG.search(found) else found, secrets)


def error_in_answer(content: bytes, secrets: Sequence[str] = ()) -> str | None:
    """What an error object says that came with status 200; None if `content` is none."""
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    is_error = isinstance(answer, dict) and (answer.get("error") or answer.get("object") == "error")
    return text_of_error(answer, secrets) if is_error else None


def error_for_status(
    server: str,
    status: int,
    message: str,
    *,
    retry_after: str | None = None,
    location: str | None = None,
    key_name: str = "the key",
) -> EndpointError:
    """The error for an answer whose status is not 200.

    EndpointBusy for 429 and 503; EndpointUnreachable for 502 and 504, with which a gateway says that there is no server
    behind it; StreamBroken for 408, 425 and the other 5xx except 501; otherwise EndpointRejected.
    """
    said = f": {message.rstrip('.')}." if message else "."
    if status in (429, 503):
        seconds = retry_after_seconds(retry_after, datetime.now(UTC))
        wait = f" It asks to wait for {max(seconds, 1):,.0f} seconds." if seconds else ""
        return EndpointBusy(f"{server} is busy ({status}){said}{wait}", seconds)
    if status in (502, 504):
        return EndpointUnreachable(f"The gateway at {server} reaches no server ({status}){said}")
    if status in (408, 425) or (status >= 500 and status != 501):
        return StreamBroken(f"{server} failed ({status}){said}")
    if 300 <= status < 400:
        return EndpointRejected(_redirect(server, status, location), status)
    remedy = {
        401: f" Set {key_name} to a key that this server accepts.",
        403: f" Set {key_name} to a key that this server accepts.",
        404: " Check the address (it usually ends in /v1) and the model name.",
        407: " Put the proxy's user and password into HTTP_PROXY, or the host into NO_PROXY.",
    }.get(status, "")
    return EndpointRejected(f"{server} refused the request ({status}){said}{remedy}", status)


def _redirect(server: str, status: int, location: str | None) -> str:
    if not location:
        return f"{server} redirects ({status}) and does not say where to; give the right address."
    return (
        f"{server} redirects ({status}) to {location}, which is not followed; "
        "give that address if you trust it."
    )


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, from a Retry-After header in seconds or as an HTTP date; None if it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError, TypeError):
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _find_message(answer: Any) -> str:
    """The innermost message; an object without one is shown as JSON."""
    for _ in range(_DEEPEST_MESSAGE):
        if isinstance(answer, list) and answer:
            answer = answer[0]
        elif isinstance(answer, dict):
            said = (answer.get(key) for key in _MESSAGE_KEYS)
            inner = next((each for each in said if each and not isinstance(each, bool)), None)
            if inner is None:
                break
            answer = inner
        else:
            break
    if isinstance(answer, str):
        return answer
    return msgspec.json.encode(answer).decode() if answer not in (None, {}, []) else ""


class _Page(HTMLParser):
    """Collects the texts of a page: those of its title and headings, and all but scripts and styles."""

    _HEADS = ("title", "h1", "h2")
    _UNSEEN = ("script", "style", "template", "noscript")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.heads: list[str] = []
        self.texts: list[str] = []
        self._within: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._HEADS or tag in self._UNSEEN:
            self._within = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._within in self._UNSEEN or not data.strip():
            return
        self.texts.append(data.strip())
        if self._within in self._HEADS:
            self.heads.append(data.strip())


def _text_of_page(text: str) -> str:
    """The title and headings of a web page, each once; the text if it has none."""
    page = _Page()
    page.feed(text)
    page.close()
    return ". ".join(dict.fromkeys(page.heads)) or " ".join(page.texts)
