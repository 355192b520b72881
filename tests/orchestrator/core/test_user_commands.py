"""What the user does to a run: commands through the core, before and after the policy's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.commands import (
    HoldLaunches,
    PauseTrace,
    ReleaseLaunches,
    ResumeTrace,
    StopTrace,
)
from orchestrator.core.events import (
    TraceFinished,
    TraceJoined,
    TraceStarted,
    TraceStopped,
    UserCommand,
    UserCommandReceived,
    VoteCast,
)
from orchestrator.journal.replay import decisions
from orchestrator.settings import Settings
from tests.support.world import After, Chooser, Script, World

LONG = ["so ", "wait ", "then ", "done "]
ACTS = ("tau", "pin", "unpin", "finish", "stop", "vote", "hold", "release")


def act(
    kind: UserCommand, trace: int | None = None, tau: float | None = None
) -> UserCommandReceived:
    return UserCommandReceived(at=0.0, command=kind, trace=trace, tau=tau)


def same_parity(trace: int, member: int) -> float:
    return 0.9 if trace % 2 == member % 2 else 0.1


def play(
    *user_commands: tuple[int | After, UserCommandReceived],
    count: int = 6,
    policy: str = "deepprune",
    choose: Chooser = lambda n: 0,
    **more: Any,
) -> World:
    settings = Settings.model_validate(
        {
            "policy": {
                "name": policy,
                "traces": count,
                **({"survivors": 2} if policy == "deepprune" else {}),
            },
            "checkpoint": {"words": 2},
        }
    )
    scripts = [Script(LONG, str(trace % 2)) for trace in range(count)]
    world = World(settings, scripts, same_parity, choose, user_commands=user_commands, **more)
    return world.play()


def traces(
    world: World, kind: type[PauseTrace | TraceFinished | TraceJoined | TraceStarted | TraceStopped]
) -> set[int]:
    return {event.trace for event in world.of(kind)}


def test_without_acts_the_survivors_alone_finish() -> None:
    assert traces(play(), TraceFinished) == {0, 2}


def test_a_pinned_trace_is_not_pruned_and_has_a_ballot() -> None:
    world = play((0, act("pin", 5)))
    assert traces(world, TraceFinished) == {0, 2, 5}
    (vote,) = world.of(VoteCast)
    assert {each.answer: each.count for each in vote.votes} == {"0": 2, "1": 1}


def test_an_unpinned_trace_is_pruned_after_all() -> None:
    world = play((0, act("pin", 5)), (After(ResumeTrace, 5), act("unpin", 5)))
    (stop,) = [event for event in world.of(TraceStopped) if event.trace == 5]
    assert stop.reason == "pruned"


def test_unpinning_before_the_clusters_are_known_leaves_the_trace_to_the_policy() -> None:
    world = play((0, act("pin", 5)), (1, act("unpin", 5)))
    assert traces(world, TraceFinished) == {0, 2}


def test_a_trace_that_shall_finish_does_not_wait_at_its_checkpoint() -> None:
    world = play((0, act("finish", 5)))
    assert 5 not in traces(world, PauseTrace)
    assert 5 in traces(world, TraceFinished)


def test_a_stopped_trace_stops_and_the_others_go_on() -> None:
    world = play((0, act("stop", 0)))
    assert StopTrace(trace=0, reason="user") in world.commands
    assert traces(world, TraceFinished) == {1, 3}  # the others' cluster is now the largest


def test_voting_now_stops_all_and_counts_what_has_finished() -> None:
    world = play((After(TraceFinished), act("vote")))
    (vote,) = world.of(VoteCast)
    assert sum(each.count for each in vote.votes) == 1
    assert {event.reason for event in world.of(TraceStopped)} <= {"voted", "pruned"}


def test_voting_at_once_gives_no_answer() -> None:
    (vote,) = play((0, act("vote"))).of(VoteCast)
    assert vote.answer is None


def test_tau_decides_who_still_joins() -> None:
    high = play((0, act("tau", tau=0.95)))
    assert not traces(high, TraceJoined)
    assert traces(play((0, act("tau", tau=0.05))), TraceJoined) == {1, 2, 3, 4, 5}


def test_tau_means_nothing_to_a_policy_without_clusters() -> None:
    assert traces(play((0, act("tau", tau=0.9)), policy="consensus"), TraceFinished) == set(
        range(6)
    )


def test_held_launches_are_orders_of_their_own() -> None:
    world = play((1, act("hold")), (2, act("release")))
    assert len(world.of(HoldLaunches)) == len(world.of(ReleaseLaunches)) == 1
    assert traces(world, TraceStarted) == set(range(6))


@pytest.mark.parametrize("kind", ["pin", "unpin", "finish", "stop"])
def test_an_act_on_a_trace_that_is_not_open_changes_nothing(kind: UserCommand) -> None:
    assert play((0, act(kind, 99))).commands == play().commands


def test_acts_after_an_interrupt_change_nothing() -> None:
    world = play((3, act("stop", 1)), (3, act("pin", 1)), interrupt_after=2)
    assert {command.reason for command in world.of(StopTrace)} == {"interrupted"}


@given(st.data())
def test_whatever_the_user_does_the_run_ends_and_replays_to_the_same_orders(
    data: st.DataObject,
) -> None:
    user_commands = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, 40),
                st.builds(
                    act,
                    st.sampled_from(ACTS),
                    trace=st.integers(0, 6),
                    tau=st.floats(0, 1, allow_nan=False),
                ),
            ),
            max_size=8,
        )
    )
    resumable = data.draw(st.booleans())
    world = play(
        *user_commands, choose=lambda n: data.draw(st.integers(0, n - 1)), resumable=resumable
    )
    for trace in range(6):
        assert len(world.terminal_events(trace)) == 1
    again = list(decisions(world.events))
    assert [entry for entry in again if not hasattr(entry, "at")] == world.commands
    if not any(each.command in ("vote", "stop", "unpin") for _step, each in user_commands):
        pinned_at_once = {
            each.trace for step, each in user_commands if each.command == "pin" and step == 0
        }
        assert not traces(world, TraceStopped) & pinned_at_once
