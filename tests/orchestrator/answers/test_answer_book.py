"""The classes of answers where comparisons give no verdict, or no time is left."""

import asyncio

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.answers.equality import SameText


class Slow(SameText):
    """Decides what is spelled alike at once, and never anything else."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def equal(self, one: str, other: str) -> bool:
        """Whether the spellings agree."""
        if await super().equal(one, other):
            return True
        self.asked.set()
        await asyncio.Event().wait()
        return False


async def test_once_time_is_short_all_answers_are_placed_within_it() -> None:
    checker = Slow()
    book = AnswerBook(checker)
    placing = [asyncio.create_task(book.classify(f"x^{n}")) for n in range(40)]
    await checker.asked.wait()
    book.hurry(0.05)
    labels = await asyncio.wait_for(asyncio.gather(*placing), 60)
    assert len(set(labels)) == 40
    assert await book.classify("x^7") == "x^7"  # what is spelled alike is still equal
    assert await book.correct_classes("X^7") == ("x^7",)
    undecided = book.take_undecided()
    assert undecided.comparisons >= 40
    assert undecided.message.endswith("the run was interrupted.")
    assert book.take_undecided() == (0, "")


async def test_comparisons_without_a_verdict_are_counted_with_their_reason() -> None:
    class Undecided(SameText):
        undecided = 0
        why_undecided = "the model is away; start it"

        async def equal(self, one: str, other: str) -> bool:
            self.undecided += 1
            return False

    book = AnswerBook(Undecided())
    await book.classify("a")
    assert book.take_undecided() == (0, "")
    await book.classify("b")
    told = book.take_undecided()
    assert told.comparisons == 1
    assert told.message == (
        "Some answers could not be compared, so equal ones may be counted apart: "
        "the model is away; start it."
    )
