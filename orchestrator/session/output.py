"""What the user sees: results on stdout; notes, progress and summaries on stderr.

While a screen has the terminal, everything else waits and is written when it closes, in order.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from orchestrator.core.policies import needs_judge
from orchestrator.interrupts import EXIT_INTERRUPTED, Interrupts
from orchestrator.journal.journal import write_run_file
from orchestrator.report.report import Report, to_json_line
from orchestrator.report.summary import summarise
from orchestrator.report.view import RewardTotals, RunView
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.session.state import SessionState, Show
from orchestrator.settings import Settings
from orchestrator.terminal.render import render_report, render_summary
from orchestrator.terminal.sanitize import sanitize
from orchestrator.terminal.status_line import ProgressLines

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EXIT_NO_ANSWER", "SUMMARY_FILE", "Output"]

EXIT_NO_ANSWER = 3
"""The run ended in order, but at least one question has no answer (too few ballots)."""

SUMMARY_FILE = "summary.json"
_PROGRESS_SECONDS = 0.2
_CLOSING_SECONDS = 3.0


class Output:
    """Where everything that a user reads is written, and which exit code it amounts to.

    Args:
        board: what the invocation is doing; notes go there too.
        json: results are JSON lines.
        quiet: nothing goes to stderr but errors.
        show: takes the whole terminal to show the board; without it there are progress lines.
    """

    def __init__(
        self, session_state: SessionState, *, json: bool, quiet: bool, show: Show | None = None
    ) -> None:
        self._session_state = session_state
        self._questions = len(session_state.questions)
        self._json = json
        self._quiet = quiet
        self._show = show
        self._rewards = RewardTotals()  # over all questions
        self._out, self._err = sys.stdout, sys.stderr  # a screen puts its own in their place
        self._held: list[tuple[str, TextIO]] | None = None  # None: no screen has the terminal

    def note(self, text: str) -> None:
        """Says something on stderr, unless the user wants quiet."""
        self._session_state.notices.append(text)
        if not self._quiet:
            self._print(text, self._err)

    def _print(self, text: str, stream: TextIO) -> None:
        if self._held is None:
            print(text, file=stream, flush=True)
        else:
            self._held.append((text, stream))

    @contextlib.asynccontextmanager
    async def on_screen(self, interrupts: Interrupts) -> AsyncIterator[None]:
        """Shows the board while the block runs and, if it ends in order, until the user has left.

        A user who leaves earlier, or a screen that breaks, does not end the run: progress lines go on.
        """
        if self._show is None:
            yield
            return
        self._held = []
        screen = asyncio.create_task(self._screen(self._show, interrupts), name="screen")
        try:
            yield
            self._session_state.over = True
            if not interrupts.requested.is_set():
                await asyncio.wait({screen})
        finally:
            self._session_state.closing = True
            await asyncio.wait({screen}, timeout=_CLOSING_SECONDS)
            screen.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await screen

    async def _screen(self, show: Show, interrupts: Interrupts) -> None:
        try:
            await show(self._session_state, interrupts)
        except Exception as error:
            self.note(f"The screen broke ({error}); the run goes on without it.")
        finally:
            held, self._held = self._held or [], None
            for text, stream in held:
                print(text, file=stream, flush=True)

    def describe(self, endpoints: Endpoints, settings: Settings) -> None:
        """Which servers were found, and what they cannot do."""
        found = endpoints.capabilities
        self.note(
            f"Reasoner {sanitize(found.model)} at {found.endpoint} ({sanitize(found.server)}, {found.api} API)"
        )
        if endpoints.judge_capabilities is not None:
            judge = endpoints.judge_capabilities
            self.note(f"Judge {sanitize(judge.model)} at {judge.endpoint} ({judge.dialect})")
        if endpoints.reward is not None:
            dialect = settings.reward.dialect
            self.note(
                f"Reward model {sanitize(endpoints.reward.model)} at {endpoints.reward.address} ({dialect})"
            )
        if needs_judge(settings) and settings.checkpoint.at == "pause" and not found.resumable:
            self.note(
                "This server cannot resume a closed stream exactly, so traces write on while the judge "
                "decides (as with --at-checkpoint run)."
            )

    def tell_comparisons(self, endpoints: Endpoints) -> None:
        """What comparing answers by a chat model has cost, and where it told nothing."""
        asked = endpoints.same_answer
        if asked is None:
            return
        self.note(
            f"Answers were compared by {sanitize(asked.model)}: {asked.requests} requests, {asked.tokens:,} tokens, "
            "which are not in the judge's bill."
        )
        if asked.unknown:
            self.note(
                f"{asked.unknown} pairs of answers got no clear verdict and count as different."
            )

    def count_rewards(self, view: RunView) -> None:
        """Adds a question's rewards to the bill, and says at once if its vote had to do without any."""
        spent = view.rewards
        self._rewards.add(spent)
        if spent.failures and not spent.traces:
            self.note(
                f"No trace got a reward, so the vote is a plain majority; the last reason: {sanitize(spent.last_failure)}"
            )

    def tell_rewards(self) -> None:
        """What the rewards have cost, and how many traces have none."""
        spent = self._rewards
        if not spent.traces and not spent.failures:
            return
        self.note(
            f"Rewards: {spent.traces} traces, {spent.prompt_tokens:,} tokens read in {spent.seconds:.1f} s; "
            "they are not in the judge's bill and not in what was saved."
        )
        if spent.failures:
            self.note(
                f"{spent.failures} traces got no reward and weigh as much as the others of their question on average; "
                f"the last reason: {sanitize(spent.last_failure)}"
            )

    @contextlib.asynccontextmanager
    async def progress(self, view: RunView, number: int) -> AsyncIterator[None]:
        """Shows the `number`-th question's progress while the block runs."""
        lines = ProgressLines(self._err, time.monotonic, quiet=self._quiet)
        poll = asyncio.create_task(self._poll(lines, view, number))
        try:
            yield
        finally:
            poll.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await poll
            lines.close()

    async def _poll(self, lines: ProgressLines, view: RunView, number: int) -> None:
        while True:
            if self._held is None:
                lines.show(view, question=number, questions=self._questions)
            await asyncio.sleep(_PROGRESS_SECONDS)

    def result(self, report: Report) -> None:
        """One line on stdout for the question, and its bill on stderr if it is the only one."""
        if self._json:
            self._print(to_json_line(report), self._out)
        else:
            answer = sanitize(report.answer or "").replace("\n", " ")
            identity = sanitize(report.question_id).replace("\n", " ")
            self._print(f"{identity}\t{answer}" if self._questions > 1 else answer, self._out)
        if self._questions == 1:
            self._explain(render_report(report, self._console()))

    def _explain(self, text: str) -> None:
        if not self._quiet:
            self._print(text, self._err)

    def conclude(self, reports: Sequence[Report], run_dir: Path, *, interrupted: bool) -> int:
        """The summary of several questions, and the exit code."""
        if self._questions > 1:
            summary = summarise(reports)
            write_run_file(run_dir, SUMMARY_FILE, to_json_line(summary) + "\n")
            if self._json:
                self._print(to_json_line(summary), self._out)
            self._explain(render_summary(summary, self._console()))
        if interrupted:
            return EXIT_INTERRUPTED
        return EXIT_NO_ANSWER if any(report.answer is None for report in reports) else 0

    def _console(self) -> "Console":
        from rich.console import Console

        return Console(file=self._err)
