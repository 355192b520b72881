"""How a server is asked once more: what passes, how long to wait, and how the breaker hears of it.

The rule: only what may pass is tried again (busy, unreachable, a broken answer), and a server that says how long to
wait is given that time.

The circuit breaker: after several failures in a row nothing is asked for a while. Pure; time is passed in.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    JudgeError,
    StreamBroken,
)

__all__ = [
    "RETRYABLE",
    "Breaker",
    "backoff",
    "reported",
    "retries",
]


class Breaker:
    """Closed (calls pass), open (none pass), half-open (one trial passes and decides).

    Times are seconds on any clock that only goes forward.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._on_trial = False

    def allows(self, now: float) -> bool:
        """Whether a call may be made; every yes is followed by `succeeded`, `failed` or `abandoned`."""
        if self._opened_at is None:
            return True
        if self._on_trial or now - self._opened_at < self._seconds:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        """A call was answered: the breaker closes."""
        self._failures = 0
        self._opened_at = None
        self._on_trial = False

    def failed(self, now: float) -> None:
        """A call failed; calls that began before the breaker opened do not keep it open longer."""
        self._failures += 1
        if self._on_trial or (self._opened_at is None and self._failures >= self._limit):
            self._opened_at = now
            self._on_trial = False

    def abandoned(self) -> None:
        """A call was given up without a result, so another may be the trial."""
        self._on_trial = False

    def seconds_left(self, now: float) -> float:
        """How long it stays open; 0 when a call may pass."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._seconds - now)


RETRYABLE = (EndpointBusy, EndpointUnreachable, StreamBroken)
"""What may be gone at the next try."""


def backoff(
    *, first: float, most: float, most_when_asked: float = math.inf
) -> Callable[[RetryCallState], float]:
    """Seconds before the next try.

    What the server asks for, up to `most_when_asked`; else a random part of `first`, doubled each time up to `most`.
    """
    backoff = wait_random_exponential(multiplier=first, max=most)

    def seconds(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, EndpointBusy) and error.retry_after is not None:
            return min(error.retry_after, most_when_asked)
        return float(backoff(state))

    return seconds


def retries(attempts: int, *, longest_wait: float) -> AsyncRetrying:
    """So many attempts at one short call, at most `longest_wait` seconds apart; the last error is raised."""
    return AsyncRetrying(
        stop=stop_after_attempt(attempts),
        wait=backoff(first=0.2, most=5.0, most_when_asked=longest_wait),
        retry=retry_if_exception_type(RETRYABLE),
        reraise=True,
    )


@contextlib.contextmanager
def reported(breaker: Breaker) -> Iterator[None]:
    """Tells the breaker how the call inside went; a server that refuses one thing does answer."""
    try:
        yield
    except EndpointRejected:
        breaker.succeeded()
        raise
    except (EndpointError, JudgeError, TimeoutError):
        breaker.failed(time.monotonic())
        raise
    except BaseException:
        breaker.abandoned()
        raise
    breaker.succeeded()
