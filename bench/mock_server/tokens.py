"""Token ids of recorded traces, which encode the trace and the position; that of the prompt encodes the question.

A client that resumes a trace sends back the ids it has. The first and the last one are enough to continue, so the server
keeps no state about its clients. All ids have four bytes, like those of any model.
"""

from typing import NamedTuple

from bench.data.recorded import RecordedTrace

__all__ = [
    "MOST_TOKENS",
    "MOST_TRACES",
    "TokenPosition",
    "position_of",
    "prompt_ids",
    "token_id",
    "token_text",
]

_FIRST_PROMPT_ID = 1
MOST_TRACES = 1 << 12
"""Of a question."""
MOST_TOKENS = 1 << 18
"""Of a trace."""
_FIRST_TOKEN_ID = 1 << 20  # smaller ids are prompts


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
    return _FIRST_TOKEN_ID + place.trace * MOST_TOKENS + place.token


def position_of(ids: list[int]) -> TokenPosition | int:
    """The position of the last token; for a question's prompt without any, the number of the question.

    Raises:
        ValueError: the ids are not those of a recording.
    """
    if not ids or not _FIRST_PROMPT_ID <= ids[0] < _FIRST_TOKEN_ID:
        raise ValueError("the prompt holds no token of a recording")
    question = ids[0] - _FIRST_PROMPT_ID
    if len(ids) == 1:
        return question
    trace, token = divmod(ids[-1] - _FIRST_TOKEN_ID, MOST_TOKENS)
    if not 0 <= trace < MOST_TRACES:
        raise ValueError("the last token is none of a recording")
    return TokenPosition(question, trace, token)


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
