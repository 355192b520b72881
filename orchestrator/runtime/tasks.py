"""The tasks of one question, which end with it, and its clock."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

__all__ = ["StartTask", "cancelled_at_exit", "stopwatch"]

StartTask = Callable[[Coroutine[Any, Any, None]], None]


@contextlib.asynccontextmanager
async def cancelled_at_exit() -> AsyncIterator[StartTask]:
    """Yields a function that starts tasks; those that are left are cancelled, and awaited, at the end."""
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        yield lambda work: tasks.append(group.create_task(work))
        for task in tasks:
            task.cancel()


def stopwatch(shown: float) -> Callable[[], float]:
    """Seconds counted from `shown`, in whole microseconds, as events carry them."""
    start = time.monotonic() - shown
    return lambda: int((time.monotonic() - start) * 1e6) / 1e6  # a third of the cost of `round`
