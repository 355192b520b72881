"""The circuit breaker, with time as a number."""

from orchestrator.client.retry import Breaker


def opened() -> Breaker:
    breaker = Breaker(failures=2, seconds=30.0)
    breaker.failed(0.0)
    breaker.failed(10.0)
    return breaker


def test_stays_closed_below_the_limit() -> None:
    breaker = Breaker(failures=2, seconds=30.0)
    breaker.failed(0.0)
    assert breaker.allows(0.0)


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(failures=2, seconds=30.0)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(1.0)
    assert breaker.allows(1.0)


def test_opens_after_enough_failures_in_a_row() -> None:
    breaker = opened()
    assert not breaker.allows(39.9)
    assert breaker.seconds_left(15.0) == 25.0


def test_half_open_lets_exactly_one_trial_through() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    assert not breaker.allows(40.0)


def test_a_trial_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    breaker.succeeded()
    assert breaker.allows(40.0)
    assert breaker.seconds_left(40.0) == 0.0


def test_a_trial_that_fails_opens_it_for_the_whole_time_again() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    breaker.failed(41.0)
    assert not breaker.allows(70.9)
    assert breaker.allows(71.0)


def test_a_trial_given_up_makes_room_for_another() -> None:
    breaker = opened()
    assert breaker.allows(40.0)
    breaker.abandoned()
    assert breaker.allows(40.0)


def test_late_failures_do_not_keep_it_open_longer() -> None:
    breaker = opened()
    breaker.failed(35.0)
    assert breaker.allows(40.0)
