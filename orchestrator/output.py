"""What the user sees: results on stdout; notes, progress and summaries on stderr."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config import Settings
from orchestrator.core.policies import needs_judge
from orchestrator.fleet import Fleet
from orchestrator.interrupts import EXIT_INTERRUPTED
from orchestrator.journal import write_run_file
from orchestrator.progress import ProgressLines
from orchestrator.render import render_report, render_summary
from orchestrator.report import to_json_line
from orchestrator.summary import summarise
from orchestrator.untrusted import plain
from orchestrator.view import RunView

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EXIT_NO_ANSWER", "SUMMARY_FILE", "Output"]

EXIT_NO_ANSWER = 3
"""The run ended in order, but at least one question has no answer (too few ballots)."""

SUMMARY_FILE = "summary.json"
_PROGRESS_SECONDS = 0.2


class Output:
    """Where everything that a user reads is written, and which exit code it amounts to."""

    """What the user sees: results on stdout; notes, progress and summaries on stderr."""

    def __init__(self, *, questions: int, json: bool, quiet: bool) -> None:
        self._questions = questions
        self._json = json
        self._quiet = quiet

    def note(self, text: str) -> None:
        """Says something on stderr, unless the user wants quiet."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def describe(self, fleet: Fleet, settings: Settings) -> None:
        """Which servers were found, and what they cannot do."""
        found = fleet.capabilities
        self.note(
            f"Reasoner {plain(found.model)} at {found.endpoint} ({plain(found.server)}, {found.api} API)"
        )
        if fleet.judge_capabilities is not None:
            judge = fleet.judge_capabilities
            self.note(f"Judge {plain(judge['model'])} at {judge['endpoint']} ({judge['dialect']})")
        if needs_judge(settings) and settings.checkpoint.at == "pause" and not found.resumable:
            self.note(
                "This server cannot resume a closed stream exactly, so traces write on while the judge "
                "decides (as with --at-checkpoint run)."
            )

    @contextlib.asynccontextmanager
    async def progress(self, view: RunView, number: int) -> AsyncIterator[None]:
        """Shows the `number`-th question's progress while the block runs."""
        lines = ProgressLines(sys.stderr, time.monotonic, quiet=self._quiet)
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
            lines.show(view, question=number, questions=self._questions)
            await asyncio.sleep(_PROGRESS_SECONDS)

    def result(self, report: dict[str, Any]) -> None:
        """One line on stdout for the question, and its bill on stderr if it is the only one."""
        if self._json:
            print(to_json_line(report), flush=True)
        else:
            answer = plain(report["answer"] or "").replace("\n", " ")
            identity = plain(report["question_id"]).replace("\n", " ")
            print(f"{identity}\t{answer}" if self._questions > 1 else answer, flush=True)
        if self._questions == 1:
            self.note(render_report(report, _console()))

    def conclude(
        self, reports: Sequence[dict[str, Any]], run_dir: Path, *, interrupted: bool
    ) -> int:
        """The summary of several questions, and the exit code."""
        if self._questions > 1:
            summary = summarise(reports)
            write_run_file(run_dir, SUMMARY_FILE, to_json_line(summary) + "\n")
            if self._json:
                print(to_json_line(summary), flush=True)
            self.note(render_summary(summary, _console()))
        if interrupted:
            return EXIT_INTERRUPTED
        return EXIT_NO_ANSWER if any(report["answer"] is None for report in reports) else 0


def _console() -> "Console":
    from rich.console import Console

    return Console(file=sys.stderr)
