"""Questions side by side on one fleet: each starts when its first traces have room (`orchestrator.runtime.schedule`)."""

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from orchestrator.capabilities import Capabilities
from orchestrator.core.commands import StartTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import RunStarted
from orchestrator.core.policies import planned_traces
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import has_journal
from orchestrator.runtime.budget import Budget, priced, shared_budget
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.runtime.event_stream import cancel_all
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.runtime.schedule import Schedule
from orchestrator.settings import AutoSettings

__all__ = ["SideBySide"]

T = TypeVar("T")

_PARTS = 8
"""With a budget, at most such a fraction of the questions runs at once: prices follow from those that are over."""


class SideBySide(Generic[T]):
    """Runs prepared questions side by side.

    Args:
        runs: the questions, with the settings of the first one.
        start: makes the task that runs one.
        endpoints: the servers; their streams are shared.
        at_once: the most that run side by side; None: as many as have room.
        spent: tokens of the budget that questions of before have taken.
    """

    def __init__(
        self,
        runs: Sequence[QuestionRun],
        start: Callable[[QuestionRun], asyncio.Task[T]],
        endpoints: Endpoints,
        *,
        at_once: int | None,
        spent: int = 0,
    ) -> None:
        self._runs = runs
        self._budget = shared_budget(runs[0].settings, len(runs), spent=spent) if runs else None
        if self._budget is not None:
            at_once = min(at_once or len(runs), max(1, len(runs) // _PARTS))
        self._start = start
        self._fleet = endpoints.reasoner
        first = _first_traces(runs[0], endpoints) if runs else 1
        self._schedule = Schedule(len(runs), first=first, at_once=at_once)
        self._freed = asyncio.Event()
        self._tasks: dict[asyncio.Task[T], int] = {}
        for run in runs:
            run.exclusive = at_once == 1 or len(runs) == 1
            run.freed = self._freed.set

    @property
    def ends_in_order(self) -> bool:
        """Whether an interrupt finds something to end in order: a question that may have streams, or none that is left."""
        streaming = any(self._runs[number].streaming for number in self._tasks.values())
        return streaming or self._schedule.is_over

    def interrupt(self) -> None:
        """Ends what runs in order, and starts no further question; one without a stream so far is cancelled."""
        self._schedule.close()
        for task, number in self._tasks.items():
            if self._runs[number].streaming:
                self._runs[number].interrupted.set()
            else:
                task.cancel()

    async def ended(self) -> AsyncGenerator[tuple[int, asyncio.Task[T]]]:
        """The number and the task of each question that has ended, as they end.

        Questions start whether or not the iterator is read; closing it cancels what runs.
        """
        ended: asyncio.Queue[tuple[int, asyncio.Task[T]] | None] = asyncio.Queue()
        running = asyncio.create_task(self._run_all(ended))
        try:
            while (each := await ended.get()) is not None:
                yield each
            await running
        finally:
            await cancel_all([running])
            await cancel_all(self._tasks)

    async def _run_all(self, ended: asyncio.Queue[tuple[int, asyncio.Task[T]] | None]) -> None:
        waking = asyncio.create_task(self._freed.wait())
        try:
            while not self._start_next():
                await asyncio.wait({*self._tasks, waking}, return_when=asyncio.FIRST_COMPLETED)
                if waking.done():
                    self._freed.clear()
                    waking = asyncio.create_task(self._freed.wait())
                for task in [task for task in self._tasks if task.done()]:
                    number = self._tasks.pop(task)
                    self._schedule.end(number)
                    if self._budget is not None:
                        self._budget.end(number, self._runs[number].view.generated_tokens)
                    ended.put_nowait((number, task))
        finally:
            waking.cancel()
            ended.put_nowait(None)

    def _start_next(self) -> bool:
        """Starts the questions that have room; whether all are over."""
        for number in self._schedule.running:
            self._schedule.see(number, self._runs[number].open_traces)
        for number in self._schedule.start(self._fleet.limit):
            if self._budget is not None:
                self._set_price(number, self._budget)
            self._tasks[self._start(self._runs[number])] = number
        return self._schedule.is_over

    def _set_price(self, number: int, budget: Budget) -> None:
        """Sets the price of a trace of a question that starts; one that is continued keeps its own."""
        for other in self._tasks.values():
            budget.see(other, self._runs[other].view.generated_tokens)
        run = self._runs[number]
        price = None if run.folder is None else _price_before(run.folder)
        if price is None:
            price = budget.start(number)
        else:
            budget.resume(number, price)
        run.settings = priced(run.settings, price)


def _price_before(folder: Path) -> float | None:
    """The price at which the question in the folder has begun; None if it has not."""
    started = next(read_journal(folder), None) if has_journal(folder) else None
    if not isinstance(started, RunStarted) or not isinstance(started.settings.policy, AutoSettings):
        return None
    return started.settings.policy.trace_price


def _first_traces(run: QuestionRun, endpoints: Endpoints) -> int:
    """The traces that a question starts with, as its policy says."""
    started = RunStarted(
        at=0.0,
        question_id=run.question.id,
        question=run.question.question,
        gold=None,
        planned=planned_traces(run.settings),
        settings=run.settings,
        capabilities=Capabilities(
            reasoner=endpoints.capabilities,
            judge=endpoints.judge_capabilities,
            replicas=endpoints.reasoner.addresses,
        ),
    )
    commands = Engine(started, copy.deepcopy(run.policy)).feed(started).commands
    return sum(isinstance(command, StartTrace) for command in commands)
