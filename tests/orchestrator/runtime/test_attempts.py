"""How long a server is waited for, which attempts count, and what is said of a wait."""

import pytest

from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    ServersAway,
    StreamBroken,
)
from orchestrator.runtime.attempts import PROGRESS_TOKENS, Attempts, patiently
from orchestrator.settings import EndpointSettings

GONE = EndpointUnreachable("nobody answers.")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(clock: Clock, **settings: float) -> Attempts:
    return Attempts(EndpointSettings.model_validate(settings), clock)


@pytest.mark.parametrize("error", [GONE, EndpointBusy("full.")])
def test_a_server_that_is_away_is_waited_for_by_the_clock_and_not_by_attempts(
    error: EndpointError,
) -> None:
    clock = Clock()
    made = attempts(clock, max_attempts=1, outage_seconds=60.0)
    for _ in range(50):
        made.failed(error)
        assert not made.is_last(error)
    clock.now += 59.0
    assert not made.is_last(error)
    assert made.longest(10.0) == 1.0
    clock.now += 1.0
    assert made.is_last(error)


def test_a_token_ends_an_outage() -> None:
    clock = Clock()
    made = attempts(clock, outage_seconds=60.0)
    made.failed(GONE)
    clock.now += 59.0
    made.received(1)
    made.failed(GONE)
    clock.now += 59.0
    assert not made.is_last(GONE)


def test_attempts_count_until_enough_has_come() -> None:
    broken = StreamBroken("reset")
    made = attempts(Clock(), max_attempts=2)
    for tokens, last in [(1, False), (PROGRESS_TOKENS, False), (PROGRESS_TOKENS - 1, True)]:
        made.received(tokens)
        made.failed(broken)
        assert made.is_last(broken) is last


@pytest.mark.parametrize(("tokens", "survived"), [(1, 3), (10, 6), (11, 100), (19, 100)])
def test_small_gains_add_up_but_a_token_now_and_then_is_no_progress(
    tokens: int, survived: int
) -> None:
    broken = StreamBroken("reset")
    made = attempts(Clock(), max_attempts=4)
    for number in range(100):
        made.received(tokens)
        made.failed(broken)
        assert made.is_last(broken) is (number >= survived)
        if made.is_last(broken):
            return
    assert survived == 100


def test_an_outage_between_broken_streams_gives_no_new_attempts() -> None:
    broken = StreamBroken("reset")
    made = attempts(Clock(), max_attempts=2)
    for error in (broken, GONE, broken):
        made.received(1)
        made.failed(error)
    assert made.is_last(broken)


@pytest.mark.parametrize(("asked", "too_long"), [(None, False), (119.0, False), (121.0, True)])
def test_a_server_may_ask_for_a_wait_up_to_the_setting(asked: float | None, too_long: bool) -> None:
    assert attempts(Clock()).is_too_long(EndpointBusy("full.", asked)) is too_long
    patient = attempts(Clock(), retry_after_seconds=1e6)
    assert not patient.is_too_long(EndpointBusy("full.", asked))


def test_a_wait_is_announced_once_it_is_worth_a_sentence() -> None:
    clock = Clock()
    made = attempts(clock)
    made.failed(GONE)
    assert made.announcement(GONE, 0.5) is None
    clock.now += 5.0
    said = made.announcement(GONE, 0.5)
    assert said == "nobody answers. It is waited for, at most 600 seconds."
    assert made.announcement(GONE, 9.0) is None
    made.received(1)
    made.failed(GONE)
    assert made.announcement(GONE, 9.0) is not None


def test_a_wait_that_the_server_asks_for_is_announced() -> None:
    made = attempts(Clock())
    busy = EndpointBusy("full.", 7.0)
    made.failed(busy)
    assert made.announcement(busy, 7.0) == "full. It is waited for, at most 600 seconds."
    assert made.announcement(StreamBroken("reset"), 7.0) is None


async def test_a_short_request_waits_for_its_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.runtime.attempts._backoff", lambda state: 0.0)
    clock = Clock()
    said: list[str] = []
    errors: list[EndpointError] = [GONE, EndpointBusy("full."), GONE]

    async def call() -> int:
        clock.now += 3.0
        if errors:
            raise errors.pop()
        return 42

    assert await patiently(call, attempts(clock), said.append) == 42
    assert len(said) == 1
    errors = [GONE] * 5
    with pytest.raises(ServersAway, match=r"nobody answers\. It was away for 9 seconds"):
        await patiently(call, attempts(clock, outage_seconds=9.0), said.append)
    errors = [EndpointRejected("no.", 400)]
    with pytest.raises(EndpointRejected):
        await patiently(call, attempts(clock), said.append)
