"""What math-verify says about two answers: the part that runs inside a worker process.

The rule: nothing here can be trusted to return. An answer such as 9^{9^9} hangs inside C code, so whoever
calls does it in another process and kills that process when its time is up. Errors come back as None,
never as exceptions, which might not survive the way between processes.
"""

import contextlib
import functools
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

__all__ = ["can_be_compared", "prepare_worker", "same_in_either_order"]

_ADDRESS_SPACE_BYTES = 4 << 30
"""Enough for sympy; an answer that asks for more gets a MemoryError, not the machine's memory."""

_GRACE_SECONDS = 10.0


def prepare_worker() -> None:
    """Makes this process killable, silent and small, and loads math-verify before the first check."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # ends the process even inside C code
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(silence, stream.fileno())  # the parent's terminal belongs to its display
    _limit_memory()
    import math_verify  # noqa: F401


def can_be_compared(answer: str, limit_seconds: float) -> bool | None:
    """Whether `answer` reads as mathematics and can be compared with zero; None after an error."""
    with _last_resort(limit_seconds), contextlib.suppress(Exception):
        from sympy import Integer

        parsed = _parsed(answer)
        _verify(parsed, [Integer(0)])
        _verify([Integer(0)], parsed)
        return bool(parsed)
    return None


def same_in_either_order(one: str, other: str, limit_seconds: float) -> bool | None:
    """Whether math-verify, which is not symmetric, calls the answers equal in one order or the other."""
    with _last_resort(limit_seconds), contextlib.suppress(Exception):
        first, second = _parsed(one), _parsed(other)
        return _verify(first, second) or _verify(second, first)
    return None


@functools.lru_cache(maxsize=1024)
def _parsed(answer: str) -> list[Any]:
    """The sympy expressions that `answer` stands for; empty for what is no mathematics."""
    from math_verify import parse

    latex = answer.replace("**", "^")
    found = parse(rf"\boxed{{{latex}}}", parsing_timeout=None)
    return [expression for expression in found if not isinstance(expression, str)]


def _verify(gold: list[Any], target: list[Any]) -> bool:
    from math_verify import verify

    return bool(verify(gold, target, timeout_seconds=None))


@contextlib.contextmanager
def _last_resort(limit_seconds: float) -> Iterator[None]:
    """The kernel ends this process if a check outlives its limit and nobody is left to kill it."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, limit_seconds + _GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system can
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, hard))
