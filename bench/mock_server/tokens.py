"""Recorded traces as a tokenizer would cut them: token ids that say which trace they belong to, and where.

The rule: an id alone is enough to go on. A client that resumes a trace sends back the ids it has; the last one
names the trace and the place, so the replayed server keeps nothing about its clients.
"""

from typing import NamedTuple

from bench.data.recorded import RecordedTrace

__all__ = ["TokenPosition", "position_of", "prompt_ids", "token_id", "token_text"]

_FIRST_PROMPT_ID = 1
_TRACES = 1 << 12
_TOKENS = 1 << 20
_FIRST_TOKEN_ID = _TOKENS  # ids below are prompts


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
    """Where a prompt ends: behind a token, or, for a prompt without any, at the start of a question's number.

    Raises:
        ValueError: these are no ids of ours.
    """
    if not ids or ids[-1] < _FIRST_PROMPT_ID:
        raise ValueError("the prompt holds no token of a recording")
    if ids[-1] < _FIRST_TOKEN_ID:
        return ids[-1] - _FIRST_PROMPT_ID
    number, token = divmod(ids[-1] - _FIRST_TOKEN_ID, _TOKENS)
    return TokenPosition(*divmod(number, _TRACES), token)


def token_text(trace: RecordedTrace, token: int) -> str:
    """The text of one token: an equal share of the trace's text.

    A trace that was recorded without text writes dots, and its answer in a box at the end.
    """
    if trace.text is None:
        if token < trace.tokens - 1 or trace.answer is None:
            return "."
        return f" \\boxed{{{trace.answer}}}"
    size = len(trace.text)
    start, end = (round(size * at / trace.tokens) for at in (token, token + 1))
    return trace.text[start:end]
