"""Asks the question of a request, as often as it wants choices, and counts what it costs however it ends."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from orchestrator.api import Client
from orchestrator.journal.run_dir import make_run_dir, write_inputs
from orchestrator.questions import Question
from orchestrator.report.report import build_report
from orchestrator.report.result import Result
from orchestrator.runtime.event_stream import cancel_all
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.serve.admission import Admission, Waiting
from orchestrator.serve.errors import ApiError
from orchestrator.serve.feed import Feed
from orchestrator.serve.metrics import ServeMetrics
from orchestrator.serve.spans import Spans
from orchestrator.settings import Settings

__all__ = ["Asked", "Questions"]


class Asked:
    """The runs of one request, side by side; `results` has them in the order of the choices."""

    def __init__(
        self, runs: Mapping[str, QuestionRun], tasks: Sequence[asyncio.Task[Result]]
    ) -> None:
        self.runs = runs
        """The runs by their ids."""
        self._tasks = tasks
        self._out_of_time: float | None = None

    def end(self, seconds: float) -> None:
        """Lets what has finished vote, so many seconds after the start; a run without a stream has nothing to vote on."""
        for run, task in zip(self.runs.values(), self._tasks, strict=True):
            if run.streaming:
                run.interrupted.set()
            elif not task.done():
                self._out_of_time = seconds
                task.cancel()

    async def results(self) -> list[Result]:
        """The results, when all runs are over.

        Raises:
            ApiError: 504, the time was over before a server had taken the question.
            DeepPruneError: a server refuses the requests, or every trace of a run failed.
        """
        await asyncio.wait(self._tasks)
        if self._out_of_time is not None:
            raise ApiError(
                504,
                f"No server behind took the question within {self._out_of_time:g} seconds; give it more, or try again.",
                code="timeout",
            )
        return [task.result() for task in self._tasks]

    async def over(self, seconds: float) -> bool:
        """Waits so long; whether all runs are over."""
        _done, pending = await asyncio.wait(self._tasks, timeout=seconds)
        return not pending

    def outcomes(self) -> list[str]:
        """How each run ended, as `/metrics` names it, when all are over."""
        return [self._outcome(task) for task in self._tasks]

    def _outcome(self, task: asyncio.Task[Result]) -> str:
        if task.cancelled():
            return "left" if self._out_of_time is None else "interrupted"
        if task.exception() is not None:
            return "failed"
        report = task.result().report
        if report.interrupted:
            return "interrupted"
        return "no answer" if report.answer is None else "answered"


class Questions:
    """Runs the questions of all requests on one client.

    Args:
        client: open.
        admission: what bounds the questions at once.
        metrics: what counts their bills.
        feed: shows them to displays.
        spans: records them for OpenTelemetry.
        keep: the folder that receives a run folder per question; None keeps nothing.
    """

    def __init__(
        self,
        client: Client,
        admission: Admission,
        metrics: ServeMetrics,
        feed: Feed,
        spans: Spans,
        keep: Path | None,
    ) -> None:
        self._client = client
        self._admission = admission
        self._metrics = metrics
        self._feed = feed
        self._spans = spans
        self._keep = keep

    @contextlib.asynccontextmanager
    async def asked(
        self,
        question: Question,
        settings: Settings,
        *,
        choices: int,
        seconds: float | None,
        waiting: Waiting | None = None,
    ) -> AsyncIterator[Asked]:
        """The question's runs; leaving the block early stops their traces on the server.

        Args:
            question: what is asked.
            settings: of its runs.
            choices: their number.
            seconds: after so long the traces that have finished vote; None waits for the policy.
            waiting: see `Admission.place`.

        Raises:
            ApiError: 429, too many questions wait.
        """
        async with self._admission.place(waiting):
            runs = dict(self._prepared(question, settings) for _ in range(choices))
            with self._feed.showing(runs):
                tasks = [self._client.start(run) for run in runs.values()]
                asked, loop = Asked(runs, tasks), asyncio.get_running_loop()
                timer = seconds and loop.call_later(seconds, asked.end, seconds)
                try:
                    yield asked
                finally:
                    if timer:
                        timer.cancel()
                    await cancel_all(tasks)
                    for (run_id, run), outcome in zip(runs.items(), asked.outcomes(), strict=True):
                        self._over(run_id, run, outcome)

    def place(self) -> AbstractAsyncContextManager[None]:
        """A place for a request that is no question: what the servers carry is bounded for all requests alike."""
        return self._admission.place()

    def _over(self, run_id: str, run: QuestionRun, outcome: str) -> None:
        report = None if run.view.run is None else build_report(run.view, run_dir=None)
        self._metrics.count_outcome(outcome)
        if report is not None:
            self._metrics.count(report)
            self._spans.record(run_id, run.view, report)
        self._feed.over(run_id, report)

    def _prepared(self, question: Question, settings: Settings) -> tuple[str, QuestionRun]:
        """A run and its id: the name of its folder, or a random one where nothing is kept."""
        folder = None
        if self._keep is not None:
            folder = make_run_dir(self._keep)
            write_inputs(folder, settings, [question])
        run_id = uuid.uuid4().hex if folder is None else folder.name
        return run_id, self._client.prepare(question, folder=folder, settings=settings)
