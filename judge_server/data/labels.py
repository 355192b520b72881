"""Equality of two answers for labels: the online client's rule, for synchronous code.

A pair of answers is checked once, in both orders. Answers that cannot be compared in time are neither equal nor
different: a wrong label trains and measures wrongly, a missing one does not.
"""

import asyncio
from functools import lru_cache
from types import TracebackType
from typing import Self

from orchestrator.answers.equality import AnswerChecker

__all__ = ["UNDECIDED", "AnswerEquality"]

CHECK_SECONDS = 30.0
"""Six times the timeout of a run: no trace waits for the label, and the machine may be busy."""

UNDECIDED = "their answers could not be compared in time"
"""Why pairs of such answers are left out, for the user."""

_REMEMBERED_PAIRS = 1 << 16


class AnswerEquality:
    """`equal(one, two)` by spelling, number or math-verify; a context manager, because it may own processes.

    None stands for a pair that was not decided in `timeout_seconds`. Processes start with the first pair of
    answers that needs mathematics.
    """

    def __init__(self, *, workers: int = 1, timeout_seconds: float = CHECK_SECONDS) -> None:
        self._runner = asyncio.Runner()
        self._checker = AnswerChecker(workers=workers, timeout_seconds=timeout_seconds)
        self._check = lru_cache(maxsize=_REMEMBERED_PAIRS)(self._check_once)

    def __call__(self, one: str, two: str) -> bool | None:
        """Whether the answers are equal; None where that cannot be determined."""
        return one == two or self._check(*sorted((one, two)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._runner.run(self._checker.__aexit__(kind, error, traceback))
        finally:
            self._runner.close()

    def _check_once(self, one: str, two: str) -> bool | None:
        return self._runner.run(self._checker.verdict(one, two))
