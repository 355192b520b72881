"""What is tried again, how long one waits, and what the breaker hears."""

import asyncio
from collections.abc import Callable

import pytest
from tenacity import Future, RetryCallState

from orchestrator.client.retry import Breaker, backoff, reported, retries
from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    JudgeError,
    StreamBroken,
)


def seconds(wait: Callable[[RetryCallState], float], error: Exception, attempt: int = 1) -> float:
    """What is waited after this error of the numbered attempt."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = attempt
    state.outcome = Future(attempt)
    state.outcome.set_exception(error)
    return wait(state)


def test_a_server_that_says_how_long_is_given_that_time() -> None:
    wait = backoff(first=0.1, most=1.0)
    assert seconds(wait, EndpointBusy("full", retry_after=70.0)) == 70.0


def test_but_no_longer_than_the_caller_allows() -> None:
    wait = backoff(first=0.1, most=1.0, most_when_asked=9.0)
    assert seconds(wait, EndpointBusy("full", retry_after=70.0)) == 9.0


@pytest.mark.parametrize("error", [EndpointBusy("full"), StreamBroken("cut")])
def test_else_the_wait_is_drawn_below_a_growing_bound(error: EndpointError) -> None:
    wait = backoff(first=1.0, most=8.0)
    drawn = [seconds(wait, error, attempt=10) for _ in range(200)]
    assert 4.0 < max(drawn) <= 8.0
    assert max(seconds(wait, error, attempt=1) for _ in range(200)) <= 1.0


async def test_what_may_pass_is_tried_so_often_and_then_raised() -> None:
    tried = []

    async def call() -> None:
        tried.append(1)
        raise EndpointBusy("full", retry_after=0.0)

    with pytest.raises(EndpointBusy):
        await retries(3, longest_wait=1.0)(call)
    assert len(tried) == 3


async def test_a_refusal_is_not_tried_again() -> None:
    tried = []

    async def call() -> None:
        tried.append(1)
        raise EndpointRejected("no", 400)

    with pytest.raises(EndpointRejected):
        await retries(3, longest_wait=1.0)(call)
    assert len(tried) == 1


@pytest.mark.parametrize("error", [StreamBroken("cut"), JudgeError("nonsense"), TimeoutError()])
def test_the_breaker_opens_at_failures(error: Exception) -> None:
    breaker = Breaker(1, 1e9)
    with pytest.raises(type(error)), reported(breaker):
        raise error
    assert not breaker.allows(0.0)


@pytest.mark.parametrize("error", [EndpointRejected("no", 400), None])
def test_a_server_that_answers_closes_it(error: Exception | None) -> None:
    breaker = Breaker(2, 1e9)
    breaker.failed(0.0)
    try:
        with reported(breaker):
            if error is not None:
                raise error
    except EndpointRejected:
        pass
    breaker.failed(0.0)
    assert breaker.allows(0.0)  # the count began anew


def test_a_call_given_up_lets_another_be_the_trial() -> None:
    breaker = Breaker(1, 0.0)
    breaker.failed(0.0)
    assert breaker.allows(0.0)
    with pytest.raises(asyncio.CancelledError), reported(breaker):
        raise asyncio.CancelledError
    assert breaker.allows(0.0)
