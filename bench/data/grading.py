"""Classes of equal answers for recorded spellings, decided as a live run decides them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from bench.data.recorded import NO_ANSWER
from orchestrator.answers.answer_book import AnswerBook
from orchestrator.answers.equality import AnswerChecker, QuestionEquality

__all__ = ["Graded", "Spellings", "grade"]


class Spellings(NamedTuple):
    """The answers to one question as they were written, and the gold answer."""

    answers: Sequence[str | None]
    gold: str
    question: str


class Graded(NamedTuple):
    """The class of each answer, named by its first spelling; the classes equal to the gold answer; and the classes by spelling."""

    classes: tuple[str | None, ...]
    correct: frozenset[str]
    by_spelling: Mapping[str, str] = MappingProxyType({})

    def probed(self, answer: str | None) -> str:
        """The class of a probed answer: that of the answers that are spelled like it, or else one of its own."""
        return self.by_spelling.get(answer, answer) if answer else NO_ANSWER


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
    spelled = zip(question.answers, classes, strict=True)
    return Graded(
        tuple(classes),
        frozenset(await book.correct_classes(question.gold)),
        {answer: found for answer, found in spelled if answer is not None and found is not None},
    )
