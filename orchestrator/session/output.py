"""What a session writes: results on stdout, notes and bills on stderr."""

import sys
from typing import TYPE_CHECKING

from orchestrator.report.report import Report, notices, to_json_line
from orchestrator.report.summary import SummaryLine
from orchestrator.session.display import Display
from orchestrator.terminal.render import render_report, render_summary
from orchestrator.terminal.safe_stream import Trusted
from orchestrator.terminal.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output"]


class Output:
    """Writes results as text or JSON.

    Args:
        display: has the terminal and writes the lines.
        json: results are JSON lines.
        quiet: no notes and no bills.
        several: there are several questions, so a result names its question, and the bill comes with the summary.
    """

    def __init__(
        self, display: Display, *, json: bool = False, quiet: bool = False, several: bool = False
    ) -> None:
        self._display = display
        self._json = json
        self._quiet = quiet
        self._several = several
        # a screen replaces sys.stdout and sys.stderr while it has the terminal
        self._stdout, self._stderr = sys.stdout, sys.stderr

    def note(self, text: str) -> None:
        """A sentence for the user, on one line; or a whole panel, which is `Trusted`."""
        if not self._quiet:
            line = text if isinstance(text, Trusted) else sanitize(text)
            self._display.write(line, self._stderr)

    def result(self, report: Report) -> None:
        """The result of one question; and its bill if it is the only one, else what limits the quality of the answer."""
        self._display.write(self._result_line(report), self._stdout)
        if not self._several:
            self.note(render_report(report, self._console()))
            return
        for notice in notices(report):
            self.note(f"{report.question_id}: {notice}")

    def summary(self, summary: SummaryLine) -> None:
        """The summary of several questions."""
        if self._json:
            self._display.write(to_json_line(summary), self._stdout)
        self.note(render_summary(summary, self._console()))

    def _result_line(self, report: Report) -> str:
        if self._json:
            return to_json_line(report)
        answer = sanitize(report.answer or "")
        return f"{sanitize(report.question_id)}\t{answer}" if self._several else answer

    def _console(self) -> "Console":
        """Tells the width of stderr."""
        from rich.console import Console

        return Console(file=self._stderr)
