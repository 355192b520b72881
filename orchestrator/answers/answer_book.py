"""The classes of equal answers to one question."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.answers.equality import Equality
from orchestrator.choices import LETTERS

__all__ = ["AnswerBook", "Undecided"]


class Undecided(NamedTuple):
    """Comparisons that gave no verdict and count as different: how many, and what to do about it, in a sentence."""

    comparisons: int
    message: str


class AnswerBook:
    """The classes of equal answers to one question, each named by the first spelling that came.

    An answer joins the first class in which it equals every spelling: "5" may stand with "5 km" or with "5 m", which
    never share a class. With a checker that costs a request for each comparison (`compare_all` is False), it is
    compared with the first spelling alone. An answer that spells one of the `options` of a multiple choice is its letter.
    """

    def __init__(
        self, checker: Equality, *, compare_all: bool = True, options: Sequence[str] = ()
    ) -> None:
        self._checker = checker
        self._options = options
        self._compare_all = compare_all
        self._labels: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._hurried = 0
        self._taken = 0
        self._deadline: float | None = None
        self._comparison: asyncio.Timeout | None = None

    async def classify(self, answer: str) -> str:
        """The label of the class that `answer` belongs to, which it opens if there is none.

        One answer is placed at a time: equal answers that arrive together share a class.
        """
        async with self._lock:
            if answer not in self._labels:
                spelled = await self._letter_of(answer)
                label = await self._class_of(spelled)
                self._labels[answer] = spelled if label is None else label
            return self._labels[answer]

    def hurry(self, seconds: float) -> None:
        """Gives what is still compared so many seconds, all in all; what takes longer counts as different."""
        self._deadline = asyncio.get_running_loop().time() + seconds
        if self._comparison is not None:
            self._comparison.reschedule(self._deadline)

    def take_undecided(self) -> Undecided:
        """The comparisons without a verdict since the last call."""
        all_of_them = self._hurried + self._checker.undecided
        new, self._taken = all_of_them - self._taken, all_of_them
        return Undecided(new, self._message() if new else "")

    def _message(self) -> str:
        reason = "the run was interrupted" if self._hurried else self._checker.why_undecided
        return f"Some answers could not be compared, so equal ones may be counted apart: {reason}."

    async def _equal(self, one: str, other: str) -> bool:
        """Whether the answers are known to be equal in time; only one comparison is made at a time."""
        try:
            async with asyncio.timeout_at(self._deadline) as self._comparison:
                return await self._checker.equal(one, other)
        except TimeoutError:
            self._hurried += 1
            return False
        finally:
            self._comparison = None

    async def _letter_of(self, answer: str) -> str:
        """The letter of the one option that `answer` spells; else the answer."""
        letters = LETTERS[: len(self._options)]
        if not letters or answer.upper() in letters:
            return answer.upper() if letters else answer
        spelled = [
            letter
            for letter, option in zip(letters, self._options, strict=True)
            if await self._equal(option, answer)
        ]
        return spelled[0] if len(spelled) == 1 else answer

    def remember(self, answer: str, label: str) -> None:
        """Takes over what was decided before: `answer` belongs to the class `label`."""
        self._labels[answer] = label

    async def correct_classes(self, gold: str) -> tuple[str, ...]:
        """The labels of all classes with a spelling equal to the right answer, in the order in which they opened.

        "50" and "50%" are different answers, but where one of them is the right one, the other is right, too.
        """
        async with self._lock:
            classes = self._classes()
            return tuple([label for label in classes if await self._holds(classes[label], gold)])

    async def _holds(self, spellings: Sequence[str], gold: str) -> bool:
        for spelling in spellings:
            if await self._equal(gold, spelling):
                return True
            if ("%" in gold) != ("%" in spelling) and await self._equal(
                _without_percent(gold), _without_percent(spelling)
            ):
                return True
        return False

    async def _class_of(self, answer: str) -> str | None:
        for label, spellings in self._classes().items():
            compared = spellings if self._compare_all else spellings[:1]
            for spelling in compared:
                if not await self._equal(spelling, answer):
                    break
            else:
                return label
        return None

    def _classes(self) -> dict[str, list[str]]:
        """The spellings of each class, by its label, in the order in which they came; the label is the first."""
        classes: dict[str, list[str]] = {}
        for spelling, label in self._labels.items():
            classes.setdefault(label, [label])
            if spelling != label:
                classes[label].append(spelling)
        return classes


def _without_percent(answer: str) -> str:
    return answer.replace("\\%", "").replace("%", "")
