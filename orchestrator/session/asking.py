"""The questions of a session, side by side: what is asked, what comes out in the order of the file, and how it ends."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.api import Client
from orchestrator.errors import QuestionRefused, ServersAway
from orchestrator.interrupts import Interrupts
from orchestrator.journal.run_dir import REPORT_FILE, has_journal, question_dirs
from orchestrator.questions import Question
from orchestrator.report.report import Report, read_report
from orchestrator.report.summary import ServerCounts
from orchestrator.report.totals import RewardTotals
from orchestrator.runtime.metering import Meters
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.runtime.schedule import InOrder
from orchestrator.runtime.side_by_side import SideBySide
from orchestrator.session.notes import WarningNotes, no_rewards_note
from orchestrator.session.output import Output
from orchestrator.session.state import SessionState
from orchestrator.terminal.sanitize import sanitize

__all__ = ["Asking"]


@dataclass(frozen=True, slots=True)
class _AllQuestions:
    """What the servers' counters count; not `exclusive` where they cannot be read for all questions together."""

    interrupted: asyncio.Event
    exclusive: bool


class Asking:
    """The questions of a session in the folder `run_dir`, where those that have a report are not asked again."""

    def __init__(
        self,
        questions: Sequence[Question],
        run_dir: Path,
        state: SessionState,
        output: Output,
        interrupts: Interrupts,
    ) -> None:
        self.reports: list[Report] = []
        """Of the questions that are over, in their order, as far as they have come out."""
        self.rewards = RewardTotals()
        self.counts = ServerCounts()
        """What the servers themselves have counted for all questions together."""
        self.wall_seconds: float | None = None
        """What the questions took together; None where an earlier process has asked some of them."""
        self._questions = questions
        self._run_dir = run_dir
        self._folders = question_dirs(run_dir, questions)
        self._state = state
        self._output = output
        self._interrupts = interrupts
        self._warnings = WarningNotes(state.note)
        self._results = InOrder[Report]()
        self._open: list[int] = []
        self._spent = 0
        self._runs: list[QuestionRun] = []
        self._is_new = not any(has_journal(folder) for folder in self._folders)

    def read_reports(self) -> bool:
        """Takes the reports that are there; whether any question is left to ask."""
        for number, question in enumerate(self._questions):
            report = read_report(self._folders[number] / REPORT_FILE)
            if report is None:
                self._open.append(number)
            else:
                self._spent += report.ledger.reasoner.generated_tokens
                self._state.start(question, self._folders[number], number=number, report=report)
                self._give_out(self._results.add(number, report))
        return bool(self._open)

    async def ask(self, client: Client) -> None:
        """Asks the questions that have no report.

        Raises:
            ServersAway: a run broke off; the message says how to continue it.
            DeepPruneError: a question failed, after the reports of those that are over have come out.
        """
        self._runs = [
            client.prepare(self._questions[number], folder=self._folders[number])
            for number in self._open
        ]
        asking = SideBySide(
            self._runs,
            lambda run: asyncio.create_task(self._ask(client, run)),
            client.endpoints,
            at_once=client.settings.run.questions_at_once,
            spent=self._spent,
        )
        meters = self._meters(client)
        with self._interrupts.graceful(asking.interrupt, lambda: asking.ends_in_order):
            await meters.start()
            begun = time.monotonic()
            try:
                async with contextlib.aclosing(asking.ended()) as ended:
                    async for index, task in ended:
                        if not (task.cancelled() and self._interrupts.requested.is_set()):
                            self._take(index, task)
            finally:
                self._give_out(self._results.rest())
            if self._is_new:
                self.wall_seconds = time.monotonic() - begun
            reasoner, judge = await meters.stop()
        self.counts = ServerCounts(reasoner.generated, reasoner.cached_prompt, judge.cached_prompt)
        if self._interrupts.requested.is_set():
            self._state.end("closing")

    def _take(self, index: int, task: asyncio.Task[None]) -> None:
        """Takes the report of a question in; also that of one that failed, before its error is raised."""
        report = self._runs[index].report
        if report is not None:
            self._give_out(self._results.add(self._open[index], report))
        task.result()

    def _meters(self, client: Client) -> Meters:
        endpoints = client.endpoints
        apart = all(run.exclusive for run in self._runs)  # each question is counted by itself
        return Meters(
            _AllQuestions(self._interrupts.requested, exclusive=self._is_new and not apart),
            reasoner=endpoints.reasoner,
            judge=endpoints.judge,
            shared=endpoints.shared_engines,
        )

    def _give_out(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._output.result(report)
        self.reports += reports

    async def _ask(self, client: Client, run: QuestionRun) -> None:
        """Asks one question. Of several, one that the server cannot take is noted, and the others go on."""
        number = self._open[self._runs.index(run)]
        state = self._state.start(run.question, self._folders[number], number=number, run=run)
        run.listener = self._warnings
        run.note = self._state.note
        try:
            await client.run(run)
        except ServersAway as error:
            raise ServersAway(
                f"{error} Continue the run later with --resume {self._run_dir}."
            ) from None
        except QuestionRefused as error:
            if run.report is None or len(self._questions) == 1:
                raise
            self._state.note(f"Question {sanitize(run.question.id)}: {sanitize(str(error))}")
        finally:
            state.report = run.report
        self.rewards.add(run.view.rewards)
        if (note := no_rewards_note(run.view.rewards)) is not None:
            self._state.note(note)
