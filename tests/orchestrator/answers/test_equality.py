import asyncio
import concurrent.futures
import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from orchestrator.answers import equality
from orchestrator.answers.answer_book import AnswerBook
from orchestrator.answers.equality import AnswerChecker, QuestionEquality, SameText

CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "cases" / "equality.jsonl").read_text().splitlines()
]
HANGING = "9^{9^{9^9}}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[AnswerChecker]:
    """One checker for all tests that ask nothing dangerous."""
    async with AnswerChecker(timeout_seconds=30.0) as checker:
        yield checker


class CountingChecker(AnswerChecker):
    """A slow checker without processes: equal when the lengths are."""

    asked = 0

    async def equal(self, one: str, other: str) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        return len(one) == len(other)


_EARLIER: set[int] = set()


def processes() -> list[int]:
    """The worker processes that were started since the test began: `shared` has one of its own."""
    children = multiprocessing.active_children()
    return [child.pid for child in children if child.pid is not None and child.pid not in _EARLIER]


@pytest.fixture(autouse=True)
def _leave_out_earlier_processes() -> None:
    _EARLIER.clear()
    _EARLIER.update(processes())


# --- without mathematics --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("42", "42", True),
        ("42", " $42$. ", True),
        ("42", "042", True),
        ("42", "42.0", True),
        ("-3", "+3", False),
        ("1,234", "1234", True),
        (".5", "0.50", True),
        ("9" * 5000, "9" * 4999 + "8", False),
        ("C", "(c)", True),
        ("B", "C", False),
        ("Paris", "paris", True),
        ("pairs", "Paris", False),
        ("New York", "York", False),
        ("yes", "42", False),
        ("42", "no", False),
        ("42", "", False),
        ("", "", True),
    ],
)
async def test_words_and_whole_numbers_need_no_process(one: str, other: str, equal: bool) -> None:
    async with AnswerChecker() as checker:
        assert await checker.equal(one, other) is equal
        assert not checker.started
    assert not processes()


# --- with mathematics -----------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1/2", "0.5", True),
        ("1/2", r"\frac{1}{2}", True),
        ("0.5", r"\frac{1}{2}", True),
        ("1/2", "1/3", False),
        ("0.33", "1/3", False),
        ("0.33", "0.34", False),
        ("x=5", "5", True),
        (r"\{1,2\}", r"\{2,1\}", True),
        ("(1,2)", r"\left(1, 2\right)", True),
        ("(1,2)", "(2,1)", False),
        ("[1,2]", "(1,2)", False),
        (r"3\sqrt{2}", r"\sqrt{18}", True),
        ("x^2+2x+1", "(x+1)^2", True),
        ("2**3", "8", True),
        ("10 \\text{ cm}", "10", True),
        ("1<x<2", r"x \in (1,2)", True),
        ("x", "C", False),
        ("x+", "5", False),
    ],
)
async def test_mathematics_is_compared_in_both_orders(
    shared: AnswerChecker, one: str, other: str, equal: bool
) -> None:
    assert await shared.equal(one, other) is equal
    assert await shared.equal(other, one) is equal
    assert shared.timeouts == 0


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", [case for case in CASES if "equal" in case])
async def test_cases_from_the_field_are_equal_or_not_in_either_order(
    shared: AnswerChecker, case: dict[str, Any]
) -> None:
    assert await shared.equal(case["a"], case["b"]) is case["equal"]
    assert await shared.equal(case["b"], case["a"]) is case["equal"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", [case for case in CASES if "classes" in case])
async def test_classes_do_not_depend_on_the_order_of_arrival(
    shared: AnswerChecker, case: dict[str, Any]
) -> None:
    expected = sorted(sorted(members) for members in case["classes"])
    for order in itertools.permutations(case["classes_of"]):
        book = AnswerBook(shared)
        classes: dict[str, list[str]] = {}
        for answer in order:
            classes.setdefault(await book.classify(answer), []).append(answer)
        assert sorted(sorted(members) for members in classes.values()) == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_units_that_differ_never_share_a_class_whatever_comes_first(
    shared: AnswerChecker,
) -> None:
    for order in itertools.permutations(["5", "5 km", "5 m"]):
        book = AnswerBook(shared)
        labels = {answer: await book.classify(answer) for answer in order}
        assert labels["5 km"] != labels["5 m"]
        assert labels["5"] in (labels["5 km"], labels["5 m"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("question", "equal"),
    [("What is 10!?", True), ("Name the factorial of ten.", True), ("Ten to go!", False)],
)
async def test_an_exclamation_mark_is_a_factorial_where_the_question_is_about_them(
    shared: AnswerChecker, question: str, equal: bool
) -> None:
    mathematics = QuestionEquality(shared, question)
    assert await mathematics.equal("10!", "3628800") is equal
    assert await mathematics.equal("10!", "10") is not equal


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("gold", "answer"), [("50", "50%"), ("50\\%", "50"), ("0.5", "50%")])
async def test_a_percent_sign_too_many_or_too_few_is_still_right(
    shared: AnswerChecker, gold: str, answer: str
) -> None:
    book = AnswerBook(shared)
    label = await book.classify(answer)
    assert await book.correct_classes(gold) == (label,)


@pytest.mark.slow  # starts worker processes
async def test_a_hanging_answer_is_given_up_once_and_the_next_check_still_works() -> None:
    async with AnswerChecker(timeout_seconds=2.0) as checker:
        assert not await checker.equal(HANGING, "5")
        assert checker.timeouts == 1
        assert not await checker.equal("6", HANGING)
        assert checker.timeouts == 1  # it was not tried again
        assert await checker.verdict("6", HANGING) is None
        assert await checker.equal("x=y", "y=x")
        assert checker.errors == 0


@pytest.mark.slow  # starts worker processes
async def test_a_check_waits_for_nobody_elses_hanging_answer() -> None:
    async with AnswerChecker(workers=2, timeout_seconds=300.0) as checker:
        hanging = asyncio.create_task(checker.equal(HANGING, "5"))
        assert await checker.equal("x/2", "0.5 x")
        assert not hanging.done()


def kill_workers() -> None:
    """Kills them while they compute; one that is killed while it takes its task would leave the pool's lock behind."""
    for pid in processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow  # starts worker processes
async def test_a_check_whose_worker_is_killed_is_done_again_by_another() -> None:
    async with AnswerChecker(timeout_seconds=5.0) as checker:
        check = asyncio.create_task(checker.equal(HANGING, "x"))
        await asyncio.sleep(3.0)
        kill_workers()
        assert not await check
        assert (checker.errors, checker.timeouts) == (0, 1)  # the second worker ran out of time
        assert checker.last_failure


@pytest.mark.slow  # starts worker processes
async def test_a_check_whose_workers_are_all_killed_is_undecided_and_says_why() -> None:
    async with AnswerChecker(timeout_seconds=60.0) as checker:
        question = QuestionEquality(checker, "")
        check = asyncio.create_task(question.equal(HANGING, "x"))
        while not check.done():
            await asyncio.wait([check], timeout=3.0)
            kill_workers()
        assert not await check
        assert (question.undecided, checker.errors, checker.timeouts) == (1, 1, 0)
        assert checker.last_failure


@pytest.mark.slow  # starts worker processes
async def test_a_pool_that_takes_no_more_tasks_is_given_up_and_the_next_one_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = asyncio.Event()

    class Stuck:
        active = True

        def schedule(self, *args: object, **kwargs: object) -> concurrent.futures.Future[None]:
            taken.set()
            return concurrent.futures.Future()

        def stop(self) -> None: ...

        def join(self, timeout: float) -> None:
            raise TimeoutError

    monkeypatch.setattr("orchestrator.answers.equality._START_SECONDS", 0.2)
    whole, pools = equality._new_pool, [Stuck()]
    monkeypatch.setattr(
        equality, "_new_pool", lambda workers: pools.pop() if pools else whole(workers)
    )
    async with AnswerChecker(timeout_seconds=0.1) as checker:
        check = asyncio.create_task(checker.verdict("x+y", "y+x"))
        await taken.wait()
        monkeypatch.setattr("orchestrator.answers.equality._START_SECONDS", 60.0)
        monkeypatch.setattr(checker, "_timeout_seconds", 60.0)
        assert await check
        assert checker.last_failure == "the mathematics workers take no more tasks"
        assert (checker.errors, checker.timeouts) == (0, 0)


async def test_no_worker_can_be_started_is_undecided_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_files(workers: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("orchestrator.answers.equality._new_pool", no_files)
    async with AnswerChecker() as checker:
        question = QuestionEquality(checker, "")
        assert not await question.equal(r"\sqrt{x}", "x^{1/2}")
        assert question.undecided == 1
        assert "Too many open files" in question.why_undecided


@pytest.mark.slow  # starts worker processes
async def test_an_answer_whose_workers_died_is_compared_again_by_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = equality._new_pool

    def no_files(workers: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(equality, "_new_pool", no_files)
    async with AnswerChecker(timeout_seconds=60.0) as checker:
        assert await checker.verdict(r"2\sqrt{3}", r"\sqrt{12}") is None
        monkeypatch.setattr(equality, "_new_pool", whole)
        assert await checker.verdict(r"2\sqrt{3}", r"\sqrt{12}")
        assert checker.undecided == 1


@pytest.mark.slow  # starts worker processes
async def test_idle_workers_that_die_are_replaced() -> None:
    async with AnswerChecker(timeout_seconds=30.0) as checker:
        assert await checker.equal("2*3^{1/2}", r"\sqrt{12}")
        for pid in processes():
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.5)
        await checker.equal("5^{1/3}", r"\sqrt[3]{5}")  # may be lost with the old pool
        assert await checker.equal("4^{1/3}", r"\sqrt[3]{4}")


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.slow  # starts worker processes
async def test_the_terminals_interrupt_does_not_reach_the_workers() -> None:
    async with AnswerChecker(timeout_seconds=30.0) as checker:
        check = asyncio.create_task(checker.equal("2*3^{1/2}", r"\sqrt{12}"))
        while not processes():  # noqa: ASYNC110  # they are not of asyncio
            await asyncio.sleep(0.001)
        for pid in processes():
            os.kill(pid, signal.SIGINT)
        assert await check
        for pid in processes():
            os.kill(pid, signal.SIGINT)
        assert await checker.equal("4^{1/3}", r"\sqrt[3]{4}")
        assert checker.errors == 0


@pytest.mark.slow  # starts worker processes
async def test_cancelling_a_check_is_never_swallowed() -> None:
    async with AnswerChecker(timeout_seconds=30.0) as checker:
        check = asyncio.create_task(checker.equal(HANGING, "5"))
        await asyncio.sleep(0.1)
        check.cancel()
        with pytest.raises(asyncio.CancelledError):
            await check
        assert await checker.equal("2*3^{1/2}", r"\sqrt{12}")


async def test_closing_ends_the_processes_and_the_checks_they_were_at() -> None:
    async with AnswerChecker(timeout_seconds=30.0) as checker:
        checks = [asyncio.create_task(checker.equal(HANGING, f"\\sqrt{{{n}}}")) for n in range(3)]
        await asyncio.sleep(0.3)
    assert await asyncio.gather(*checks) == [False, False, False]
    assert not processes()
    assert not await checker.equal("2*3^{1/2}", r"\sqrt{12}")  # unknown after the end


async def test_an_interrupted_run_leaves_no_process() -> None:
    async def run() -> None:
        async with AnswerChecker(timeout_seconds=30.0) as checker:
            await checker.equal(HANGING, "5")

    task = asyncio.create_task(run())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not processes()


def test_workers_import_no_more_than_they_need() -> None:
    code = (
        "import sys, orchestrator.answers.math_worker;"
        "print(sorted({'aiohttp', 'asyncio', 'openai', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- classes of equal answers ---------------------------------------------------------------------


async def test_a_class_is_named_by_its_first_member() -> None:
    book = AnswerBook(CountingChecker())
    assert [await book.classify(answer) for answer in ("a1", "b", "c2", "d")] == [
        "a1",
        "b",
        "a1",
        "b",
    ]


async def test_an_answer_that_spells_an_option_is_its_letter() -> None:
    async with AnswerChecker() as checker:
        book = AnswerBook(checker, options=("3", "4 km", "Paris"))
        answers = ("b", "4", "paris", "B", "7", "C")
        assert [await book.classify(answer) for answer in answers] == ["B", "B", "C", "B", "7", "C"]
        assert await book.correct_classes("B") == ("B",)


async def test_an_answer_that_spells_two_options_is_neither() -> None:
    async with AnswerChecker() as checker:
        book = AnswerBook(checker, options=("4 km", "4 m"))
        assert await book.classify("4") == "4"


async def test_equal_answers_that_arrive_together_share_a_class() -> None:
    book = AnswerBook(CountingChecker())
    labels = await asyncio.gather(*(book.classify(f"a{n}") for n in range(8)))
    assert set(labels) == {"a0"}


async def test_an_answer_seen_before_is_not_compared_again() -> None:
    checker = CountingChecker()
    book = AnswerBook(checker)
    for answer in ("1", "22", "333", "22", "333"):
        await book.classify(answer)
    assert checker.asked == 3


async def test_the_classes_equal_to_the_right_answer_are_named() -> None:
    book = AnswerBook(AnswerChecker())
    for answer in ("42", "41", "042", "forty-two"):
        await book.classify(answer)
    assert await book.correct_classes("42.0") == ("42",)
    assert await book.correct_classes("7") == ()


async def test_no_answers_make_no_classes() -> None:
    assert await AnswerBook(AnswerChecker()).correct_classes("42") == ()


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("The  Key", "the key", True),
        ("$x$", "x", True),
        ("2/4", "1/2", False),
        ("42", "42.0", False),
    ],
)
async def test_by_spelling_only_what_is_spelled_alike_is_equal(
    one: str, other: str, equal: bool
) -> None:
    assert await SameText().equal(one, other) is equal
