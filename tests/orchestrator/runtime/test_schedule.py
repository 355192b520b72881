"""When questions start, and in which order their results come out: a state machine without servers."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.schedule import InOrder, Schedule


@pytest.mark.parametrize(
    ("first", "streams", "started"),
    [
        (4, 64, 16),
        (5, 64, 12),
        (1, 3, 3),
        (64, 64, 1),
        (100, 64, 1),
        (32, 64, 2),
        (40, 64, 1),
        (4, 0, 1),
    ],
)
def test_as_many_questions_start_as_have_room_for_their_first_traces(
    first: int, streams: int, started: int
) -> None:
    schedule = Schedule(100, first=first)
    assert schedule.start(streams) == list(range(started))
    assert schedule.start(streams) == []


def test_the_next_question_starts_when_traces_have_ended() -> None:
    schedule = Schedule(3, first=4)
    assert schedule.start(8) == [0, 1]
    schedule.see(0, 4)
    schedule.see(1, 1)
    assert schedule.start(8) == []
    schedule.see(0, 3)
    assert schedule.start(8) == [2]


def test_a_question_with_many_first_traces_starts_when_half_of_the_streams_are_free() -> None:
    schedule = Schedule(3, first=64)
    assert schedule.start(64) == [0]
    schedule.see(0, 33)
    assert schedule.start(64) == []
    schedule.see(0, 32)
    assert schedule.start(64) == [1]
    schedule.see(0, 1)
    schedule.see(1, 64)
    assert schedule.start(64) == []


def test_a_question_whose_traces_have_ended_keeps_a_place_until_it_is_over() -> None:
    schedule = Schedule(3, first=1)
    assert schedule.start(2) == [0, 1]
    schedule.see(0, 0)
    assert schedule.start(2) == []
    schedule.end(0)
    schedule.see(0, 5)  # too late to matter
    assert schedule.running == (1,)
    assert schedule.start(2) == [2]


def test_no_more_run_than_are_wanted_at_once() -> None:
    schedule = Schedule(5, first=1, at_once=2)
    assert schedule.start(64) == [0, 1]
    schedule.end(1)
    assert schedule.start(64) == [2]


def test_nothing_starts_once_it_is_closed() -> None:
    schedule = Schedule(5, first=2)
    assert schedule.start(4) == [0, 1]
    schedule.close()
    schedule.end(0)
    assert schedule.start(4) == []
    assert not schedule.is_over
    schedule.end(1)
    assert schedule.is_over


@dataclass
class World:
    """Questions of known lengths: each starts `first` traces, which end one by one, and may launch more."""

    schedule: Schedule
    streams: int
    first: int
    open: dict[int, int] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)

    def start(self) -> None:
        before = dict(self.open)
        for number in self.schedule.start(self.streams):
            free = self.streams - sum(max(1, traces) for traces in before.values())
            assert not before or free >= min(self.first, (self.streams + 1) // 2)
            before[number] = self.open[number] = self.first
            self.started.append(number)

    def end_trace(self, number: int) -> None:
        """One trace ends; the last one ends the question."""
        self.open[number] -= 1
        self.schedule.see(number, self.open[number])
        if self.open[number] <= 0:
            del self.open[number]
            self.schedule.end(number)


@given(
    questions=st.integers(1, 12),
    first=st.integers(1, 12),
    streams=st.integers(1, 16),
    at_once=st.none() | st.integers(1, 6),
    choices=st.lists(st.integers(0, 100), max_size=200),
)
def test_all_questions_start_in_order_and_within_their_bounds(
    questions: int, first: int, streams: int, at_once: int | None, choices: list[int]
) -> None:
    schedule = Schedule(questions, first=first, at_once=at_once)
    world = World(schedule, streams, first)
    turns = iter(choices)
    while not schedule.is_over:
        world.start()
        assert world.open, "a question must run while any is left"
        assert at_once is None or len(world.open) <= at_once
        # what stands above the streams is what one wide question may wait for, never a queue of questions
        assert len(world.open) <= max(1, streams)
        running = sorted(world.open)
        number = running[next(turns, 0) % len(running)]
        if next(turns, 1) % 5 == 0 and world.open[number] < 2 * first:
            world.open[number] += 1  # the policy launches another trace
            schedule.see(number, world.open[number])
        else:
            world.end_trace(number)
    assert world.started == list(range(questions))


@given(st.permutations(range(8)), st.integers(0, 8))
def test_results_come_out_in_the_order_of_the_questions(order: list[int], taken: int) -> None:
    results: InOrder[str] = InOrder()
    given_out: list[str] = []
    for number in order[:taken]:
        given_out += results.add(number, f"r{number}")
        assert given_out == [f"r{n}" for n in range(len(given_out))]
    missing = next((n for n in range(8) if n not in order[:taken]), 8)
    assert len(given_out) == missing
    left = results.rest()
    assert left == sorted(left)
    assert len(left) + len(given_out) == taken
    assert results.rest() == []
