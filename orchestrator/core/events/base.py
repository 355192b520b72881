"""What every recorded event has: its time, a `type` in its JSON line, and bounds for what a file may hold.

With these bounds folding such a run takes seconds, and some hundred megabytes at most.
"""

from typing import Annotated

import msgspec

__all__ = ["RecordedEvent", "Seconds", "TokenId", "Tokens", "Traces"]

Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=100 * 86400.0)]
Traces = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Tokens = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]

TokenId = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
"""Of any vocabulary; kept in four bytes."""


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened `at` so many seconds after the start of the run."""

    at: Seconds
