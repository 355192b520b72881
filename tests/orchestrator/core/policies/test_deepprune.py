from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.commands import Command, PauseTrace, ResumeTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Event,
    JudgeFailed,
    PairsJudged,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TracePaused,
    TraceStopped,
    TraceUnjudged,
    VoteCast,
)
from orchestrator.settings import Settings
from tests.support.world import Chooser, Script, World, opened, run_started


def settings(traces: int, at: str = "pause", lookahead: int = 8, **policy: Any) -> Settings:
    return Settings.model_validate(
        {
            "policy": {"name": "deepprune", "traces": traces, "lookahead": lookahead, **policy},
            "checkpoint": {"words": 2, "at": at},
        }
    )


LONG = ["so ", "wait ", "then ", "done "]
SHORT = ["so "]


def judged(trace: int, members: tuple[int, ...], probabilities: tuple[float, ...]) -> PairsJudged:
    return PairsJudged(
        at=2.0,
        trace=trace,
        members=members,
        probabilities=probabilities,
        prompt_tokens=1,
        cached_prompt_tokens=0,
        completion_tokens=0,
        seconds=0.0,
    )


def first(n: int) -> int:
    return 0


def same_parity(trace: int, member: int) -> float:
    return 0.9 if trace % 2 == member % 2 else 0.1


def play(
    count: int,
    *,
    judge: Callable[[int, int], float | None] = same_parity,
    scripts: Sequence[Script] | None = None,
    choose: Chooser = first,
    resumable: bool = True,
    **changes: Any,
) -> World:
    scripts = scripts or [Script(LONG, str(t % 2)) for t in range(count)]
    world = World(settings(count, **changes), scripts, judge, choose, resumable)
    return world.play()


def finished(world: World) -> set[int]:
    return {event.trace for event in world.of(TraceFinished)}


def test_the_largest_clusters_survivors_finish_and_all_others_are_pruned() -> None:
    world = play(7, survivors=2)
    assert finished(world) == {0, 2}
    assert {event.trace for event in world.of(TraceStopped)} == {1, 3, 4, 5, 6}
    assert {event.reason for event in world.of(TraceStopped)} == {"pruned"}
    (vote,) = world.of(VoteCast)
    assert (vote.answer, vote.votes[0].count) == ("0", 2)


def test_a_ballot_can_weigh_as_many_as_its_cluster_has_members() -> None:
    scripts = [Script(LONG, "0"), Script(LONG, "1"), Script(SHORT, "1"), Script(LONG, "0")]
    scripts += [Script(LONG, "0"), Script(SHORT, "1")]
    world = play(
        6,
        judge=lambda t, m: 0.9 if {t, m} <= {0, 3, 4} else 0.1,
        scripts=scripts,
        vote="cluster-size",
        survivors=1,
    )
    assert finished(world) == {0, 2, 5}
    (vote,) = world.of(VoteCast)  # traces 2 and 5 are alone in their clusters
    assert [(v.answer, v.count, v.weight) for v in vote.votes] == [("0", 1, 3.0), ("1", 2, 2.0)]
    (plain,) = play(
        6, judge=lambda t, m: 0.9 if {t, m} <= {0, 3, 4} else 0.1, scripts=scripts, survivors=1
    ).of(VoteCast)
    assert [(v.answer, v.weight) for v in plain.votes] == [("0", 1.0)]


def test_every_trace_waits_at_its_checkpoint() -> None:
    world = play(3)
    assert {command.trace for command in world.of(PauseTrace)} == {0, 1, 2}
    assert {event.tokens for event in world.of(CheckpointReached)} == {2}
    assert {event.tokens for event in world.of(TracePaused)} == {2}


def test_a_trace_that_ends_before_its_checkpoint_is_judged_whole_and_survives_for_free() -> None:
    scripts = [Script(LONG, "1"), Script(LONG, "1"), Script(SHORT, "1")]
    world = play(3, judge=lambda t, m: 0.9, scripts=scripts, survivors=2)
    complete = {event.trace: event.complete for event in world.of(CheckpointReached)}
    assert complete == {0: False, 1: False, 2: True}
    assert 2 in finished(world)
    assert len(finished(world)) == 2


def test_if_no_two_are_alike_random_ones_finish() -> None:
    world = play(6, judge=lambda t, m: 0.0, singleton_survivors=2)
    assert len(world.of(ClusterOpened)) == 6
    assert len(finished(world)) == 2


def test_one_trace_alone_finishes() -> None:
    assert finished(play(1)) == {0}


def test_without_verdicts_every_trace_runs_to_its_end_and_votes() -> None:
    world = play(4, judge=lambda t, m: None)
    assert finished(world) == {0, 1, 2, 3}
    assert world.of(TraceStopped) == []
    assert len(world.of(TraceUnjudged)) == 3
    (vote,) = world.of(VoteCast)
    assert sum(b.count for b in vote.votes) == 4


def test_a_trace_without_a_verdict_votes_beside_the_survivors() -> None:
    world = play(5, judge=lambda t, m: None if t == 3 else 0.9, survivors=1)
    assert finished(world) == {0, 3}


def test_a_short_trace_without_a_verdict_is_not_resumed() -> None:
    scripts = [Script(LONG), Script(SHORT)]
    world = play(2, judge=lambda t, m: None, scripts=scripts)
    assert 1 not in {command.trace for command in world.of(ResumeTrace)}
    assert finished(world) == {0, 1}


def test_a_failed_survivor_leaves_the_vote_to_the_others() -> None:
    scripts = [Script(LONG, "1", fails_after=3), Script(LONG, "2"), Script(LONG, "2")]
    world = play(3, judge=lambda t, m: 0.9, scripts=scripts, survivors=2)
    assert [event.trace for event in world.of(TraceFailed)] == [0]
    assert finished(world) == {1}


def test_a_trace_that_fails_before_its_checkpoint_holds_up_nobody() -> None:
    scripts = [Script(LONG, fails_after=1), Script(LONG), Script(LONG)]
    world = play(3, judge=lambda t, m: 0.9, scripts=scripts)
    assert finished(world) == {1, 2}


def test_if_every_trace_fails_there_is_no_answer() -> None:
    world = play(2, scripts=[Script(LONG, fails_after=0)] * 2)
    (vote,) = world.of(VoteCast)
    assert (vote.answer, vote.votes) == (None, ())


def test_a_trace_for_which_there_is_no_room_is_pruned_at_once() -> None:
    world = play(3, judge=lambda t, m: 0.0, max_clusters=1, when_full="drop")
    assert finished(world) == {0}
    assert len(world.of(ClusterOpened)) == 1


def test_a_short_trace_for_which_there_is_no_room_keeps_its_end_but_not_its_ballot() -> None:
    scripts = [Script(LONG, "1"), Script(LONG, "1"), Script(SHORT, "2")]
    judge = {(1, 0): 0.9, (0, 1): 0.9}
    world = play(
        3,
        judge=lambda t, m: judge.get((t, m), 0.0),
        scripts=scripts,
        max_clusters=1,
        when_full="drop",
        choose=lambda n: n - 1,
    )
    (vote,) = world.of(VoteCast)
    assert len(vote.votes) == 1


def test_in_run_mode_traces_are_paused_by_the_verdict_not_by_the_checkpoint() -> None:
    world = play(4, at="run", survivors=1)
    first_verdict = next(i for i, f in enumerate(world.events) if isinstance(f, ClusterOpened))
    pauses = [i for i, f in enumerate(world.events) if isinstance(f, TracePaused)]
    assert all(index > first_verdict for index in pauses)
    assert len(finished(world) & {0, 2}) >= 1


def test_without_exact_resume_nothing_is_paused_and_each_cluster_keeps_its_survivors() -> None:
    world = play(8, resumable=False, survivors=2, choose=lambda n: 0)
    assert world.of(PauseTrace) == []
    assert world.of(ResumeTrace) == [] or all(
        command.trace in finished(world) for command in world.of(ResumeTrace)
    )
    assert len(world.of(VoteCast)[0].votes) == 1


def test_a_paused_trace_is_not_judged_twice_for_the_same_pair() -> None:
    world = play(8)
    pairs = [(f.trace, m) for f in world.of(PairsJudged) for m in f.members]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("failed", [True, False])
def test_a_verdict_on_a_trace_that_has_ended_meanwhile_changes_nothing(failed: bool) -> None:
    started = run_started(settings(3))
    engine = Engine(started)
    engine.feed(started)
    for trace in (0, 1):
        engine.feed(opened(trace))
        engine.feed(TokensArrived(at=1.0, trace=trace, text="so wait ", tokens=2))
    engine.feed(TraceFailed(at=2.0, trace=1, boundary="server", message="reset", tokens=2))
    late = JudgeFailed(at=3.0, trace=1, members=(0,), message="late")
    assert engine.feed(late if failed else judged(1, (0,), (0.9,))) == ([], [])


SCRIPTS = st.builds(
    Script,
    chunks=st.lists(st.sampled_from(["so ", "wait ", "x "]), max_size=5),
    answer=st.sampled_from(["1", "2", None]),
    fails_after=st.sampled_from([None, None, None, 0, 1, 2]),
)


@given(
    scripts=st.lists(SCRIPTS, min_size=1, max_size=6),
    at=st.sampled_from(["pause", "run"]),
    resumable=st.booleans(),
    when_full=st.sampled_from(["join", "drop"]),
    max_clusters=st.integers(1, 3),
    survivors=st.integers(1, 3),
    name=st.sampled_from(["deepprune", "deepprune", "consensus"]),
    interrupt_after=st.one_of(st.none(), st.integers(0, 30)),
    data=st.data(),
)
def test_every_trace_has_exactly_one_terminal_fact_and_someone_survives(
    scripts: list[Script],
    at: str,
    resumable: bool,
    when_full: str,
    max_clusters: int,
    survivors: int,
    name: str,
    interrupt_after: int | None,
    data: st.DataObject,
) -> None:
    count = len(scripts)
    verdicts: dict[tuple[int, int], float | None] = {}

    def judge(trace: int, member: int) -> float | None:
        if (trace, member) not in verdicts:
            verdicts[trace, member] = data.draw(st.sampled_from([0.0, 0.2, 0.6, 0.9, None]))
        return verdicts[trace, member]

    world = World(
        settings(
            count,
            at=at,
            when_full=when_full,
            max_clusters=max_clusters,
            survivors=survivors,
            name=name,
        )
        if name == "deepprune"
        else Settings.model_validate({"policy": {"name": name, "traces": count}}),
        scripts,
        judge,
        choose=lambda n: data.draw(st.integers(0, n - 1)),
        resumable=resumable,
        interrupt_after=interrupt_after,
    ).play()
    for trace in range(count):
        assert len(world.terminal_events(trace)) == 1
    assert len(world.of(VoteCast)) == 1
    assert len(world.of(TraceJoined)) + len(world.of(ClusterOpened)) <= count
    nobody_failed = all(script.fails_after is None for script in scripts)
    if nobody_failed and interrupt_after is None:
        assert world.of(TraceFinished), "nobody survived"


@given(
    answers=st.lists(st.sampled_from(["1", "2"]), min_size=1, max_size=6),
    at=st.sampled_from(["pause", "run"]),
    data=st.data(),
)
def test_a_journal_fed_to_a_fresh_engine_gives_the_same_decisions(
    answers: list[str], at: str, data: st.DataObject
) -> None:
    world = World(
        settings(len(answers), at=at, survivors=1),
        [Script(LONG, answer) for answer in answers],
        judge=lambda t, m: 0.9 if answers[t] == answers[m] else 0.1,
        choose=lambda n: data.draw(st.integers(0, n - 1)),
    ).play()
    started = world.events[0]
    assert isinstance(started, RunStarted)
    engine = Engine(started)
    decided_kinds = (CheckpointReached, ClusterOpened, TraceJoined, TraceUnjudged, VoteCast)
    events: list[Event] = []
    commands: list[Command] = []
    for event in world.events:
        if not isinstance(event, decided_kinds):
            events.append(event)
            outcome = engine.feed(event)
            events.extend(outcome.events)
            commands.extend(outcome.commands)
    assert events == world.events
    assert commands == world.commands


def test_the_same_answer_comes_out_of_every_order_of_verdicts() -> None:
    outcomes = set()
    for pick in (lambda n: 0, lambda n: n - 1, lambda n: n // 2):
        world = play(6, choose=pick, survivors=2)
        outcomes.add(world.of(VoteCast)[0].votes[0].count)
    assert outcomes == {2}
