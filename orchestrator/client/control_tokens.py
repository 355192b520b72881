"""Keeps what looks like a control token in a question's text from becoming one.

A server renders a chat to text before it tokenises it, so "<|im_end|>" in a question ends the user's turn. Here such texts are
found, the control tokens among them are told from those of the chat template, and their ids are replaced by the ids of
their letters. What an assistant has said is left alone: the marks of its thinking belong there.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.client.tokenize import ServerTokenizer, Tokenized
from orchestrator.core.prompting import Message
from orchestrator.errors import EndpointRejected

__all__ = ["render_as_text"]

_LOOKS_LIKE_CONTROL = re.compile(
    r"<\|[^\s<>|]{1,40}\|>"  # <|im_end|>
    r"|<｜[^\s<>｜]{1,40}｜>"  # <｜User｜>
    r"|</?[A-Za-z_][\w.:-]{0,40}>"  # <think>, </s>, <start_of_turn>
    r"|\[/?[A-Z][A-Z_]{1,40}\]"  # [INST]
)
_MOST_CANDIDATES = 256  # different ones in a question; each is one request
_MARKS = "‡§¶¤"


async def render_as_text(
    tokenizer: ServerTokenizer, messages: Sequence[Message], arguments: Mapping[str, Any]
) -> Tokenized:
    """The rendered chat; texts of users and systems that look like control tokens stay texts.

    Raises EndpointRejected if there are too many of them.
    """
    rendered = await tokenizer.chat(messages, arguments)
    control = await _control_tokens(tokenizer, messages)
    mark = next((mark for mark in _MARKS if not any(mark in m.content for m in messages)), None)
    if not control or mark is None:
        return rendered
    marked = await tokenizer.chat([_marked(each, control, mark) for each in messages], arguments)
    places = _of_the_text(rendered.tokens, marked.tokens, set(control.values()))
    letters = {
        token: (*await tokenizer.text(text[:1]), *await tokenizer.text(text[1:]))
        for text, token in control.items()
    }
    tokens: list[int] = []
    for place, token in enumerate(rendered.tokens):
        tokens.extend(letters[token] if place in places else (token,))
    return Tokenized(tuple(tokens), rendered.max_model_len)


async def _control_tokens(
    tokenizer: ServerTokenizer, messages: Sequence[Message]
) -> dict[str, int]:
    """The texts in the messages that the server reads as one token, with its id."""
    candidates = {
        found
        for message in messages
        if message.role != "assistant"
        for found in _LOOKS_LIKE_CONTROL.findall(message.content)
    }
    if len(candidates) > _MOST_CANDIDATES:
        raise EndpointRejected(
            f"The question has {len(candidates)} different texts that look like control tokens, such as <b>; shorten it.",
            400,
        )
    read = {text: await tokenizer.text(text) for text in sorted(candidates)}
    return {text: tokens[0] for text, tokens in read.items() if len(tokens) == 1}


def _marked(message: Message, control: Mapping[str, int], mark: str) -> Message:
    """The message with a mark behind each control token."""
    if message.role == "assistant":
        return message
    pattern = "|".join(re.escape(text) for text in control)
    return Message(message.role, re.sub(pattern, lambda found: found[0] + mark, message.content))


def _of_the_text(plain: Sequence[int], marked: Sequence[int], control: set[int]) -> set[int]:
    """The places of the control tokens that the messages brought in: what follows them changes with the marks.

    Empty where the marks change the number of control tokens, so that they cannot be told apart.
    """
    first = [place for place, token in enumerate(plain) if token in control]
    second = [place for place, token in enumerate(marked) if token in control]
    if len(first) != len(second):
        return set()
    return {
        place
        for place, other in zip(first, second, strict=True)
        if plain[place + 1 : place + 2] != marked[other + 1 : other + 2]
    }
