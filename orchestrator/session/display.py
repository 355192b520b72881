"""Who has the terminal while a session runs.

A display shows the session and writes the lines of results and notes, so that the two never mix. There are plain
progress lines here, and a screen in `tui.launcher`.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import Protocol, TextIO

from orchestrator.session.state import SessionState
from orchestrator.terminal.safe_stream import write_line
from orchestrator.terminal.status_line import StatusPrinter

__all__ = ["Display", "PlainLines", "displayed"]

_POLL_SECONDS = 0.2
_CLOSING_SECONDS = 3.0  # how long a screen may take to leave the terminal


class Display(Protocol):
    """Shows a session, and writes lines to the terminal when it can."""

    async def show(self, state: SessionState) -> None:
        """Shows the session; returns when the phase is `closing`, or earlier when there is nothing more to see."""

    def write(self, text: str, stream: TextIO) -> None:
        """Writes a line, now or as soon as the terminal is free; lines keep their order."""

    def release(self) -> None:
        """Gives the terminal back and writes the lines that wait; called again when the program exits at once."""


class PlainLines:
    """Progress lines on stderr.

    Args:
        quiet: no progress is shown.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._lines = StatusPrinter(sys.stderr, time.monotonic, quiet=quiet)

    async def show(self, state: SessionState) -> None:
        """Shows the questions that run; returns when no question runs any more."""
        while state.phase == "running":
            self._show(state)
            await state.pause(_POLL_SECONDS)
        self.release()

    def _show(self, state: SessionState) -> None:
        running = [(each.number, each.run.view) for each in state.running if each.run is not None]
        if len(running) == 1:
            ((number, view),) = running
            self._lines.show(view, question=number + 1, questions=len(state.questions))
        elif running:
            reports = [each.report for each in state.started if each.report is not None]
            self._lines.show_all(
                [view for _, view in running],
                done=len(reports),
                questions=len(state.questions),
                tokens=sum(report.ledger.reasoner.generated_tokens for report in reports),
            )

    def write(self, text: str, stream: TextIO) -> None:
        """Writes a line in the place of a progress line that rewrites itself."""
        self._lines.close()
        write_line(text, stream)

    def release(self) -> None:
        """Removes a progress line that rewrites itself."""
        self._lines.close()


@contextlib.asynccontextmanager
async def displayed(display: Display, state: SessionState) -> AsyncIterator[None]:
    """Shows the session while the block runs and, if it ends in order, until the user has left the screen.

    A block that has set the phase to `closing` does not wait for the user. A user who leaves earlier does not end
    the block.
    """
    task = asyncio.create_task(display.show(state), name="display")
    try:
        yield
        if state.phase == "running":
            state.end("over")
            await asyncio.wait({task})
    finally:
        state.end("closing")
        await asyncio.wait({task}, timeout=_CLOSING_SECONDS)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        display.release()
