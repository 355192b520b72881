"""Where streams are opened: examples, and rules that hold for any history."""

from collections.abc import Hashable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.core.events import MoveReason
from orchestrator.runtime.replica import StreamEnd
from orchestrator.runtime.routing import Placement, Routing


def placed(
    routing: Routing, *streams: tuple[Hashable, int | None], now: float = 0.0
) -> list[Placement]:
    for stream, owner in streams:
        routing.ask(stream, owner)
    return routing.admit(now)


def loads(routing: Routing) -> list[int]:
    return [replica.live for replica in routing.replicas]


def fill(routing: Routing, replica: int, count: int) -> list[str]:
    """So many further streams on one replica, which is their owner; the others look full meanwhile."""
    names = [f"{replica}.{n + routing.replicas[replica].live}" for n in range(count)]
    for name in names:
        routing.replicas[replica].place(name)
        routing._streams[name] = replica
    return names


def test_new_traces_spread_evenly() -> None:
    routing = Routing(3, most=64)
    assert len(placed(routing, *((n, None) for n in range(64)))) == 64
    assert sorted(loads(routing)) == [21, 21, 22]


def test_one_stream_after_the_other_takes_turns() -> None:
    routing = Routing(3, most=8)
    chosen = []
    for n in range(6):
        (placement,) = placed(routing, (n, None))
        chosen.append(placement.replica)
        routing.end(n, "done", 0.0)
    assert chosen == [0, 1, 2, 0, 1, 2]


def test_new_traces_go_where_the_smallest_fraction_of_the_capacity_is_used() -> None:
    routing = Routing(2, most=40)
    routing.replicas[0].capacity = 30
    routing.replicas[1].capacity = 10
    placed(routing, *((n, None) for n in range(40)))
    assert loads(routing) == [30, 10]


def test_no_more_streams_than_the_run_may_open() -> None:
    routing = Routing(3, most=4)
    assert len(placed(routing, *((n, None) for n in range(9)))) == 4
    assert routing.waiting == 5
    routing.end(0, "done", 0.0)
    assert [each.stream for each in routing.admit(0.0)] == [4]


@pytest.mark.parametrize(("above", "moved"), [(0, None), (1, None), (2, "load"), (5, "load")])
def test_a_trace_goes_to_its_owner_unless_that_has_too_many(
    above: int, moved: MoveReason | None
) -> None:
    routing = Routing(2, most=20)
    fill(routing, 0, 3 + above)
    fill(routing, 1, 3)
    (placement,) = placed(routing, ("again", 0))
    assert placement == Placement("again", 0 if moved is None else 1, moved)


def test_a_trace_leaves_an_owner_that_is_out() -> None:
    routing = Routing(2, most=8)
    fill(routing, 0, 1)
    routing.end("0.0", "unreachable", 0.0, reason="refused")
    assert placed(routing, ("again", 0)) == [Placement("again", 1, "down")]
    (change,) = routing.changes
    assert change == (0, False, "refused")


def test_a_trace_leaves_an_owner_that_refuses_streams() -> None:
    routing = Routing(2, most=8)
    fill(routing, 0, 1)
    routing.end("0.0", "busy", 0.0, retry_after=5.0)
    assert routing.has_alternative(0, 0.0)
    assert placed(routing, ("again", 0)) == [Placement("again", 1, "busy")]
    routing.end("again", "done", 0.0)
    assert placed(routing, ("later", 0), now=5.0) == [Placement("later", 0, None)]


def test_busy_replicas_are_asked_where_no_other_works() -> None:
    routing = Routing(2, most=8)
    for number in range(2):
        fill(routing, number, 1)
        routing.end(f"{number}.0", "busy", 0.0, retry_after=60.0)
    assert not routing.has_alternative(0, 0.0)
    assert placed(routing, ("again", 1)) == [Placement("again", 1, None)]


def test_a_trace_waits_for_a_full_owner_while_others_can_use_what_is_free() -> None:
    routing = Routing(2, most=8)
    routing.replicas[0].capacity = 2
    fill(routing, 0, 2)
    fill(routing, 1, 2)
    moves = placed(routing, ("owned", 0), ("new", None))
    assert moves == [Placement("new", 1, None), Placement("owned", 1, "busy")]


def test_a_trace_that_waits_for_its_owner_is_first_when_that_has_room() -> None:
    routing = Routing(2, most=5)
    for number, count in ((0, 2), (1, 3)):
        routing.replicas[number].capacity = count
        fill(routing, number, count)
    assert placed(routing, ("owned", 0), ("other", 1), ("new", None)) == []
    routing.end("0.0", "closed", 0.0)
    assert routing.admit(0.0) == [Placement("owned", 0, None)]


def test_the_trial_of_a_replica_decides_whether_it_takes_traces_again() -> None:
    routing = Routing(2, most=8, seconds=10.0)
    fill(routing, 0, 1)
    fill(routing, 1, 2)
    routing.end("0.0", "unreachable", 0.0)
    routing.check(0, 1.0, healthy=True)
    first, second = placed(routing, ("a", None), ("b", None), now=1.0)
    assert (first.replica, second.replica) == (0, 1)
    routing.answered("a")
    assert routing.changes[-1] == (0, True, "")
    assert placed(routing, ("c", None), now=1.0) == [Placement("c", 0, None)]


def test_there_is_nothing_to_wait_for_when_all_are_out() -> None:
    routing = Routing(2, most=8)
    for number in range(2):
        fill(routing, number, 1)
        routing.end(f"{number}.0", "unreachable", 0.0)
    assert placed(routing, ("new", None)) == []
    assert not routing.usable(9.9)
    assert [each.replica for each in routing.admit(10.0)] == [0]
    assert routing.usable(10.0)


def test_a_stream_that_no_longer_waits_is_not_opened() -> None:
    routing = Routing(1, most=1)
    placed(routing, ("first", None), ("second", None), ("third", None))
    routing.withdraw("second")
    routing.end("first", "closed", 0.0)
    assert [each.stream for each in routing.admit(0.0)] == ["third"]


@given(paused=st.lists(st.integers(0, 17), unique=True), gone=st.sets(st.integers(0, 17)))
def test_equal_replicas_stay_within_two_streams_whoever_is_paused_and_resumed(
    paused: list[int], gone: set[int]
) -> None:
    routing = Routing(3, most=64)
    owners = {
        each.stream: each.replica for each in placed(routing, *((n, None) for n in range(18)))
    }
    for trace in {*paused, *gone}:
        routing.end(trace, "closed", 0.0)
    for trace in (each for each in paused if each not in gone):
        before = loads(routing)
        (placement,) = placed(routing, (trace, owners[trace]))
        moves = before[owners[trace]] + 1 > min(before) + 2
        assert placement.moved == ("load" if moves else None)
        assert loads(routing)[placement.replica] <= min(loads(routing)) + 2


class AnyHistory(RuleBasedStateMachine):
    """Traces that come, stream, pause and go; replicas that fail, refuse and return."""

    MOST = 12

    def __init__(self) -> None:
        super().__init__()
        self.routing = Routing(3, most=self.MOST, failures=2, seconds=10.0)
        self.now = 0.0
        self.traces = 0
        self.owners: dict[Hashable, int | None] = {}
        self.streaming: dict[Hashable, int] = {}
        self.paused: dict[Hashable, int] = {}

    @rule(count=st.integers(1, 6))
    def start(self, count: int) -> None:
        for _ in range(count):
            self.ask(self.traces, None)
            self.traces += 1
        self.admit()

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        trace = data.draw(st.sampled_from(sorted(self.paused, key=str)))
        self.ask(trace, self.paused.pop(trace))
        self.admit()

    @precondition(lambda self: self.streaming)
    @rule(
        data=st.data(),
        how=st.sampled_from(["done", "closed", "busy", "broken", "unreachable"]),
        again=st.booleans(),
    )
    def end(self, data: st.DataObject, how: StreamEnd, again: bool) -> None:
        trace = data.draw(st.sampled_from(sorted(self.streaming, key=str)))
        replica = self.streaming.pop(trace)
        self.routing.end(trace, how, self.now, retry_after=3.0)
        if again:
            self.paused[trace] = replica
        self.admit()

    @precondition(lambda self: self.streaming)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.routing.answered(data.draw(st.sampled_from(sorted(self.streaming, key=str))))
        self.admit()

    @rule(replica=st.integers(0, 2), healthy=st.booleans())
    def check(self, replica: int, healthy: bool) -> None:
        self.routing.check(replica, self.now, healthy=healthy)
        self.admit()

    @rule(replica=st.integers(0, 2), waiting=st.integers(0, 4))
    def queue(self, replica: int, waiting: int) -> None:
        self.routing.queued(replica, waiting)

    @rule(seconds=st.floats(0.5, 12.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.admit()

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        trace = data.draw(st.sampled_from(sorted(self.owners, key=str)))
        self.routing.withdraw(trace)
        del self.owners[trace]

    def ask(self, trace: Hashable, owner: int | None) -> None:
        self.owners[trace] = owner
        self.routing.ask(trace, owner)

    def admit(self) -> None:
        """Follows every placement, one after the other, and checks it against what was known before it."""
        before = [(one.live, one.capacity) for one in self.routing.replicas]
        up = [one.up for one in self.routing.replicas]
        usable = [one.usable(self.now) for one in self.routing.replicas]
        for stream, number, moved in self.routing.admit(self.now):
            owner = self.owners.pop(stream)
            assert usable[number], "a trace on a replica that is out"
            if not up[number]:
                usable[number] = False  # it was the trial
            assert (moved is not None) == (owner is not None and owner != number)
            if owner is not None and moved is not None:
                self.has_reason(owner, moved, before, usable)
            if (moved is None and owner is None) or moved is not None:
                self.is_least_loaded(number, before, usable)
            live, capacity = before[number]
            before[number] = (live + 1, capacity)
            self.is_within_two_of_the_least(number, before, usable)
            self.streaming[stream] = number

    def has_reason(
        self, owner: int, moved: str, before: list[tuple[int, int]], usable: list[bool]
    ) -> None:
        live, capacity = before[owner]
        if moved == "down":
            assert not usable[owner]
        elif moved == "busy":
            assert self.routing.replicas[owner].busy(self.now) or live >= capacity
        else:
            least = min(there / room for there, room in before)
            assert live + 1 > least * capacity + 2

    def is_least_loaded(
        self, number: int, before: list[tuple[int, int]], usable: list[bool]
    ) -> None:
        """No replica that works and has room, and has not just refused a stream, is less loaded."""
        for other, (live, capacity) in enumerate(before):
            calm = not self.routing.replicas[other].busy(self.now)
            if usable[other] and calm and live < capacity:
                chosen, room = before[number]
                assert chosen / room <= live / capacity

    def is_within_two_of_the_least(
        self, number: int, after: list[tuple[int, int]], usable: list[bool]
    ) -> None:
        equal = all(usable) and len({capacity for _, capacity in after}) == 1
        if equal and not any(one.busy(self.now) for one in self.routing.replicas):
            assert after[number][0] <= min(live for live, _ in after) + 2

    @invariant()
    def no_more_than_the_run_may_open(self) -> None:
        assert self.routing.live == len(self.streaming) <= self.MOST
        for number, replica in enumerate(self.routing.replicas):
            assert replica.live == list(self.streaming.values()).count(number)
            assert 1 <= replica.capacity <= self.MOST

    @invariant()
    def nobody_waits_while_there_is_room(self) -> None:
        """Room on busy replicas counts only where no other one works."""
        if not self.routing.waiting or self.routing.live == self.MOST:
            return
        working = [one for one in self.routing.replicas if one.usable(self.now)]
        calm = [one for one in working if not one.busy(self.now)]
        assert not any(one.has_room(self.now) for one in calm or working)

    def teardown(self) -> None:
        """When the streams end and the replicas are well again, every trace that waits has its turn."""
        for _ in range(200):
            if not self.owners and not self.streaming:
                break
            self.now += 10.0
            for trace in list(self.streaming):
                self.routing.answered(trace)
                self.routing.end(trace, "done", self.now)
                del self.streaming[trace]
            self.admit()
        assert not self.owners


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=40, stateful_step_count=25)
