"""How often and how long one trace tries again after its streams failed; times are seconds of the run.

Two things are told apart. A server that is away or busy is waited for, as long as the settings say. A stream that breaks
is opened again a number of times, and attempts that have brought some tokens together give new ones: a server that sends a
token and then an error again and again would be asked for ever.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from orchestrator.client.retry import backoff
from orchestrator.errors import EndpointBusy, EndpointError, EndpointUnreachable, ServersAway
from orchestrator.settings import EndpointSettings

__all__ = ["AWAY", "PROGRESS_TOKENS", "Attempts", "error_of", "patiently"]

T = TypeVar("T")

_backoff = backoff(first=0.5, most=10.0)

AWAY = (EndpointUnreachable, EndpointBusy)
"""The errors of a server that may take the same request later."""

PROGRESS_TOKENS = 32
"""New tokens since the last progress that are progress, over all attempts."""

_ANNOUNCED_AFTER = 2.0
"""Shorter waits are not worth a sentence."""


class Attempts:
    """The attempts at one trace; `away_since` is when its server was first found away, None while it answers."""

    def __init__(self, settings: EndpointSettings, clock: Callable[[], float]) -> None:
        self.away_since: float | None = None
        self._settings = settings
        self._clock = clock
        self._fruitless = 0
        self._received = 0
        self._announced = False

    def received(self, tokens: int) -> None:
        """The stream has brought so many tokens."""
        self.away_since = None
        self._announced = False
        self._received += tokens
        if self._received >= PROGRESS_TOKENS:
            self._fruitless = self._received = 0

    def failed(self, error: EndpointError) -> None:
        """The stream, or the request for it, has failed."""
        if not isinstance(error, AWAY):
            self._fruitless += 1
        elif self.away_since is None:
            self.away_since = self._clock()

    def is_last(self, error: EndpointError) -> bool:
        """Whether there is no further attempt after `error`."""
        if isinstance(error, AWAY):
            return self.has_waited_out
        return self._fruitless >= self._settings.max_attempts

    @property
    def has_waited_out(self) -> bool:
        """Whether the server has been away for as long as the settings allow."""
        waited = 0.0 if self.away_since is None else self._clock() - self.away_since
        return waited >= self._settings.outage_seconds

    def is_too_long(self, error: EndpointError) -> bool:
        """Whether the server asks to wait for longer than the settings allow."""
        return self._asked_for(error) > self._settings.retry_after_seconds

    def longest(self, seconds: float) -> float:
        """A wait of at most `seconds`, so that the last attempt comes when the time is over."""
        if self.away_since is None:
            return seconds
        left = self.away_since + self._settings.outage_seconds - self._clock()
        return max(0.0, min(seconds, left))

    def announcement(self, error: EndpointError, seconds: float) -> str | None:
        """A sentence about a wait of `seconds` that begins now; None if it is short or has been announced."""
        if not isinstance(error, AWAY):
            return None
        waited = 0.0 if self.away_since is None else self._clock() - self.away_since
        if self._announced or max(seconds, waited) < _ANNOUNCED_AFTER:
            return None
        self._announced = True
        return f"{error} It is waited for, at most {self._settings.outage_seconds:g} seconds."

    def _asked_for(self, error: EndpointError) -> float:
        return (error.retry_after or 0.0) if isinstance(error, EndpointBusy) else 0.0

    def outage(self, error: EndpointError) -> ServersAway:
        """The error of servers that have been away for too long."""
        seconds = self._settings.outage_seconds
        return ServersAway(
            f"{error} It was away for {seconds:g} seconds (endpoint.outage_seconds)."
        )


async def patiently(
    call: Callable[[], Awaitable[T]], attempts: Attempts, announce: Callable[[str], None]
) -> T:
    """What a short request gives, whose server is waited for as a trace waits.

    Raises:
        ServersAway: it was away for longer than the settings allow.
        EndpointError: another one.
    """

    async def attempt() -> T:
        try:
            return await call()
        except AWAY as error:
            attempts.failed(error)
            if attempts.is_last(error) or attempts.is_too_long(error):
                raise attempts.outage(error) from None
            raise

    def sleep(state: RetryCallState) -> None:
        message = attempts.announcement(error_of(state), state.upcoming_sleep)
        if message is not None:
            announce(message)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(AWAY),
        wait=lambda state: attempts.longest(_backoff(state)),
        before_sleep=sleep,
        reraise=True,
    )
    return await retrying(attempt)


def error_of(state: RetryCallState) -> EndpointError:
    """The error of the attempt that has failed."""
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, EndpointError):
        raise RuntimeError("only errors of servers are followed by another attempt")
    return error
