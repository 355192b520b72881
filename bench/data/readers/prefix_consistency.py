"""The published files of prefix consistency (arXiv 2605.07654): one question a line, its traces and their regenerations.

A line has `dataset`, `problem_num`, `gold_answer`, `all_answers` with [answer, tokens, ...] for each trace and, in files of
regenerations, `regen_answers` with a list of such pairs for each trace, of which the first counts. Answers are spelled
canonically there, so equal spellings are equal answers. A trace of 0 tokens is left out.
"""

from typing import Any

import msgspec

from bench.data.recorded import RecordedQuestion, RecordedTrace, Regeneration
from orchestrator.errors import DatasetError

__all__ = ["is_prefix_consistency", "read_prefix_consistency"]

_UNREADABLE = "PARSE_FAILED"

_Pair = list[Any]


class _Line(msgspec.Struct, frozen=True):
    problem_num: int | str
    gold_answer: str | int | float
    all_answers: list[_Pair | None]
    regen_answers: list[list[_Pair | None]] = []
    dataset: str = ""


def is_prefix_consistency(text: str) -> bool:
    """Whether the file's first line is one of this form."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    try:
        msgspec.json.decode(first, type=_Line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def read_prefix_consistency(name: str, text: str) -> list[RecordedQuestion]:
    """The questions of the file in its order; `name` is the file's, for messages.

    Raises:
        DatasetError: a line is not of this form, or has no traces.
    """
    questions = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            questions.append(_question(name, number, line))
    return questions


def _question(name: str, number: int, line: str) -> RecordedQuestion:
    try:
        row = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(
            f"{name} line {number} is not a question with all_answers ({error}); correct it."
        ) from error
    traces = [
        trace
        for position, pair in enumerate(row.all_answers)
        if (trace := _trace(name, number, row, position, pair)) is not None
    ]
    if not traces:
        raise DatasetError(f"{name} line {number} has no trace with tokens; leave it out.")
    identity = f"{row.dataset}-{row.problem_num}" if row.dataset else str(row.problem_num)
    return RecordedQuestion(
        id=identity,
        question=identity,
        correct=frozenset([str(row.gold_answer)]),
        traces=tuple(traces),
    )


def _trace(
    name: str, number: int, row: _Line, position: int, pair: _Pair | None
) -> RecordedTrace | None:
    found = _answer_and_tokens(name, number, pair)
    if found is None:
        return None
    again = row.regen_answers[position] if position < len(row.regen_answers) else []
    regenerated = _answer_and_tokens(name, number, again[0]) if again else None
    return RecordedTrace(
        answer=found[0],
        tokens=found[1],
        regeneration=None
        if regenerated is None
        else Regeneration(answer=regenerated[0], tokens=regenerated[1]),
    )


def _answer_and_tokens(name: str, number: int, pair: _Pair | None) -> tuple[str | None, int] | None:
    """None for a trace without tokens; an answer that could not be read is None."""
    if not pair:
        return None
    if len(pair) < 2 or not isinstance(pair[1], int | float):
        raise DatasetError(f"{name} line {number} has an answer without its tokens; add them.")
    tokens = int(pair[1])
    if tokens < 1:
        return None
    answer = None if pair[0] is None or pair[0] == _UNREADABLE else str(pair[0])
    return answer, tokens
