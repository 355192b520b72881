"""Progress with the time to go, on stderr: a bar on a terminal, else a line now and then for the log.

A line on stderr every few seconds: how far a long job has come.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = [
    "ProgressLine",
    "progress_bar",
]


_SECONDS_BETWEEN_LINES = 60.0
_SECONDS_REMEMBERED = 900.0
"""Over which the time to go is estimated: one question may take minutes."""


@contextlib.contextmanager
def progress_bar(
    total: int,
    what: str = "runs",
    *,
    done: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[], None]]:
    """Yields a function that counts one more of `total`; `done` of them were done before, which took no time now."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        speed_estimate_period=_SECONDS_REMEMBERED,
        get_time=clock,
    )
    told = clock()

    def advance() -> None:
        nonlocal told
        progress.advance(task)
        if not console.is_terminal and clock() - told >= _SECONDS_BETWEEN_LINES:
            told = clock()
            console.print(_line(progress.tasks[task], what), highlight=False, soft_wrap=True)

    with progress:
        task = progress.add_task(what, total=total, completed=done)
        yield advance


def _line(task: Task, what: str) -> str:
    """Such as `120 of 3,200 runs, 4 %, 1:02:03 to go`."""
    left = task.time_remaining
    to_go = "" if left is None else f", {TimeRemainingColumn().render(task)} to go"
    return f"{task.completed:,.0f} of {task.total:,.0f} {what}, {task.percentage:.0f} %{to_go}"


_SECONDS = 5.0


class ProgressLine:
    """Says where a job stands, at most every five seconds; ask `is_due` before making a costly text."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last line."""
        return time.monotonic() - self._shown_at >= _SECONDS

    def show(self, text: str) -> None:
        """Prints the line."""
        self._shown_at = time.monotonic()
        print(text, file=sys.stderr, flush=True)
