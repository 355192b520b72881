"""Equality of two answers for labels: as the online client decides it, asked from plain code.

The rule: a pair of answers is checked once, in both orders, and what cannot be known to be equal is different.
"""

import asyncio
from functools import lru_cache
from types import TracebackType
from typing import Self

from orchestrator.equivalence import AnswerChecker

__all__ = ["AnswerEquality"]

_REMEMBERED_PAIRS = 1 << 16


class AnswerEquality:
    """`equal(one, two)` by spelling, number or math-verify; a context manager, because it may own processes.

    Processes start with the first pair of answers that needs mathematics.
    """

    def __init__(self, *, workers: int = 1, timeout_seconds: float = 5.0) -> None:
        self._runner = asyncio.Runner()
        self._checker = AnswerChecker(workers=workers, timeout_seconds=timeout_seconds)
        self._check = lru_cache(maxsize=_REMEMBERED_PAIRS)(self._check_once)

    @property
    def unknown(self) -> int:
        """Checks that gave no verdict, in time or at all; such answers count as different."""
        return self._checker.timeouts + self._checker.errors

    def __call__(self, one: str, two: str) -> bool:
        """Whether the answers are known to be equal."""
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

    def _check_once(self, one: str, two: str) -> bool:
        return self._runner.run(self._checker.equal(one, two))
