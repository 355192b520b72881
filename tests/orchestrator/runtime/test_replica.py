"""Capacity and health of one replica."""

import pytest

from orchestrator.runtime.replica import Replica, StreamEnd


def replica(most: int = 8, *, failures: int | None = 3) -> Replica:
    return Replica(most, failures=failures, seconds=10.0)


def with_streams(count: int, most: int = 8) -> Replica:
    one = replica(most)
    for stream in range(count):
        one.place(stream)
    return one


def test_a_refusal_halves_the_capacity_and_streams_that_end_well_raise_it_again() -> None:
    one = with_streams(6)
    one.end(0, "busy", 0.0)
    assert (one.capacity, one.live) == (3, 5)
    one.end(1, "busy", 0.0)  # a refusal of the same moment counts once
    assert one.capacity == 3
    one.end(2, "done", 0.0)
    assert one.capacity == 4


def test_capacity_stays_between_one_and_what_was_asked_for() -> None:
    one = with_streams(1)
    one.end(0, "busy", 0.0)
    one.place(1)
    one.end(1, "busy", 0.0)
    assert one.capacity == 1
    for stream in range(20):
        one.place(stream)
        one.end(stream, "done", 0.0)
    assert one.capacity == 8


def test_a_busy_replica_is_left_alone_for_as_long_as_it_asks() -> None:
    one = with_streams(2)
    one.end(0, "busy", 5.0, retry_after=4.0)
    assert one.busy(8.9)
    assert not one.busy(9.0)


@pytest.mark.parametrize(("waiting", "capacity"), [(1, 7), (3, 5), (7, 4)])
def test_a_queue_seen_twice_lowers_the_capacity_by_half_at_most(
    waiting: int, capacity: int
) -> None:
    one = with_streams(8)
    one.queued(waiting)
    assert one.capacity == 8  # requests have just arrived
    one.queued(waiting)
    assert one.capacity == capacity


def test_a_queue_that_has_gone_meanwhile_counts_for_nothing() -> None:
    one = with_streams(8)
    for waiting in (5, 0, 5):
        one.queued(waiting)
    assert one.capacity == 8


def test_a_queue_of_other_users_requests_lowers_nothing() -> None:
    one = with_streams(0)
    one.queued(5)
    one.queued(5)
    assert one.capacity == 8


def test_broken_streams_in_a_row_put_a_replica_out_until_a_trial_answers() -> None:
    one = with_streams(4)
    for stream in range(2):
        one.end(stream, "broken", 0.0)
    one.place("works")
    one.answered()
    for stream in (2, 3):
        one.end(stream, "broken", 0.0)
    assert one.up  # two, and two: not three in a row
    one.end("works", "broken", 1.0)
    assert not one.usable(10.9)
    assert one.usable(11.0)
    one.place("trial")
    assert not one.usable(11.0)  # one trial at a time
    one.answered()
    assert one.up


def test_a_replica_that_nobody_answers_for_is_out_at_once() -> None:
    one = with_streams(1)
    one.end(0, "unreachable", 0.0)
    assert not one.up


def test_a_failed_trial_begins_the_wait_again() -> None:
    one = with_streams(1)
    one.end(0, "unreachable", 0.0)
    one.place("trial")
    one.end("trial", "broken", 10.0)
    assert not one.usable(19.9)
    assert one.usable(20.0)


def test_a_trial_that_we_close_leaves_the_place_to_another() -> None:
    one = with_streams(1)
    one.end(0, "unreachable", 0.0)
    one.place("trial")
    one.end("trial", "closed", 11.0)
    assert not one.up
    assert one.usable(11.0)


def test_streams_of_before_the_outage_do_not_make_it_longer() -> None:
    one = with_streams(5)
    one.end(0, "unreachable", 0.0)
    one.place("trial")
    one.end(1, "broken", 15.0)
    one.end("trial", "closed", 15.0)
    assert one.usable(15.0)


@pytest.mark.parametrize(("healthy", "usable"), [(True, True), (False, False)])
def test_a_health_check_brings_the_trial_forward_or_puts_it_off(
    healthy: bool, usable: bool
) -> None:
    one = with_streams(1)
    one.end(0, "unreachable", 0.0)
    one.check(10.0 if not healthy else 1.0, healthy=healthy)
    assert one.usable(10.0) is usable
    assert not one.up  # only an answer brings it back


def test_failed_health_checks_put_a_replica_out() -> None:
    one = replica()
    for _ in range(3):
        assert one.up
        one.check(0.0, healthy=False)
    assert not one.up


@pytest.mark.parametrize("how", ["broken", "unreachable", "busy"])
def test_a_replica_without_a_limit_of_failures_is_never_out(how: StreamEnd) -> None:
    one = replica(failures=None)
    for stream in range(20):
        one.place(stream)
        one.end(stream, how, 0.0)
    assert one.usable(0.0)
