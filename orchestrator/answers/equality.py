"""Which answers are equal, decided in processes that can be killed.

The rule: unknown is not equal. A check that runs out of time, fails or is cut short by the end of the run
counts as "different", and never blocks the event loop or outlives the run. Words and plain numbers are
compared here; the processes start with the first pair that needs mathematics.
"""

import asyncio
import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.resource_tracker
import re
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from orchestrator.answers.math_worker import can_be_compared, prepare_worker, same_in_either_order
from orchestrator.core.answer import trim_answer

if TYPE_CHECKING:
    from pebble import ProcessPool

__all__ = ["AnswerBook", "AnswerChecker", "Equality", "SameText"]

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|[-+]?\.\d+")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]{2,})*")


class Equality(Protocol):
    """Tells whether two answers to one question are equal; False where it does not know."""

    async def equal(self, one: str, other: str) -> bool:
        """Whether the answers are known to be equal."""


class SameText:
    """Answers are equal that are spelled alike, but for case, white space and the marks around them."""

    async def equal(self, one: str, other: str) -> bool:
        """Whether the spellings agree."""
        return _plain_spelling(one) == _plain_spelling(other)


class AnswerChecker:
    """Tells whether two answers are equal; an async context manager, because it owns processes.

    `timeouts` and `errors` count the checks that gave no verdict. An answer that once ran out of time by
    itself is not tried again.
    """

    def __init__(self, *, workers: int = 1, timeout_seconds: float = 5.0) -> None:
        self.timeouts = 0
        self.errors = 0
        self._workers = workers
        self._timeout_seconds = timeout_seconds
        self._pool: ProcessPool | None = None
        self._running: set[asyncio.Future[bool | None]] = set()
        self._comparable: dict[str, bool | None] = {}
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        for check in tuple(self._running):
            check.cancel()
        await self._stop_pool()

    @property
    def started(self) -> bool:
        """Whether there are processes at the moment."""
        return self._pool is not None

    async def equal(self, one: str, other: str) -> bool:
        """Whether the answers are known to be equal, in one order or the other."""
        return bool(await self.verdict(one, other))

    async def verdict(self, one: str, other: str) -> bool | None:
        """Whether the answers are equal, in one order or the other; None where no check could tell."""
        one, other = trim_answer(one), trim_answer(other)
        plainly = _plainly_equal(one, other)
        if plainly is not None:
            return plainly
        for answer in (one, other):
            comparable = await self._can_be_compared(answer)
            if not comparable:
                return comparable
        return await self._check(same_in_either_order, one, other)

    async def _can_be_compared(self, answer: str) -> bool | None:
        """Whether an answer is mathematics; None if that cannot be evaluated in time. Found out once.

        Without this, an answer that hangs would cost a timeout with each answer it is compared with.
        """
        if answer not in self._comparable:
            self._comparable[answer] = await self._check(can_be_compared, answer)
        return self._comparable[answer]

    async def _check(self, function: Callable[..., bool | None], *answers: str) -> bool | None:
        """What `function` says of `answers` in another process; None if it says nothing in time."""
        if self._closed.is_set():
            return None
        try:
            check = self._schedule(function, answers)
            verdict = await check
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed.is_set() and task is not None and not task.cancelling():
                return None  # the checker closed, nobody cancelled the caller
            raise
        except concurrent.futures.TimeoutError:
            self.timeouts += 1
            return None
        except Exception:  # a worker died, or all of them did
            verdict = None
            await self._replace_broken_pool()
        self.errors += verdict is None
        return verdict

    def _schedule(
        self, function: Callable[..., bool | None], answers: tuple[str, ...]
    ) -> asyncio.Future[bool | None]:
        limit = self._timeout_seconds
        with _sigint_blocked():
            if self._pool is None:
                self._pool = _new_pool(self._workers)
            check = asyncio.wrap_future(
                self._pool.schedule(function, args=(*answers, limit), timeout=limit)
            )
        self._running.add(check)
        check.add_done_callback(self._running.discard)
        return check

    async def _replace_broken_pool(self) -> None:
        """Drops a pool that can do no more work, so that the next check starts a new one."""
        if self._pool is not None and not self._pool.active:
            await self._stop_pool()

    async def _stop_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            await asyncio.to_thread(pool.join)


class AnswerBook:
    """The classes of equal answers to one question, each named by the first spelling that came.

    An answer is compared with the first member of each class, in the order in which the classes opened.
    """

    def __init__(self, checker: Equality) -> None:
        self._checker = checker
        self._labels: dict[str, str] = {}
        self._lock = asyncio.Lock()

    async def classify(self, answer: str) -> str:
        """The label of the class that `answer` belongs to, which it opens if there is none.

        One answer is placed at a time: equal answers that arrive together share a class.
        """
        async with self._lock:
            if answer not in self._labels:
                label = await self._class_of(answer)
                self._labels[answer] = answer if label is None else label
            return self._labels[answer]

    def remember(self, answer: str, label: str) -> None:
        """Takes over what was decided before: `answer` belongs to the class `label`."""
        self._labels[answer] = label

    async def correct_classes(self, gold: str) -> tuple[str, ...]:
        """The labels of all classes equal to the right answer, in the order in which they opened."""
        async with self._lock:
            return tuple(
                [label for label in self._classes() if await self._checker.equal(gold, label)]
            )

    async def _class_of(self, answer: str) -> str | None:
        for label in self._classes():
            if await self._checker.equal(label, answer):
                return label
        return None

    def _classes(self) -> list[str]:
        return list(dict.fromkeys(self._labels.values()))


def _plain_spelling(answer: str) -> str:
    return " ".join(trim_answer(answer).split()).casefold()


def _plainly_equal(one: str, other: str) -> bool | None:
    """A verdict for spellings, words and plain numbers; None where it takes mathematics.

    Words are never handed to math-verify, which reads them as products of letters: it would call "pairs"
    and "Paris" equal.
    """
    if one == other:
        return True
    if not one or not other:
        return False
    first, second = _number(one), _number(other)
    if first is not None and second is not None:
        return _equal_numbers(first, second)
    plain = [bool(_WORDS.fullmatch(text)) for text in (one, other)]
    if all(plain):
        return one.casefold() == other.casefold()
    if any(plain) and (first is not None or second is not None):
        return False  # one is words, the other a number
    return None


def _equal_numbers(one: Decimal, other: Decimal) -> bool | None:
    if one == other:
        return True
    if one == one.to_integral_value() and other == other.to_integral_value():
        return False
    return None  # math-verify rounds: 0.3333333 and 0.3333334 are equal


def _number(text: str) -> Decimal | None:
    return Decimal(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


def _new_pool(workers: int) -> "ProcessPool":
    from pebble import ProcessPool

    # spawn, because a fork would copy the locks of this process's threads in whatever state they are
    context: Any = multiprocessing.get_context("spawn")
    return ProcessPool(max_workers=workers, initializer=prepare_worker, context=context)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Processes started inside never see the terminal's Ctrl-C; this process sees it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started later, it would unblock the signal again while the first process starts.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
