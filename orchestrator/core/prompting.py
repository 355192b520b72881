"""The chat that asks a question: its messages, a template around the question, and a system message."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orchestrator.core.judging import fill

__all__ = ["PLACE", "Message", "build_chat", "parse_messages", "user_message"]

PLACE = "{question}"
"""Stands for the question in a template."""

_ROLES = ("system", "developer", "user", "assistant")
_SYSTEM_ROLES = ("system", "developer")


class Message(msgspec.Struct, frozen=True):
    """One message of a chat, as OpenAI's API has it."""

    role: str
    content: str


def user_message(text: str) -> tuple[Message, ...]:
    """The chat of one message."""
    return (Message("user", text),)


def build_chat(
    messages: Sequence[Message], *, template: str, system: str | None
) -> tuple[Message, ...]:
    """The chat with its last message inside the template, behind a system message.

    Args:
        messages: the last one is the user's.
        template: has `PLACE` in it; braces in the question stay as they are.
        system: left out where it is empty or the chat has a system message of its own.
    """
    *before, last = messages
    asked = Message(last.role, fill(template, {"question": last.content}).strip())
    head = (
        ()
        if not system or (before[:1] and before[0].role in _SYSTEM_ROLES)
        else (Message("system", system),)
    )
    return (*head, *before, asked)


def parse_messages(value: object) -> tuple[Message, ...]:
    """The messages in a list such as [{"role": "user", "content": "..."}].

    A content may also be a list of text parts, as OpenAI's API allows.

    Raises:
        ValueError: it is no chat of texts that ends with a message of the user; says what is wrong.
    """
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("messages must be a list that is not empty")
    messages = tuple(_message(each) for each in value)
    if messages[-1].role != "user" or not messages[-1].content.strip():
        raise ValueError("the last message must be a text of the user")
    return messages


def _message(value: object) -> Message:
    if isinstance(value, Message):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("a message must be an object with role and content")
    role = value.get("role")
    if role not in _ROLES:
        raise ValueError(f"the role of a message must be one of {', '.join(_ROLES)}")
    return Message(str(role), _text(value.get("content")))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple) or not all(_is_text_part(part) for part in content):
        raise ValueError("the content of a message must be text")
    return "\n".join(part["text"] for part in content)


def _is_text_part(part: object) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)
