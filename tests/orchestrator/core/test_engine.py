from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.core.commands import FinishRun, ProbeTrace, StartTrace, StopTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    CheckpointReached,
    Event,
    ProbeFailed,
    ReplicaDown,
    ReplicaUp,
    RunInterrupted,
    TokensArrived,
    TraceFinished,
    TraceStarted,
    TraceWarned,
    VoteCast,
)
from orchestrator.core.policies import Step, needs_judge, wants_judge
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings
from tests.support.world import Script, World, opened, run_started


def settings(name: str = "consensus", **policy: Any) -> Settings:
    return Settings.model_validate({"policy": {"name": name, "traces": 3, **policy}})


def first(n: int) -> int:
    return 0


def open_all(engine: Engine, traces: int) -> None:
    for trace in range(traces):
        engine.feed(opened(trace))


def finished(trace: int, answer: str | None, at: float = 1.0) -> TraceFinished:
    return TraceFinished(
        at=at, trace=trace, answer=answer, raw_answer=answer, finish_reason="stop", tokens=5
    )


def test_consensus_starts_every_trace_and_votes_when_all_have_ended() -> None:
    started = run_started(settings())
    engine = Engine(started)
    assert engine.feed(started).commands == [StartTrace(trace=t) for t in range(3)]
    open_all(engine, 3)
    assert engine.feed(finished(0, "4")) == ([], [])
    assert engine.feed(finished(2, "5")) == ([], [])
    events, commands = engine.feed(finished(1, "4", at=9.0))
    assert commands == [FinishRun()]
    (vote,) = events
    assert isinstance(vote, VoteCast)
    assert (vote.at, vote.answer) == (9.0, "4")
    assert [(b.answer, b.count) for b in vote.votes] == [("4", 2), ("5", 1)]


def test_pass1_is_one_trace_whatever_the_number_of_traces() -> None:
    started = run_started(settings("pass1"))
    assert Engine(started).feed(started).commands == [StartTrace(trace=0)]


class Asking:
    """Asks each trace when it begins."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def start(self) -> Step:
        return Step([], [StartTrace(trace=0), StartTrace(trace=1)])

    def on(self, event: Event) -> Step:
        asked = [ProbeTrace(trace=event.trace)] if isinstance(event, TraceStarted) else []
        return Step([], [*asked])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        return list(finished)


def test_probes_without_an_answer_are_counted() -> None:
    started = run_started(settings())
    engine = Engine(started, Asking())
    engine.feed(started)
    open_all(engine, 2)
    assert engine.probing == 2
    engine.feed(ProbeFailed(at=1.0, trace=1, message="down"))
    assert engine.probing == 1


def test_a_policy_object_is_not_made_from_settings() -> None:
    with pytest.raises(ConfigError, match="can be neither resumed nor replayed"):
        Engine(run_started(settings("custom")))


def test_consensus_looks_for_no_checkpoints() -> None:
    started = run_started(settings())
    engine = Engine(started)
    engine.feed(started)
    open_all(engine, 3)
    text = "wait " * 100
    assert engine.feed(TokensArrived(at=1.0, trace=0, text=text, tokens=100)) == ([], [])


def test_a_server_that_goes_out_and_comes_back_decides_nothing() -> None:
    started = run_started(settings())
    engine = Engine(started)
    engine.feed(started)
    open_all(engine, 3)
    assert engine.feed(ReplicaDown(at=1.0, endpoint="http://a/v1", reason="reset")) == ([], [])
    assert engine.feed(ReplicaUp(at=2.0, endpoint="http://a/v1")) == ([], [])
    warned = TraceWarned(at=3.0, trace=0, warning="usage", message="odd")
    assert engine.feed(warned) == ([], [])


def test_a_question_that_cannot_be_sent_starts_no_trace_and_has_no_answer() -> None:
    started = replace(run_started(settings()), refusal="too long")
    outcome = Engine(started).feed(started)
    assert outcome.commands == [FinishRun()]
    (vote,) = outcome.events
    assert isinstance(vote, VoteCast)
    assert vote.answer is None


def test_events_after_the_vote_change_nothing() -> None:
    world = World(settings(), [Script(["x"])] * 3, judge=None, choose=first).play()
    assert world.engine.feed(RunInterrupted(at=9.0)) == ([], [])


def test_an_interrupt_stops_every_open_trace_and_votes_over_what_has_finished() -> None:
    started = run_started(settings())
    engine = Engine(started)
    engine.feed(started)
    open_all(engine, 3)
    engine.feed(finished(1, "4"))
    commands = engine.feed(RunInterrupted(at=2.0)).commands
    assert commands == [StopTrace(trace=t, reason="interrupted") for t in (0, 2)]


def test_an_interrupt_after_the_last_trace_still_ends_in_a_vote() -> None:
    world = World(settings(), [Script(["x"])] * 3, judge=None, choose=first, interrupt_after=2)
    world.play()
    assert len(world.of(VoteCast)) == 1


def test_fewer_ballots_than_the_floor_give_no_answer() -> None:
    scripts = [Script(["x"], "4"), Script(["x"], None), Script(["x"], None)]
    world = World(settings(min_ballots=2), scripts, judge=None, choose=first).play()
    (vote,) = world.of(VoteCast)
    assert vote.answer is None
    assert [b.count for b in vote.votes] == [1]


def test_a_checkpoint_may_be_a_number_of_tokens() -> None:
    changes = {"checkpoint": {"unit": "tokens", "tokens": 4}}
    both = Settings.model_validate({**settings("deepprune").model_dump(), **changes})
    started = run_started(both)
    engine = Engine(started)
    engine.feed(started)
    open_all(engine, 1)
    reached, *_ = engine.feed(TokensArrived(at=1.0, trace=0, text="so 2 ", tokens=5)).events
    assert isinstance(reached, CheckpointReached)
    assert (reached.tokens, reached.words, reached.chars) == (5, 1, 5)


def test_only_deepprune_needs_a_judge() -> None:
    assert needs_judge(settings("deepprune"))
    assert not needs_judge(settings("consensus"))
    assert wants_judge(settings("deepprune"))
    assert not wants_judge(settings("auto"))
    evidence = Settings.model_validate({"policy": {"name": "auto", "use_judge": True}})
    assert wants_judge(evidence)
    assert not needs_judge(evidence)  # it does without where none is given
