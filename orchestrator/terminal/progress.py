"""Progress of a long job on stderr: a bar with the time to go on a terminal, otherwise a line now and then.

    with Progress("steps", total=900, done=100, title="training") as progress:
        for step in steps:
            loss = learn(step)
            progress.advance(loss=f"{loss:.3f}")
        progress.say("epoch 1 is done")

A log then gets lines such as `training: 120 of 900 steps, 13 %, 0:02:03 to go, loss 0.412`. A job that ends within
`interval` seconds prints nothing but what it says. The state of a live run is `orchestrator.terminal.status_line`.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from orchestrator.terminal.safe_stream import trusting
from orchestrator.terminal.sanitize import sanitize

__all__ = ["Progress"]

_SECONDS_REMEMBERED = 900.0
"""The speed is averaged over this time: one unit of work may take minutes."""
_SECONDS_BETWEEN_UPDATES = 0.1
"""Units may take microseconds, and every update of the bar is kept for its speed."""


class Progress:
    """Counts the finished units of a job and shows them; a context manager, which removes the bar at the end.

    Args:
        units: what is counted, in the plural, e.g. "questions".
        total: how many there are; None where this is not known.
        done: how many were finished before now, for a job that is resumed. They do not count towards the speed.
        title: stands before the count, e.g. the name of the job's stage.
        quiet: writes nothing at all.
        stream: None means stderr.
        clock: seconds from any fixed moment.
        interval: the least seconds between two lines where there is no terminal.
    """

    def __init__(
        self,
        units: str,
        total: int | None = None,
        *,
        done: int = 0,
        title: str = "",
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 30.0,
    ) -> None:
        self._units = units
        self._title = f"{sanitize(title)}: " if title else ""
        self._quiet = quiet
        self._clock = clock
        self._interval = interval
        self._total = total
        self._done: float = done
        self._updated_at = self._printed_at = clock()
        self._printed: str | None = None
        self._fields = ""
        self._console = Console(
            file=trusting(stream or sys.stderr), highlight=False, markup=False, soft_wrap=True
        )
        self._bar = Bar(
            *_columns(total),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
            speed_estimate_period=_SECONDS_REMEMBERED,
            get_time=clock,
        )
        self._task = self._bar.add_task(self._title + units, total=total, completed=done, fields="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._update_bar()
        self._bar.stop()
        if self._printed is not None and self._line() != self._printed:
            self._print_line()

    def advance(self, **fields: str) -> None:
        """Counts one more unit; `fields` are named values to show beside the count."""
        self.update(self._done + 1, **fields)

    def update(self, done: float, **fields: str) -> None:
        """Sets the number of finished units; a call without fields keeps the last ones."""
        self._done = done
        if fields:
            self._fields = sanitize(", ".join(f"{name} {value}" for name, value in fields.items()))
        now = self._clock()
        if now - self._updated_at >= _SECONDS_BETWEEN_UPDATES:
            self._updated_at = now
            self._update_bar()
        if now - self._printed_at >= self._interval and not self._console.is_terminal:
            self._printed_at = now
            self._print_line()

    def say(self, text: str) -> None:
        """Writes a line of its own, above the bar if there is one."""
        if not self._quiet:
            self._console.print(sanitize(text, one_line=False))

    def _update_bar(self) -> None:
        self._bar.update(self._task, completed=self._done, fields=self._fields)

    def _print_line(self) -> None:
        self._printed = self._line()
        self.say(self._printed)

    def _line(self) -> str:
        line = f"{self._title}{self._done:,.0f}"
        if self._total is None:
            line += f" {self._units}"
        else:
            percent = 100 * self._done / max(1, self._total)
            line += f" of {self._total:,} {self._units}, {percent:.0f} %"
        task = self._bar.tasks[self._task]
        if task.time_remaining:  # neither unknown nor 0
            line += f", {TimeRemainingColumn().render(task)} to go"
        return f"{line}, {self._fields}" if self._fields else line


def _columns(total: int | None) -> list[ProgressColumn]:
    title = TextColumn("{task.description}", markup=False)
    fields = TextColumn("{task.fields[fields]}", markup=False)
    count = MofNCompleteColumn()
    if total is None:
        return [title, count, TimeElapsedColumn(), fields]
    return [title, BarColumn(), count, TimeElapsedColumn(), TimeRemainingColumn(), fields]
