"""The events of a question for a program that reads them as they happen."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from types import TracebackType
from typing import Any, Self

from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.errors import ConfigError, DeepPruneError
from orchestrator.report.result import Result
from orchestrator.runtime.question_run import QuestionRun

__all__ = ["EventStream", "cancel_all"]


class EventStream:
    """The events of one question, as an async iterator; afterwards its `result`.

    Nothing is asked before the first event is awaited. A slow reader does not slow the question down. Leaving an
    `async with` block around the stream, or `aclose`, stops the traces on the server.

    Args:
        run: the question.
        start: makes a task that runs it.
    """

    def __init__(
        self, run: QuestionRun, start: Callable[[QuestionRun], asyncio.Task[Result]]
    ) -> None:
        self.run = run
        """The question while it runs: `run.view` is what is known, `run.user_commands` takes commands."""
        self._events = _events_of(run, start)

    @property
    def result(self) -> Result:
        """The result.

        Raises:
            ConfigError: not all events were read, or the question failed.
        """
        if self.run.report is None:
            raise ConfigError("There is no result yet; read the events to their end.")
        return Result.of(self.run.view, self.run.folder)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Stops the question if it is still running; returns when its streams are closed."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


async def _events_of(
    run: QuestionRun, start: Callable[[QuestionRun], asyncio.Task[Result]]
) -> AsyncGenerator[Event]:
    """Runs the question and yields its events; closing the generator cancels it."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def listen(entry: Event | Command) -> None:
        if isinstance(entry, Event):
            queue.put_nowait(entry)

    run.listener = listen
    task = start(run)
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        if task.cancelled():
            raise DeepPruneError("The client was closed while the question ran; keep it open.")
        await task
    finally:
        await cancel_all([task])


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels the tasks and waits for them; their errors are no one's any more."""
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
