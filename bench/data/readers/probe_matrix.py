"""Probe matrices: lengths, final answers, and the answers that were probed every few hundred tokens; no text.

The form is that of the public Parallel-Probe material: a list of questions, each with `question`,
`gold_answer`, `probe_freq` (tokens) and `each_branch` = [[probed answers], tokens, final answer].
"""

from typing import Annotated

import msgspec

from bench.data.grading import Graded, Spellings, grade
from bench.data.recorded import NO_ANSWER, RecordedQuestion, RecordedTrace
from orchestrator.errors import DatasetError

__all__ = ["MatrixQuestion", "read_probe_matrix"]

Spelling = str | int | float
Tokens = Annotated[int, msgspec.Meta(ge=1)]


class MatrixQuestion(msgspec.Struct, frozen=True):
    """One question as it stands in the file; a branch is a trace: its probed answers, its tokens and its final answer."""

    question: str
    gold_answer: Spelling
    probe_freq: Tokens
    each_branch: Annotated[
        list[tuple[list[Spelling | None], Tokens, Spelling | None]], msgspec.Meta(min_length=1)
    ]


def read_probe_matrix(name: str, text: str) -> list[RecordedQuestion]:
    """The questions of a matrix; `name` is the file's, for messages.

    Raises:
        DatasetError: the text is not of this form.
    """
    try:
        questions = msgspec.json.decode(text, type=list[MatrixQuestion])
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(
            f"{name} is not a probe matrix ({error}); see docs/how-to/benchmark.md for the form."
        ) from error
    graded = grade(
        Spellings(
            [_spelling(final) for _, _, final in each.each_branch],
            str(each.gold_answer),
            each.question,
        )
        for each in questions
    )
    return [
        RecordedQuestion(
            id=str(number),
            question=question.question,
            correct=grades.correct,
            traces=_traces(question, grades),
            probe_tokens=question.probe_freq,
        )
        for number, (question, grades) in enumerate(zip(questions, graded, strict=True), start=1)
    ]


def _traces(question: MatrixQuestion, grades: Graded) -> tuple[RecordedTrace, ...]:
    return tuple(
        RecordedTrace(
            tokens=tokens,
            answer=answer,
            probes=tuple(grades.probed(_spelling(probe)) for probe in probes),
        )
        for (probes, tokens, _), answer in zip(question.each_branch, grades.classes, strict=True)
    )


def _spelling(answer: Spelling | None) -> str | None:
    return None if answer is None or str(answer) in (NO_ANSWER, "") else str(answer)
