"""A server as a replay sees it: how long a first token, a decoding step and a verdict take."""

from typing import Annotated

import msgspec

__all__ = ["ServerModel"]

Seconds = Annotated[float, msgspec.Meta(ge=0.0)]


class ServerModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Continuous batching in its simplest form: every running stream gets one token per step.

    A step takes `step_seconds` and for each running stream `step_seconds_per_stream` more. At most `capacity`
    streams run at once (None: all of them); others wait, first come first served. The defaults are of the
    order of an 8 B model on one large GPU; tokens and accuracy hardly depend on them, seconds do.
    """

    first_token_seconds: Seconds = 0.2
    step_seconds: Annotated[float, msgspec.Meta(gt=0.0)] = 0.01
    step_seconds_per_stream: Seconds = 0.0001
    capacity: Annotated[int, msgspec.Meta(ge=1)] | None = None
    judge_seconds: Seconds = 0.05

    def step(self, running: int) -> float:
        """Seconds of one step with so many running streams."""
        return self.step_seconds + self.step_seconds_per_stream * running
