"""A session: servers are found or started once, questions run one after the other, results come out.

Everything that can be wrong with the user's input is found before a token is spent, except that a question is too long for
the model: that is found when its turn comes.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.api import Client
from orchestrator.errors import ConfigError, QuestionRefused, ServersAway
from orchestrator.interrupts import Interrupts
from orchestrator.journal.run_dir import (
    REPORT_FILE,
    SUMMARY_FILE,
    make_run_dir,
    question_dirs,
    remove_unstarted,
    write_inputs,
    write_run_file,
)
from orchestrator.questions import Question
from orchestrator.report.report import Report, read_report, to_json_line
from orchestrator.report.summary import summarise
from orchestrator.report.totals import RewardTotals
from orchestrator.runtime.endpoints import Keys, validate_endpoints
from orchestrator.session.display import Display, displayed
from orchestrator.session.notes import (
    WarningNotes,
    comparison_notes,
    no_rewards_note,
    reward_notes,
    server_notes,
)
from orchestrator.session.output import Output
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from orchestrator.terminal.sanitize import sanitize

__all__ = ["Session", "SessionResult"]


@dataclass(slots=True, kw_only=True)
class SessionResult:
    """The reports (schema 1) of the questions that were asked, in order; fewer after an interrupt."""

    reports: list[Report]
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is asked, of which servers.

    Attributes:
        settings: those of every question.
        questions: asked in this order.
        keys: to the servers; never stored.
        local: the bundled nano models are started.
        resume: the folder of a run that broke off; its questions that have no report are continued.
    """

    settings: Settings
    questions: list[Question]
    keys: Keys
    local: bool = False
    resume: Path | None = None

    async def run(self, output: Output, display: Display) -> SessionResult:
        """Asks the questions; Ctrl-C ends the one that runs in order, and the session with it.

        Raises:
            DeepPruneError: the session cannot start or continue; the message is one sentence with the remedy.
        """
        if not self.questions:
            raise ConfigError(
                'There is no question; give one as "text", - for stdin, or --questions FILE.'
            )
        validate_endpoints(self.settings, local=self.local)
        state = SessionState(self.questions, announce=output.note)
        interrupts = Interrupts(state.note, before_exit=display.release)
        state.interrupt = interrupts.interrupt
        asking = _Asking(self, state, output, interrupts)
        try:
            with interrupts.listening():
                async with displayed(display, state):
                    await asking.run()
        except asyncio.CancelledError:
            if not interrupts.requested.is_set():
                raise
        return SessionResult(reports=asking.reports, interrupted=interrupts.requested.is_set())


class _Asking:
    """The questions of a session, one after the other; the servers are opened for the first that needs them."""

    def __init__(
        self, session: Session, state: SessionState, output: Output, interrupts: Interrupts
    ) -> None:
        self.reports: list[Report] = []
        self._session = session
        self._state = state
        self._output = output
        self._interrupts = interrupts
        self._client: Client | None = None
        self._run_dir: Path | None = None
        self._warnings = WarningNotes(state.note)
        self._rewards = RewardTotals()

    async def run(self) -> None:
        questions = self._session.questions
        run_dir = self._run_dir = self._session.resume or self._new_run_dir()
        async with contextlib.AsyncExitStack() as stack:
            for question, folder in zip(questions, question_dirs(run_dir, questions), strict=True):
                report = read_report(folder / REPORT_FILE)
                if report is not None:
                    self._state.start(question, folder, report=report)
                    self._output.result(report)
                else:
                    client = self._client or await self._started(stack, run_dir)
                    report = await self._ask(client, question, folder)
                self.reports.append(report)
                if self._interrupts.requested.is_set():
                    self._state.end("closing")
                    break
        if len(questions) > 1:
            summary = summarise(self.reports)
            write_run_file(run_dir, SUMMARY_FILE, to_json_line(summary) + "\n")
            self._output.summary(summary)

    def _new_run_dir(self) -> Path:
        settings = self._session.settings
        run_dir = make_run_dir(Path(settings.run.out))
        write_inputs(run_dir, settings, self._session.questions)
        return run_dir

    async def _started(self, stack: contextlib.AsyncExitStack, run_dir: Path) -> Client:
        """The connected client; a new run without one has spent nothing, and leaves no folder."""
        try:
            return await self._open(stack, run_dir)
        except BaseException:
            if self._session.resume is None:
                remove_unstarted(run_dir)
            raise

    async def _open(self, stack: contextlib.AsyncExitStack, run_dir: Path) -> Client:
        session = self._session
        self._client = client = await stack.enter_async_context(
            Client(
                settings=session.settings,
                local=session.local,
                api_key=session.keys.reasoner,
                judge_api_key=session.keys.judge,
                reward_api_key=session.keys.reward,
                logs=run_dir,
                announce=self._state.note,
            )
        )
        stack.callback(self._note_costs, client)
        for note in server_notes(client.endpoints, client.settings):
            self._state.note(note)
        return client

    def _note_costs(self, client: Client) -> None:
        for note in [*comparison_notes(client.endpoints), *reward_notes(self._rewards)]:
            self._state.note(note)

    async def _ask(self, client: Client, question: Question, folder: Path) -> Report:
        """The report; a question that failed is shown before its error is raised.

        Of several questions, one that the server cannot take is noted, and the others go on.
        """
        run = client.prepare(question, folder=folder)
        state = self._state.start(question, folder, run=run)
        run.listener = self._warnings
        run.note = self._state.note
        try:
            with self._interrupts.graceful(run.interrupted.set, lambda: run.streaming):
                report = (await client.run(run)).report
        except ServersAway as error:
            raise ServersAway(
                f"{error} Continue the run later with --resume {self._run_dir}."
            ) from None
        except QuestionRefused as error:
            if run.report is None or len(self._session.questions) == 1:
                raise
            report = run.report
            self._state.note(f"Question {sanitize(question.id)}: {sanitize(str(error))}")
        finally:
            if run.report is not None:
                state.report = run.report
                self._output.result(run.report)
        self._rewards.add(run.view.rewards)
        if (note := no_rewards_note(run.view.rewards)) is not None:
            self._state.note(note)
        return report
