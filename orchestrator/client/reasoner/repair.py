"""Events that are not what OpenAI's API says, and mean the same: read by hand where the decoder refuses one.

Seen of servers: NaN and Infinity, half of a surrogate pair, empty lists in place of objects (PHP), an empty `data:` or null
to keep a stream alive, texts in parts (Mistral).
"""

import json
from typing import Any

__all__ = ["repaired"]


def repaired(payload: bytes) -> bytes:
    """The event as JSON of the usual form: NaN and Infinity are null, half of a surrogate pair a question mark.

    Raises:
        ValueError, RecursionError: it is no JSON, or its brackets nest too deeply.
    """
    if not payload.strip():
        return b"{}"
    event = json.loads(payload, parse_constant=lambda name: None)
    if event is None:
        return b"{}"
    if isinstance(event, dict):
        _repair(event)
    return json.dumps(event, ensure_ascii=False).encode(errors="replace")


def _repair(event: dict[str, Any]) -> None:
    for name in ("usage", "choices"):
        if event.get(name) in ([], {}, ""):
            event[name] = None
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            if choice.get("delta") == []:
                choice["delta"] = None
            if isinstance(choice.get("delta"), dict):
                choice["delta"] = _plain(choice["delta"])


def _plain(delta: dict[str, Any]) -> dict[str, Any]:
    """A delta whose texts are no lists of parts; parts of thinking are its reasoning."""
    plain = dict(delta)
    for name in ("content", "reasoning", "reasoning_content"):
        if isinstance(parts := delta.get(name), list):
            plain[name] = "".join(_text(part, "text") for part in parts)
    if isinstance(parts := delta.get("content"), list):
        thoughts = "".join(_text(part, "thinking") for part in parts)
        if thoughts and not plain.get("reasoning") and not plain.get("reasoning_content"):
            plain["reasoning"] = thoughts
    return plain


def _text(part: Any, name: str) -> str:
    """The text of a part under this name, which may be parts again."""
    inner = part.get(name) if isinstance(part, dict) else None
    if isinstance(inner, list):
        return "".join(_text(each, "text") for each in inner)
    return inner if isinstance(inner, str) else ""
