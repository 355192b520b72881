"""How a training goes on, on stderr: a bar with loss and time left on a terminal, else a line now and then."""

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["TrainingProgress"]

SMOOTHING = 0.98
"""What a step's loss leaves of the smoothed one."""


class TrainingProgress:
    """Counts steps and shows them; a context manager, so that the bar is always taken away.

    Args:
        stream: usually stderr.
        steps: of the whole training.
        done: of them before now, in a training that goes on after a stop.
        loss: the smoothed loss so far; nan before the first step.
        clock: seconds from any fixed moment.
        quiet: writes nothing, as every process but the first does.
        interval: least seconds between two lines where there is no terminal.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        steps: int,
        done: int = 0,
        loss: float = math.nan,
        clock: Callable[[], float] = time.monotonic,
        quiet: bool = False,
        interval: float = 10.0,
    ) -> None:
        self.loss = loss
        self._steps = steps
        self._done = self._began_at = done
        self._clock = clock
        self._quiet = quiet
        self._interval = interval
        self._started = clock()
        self._next_line = self._started
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.5f}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=steps, completed=done, loss=loss)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, loss: float) -> None:
        """Counts a step with its loss."""
        self._done += 1
        is_first = math.isnan(self.loss)
        self.loss = loss if is_first else SMOOTHING * self.loss + (1.0 - SMOOTHING) * loss
        self._bar.update(self._task, completed=self._done, loss=self.loss)
        is_due = self._clock() >= self._next_line or self._done == self._steps
        if not self._console.is_terminal and is_due:
            self._next_line = self._clock() + self._interval
            self.say(self._line())

    def say(self, text: str) -> None:
        """Writes a line of its own."""
        if not self._quiet:
            self._console.print(text)

    def _line(self) -> str:
        seconds = self._clock() - self._started
        left = seconds / (self._done - self._began_at) * (self._steps - self._done)
        return f"step {self._done}/{self._steps} loss {self.loss:.5f} ETA {left / 60:.1f} min"
