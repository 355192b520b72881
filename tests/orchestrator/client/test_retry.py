"""Which failures are retried, the wait before the next attempt, and the circuit breaker."""

import asyncio
from collections.abc import Callable

import pytest
from tenacity import AsyncRetrying, Future, RetryCallState

from orchestrator.client.retry import Breaker, backoff, guarded, retries
from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    JudgeError,
    StreamBroken,
)


def wait_after(
    wait: Callable[[RetryCallState], float], error: Exception, attempt: int = 1
) -> float:
    """Seconds that are waited after this error of the numbered attempt."""
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = attempt
    state.outcome = Future(attempt)
    state.outcome.set_exception(error)
    return wait(state)


def test_retry_after_is_honoured() -> None:
    wait = backoff(first=0.1, most=1.0)
    assert wait_after(wait, EndpointBusy("full", retry_after=70.0)) == 70.0


@pytest.mark.parametrize("error", [EndpointBusy("full"), StreamBroken("cut")])
def test_without_retry_after_the_wait_is_random_below_a_growing_bound(error: EndpointError) -> None:
    wait = backoff(first=1.0, most=8.0)
    waits = [wait_after(wait, error, attempt=10) for _ in range(200)]
    assert 4.0 < max(waits) <= 8.0
    assert max(wait_after(wait, error, attempt=1) for _ in range(200)) <= 1.0


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (EndpointBusy("full", retry_after=0.0), 3),
        (EndpointRejected("no"), 1),
        (EndpointBusy("full", retry_after=1.1), 1),
    ],
)
async def test_a_busy_server_is_retried_and_a_refusal_is_final(
    error: EndpointError, attempts: int
) -> None:
    made = 0

    async def call() -> None:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(type(error)):
        await retries(3, longest_wait=1.0)(call)
    assert made == attempts


def opened() -> Breaker:
    breaker = Breaker(failures=2, seconds=30.0)
    breaker.failed(0.0)
    breaker.failed(10.0)
    return breaker


def test_a_breaker_stays_closed_below_its_limit() -> None:
    breaker = Breaker(failures=2, seconds=30.0)
    breaker.failed(0.0)
    assert breaker.allows(0.0)


def test_a_success_between_failures_resets_the_count() -> None:
    breaker = Breaker(failures=2, seconds=30.0)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(1.0)
    assert breaker.allows(1.0)


def test_a_breaker_opens_after_enough_failures_in_a_row() -> None:
    assert not opened().allows(39.9)


def test_a_half_open_breaker_allows_one_trial() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    assert not breaker.allows(40.0)


def test_a_trial_that_succeeds_closes_the_breaker() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    breaker.succeeded()
    assert breaker.allows(40.0)
    assert breaker.allows(40.0)


def test_a_trial_that_fails_opens_the_breaker_for_the_whole_time_again() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    breaker.failed(41.0)
    assert not breaker.allows(70.9)
    assert breaker.allows(71.0)


def test_a_cancelled_trial_allows_another_one() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    breaker.abandoned()
    assert breaker.allows(40.0)


def test_failures_of_earlier_requests_do_not_keep_the_breaker_open_longer() -> None:
    breaker = opened()
    breaker.failed(35.0)
    assert breaker.allows(40.0)


@pytest.mark.parametrize("error", [StreamBroken("cut"), JudgeError("nonsense"), TimeoutError()])
def test_a_guarded_request_that_fails_opens_the_breaker(error: Exception) -> None:
    breaker = Breaker(1, 1e9)
    with pytest.raises(type(error)), guarded(breaker, "The server"):
        raise error
    with (
        pytest.raises(StreamBroken, match="The server failed repeatedly"),
        guarded(breaker, "The server"),
    ):
        pytest.fail("an open breaker allows no request")


def test_a_guarded_request_that_is_answered_resets_the_count() -> None:
    breaker = Breaker(2, 1e9)
    breaker.failed(0.0)
    with guarded(breaker, "The server"):
        pass
    breaker.failed(0.0)
    assert breaker.allows(0.0)


def test_a_refusal_counts_as_an_answer() -> None:
    breaker = Breaker(2, 1e9)
    breaker.failed(0.0)
    with pytest.raises(EndpointRejected), guarded(breaker, "The server"):
        raise EndpointRejected("no", 400)
    breaker.failed(0.0)
    assert breaker.allows(0.0)


def test_a_cancelled_guarded_request_is_neither_failure_nor_success() -> None:
    breaker = Breaker(1, 0.0)
    breaker.failed(0.0)
    with pytest.raises(asyncio.CancelledError), guarded(breaker, "The server"):
        raise asyncio.CancelledError
    assert breaker.allows(0.0)
