"""Which answers are equal, decided in processes that can be killed.

Unknown is not equal: a check that runs out of time, fails or is cut short by the end of the run counts as "different",
and never blocks the event loop or outlives the run. Words and plain numbers (`orchestrator/answers/quantity.py`) are
compared here; the processes start with the first pair that needs mathematics. There, too, numbers are compared by a
key of their own, so that classes of equal numbers do not depend on the order of arrival.
"""

import asyncio
import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.resource_tracker
import re
import signal
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from orchestrator.answers.math_worker import Nature, nature_of, prepare_worker, same_in_either_order
from orchestrator.answers.quantity import ascii_mathematics, read_quantity, split_unit
from orchestrator.core.answer import trim_answer

if TYPE_CHECKING:
    from pebble import ProcessPool

__all__ = ["AnswerChecker", "Equality", "QuestionEquality", "SameText"]

T = TypeVar("T")

_WORDS = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]{2,})*")
_FACTORIAL = re.compile(r"factorial|\d!|\)!|(?<![^\W\d_])[A-Za-z]!", re.IGNORECASE)
_LIST = re.compile(r"[^()\[\]{}]+(?:,[^()\[\]{}]+)+")
_FORMULA_MARKUP = re.compile(r"\\(?:text|mathrm|rm|ce)\b|[_{}\s]")
_CHEMICAL = re.compile(r"(?=.*[A-Za-z)]\d)(?:[A-Z][a-z]?\d*|\((?:[A-Z][a-z]?\d*)+\)\d*){1,30}")
_ATTEMPTS = 2
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ELEMENTS = frozenset(
    [
        "Co",
        "Cs",
        "Hf",
        "Os",
        "Po",
        "Pb",
        "Sn",
        "Bi",
        "Ni",
        "Si",
        "Sc",
        "Yb",
        "Cu",
        "Ho",
        "Nb",
        "Np",
        "Pu",
        "Hg",
        "Nh",
        "Cf",
        "Cn",
        "Pa",
        "Sb",
        "Nd",
    ]
)
"""Chemical elements whose capitals spell another substance: cobalt is Co, carbon monoxide CO."""


class _PoolStuck(Exception):
    """The pool answers no more."""


class _NoWorker(Exception):
    """No mathematics worker could be started, or each was killed."""


class Equality(Protocol):
    """Tells whether two answers to one question are equal; False where it does not know."""

    @property
    def undecided(self) -> int:
        """The comparisons where it did not know."""

    @property
    def why_undecided(self) -> str:
        """Why it did not know, and what to do about it."""

    async def equal(self, one: str, other: str) -> bool:
        """Whether the answers are known to be equal."""


class QuestionEquality:
    """The mathematics of one question: an `AnswerChecker` that knows whether "!" means a factorial here.

    `undecided` counts the comparisons that gave no verdict, and so count as different.
    """

    def __init__(self, checker: "AnswerChecker", question: str) -> None:
        self.undecided = 0
        self._checker = checker
        self._factorials = _FACTORIAL.search(question) is not None

    async def equal(self, one: str, other: str) -> bool:
        """Whether the answers are known to be equal, in one order or the other."""
        verdict = await self._checker.verdict(one, other, factorials=self._factorials)
        self.undecided += verdict is None
        return bool(verdict)

    @property
    def why_undecided(self) -> str:
        """The reason of the checker."""
        return self._checker.why_undecided


class SameText:
    """Answers are equal that are spelled alike, but for case, white space and the marks around them."""

    undecided = 0
    why_undecided = ""

    async def equal(self, one: str, other: str) -> bool:
        """Whether the spellings agree."""
        return _plain_spelling(one) == _plain_spelling(other)


class AnswerChecker:
    """Tells whether two answers are equal; an async context manager, because it owns processes.

    `timeouts` and `errors` count the checks that gave no verdict; `last_failure` is why a worker died or could not be
    started. An answer that once ran out of time by itself is not tried again; one whose workers died is.
    """

    def __init__(self, *, workers: int = 1, timeout_seconds: float = 5.0) -> None:
        self.undecided = 0
        self.timeouts = 0
        self.errors = 0
        self.last_failure: str | None = None
        self._workers = workers
        self._timeout_seconds = timeout_seconds
        self._pool: ProcessPool | None = None
        self._running: set[asyncio.Future[Any]] = set()
        self._nature: dict[str, Nature | None] = {}
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        import pebble  # noqa: F401  # not at the first check, when streams may wait for it

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

    @property
    def why_undecided(self) -> str:
        """Why the last check gave no verdict, and what to do."""
        if self.last_failure is not None:
            return (
                f"a mathematics worker failed ({self.last_failure}); raise the limits of this machine (open files, "
                "memory, processes), then run again"
            )
        return f"an answer took more than {self._timeout_seconds:g} s; give more with --set answers.timeout_seconds=SECONDS"

    async def verdict(self, one: str, other: str, *, factorials: bool = False) -> bool | None:
        """Whether the answers are equal, in one order or the other; None where no check could tell.

        `factorials` says that the question is about them: else a "!" behind a number ends a sentence.
        """
        try:
            verdict = await self._verdict(one, other, factorials=factorials)
        except _NoWorker:
            verdict = None
        self.undecided += verdict is None
        return verdict

    async def _verdict(self, one: str, other: str, *, factorials: bool) -> bool | None:
        one, other = trim_answer(one), trim_answer(other)
        plainly = _plainly_equal(one, other, factorials=factorials)
        if plainly is not None:
            return plainly
        (one, unit), (other, other_unit) = _formula(one), _formula(other)
        if unit and other_unit and unit != other_unit:
            return False
        one, other = _as_lists(one, other)
        natures: list[Nature] = []
        for answer in (one, other):
            nature = await self._nature_of(answer)
            if not nature or not nature.comparable:
                return None if nature is None else False
            natures.append(nature)
        first, second = natures[0].number, natures[1].number
        if first is not None and second is not None:
            return first == second
        return await self._check(same_in_either_order, one, other)

    async def _nature_of(self, answer: str) -> Nature | None:
        """What mathematics an answer is; None if that cannot be evaluated in time. Found out once.

        Without this, an answer that hangs would cost a timeout with each answer it is compared with.

        Raises:
            _NoWorker: no worker lived to tell, which says nothing about the answer.
        """
        if answer not in self._nature:
            self._nature[answer] = await self._check(nature_of, answer)
        return self._nature[answer]

    async def _check(self, function: Callable[..., T | None], *answers: str) -> T | None:
        """What `function` returns for `answers` in another process; None if it returns nothing in time.

        A worker that was killed says nothing about the answers, so they are tried once more in another one.

        Raises:
            _NoWorker: that one was killed as well, or none could be started.
        """
        await asyncio.sleep(
            0
        )  # a caller whose time is up is cancelled here, before a process has work
        for _ in range(_ATTEMPTS):
            if self._closed.is_set():
                return None
            try:
                verdict = await self._answer_of(self._schedule(function, answers))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed.is_set() and task is not None and not task.cancelling():
                    return None  # the checker closed, nobody cancelled the caller
                raise
            except concurrent.futures.TimeoutError:
                self.timeouts += 1
                return None
            except _PoolStuck as error:
                self.last_failure = str(error)
                await self._stop_pool()
            except Exception as error:  # a worker died, or none could be started
                self.last_failure = str(error) or self.last_failure or "it was killed"
                await self._replace_broken_pool()
            else:
                self.errors += verdict is None
                return verdict
        self.errors += 1
        raise _NoWorker

    async def _answer_of(self, check: asyncio.Future[T | None]) -> T | None:
        """What a scheduled check returns.

        A worker that is killed while it takes its task leaves the pool's lock behind, and then no task starts and no
        time limit ends one. So the wait is bounded by what all checks ahead could take.

        Raises:
            _PoolStuck: that time is over.
        """
        longest = self._timeout_seconds * len(self._running) + _START_SECONDS
        try:
            done, _ = await asyncio.wait({check}, timeout=longest)
        except asyncio.CancelledError:
            check.cancel()
            raise
        if not done:
            check.cancel()
            raise _PoolStuck("the mathematics workers take no more tasks")
        return check.result()

    def _schedule(
        self, function: Callable[..., T | None], answers: tuple[str, ...]
    ) -> asyncio.Future[T | None]:
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
        try:
            works = (
                self._pool is not None and self._pool.active
            )  # starts a pool that has not started
        except Exception:
            works = False
        if not works:
            await self._stop_pool()

    async def _stop_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            with contextlib.suppress(
                TimeoutError
            ):  # a stuck pool may never end; its processes are killed
                await asyncio.to_thread(pool.join, _STOP_SECONDS)


def _plain_spelling(answer: str) -> str:
    return " ".join(trim_answer(answer).split()).casefold()


def _plainly_equal(one: str, other: str, *, factorials: bool) -> bool | None:
    """A verdict for spellings, words and plain numbers; None where it takes mathematics.

    Words are never handed to math-verify, which reads them as products of letters: it would call "pairs"
    and "Paris" equal.
    """
    if one == other:
        return True
    if not one or not other:
        return False
    first = read_quantity(one, factorials=factorials)
    second = read_quantity(other, factorials=factorials)
    if first is not None and second is not None:
        units = {first.unit, second.unit} - {None}
        return first.key == second.key and len(units) <= 1
    formulas = (_chemical_formula(one), _chemical_formula(other))
    if all(formulas):
        return formulas[0] == formulas[1]
    plain = [bool(_WORDS.fullmatch(text)) for text in (one, other)]
    if all(plain):
        return _same_words(one, other)
    if any(plain) and (first is not None or second is not None):
        return False  # one is words, the other a number
    return None


def _same_words(one: str, other: str) -> bool:
    """Whether words agree but for case; two-letter formulas of different substances do not."""
    if one.casefold() != other.casefold():
        return False
    return not (_ELEMENTS & {one, other} and {one, other} & {one.upper()})


def _chemical_formula(answer: str) -> str | None:
    r"""A formula such as "H_2O", "CO₂" or "\\text{Ca(OH)}_2" without its markup; None for anything else."""
    plain = _FORMULA_MARKUP.sub("", ascii_mathematics(answer))
    return plain if _CHEMICAL.fullmatch(plain) else None


def _formula(answer: str) -> tuple[str, str | None]:
    """An answer without its unit, as LaTeX."""
    text, unit = split_unit(ascii_mathematics(answer))
    return text, unit


def _as_lists(one: str, other: str) -> tuple[str, str]:
    """Gives the parentheses of a tuple to a bare list that is compared with it: "0,1" and "(0,1)"."""
    if other.startswith("(") and other.endswith(")") and _LIST.fullmatch(one):
        return f"({one})", other
    if one.startswith("(") and one.endswith(")") and _LIST.fullmatch(other):
        return one, f"({other})"
    return one, other


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
