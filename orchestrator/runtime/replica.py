"""What is known of one replica: how many streams it sustains, and whether it works. No I/O and no clock.

Capacity is learned by additive increase and multiplicative decrease: a stream that ends well adds one, a refusal (429,
503) halves it, and a queue in the server lowers it to what the server runs, by half at most.

A replica is up, out (a circuit breaker has opened) or on trial: after a while, or once a health check succeeds, one
stream may try it, and its first token brings the replica back.
"""

import math
from collections.abc import Hashable
from typing import Literal

__all__ = ["Replica", "StreamEnd"]

StreamEnd = Literal["done", "closed", "busy", "broken", "unreachable"]
"""How a stream ended: as it should, by us before it gave anything, refused for now (429, 503), by a fault, or because no
server answers."""

_LATER_SECONDS = 1.0  # a busy replica is left alone for so long where it sends no Retry-After


class Replica:
    """One replica; times are seconds on any clock that only goes forward.

    Args:
        most: the highest capacity in streams, and the one at the start.
        failures: broken streams in a row that put it out. None: it is never out.
        seconds: from being out to the first trial.
    """

    def __init__(self, most: int, *, failures: int | None, seconds: float) -> None:
        self.capacity = most
        self.live = 0
        """Streams that are open, or being opened."""
        self.placed = 0
        """Streams placed here so far."""
        self.up = True
        self.trial: Hashable | None = None
        """The stream whose first token brings the replica back."""
        self._most = most
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._trial_at = -math.inf
        self._busy_until = -math.inf
        self._queued = False

    @property
    def fraction(self) -> float:
        """The fraction of its capacity that is in use."""
        return self.live / self.capacity

    def usable(self, now: float) -> bool:
        """Whether a stream may be opened as far as health goes: it is up, or a trial may begin."""
        return self.up or (self.trial is None and now >= self._trial_at)

    def has_room(self, now: float) -> bool:
        """Whether a further stream may be opened now."""
        return self.usable(now) and self.live < self.capacity

    def busy(self, now: float) -> bool:
        """Whether it has refused a stream a moment ago and asked to be left alone until later."""
        return now < self._busy_until

    def place(self, stream: Hashable) -> None:
        """A stream is opened here; it is the trial if the replica is not up."""
        self.live += 1
        self.placed += 1
        if not self.up:
            self.trial = stream

    def answered(self) -> None:
        """A stream gave its first event: the replica works."""
        self._failures = 0
        self.up = True
        self.trial = None

    def end(
        self, stream: Hashable, how: StreamEnd, now: float, retry_after: float | None = None
    ) -> None:
        """A stream that was placed here has ended. `retry_after` (seconds) goes with "busy"."""
        if how == "busy":
            self._refuse(now, retry_after)
        self.live -= 1
        if how == "done":
            self.answered()
            self.capacity = min(self._most, self.capacity + 1)
        elif how in ("broken", "unreachable"):
            self.fail(now, certain=how == "unreachable", stream=stream)
        if self.trial == stream:
            self.trial = None

    def fail(self, now: float, *, certain: bool = False, stream: Hashable | None = None) -> None:
        """A stream failed; a `certain` failure puts the replica out at once.

        While it is out, only its trial counts: other streams began before.
        """
        if self._limit is None:
            return
        self._failures += 1
        on_trial = stream is not None and stream == self.trial
        if on_trial or (self.up and (certain or self._failures >= self._limit)):
            self.up = False
            self._trial_at = now + self._seconds

    def leave_out(self) -> None:
        """It is out until a health check succeeds, however long that takes."""
        self.up = False
        self._trial_at = math.inf

    def check(self, now: float, *, healthy: bool) -> None:
        """A health check says whether a replica that is out may be tried now; failed ones put a replica out."""
        if self.up and not healthy:
            self.fail(now)
        elif not self.up:
            self._trial_at = -math.inf if healthy else now + self._seconds

    def queued(self, waiting: int) -> None:
        """The server holds so many requests back (`vllm:num_requests_waiting`).

        A request waits for a moment whenever it arrives, so only two observations in a row say that the server is full.
        """
        full = waiting > 0 and self._queued
        if full and 0 < self.live <= self.capacity:
            self.capacity = max(1, self.live - waiting, self.live // 2)
        self._queued = waiting > 0 and not full

    def _refuse(self, now: float, retry_after: float | None) -> None:
        """Half as many streams as are open from now on; refusals at the same moment count once."""
        if self.live <= self.capacity:
            self.capacity = max(1, self.live // 2)
        self._busy_until = now + (_LATER_SECONDS if retry_after is None else retry_after)
