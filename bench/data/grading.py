"""Classes of equal answers for recorded spellings, decided exactly as a live run decides them.

The rule: only spellings are compared here; a file that names its own classes never comes this way.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orchestrator.answers.equality import AnswerBook, AnswerChecker, QuestionEquality

__all__ = ["Graded", "Spellings", "grade"]


class Spellings(NamedTuple):
    """The answers to one question as they were written, and the right one."""

    answers: Sequence[str | None]
    gold: str
    question: str


class Graded(NamedTuple):
    """The class of each answer (the first spelling of it), and the classes equal to the right answer."""

    classes: tuple[str | None, ...]
    correct: frozenset[str]


def grade(questions: Iterable[Spellings]) -> list[Graded]:
    """The classes of every question; answers that cannot be compared in time count as different."""
    return asyncio.run(_grade_all(questions))


async def _grade_all(questions: Iterable[Spellings]) -> list[Graded]:
    async with AnswerChecker() as checker:
        return [
            await _grade(question, AnswerBook(QuestionEquality(checker, question.question)))
            for question in questions
        ]


async def _grade(question: Spellings, book: AnswerBook) -> Graded:
    classes = [
        None if answer is None else await book.classify(answer) for answer in question.answers
    ]
    return Graded(tuple(classes), frozenset(await book.correct_classes(question.gold)))
