"""A session: servers are found or started once, questions run side by side, results come out in order.

Everything that can be wrong with the user's input is found before a token is spent, except that a question is too long for
the model: that is found when its turn comes.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.api import Client
from orchestrator.errors import ConfigError
from orchestrator.interrupts import Interrupts
from orchestrator.journal.run_dir import (
    SUMMARY_FILE,
    make_run_dir,
    remove_unstarted,
    write_inputs,
    write_run_file,
)
from orchestrator.questions import Question
from orchestrator.report.report import Report, to_json_line
from orchestrator.report.summary import summarise
from orchestrator.runtime.endpoints import Keys, validate_endpoints
from orchestrator.session.asking import Asking
from orchestrator.session.display import Display, displayed
from orchestrator.session.notes import comparison_notes, reward_notes, server_notes
from orchestrator.session.output import Output
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings

__all__ = ["Session", "SessionResult"]


@dataclass(slots=True, kw_only=True)
class SessionResult:
    """The reports (schema 1) of the questions that were asked, in their order; fewer after an interrupt."""

    reports: list[Report]
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is asked, of which servers.

    Attributes:
        settings: those of every question.
        questions: started in this order.
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
        """Asks the questions; Ctrl-C ends those that run in order, and the session with them.

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
        asked = _Asked(self, state, output, interrupts)
        try:
            with interrupts.listening():
                async with displayed(display, state):
                    await asked.run()
        except asyncio.CancelledError:
            if not interrupts.requested.is_set():
                raise
        return SessionResult(reports=asked.reports, interrupted=interrupts.requested.is_set())


class _Asked:
    """The run folder of a session, and its servers, which are opened if any question needs them."""

    def __init__(
        self, session: Session, state: SessionState, output: Output, interrupts: Interrupts
    ) -> None:
        self.reports: list[Report] = []
        self._session = session
        self._state = state
        self._output = output
        self._interrupts = interrupts

    async def run(self) -> None:
        """Asks what has no report, and sums several questions up."""
        questions = self._session.questions
        run_dir = self._session.resume or self._new_run_dir()
        asking = Asking(questions, run_dir, self._state, self._output, self._interrupts)
        self.reports = asking.reports
        if asking.read_reports():
            async with contextlib.AsyncExitStack() as stack:
                client = await self._started(stack, run_dir)
                stack.callback(self._note_costs, client, asking)
                await asking.ask(client)
        if len(questions) > 1:
            summary = summarise(self.reports, asking.counts, asking.wall_seconds)
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
        client = await stack.enter_async_context(
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
        for note in server_notes(client.endpoints, client.settings):
            self._state.note(note)
        return client

    def _note_costs(self, client: Client, asking: Asking) -> None:
        for note in [*comparison_notes(client.endpoints), *reward_notes(asking.rewards)]:
            self._state.note(note)
