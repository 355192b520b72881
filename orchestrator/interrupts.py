"""Ctrl-C and SIGTERM: the first one ends the run in order, a second one ends the program at once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from orchestrator.errors import EXIT_INTERRUPTED

__all__ = ["Interrupts"]


def _do_nothing() -> None:
    pass


class Interrupts:
    """Turns SIGINT and SIGTERM into an orderly end of the current work.

    Inside `graceful`, the first signal asks the work there to end, once that is ready for it. At any other time it
    cancels the task that called `listening`.

    Args:
        announce: receives a sentence for the user.
        before_exit: called before the program ends at once, for example to give the terminal back.
    """

    def __init__(
        self, announce: Callable[[str], None], before_exit: Callable[[], None] = _do_nothing
    ) -> None:
        self.requested = asyncio.Event()
        self._announce = announce
        self._before_exit = before_exit
        self._stop: Callable[[], None] | None = None
        self._ready: Callable[[], bool] = lambda: True
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
    def graceful(
        self,
        stop: Callable[[], None] = _do_nothing,
        ready: Callable[[], bool] = lambda: True,
    ) -> Iterator[None]:
        """Inside, the first signal calls `stop` instead of cancelling the task, if `ready` says so then."""
        self._stop, self._ready = stop, ready
        try:
            yield
        finally:
            self._stop = None

    def interrupt(self) -> None:
        """What a signal does; a screen that receives Ctrl-C as a key calls it too."""
        if self.requested.is_set():
            self._before_exit()
            # the kernel closes the streams; the watchdog stops local servers
            os._exit(EXIT_INTERRUPTED)
        self.requested.set()
        if self._stop is not None and self._ready():
            self._announce("Stopping the streams; press Ctrl-C again to leave at once.")
            self._stop()
        elif self._task is not None:
            self._task.cancel()
