"""What math-verify says about two answers: the part that runs inside a worker process.

Nothing here can be trusted to return: an answer such as 9^{9^9} hangs inside C code, so the caller runs this in another
process and kills that process when its time is up. Errors come back as None, never as exceptions, which might not
survive the way between processes.
"""

import contextlib
import functools
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from orchestrator.answers.quantity import number_key

__all__ = ["Nature", "nature_of", "prepare_worker", "same_in_either_order"]

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


class Nature(NamedTuple):
    """Whether an answer reads as mathematics that can be compared, and the key of its value if it is a real number."""

    comparable: bool
    number: str | None


def nature_of(answer: str, limit_seconds: float) -> Nature | None:
    """What mathematics `answer` is; None after an error."""
    with _last_resort(limit_seconds), contextlib.suppress(Exception):
        from sympy import Integer

        parsed = _parsed(answer)
        _verify(parsed, [Integer(0)])
        _verify([Integer(0)], parsed)
        return Nature(bool(parsed), _number_of(parsed))
    return None


def _number_of(parsed: list[Any]) -> str | None:
    """The key of the one real number that the expressions are, as plain numbers have it; None for others."""
    from sympy import Expr

    if len(parsed) != 1 or not isinstance(parsed[0], Expr) or not parsed[0].is_number:
        return None
    if parsed[0].is_real is not True or parsed[0].is_finite is not True:
        return None
    return number_key(Fraction(str(parsed[0].evalf(30))))


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
