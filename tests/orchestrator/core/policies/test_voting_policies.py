"""Policies that decide on ballots alone, on examples worked by hand.

`Heat` plays traces that end in a given order; it says what was started, stopped and answered.
"""

from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.commands import StartTrace, StopTrace
from orchestrator.core.engine import Engine, Outcome
from orchestrator.core.events import (
    CheckpointReached,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceStopped,
    VoteCast,
    VoteWeighed,
)
from orchestrator.core.policies.adaptive_consistency import dirichlet_posterior
from orchestrator.settings import Settings
from tests.support.world import Script, World, opened, run_started


def settings(name: str, traces: int = 16, **policy: Any) -> Settings:
    return Settings.model_validate({"policy": {"name": name, "traces": traces, **policy}})


class Heat:
    """An engine under one policy; traces end when the test says so."""

    def __init__(self, name: str, **policy: Any) -> None:
        started = run_started(settings(name, **policy))
        self._engine = Engine(started)
        self._ended: set[int] = set()
        self.started: list[int] = []
        self.stopped: list[int] = []
        self.answer: str | None = None
        self.votes: list[tuple[str, int]] = []
        self.weighed: list[VoteWeighed] = []
        self._follow(self._engine.feed(started))

    @property
    def running(self) -> list[int]:
        return [trace for trace in self.started if trace not in self._ended]

    def end(self, *answers: str | None) -> Self:
        """The traces started first (of those still running) end with these answers, one by one."""
        for answer in answers:
            trace = self.running[0]
            self._ended.add(trace)
            self._follow(
                self._engine.feed(
                    TraceFinished(
                        at=1.0,
                        trace=trace,
                        answer=answer,
                        raw_answer=answer,
                        finish_reason="stop",
                        tokens=5,
                    )
                )
            )
        return self

    def fail(self) -> Self:
        trace = self.running[0]
        self._ended.add(trace)
        self._follow(
            self._engine.feed(
                TraceFailed(at=1.0, trace=trace, boundary="server", message="reset", tokens=0)
            )
        )
        return self

    @property
    def over(self) -> bool:
        return self.answer is not None

    def _follow(self, outcome: Outcome) -> None:
        for command in outcome.commands:
            if isinstance(command, StartTrace):
                self.started.append(command.trace)
                self._engine.feed(opened(command.trace))
            if isinstance(command, StopTrace):
                self.stopped.append(command.trace)
        for event in outcome.events:
            if isinstance(event, VoteCast):
                self.answer, self.votes = event.answer, [(b.answer, b.count) for b in event.votes]
            if isinstance(event, VoteWeighed):
                self.weighed.append(event)
        while waiting := [t for t in self.stopped if t not in self._ended]:
            trace = waiting[0]
            self._ended.add(trace)
            self._follow(
                self._engine.feed(TraceStopped(at=1.0, trace=trace, reason="settled", tokens=3))
            )


# --- adaptive-consistency -------------------------------------------------------------------------


def test_adaptive_consistency_runs_one_trace_at_a_time() -> None:
    heat = Heat("adaptive-consistency")
    assert heat.started == [0]
    assert heat.end("1").started == [0, 1]
    assert heat.stopped == []


def test_four_ballots_that_agree_pass_the_threshold() -> None:
    # Beta(4, 1) leaves 1/16 below a half, Beta(5, 1) 1/32
    heat = Heat("adaptive-consistency").end("1", "1", "1")
    assert not heat.over
    assert heat.end("1").over
    assert (heat.answer, len(heat.started)) == ("1", 4)


def test_a_ballot_against_the_leader_asks_for_more() -> None:
    heat = Heat("adaptive-consistency").end("1", "2", "1", "1", "1", "1")
    assert not heat.over  # Beta(6, 2): 8/128 below a half
    assert heat.end("1").over  # Beta(7, 2): 9/256
    assert heat.votes == [("1", 6), ("2", 1)]


def test_adaptive_consistency_gives_up_at_its_last_trace() -> None:
    heat = Heat("adaptive-consistency", traces=3).end("1", None, "2")
    assert (heat.answer, heat.started) == ("1", [0, 1, 2])


def test_the_floor_of_ballots_holds_against_the_posterior() -> None:
    heat = Heat("adaptive-consistency", min_ballots=6).end(*["1"] * 5)
    assert not heat.over
    assert heat.end("1").over


def test_the_dirichlet_posterior_counts_every_rival() -> None:
    assert dirichlet_posterior((3,)) == pytest.approx(
        1 - 0.5**4, abs=1e-5
    )  # as Beta against nobody
    assert dirichlet_posterior((1, 1, 1)) == pytest.approx(1 / 3, abs=1e-5)
    two, three = dirichlet_posterior((4, 1)), dirichlet_posterior((4, 1, 1))
    assert two == pytest.approx(57 / 64, abs=1e-5)  # Beta(5, 2) above a half
    assert three < two


def test_the_dirichlet_rule_needs_more_ballots_where_rivals_are_many() -> None:
    scattered = ["1", "2", "3", "4", "1", "1", "1", "1", "1"]
    assert Heat("adaptive-consistency", confidence=0.94).end(*scattered).over
    careful = Heat("adaptive-consistency", confidence=0.94, posterior="dirichlet")
    assert not careful.end(*scattered).over


# --- esc ------------------------------------------------------------------------------------------


def test_a_unanimous_window_ends_the_run() -> None:
    heat = Heat("esc", window=3)
    assert heat.started == [0, 1, 2]
    assert heat.end("1", "1", "1").answer == "1"


def test_a_divided_window_is_followed_by_the_next_and_all_ballots_count() -> None:
    heat = Heat("esc", window=3).end("1", "2", "1")
    assert heat.started == [0, 1, 2, 3, 4, 5]
    heat.end("2", "2", "2")
    assert (heat.answer, heat.votes) == ("2", [("2", 4), ("1", 2)])


def test_a_trace_without_an_answer_agrees_with_none() -> None:
    assert not Heat("esc", window=2).end("1", None).over
    assert not Heat("esc", window=2).end(None, None).over


def test_the_last_window_may_be_smaller() -> None:
    heat = Heat("esc", window=2, traces=3).end("1", "2")
    assert heat.started == [0, 1, 2]
    assert heat.end("2").answer == "2"


# --- race and short -------------------------------------------------------------------------------


def test_a_race_stops_the_stragglers_once_the_leader_is_ahead() -> None:
    heat = Heat("race", window=4, confidence=0.9).end("1", "1")
    assert not heat.over
    heat.end("1")
    assert (heat.answer, heat.stopped, heat.started) == ("1", [3], [0, 1, 2, 3])


def test_an_undecided_race_is_run_again() -> None:
    heat = Heat("race", window=2, traces=5, confidence=0.8).end("1", "2")
    assert heat.started == [0, 1, 2, 3]
    heat.end("3", "4")
    assert heat.started == [0, 1, 2, 3, 4]
    assert heat.end("2").answer == "2"


def test_a_race_needs_its_floor_of_ballots() -> None:
    assert Heat("race", confidence=0.7, window=4).end("1").over
    assert not Heat("race", confidence=0.7, window=4, min_ballots=2).end("1").over


def test_the_first_traces_to_end_decide() -> None:
    heat = Heat("short", traces=5, enough=2)
    assert heat.started == [0, 1, 2, 3, 4]
    heat.end(None, "2", "3")
    assert (heat.answer, heat.stopped) == ("2", [3, 4])


# --- random-k -------------------------------------------------------------------------------------


def reach_checkpoint(engine: Engine, trace: int) -> Outcome:
    engine.feed(opened(trace))
    return engine.feed(TokensArrived(at=1.0, trace=trace, text="so wait ", tokens=2))


def test_random_k_prunes_all_but_k_at_their_checkpoints() -> None:
    chosen = Settings.model_validate(
        {
            "policy": {"name": "random-k", "traces": 8, "survivors": 3},
            "checkpoint": {"words": 2},
        }
    )
    engine = Engine(run_started(chosen))
    engine.feed(run_started(chosen))
    pruned = set()
    for trace in range(8):
        events, commands = reach_checkpoint(engine, trace)
        assert isinstance(events[0], CheckpointReached)
        pruned |= {command.trace for command in commands if isinstance(command, StopTrace)}
    assert len(pruned) == 5


def test_an_undrawn_trace_that_ends_before_its_checkpoint_has_no_ballot() -> None:
    chosen = settings("random-k", traces=4, survivors=1)
    world = World(chosen, [Script(["x"], "1")] * 4, judge=None, choose=lambda n: 0).play()
    (vote,) = world.of(VoteCast)
    assert [ballots.count for ballots in vote.votes] == [1]


def test_the_draw_comes_from_the_seed() -> None:
    def survivors(seed: int) -> list[int]:
        chosen = Settings.model_validate(
            {
                "policy": {"name": "random-k", "traces": 32, "survivors": 2},
                "checkpoint": {"words": 2},
                "run": {"seed": seed},
            }
        )
        engine = Engine(run_started(chosen))
        engine.feed(run_started(chosen))
        return [t for t in range(32) if not reach_checkpoint(engine, t).commands]

    assert survivors(0) == survivors(0)
    assert len({tuple(survivors(seed)) for seed in range(5)}) > 1


# --- auto -----------------------------------------------------------------------------------------


def test_auto_starts_a_few_and_settles_on_two_that_agree() -> None:
    heat = Heat("auto", traces=64)
    assert heat.started == [0, 1, 2, 3]
    assert not heat.end("1").over
    heat.end("1")
    assert heat.answer == "1"
    assert heat.stopped == heat.started[2:]
    assert len(heat.started) <= 5


def test_auto_starts_more_while_answers_disagree() -> None:
    heat = Heat("auto", traces=64).end("1", "2", "3")
    assert not heat.over
    assert len(heat.started) > 4
    heat.end("2", "2")
    assert heat.answer == "2"
    assert heat.stopped


def test_auto_spends_more_with_more_effort() -> None:
    def cost(effort: str, *answers: str) -> int:
        heat = Heat("auto", traces=64, effort=effort)
        for answer in answers:
            if not heat.over:
                heat.end(answer)
        return len(heat.started)

    divided = ["1", "2", "3", "1", "2", "3", "1", "4", "1", "1", "2", "1", "1", "1", "1", "1"]
    agreed = ["1"] * 16
    for answers in (divided, agreed):
        low, medium, high = (cost(effort, *answers) for effort in ("low", "medium", "high"))
        assert low <= medium <= high
    assert cost("low", *divided) < cost("high", *divided)


def test_auto_gives_up_where_no_answer_can_be_read() -> None:
    heat = Heat("auto", traces=64)
    while heat.running:
        heat.end(None)
    assert 4 <= len(heat.started) < 32
    assert heat.votes == []


def test_a_failed_trace_is_replaced_like_one_without_an_answer() -> None:
    heat = Heat("auto", traces=64).fail().end("1", "1")
    assert heat.answer == "1"


def test_auto_never_exceeds_the_planned_traces() -> None:
    heat = Heat("auto", traces=3)
    assert heat.started == [0, 1, 2]
    heat.end("1", "2", "3")
    assert (heat.answer, heat.started) == ("1", [0, 1, 2])


def test_auto_waits_for_the_floor_of_ballots() -> None:
    heat = Heat("auto", traces=64, min_ballots=4)
    assert len(heat.started) == 6
    heat.end("1", "1", "1")
    assert not heat.over
    assert heat.end("1").answer == "1"


def test_auto_says_what_it_decided_and_what_the_next_votes_are_worth() -> None:
    heat = Heat("auto", traces=64).end("1", "2", "3", "2", "2")
    assert {each.action for each in heat.weighed} == {"wait", "launch", "stop"}
    *went_on, last = heat.weighed
    assert all(each.worth > each.price and each.traces > 0 for each in went_on)
    assert (last.leader, last.action) == ("2", "stop")
    assert 0 < last.worth <= last.price  # of what came nearest
    assert 0.4 < last.lead_share < 0.5


def test_auto_says_that_it_goes_on_only_for_the_floor_of_ballots() -> None:
    heat = Heat("auto", traces=64, min_ballots=5).end("1", "1", "1", "1")
    last = heat.weighed[-1]
    assert (last.action, last.worth < last.price) == ("wait", True)


def test_the_price_of_a_trace_goes_before_the_effort() -> None:
    cheap = Heat("auto", traces=64, effort="low", trace_price=1e-4)
    assert len(cheap.started) > len(Heat("auto", traces=64, effort="high").started)
    assert Heat("auto", traces=64, trace_price=0.5).end("1").over


def test_a_ballot_that_comes_after_the_vote_is_settled_starts_nothing() -> None:
    chosen = settings("auto", traces=64)
    started = run_started(chosen)
    engine = Engine(started)
    engine.feed(started)
    ends = [
        TraceFinished(at=1.0, trace=t, answer=a, raw_answer=a, finish_reason="stop", tokens=5)
        for t, a in ((0, "1"), (1, "1"), (2, "2"))
    ]
    for end in ends:
        engine.feed(opened(end.trace))
    _, second, late = (engine.feed(end).commands for end in ends)
    assert {type(command) for command in second} == {StopTrace}
    assert late == []


SCRIPTS = st.builds(
    Script,
    chunks=st.lists(st.just("x "), max_size=4),
    answer=st.sampled_from(["1", "1", "2", None]),
    fails_after=st.sampled_from([None, None, 0, 1]),
)


@given(
    scripts=st.lists(SCRIPTS, min_size=1, max_size=12),
    name=st.sampled_from(["auto", "race", "esc", "short", "adaptive-consistency", "random-k"]),
    min_ballots=st.integers(1, 3),
    interrupt_after=st.one_of(st.none(), st.integers(0, 20)),
    data=st.data(),
)
def test_every_started_trace_ends_once_and_there_is_one_vote(
    scripts: list[Script],
    name: str,
    min_ballots: int,
    interrupt_after: int | None,
    data: st.DataObject,
) -> None:
    world = World(
        settings(name, traces=len(scripts), min_ballots=min_ballots),
        scripts,
        judge=None,
        choose=lambda n: data.draw(st.integers(0, n - 1)),
        interrupt_after=interrupt_after,
    ).play()
    for trace in {command.trace for command in world.of(StartTrace)}:
        assert len(world.terminal_events(trace)) == 1
    (vote,) = world.of(VoteCast)
    answered = [event for event in world.of(TraceFinished) if event.answer is not None]
    if name != "random-k":
        assert sum(ballots.count for ballots in vote.votes) == len(answered)
