"""Token ids of recorded traces, which encode the question, the trace and the position.

A client that resumes a trace sends back the ids it has. The last one is enough to continue, so the server keeps no state
about its clients.
"""

from typing import NamedTuple

from bench.data.recorded import RecordedTrace

__all__ = ["TokenPosition", "position_of", "prompt_ids", "token_id", "token_text"]

_FIRST_PROMPT_ID = 1
_TRACES = 1 << 12
_TOKENS = 1 << 20
_FIRST_TOKEN_ID = _TOKENS  # smaller ids are prompts


class TokenPosition(NamedTuple):
    """A token of a recorded trace: the number of the question, of the trace, and of the token, from 0."""

    question: int
    trace: int
    token: int


def prompt_ids(question: int) -> list[int]:
    """The ids of a question's prompt."""
    return [_FIRST_PROMPT_ID + question]


def token_id(place: TokenPosition) -> int:
    """The id of a token."""
    return _FIRST_TOKEN_ID + (place.question * _TRACES + place.trace) * _TOKENS + place.token


def position_of(ids: list[int]) -> TokenPosition | int:
    """The position of the last token; for a question's prompt without any, the number of the question.

    Raises:
        ValueError: the ids are not those of a recording.
    """
    if not ids or ids[-1] < _FIRST_PROMPT_ID:
        raise ValueError("the prompt holds no token of a recording")
    if ids[-1] < _FIRST_TOKEN_ID:
        return ids[-1] - _FIRST_PROMPT_ID
    number, token = divmod(ids[-1] - _FIRST_TOKEN_ID, _TOKENS)
    return TokenPosition(*divmod(number, _TRACES), token)


def token_text(trace: RecordedTrace, token: int) -> str:
    """The text of one token: an equal part of the trace's text.

    A trace that was recorded without text consists of dots, and of its boxed answer at the end.
    """
    if trace.text is None:
        if token < trace.tokens - 1 or trace.answer is None:
            return "."
        return f" \\boxed{{{trace.answer}}}"
    size = len(trace.text)
    start, end = (round(size * at / trace.tokens) for at in (token, token + 1))
    return trace.text[start:end]
