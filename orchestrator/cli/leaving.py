"""Ctrl-C while a program still imports: it ends at once, as nothing can be lost yet, with exit code 130.

An exception could surface anywhere in an import, and would be printed there. This module is imported before all others, so
it imports only what every interpreter has loaded already.
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself imports a good deal
import os

__all__ = ["leave_at_once", "leave_on_interrupt"]

_EXIT_INTERRUPTED = 130


def leave_at_once(_number: int, _frame: object) -> None:
    """A signal handler that ends the process."""
    os._exit(_EXIT_INTERRUPTED)


def leave_on_interrupt() -> None:
    """Makes Ctrl-C end the process from now on, unless it is ignored; in the main thread, which alone receives signals."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        try:
            _signal.signal(_signal.SIGINT, leave_at_once)
        except ValueError:  # not the main thread
            return
