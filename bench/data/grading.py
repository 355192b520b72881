"""Classes of equal answers for recorded spellings, decided as a live run decides them."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.answers.equality import AnswerChecker, QuestionEquality

__all__ = ["Graded", "Spellings", "grade"]


class Spellings(NamedTuple):
    """The answers to one question as they were written, and the gold answer."""

    answers: Sequence[str | None]
    gold: str
    question: str


class Graded(NamedTuple):
    """The class of each answer, named by its first spelling, and the classes equal to the gold answer."""

    classes: tuple[str | None, ...]
    correct: frozenset[str]


def grade(questions: Iterable[Spellings]) -> list[Graded]:
    """The classes of every question; answers whose comparison times out count as different."""
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
