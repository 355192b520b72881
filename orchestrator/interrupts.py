"""Ctrl-C: the first one ends the run in order, a second one ends the program at once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

__all__ = ["EXIT_INTERRUPTED", "Interrupts"]

EXIT_INTERRUPTED = 130


class Interrupts:
    """Turns SIGINT and SIGTERM into an orderly end of the work in hand.

    While a question runs (`graceful`), the first signal sets `requested`: the run stops its streams, votes
    over what has finished and reports. At any other time it cancels the task that called `listening`.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.requested = asyncio.Event()
        self.before_leaving: Callable[[], None] = lambda: None
        """Called before the program ends at once, e.g. to give the terminal back."""
        self._announce = announce
        self._graceful = False
        self._task: asyncio.Task[object] | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the signals until the block is left."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.interrupt)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    @contextlib.contextmanager
    def graceful(self) -> Iterator[None]:
        """Inside, the first signal asks the run to end instead of cancelling the task."""
        self._graceful = True
        try:
            yield
        finally:
            self._graceful = False

    def interrupt(self) -> None:
        """What a signal does; a screen that takes Ctrl-C as a key calls it too."""
        if self.requested.is_set():
            self.before_leaving()
            os._exit(
                EXIT_INTERRUPTED
            )  # the kernel closes the streams; the watchdog stops local servers
        self.requested.set()
        if self._graceful:
            self._announce("Stopping the streams; press Ctrl-C again to leave at once.")
        elif self._task is not None:
            self._task.cancel()
