"""The common type of everything that scores pairs."""

import sys
from collections.abc import Callable, Sequence

from judge_server.data.pairs import Pair

__all__ = ["Advance", "Score", "say"]

Advance = Callable[[float], None]
"""Called with the fraction of the work that is done, in 0..1."""

Score = Callable[[Sequence[Pair], Advance], list[float]]
"""p(identical), or another likeness in 0..1, for each pair in order; higher means rather the same answer."""


def say(text: str) -> None:
    """A line for the user, on stderr."""
    print(text, file=sys.stderr, flush=True)
