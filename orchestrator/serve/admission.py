"""How many questions run at once, how many wait, and when a client is asked to come back later."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from orchestrator.serve.errors import ApiError

__all__ = ["Admission", "Waiting"]

Waiting = Callable[[], Awaitable[None]]
"""Tells a client that its question waits."""

_FIRST_GUESS_SECONDS = 10.0
_TELL_SECONDS = 1.0
_RECENT = 0.2  # weight of the latest question in the mean time that one takes


class Admission:
    """Lets questions in, in the order of arrival.

    Args:
        at_once: questions that run side by side.
        queue: questions that may wait; a further one is refused with 429 and Retry-After.
    """

    def __init__(self, at_once: int, queue: int) -> None:
        self.at_once = at_once
        self.running = 0
        self.waiting = 0
        self._queue = queue
        self._places = asyncio.Semaphore(at_once)
        self._seconds = _FIRST_GUESS_SECONDS

    @contextlib.asynccontextmanager
    async def place(self, waiting: Waiting | None = None) -> AsyncIterator[None]:
        """Inside, one of the places is taken.

        Args:
            waiting: called once a second while there is none.

        Raises:
            ApiError: 429, all places are taken and the queue is full.
        """
        if self._places.locked() and self.waiting >= self._queue:
            raise ApiError(
                429,
                f"{self.running} questions run and {self.waiting} wait; try again later.",
                code="rate_limit_exceeded",
                retry_after=max(1.0, self._seconds * (self.waiting + 1) / self.at_once),
            )
        over = asyncio.Event()
        telling = None if waiting is None else asyncio.create_task(_tell(waiting, over))
        if telling is not None:  # a client that leaves the queue is not told any more
            telling.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
            over.set()
        self.running += 1
        started = time.monotonic()
        try:
            if telling is not None:
                await telling
            yield
        finally:
            self._seconds += _RECENT * (time.monotonic() - started - self._seconds)
            self.running -= 1
            self._places.release()


async def _tell(waiting: Waiting, over: asyncio.Event) -> None:
    """Calls `waiting` once a second until it is over."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TELL_SECONDS):
                await over.wait()
            return
        await waiting()
