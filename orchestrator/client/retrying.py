"""How a server is asked once more: what passes, how long to wait, and how the breaker hears of it.

The rule: only what may pass is tried again (busy, unreachable, a broken answer), and a server that says how long to
wait is given that time.
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

from orchestrator.client.breaker import Breaker
from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    JudgeError,
    StreamBroken,
)

__all__ = ["PASSING", "patience", "reported", "retries"]

PASSING = (EndpointBusy, EndpointUnreachable, StreamBroken)
"""What may be gone at the next try."""


def patience(
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
        wait=patience(first=0.2, most=5.0, most_when_asked=longest_wait),
        retry=retry_if_exception_type(PASSING),
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
