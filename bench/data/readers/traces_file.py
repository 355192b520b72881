"""Files of whole traces, one JSON object a line: question_id, question, gold, text, answer and more.

`answer_class` (shared by equal answers of a question) and `correct` are taken from the file where every trace of a
question has them; otherwise answers are compared here. Where `tokens` is missing, the length is estimated from the
text, at `CHARS_PER_TOKEN`. The answer of a row without `answer` is extracted from its text; an empty or null one is none.
`probes` are the answers that a forced ending gave every `probe_freq` tokens; they count where all rows of a question have them, every
so many tokens alike.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from bench.data.grading import Graded, Spellings, grade
from bench.data.recorded import RecordedQuestion, RecordedTrace
from orchestrator.client.usage import MOST_TOKENS
from orchestrator.core.answer import extract_answer
from orchestrator.errors import DatasetError

__all__ = ["CHARS_PER_TOKEN", "read_traces_file"]

CHARS_PER_TOKEN = 2.8
"""Approximately that of mathematical reasoning in English with Llama's tokenizer; it cancels in every ratio of tokens."""


class _Row(msgspec.Struct, frozen=True):
    question_id: str | int
    question: str
    gold: str | int | float | None = None
    text: str | None = None
    answer: str | int | float | msgspec.UnsetType | None = msgspec.UNSET
    finish_reason: str | None = None
    answer_class: int | str | None = None
    correct: bool | None = None
    tokens: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)] | None = None
    confidences: tuple[float, ...] | None = None
    probes: tuple[str | int | float | None, ...] | None = None
    probe_freq: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _Trace(NamedTuple):
    """One row, checked: ids and answers are texts, an answer that is none is None."""

    question_id: str
    question: str
    gold: str | None
    text: str | None
    answer: str | None
    answer_class: int | str | None
    correct: bool | None
    tokens: int | None
    confidences: tuple[float, ...] | None
    probes: tuple[str | None, ...]
    probe_freq: int | None


def read_traces_file(name: str, text: str) -> list[RecordedQuestion]:
    """The questions of the file in order of first appearance; `name` is the file's, for messages.

    Raises:
        DatasetError: a line is not of this form, or a question has neither grades nor a gold answer.
    """
    groups: dict[str, list[_Trace]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            row = _row(name, number, line)
            groups.setdefault(row.question_id, []).append(row)
    ungraded = [rows for rows in groups.values() if not _has_grades(rows)]
    grades = iter(grade([_spellings(name, rows) for rows in ungraded]))
    return [
        _question(rows, _own_grades(rows) if _has_grades(rows) else next(grades))
        for rows in groups.values()
    ]


def _row(name: str, number: int, line: str) -> _Trace:
    try:
        row = msgspec.json.decode(line, type=_Row)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(f"{name} line {number} is not a trace ({error}); correct it.") from error
    if not row.tokens and not row.text:
        raise DatasetError(f"{name} line {number} has neither tokens nor text; give one of them.")
    return _Trace(
        question_id=str(row.question_id),
        question=row.question,
        gold=_text(row.gold),
        text=row.text,
        answer=_answer(row),
        answer_class=row.answer_class,
        correct=row.correct,
        tokens=row.tokens,
        confidences=row.confidences,
        probes=tuple(map(_text, row.probes or ())),
        probe_freq=None if row.probes is None else row.probe_freq,
    )


def _answer(row: _Row) -> str | None:
    """The answer that the row states, or the one extracted from its text."""
    if row.answer is not msgspec.UNSET:
        return _text(row.answer)
    return extract_answer(row.text or "", finished=row.finish_reason != "length")


def _text(value: object) -> str | None:
    """A value as text; None for null and for white space alone."""
    return None if value is None or not str(value).strip() else str(value)


def _has_grades(rows: Sequence[_Trace]) -> bool:
    return all(
        row.answer is None or (row.answer_class is not None and row.correct is not None)
        for row in rows
    )


def _own_grades(rows: Sequence[_Trace]) -> Graded:
    """The classes that the file names, each by the first spelling in it."""
    names: dict[Any, str] = {}
    classes = tuple(
        None if row.answer is None else names.setdefault(row.answer_class, row.answer)
        for row in rows
    )
    correct = {answer for row, answer in zip(rows, classes, strict=True) if answer and row.correct}
    spelled = {
        row.answer: named for row, named in zip(rows, classes, strict=True) if row.answer and named
    }
    return Graded(classes, frozenset(correct), spelled)


def _spellings(name: str, rows: Sequence[_Trace]) -> Spellings:
    gold = rows[0].gold
    if gold is None:
        raise DatasetError(
            f"{name}: question '{rows[0].question_id}' has no gold answer; add it as gold."
        )
    return Spellings([row.answer for row in rows], gold, rows[0].question)


def _question(rows: Sequence[_Trace], graded: Graded) -> RecordedQuestion:
    every = rows[0].probe_freq
    if any(row.probe_freq != every for row in rows):
        every = None
    return RecordedQuestion(
        id=rows[0].question_id,
        question=rows[0].question,
        correct=graded.correct,
        traces=tuple(
            RecordedTrace(
                tokens=_tokens(row),
                answer=answer,
                text=row.text,
                confidences=row.confidences or None,
                probes=tuple(map(graded.probed, row.probes)) if every else (),
            )
            for row, answer in zip(rows, graded.classes, strict=True)
        ),
        probe_tokens=every,
    )


def _tokens(row: _Trace) -> int:
    return row.tokens or max(1, round(len(row.text or "") / CHARS_PER_TOKEN))
