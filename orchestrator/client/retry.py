"""What happens after a failed request: another attempt, a pause, or none for a while (circuit breaker).

Retried are a busy server, an unreachable one and a broken answer; a refusal is final. Retry-After is honoured.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
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

__all__ = ["RETRYABLE", "Breaker", "backoff", "guarded", "retries"]

RETRYABLE = (EndpointBusy, EndpointUnreachable, StreamBroken)
"""The errors after which the same request may succeed."""

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0


def retries(attempts: int, *, longest_wait: float) -> AsyncRetrying:
    """Up to `attempts` attempts at one short request; the last error is raised.

    A server that asks for a longer wait (Retry-After) than `longest_wait` seconds is not asked again.
    """

    def may_succeed(error: BaseException) -> bool:
        asked = error.retry_after if isinstance(error, EndpointBusy) else None
        return isinstance(error, RETRYABLE) and (asked or 0.0) <= longest_wait

    return AsyncRetrying(
        stop=stop_after_attempt(attempts),
        wait=backoff(first=_FIRST_WAIT_SECONDS, most=_LONGEST_WAIT_SECONDS),
        retry=retry_if_exception(may_succeed),
        reraise=True,
    )


def backoff(*, first: float, most: float) -> Callable[[RetryCallState], float]:
    """Seconds before the next attempt.

    Retry-After where the server sends it; otherwise a random time below a bound that begins with `first` and doubles
    with each attempt, up to `most`.
    """
    exponential = wait_random_exponential(multiplier=first, max=most)

    def seconds(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, EndpointBusy) and error.retry_after is not None:
            return error.retry_after
        return float(exponential(state))

    return seconds


class Breaker:
    """Closed (requests are allowed), open (none is), or half-open (one trial request decides).

    Time is passed in, as seconds on any clock that only goes forward.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._on_trial = False

    def allows(self, now: float) -> bool:
        """Whether a request may be made; each one allowed must report `succeeded`, `failed` or `abandoned`."""
        if self._opened_at is None:
            return True
        if self._on_trial or now - self._opened_at < self._seconds:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        """A request was answered: the breaker closes."""
        self._failures = 0
        self._opened_at = None
        self._on_trial = False

    def failed(self, now: float) -> None:
        """A request failed; one that began before the breaker opened does not keep it open longer."""
        self._failures += 1
        if self._on_trial or (self._opened_at is None and self._failures >= self._limit):
            self._opened_at = now
            self._on_trial = False

    def abandoned(self) -> None:
        """A request was cancelled without a result, so another one may be the trial."""
        self._on_trial = False


@contextlib.contextmanager
def guarded(breaker: Breaker, server: str) -> Iterator[None]:
    """A request that the breaker allows and whose outcome it learns.

    A refusal of one request counts as an answer. Raises StreamBroken while the breaker is open.
    """
    if not breaker.allows(time.monotonic()):
        raise StreamBroken(f"{server} failed repeatedly and is not asked for a while.")
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
