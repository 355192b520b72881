"""Which question of a file starts when, and whose results come out next: a pure state machine, without I/O and clock.

The invariant: questions start in their order, the next one as soon as its first traces have room beside the open traces of
those that run. A question with more first traces than half of the streams starts when half of them are free, so
that the servers are not idle while the last traces of a question run. One question runs whatever the room.
"""

from typing import Generic, TypeVar

__all__ = ["InOrder", "Schedule"]

T = TypeVar("T")


class Schedule:
    """Starts the questions 0 to `questions` - 1.

    Args:
        questions: how many there are.
        first: traces that a question starts with.
        at_once: the most that run side by side; None: as many as have room.
    """

    def __init__(self, questions: int, *, first: int, at_once: int | None = None) -> None:
        self._questions = questions
        self._first = max(1, first)
        self._at_once = at_once
        self._next = 0
        self._open: dict[int, int | None] = {}

    @property
    def running(self) -> tuple[int, ...]:
        """The questions that have started and not ended, in their order."""
        return tuple(self._open)

    @property
    def is_over(self) -> bool:
        """Whether all questions that start have ended."""
        return not self._open and self._next >= self._questions

    def see(self, question: int, traces: int | None) -> None:
        """A running question has so many open traces; None: it has not started its first ones yet."""
        if question in self._open:
            self._open[question] = traces

    def start(self, streams: int) -> list[int]:
        """The questions whose turn it is, where so many streams may be open at once; they run from now on."""
        started = []
        while self._next < self._questions and self._has_room(streams):
            self._open[self._next] = None
            started.append(self._next)
            self._next += 1
        return started

    def end(self, question: int) -> None:
        """A question is over."""
        del self._open[question]

    def close(self) -> None:
        """No further question starts."""
        self._questions = self._next

    def _has_room(self, streams: int) -> bool:
        if not self._open:
            return True
        if self._at_once is not None and len(self._open) >= self._at_once:
            return False
        # a question whose traces have ended still has to be voted on and recorded
        taken = sum(
            self._first if traces is None else max(1, traces) for traces in self._open.values()
        )
        return streams - taken >= min(self._first, (streams + 1) // 2)


class InOrder(Generic[T]):
    """Results by the number of their question, given out in the order of the numbers."""

    def __init__(self) -> None:
        self._results: dict[int, T] = {}
        self._next = 0

    def add(self, number: int, result: T) -> list[T]:
        """Takes a result in; those whose turn it is now come out."""
        self._results[number] = result
        ready = []
        while self._next in self._results:
            ready.append(self._results.pop(self._next))
            self._next += 1
        return ready

    def rest(self) -> list[T]:
        """The results behind one that will not come, in order; nothing comes out any more."""
        left = [self._results[number] for number in sorted(self._results)]
        self._results.clear()
        return left
