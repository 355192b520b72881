"""Recorded traces played to the core on a simulated server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.recorded import RecordedQuestion
from bench.replay.judges import RecordedJudge
from bench.replay.prefixes import Prefix
from bench.replay.server import ServerModel, SimulatedServer
from orchestrator.core.events import (
    Event,
    JudgeFailed,
    PairsJudged,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)
from orchestrator.report.view import RunView
from orchestrator.settings import policies_with
from tests.support.recordings import INSTANT, played, recorded

# --- the server -----------------------------------------------------------------------------------


def test_a_plain_vote_spends_all_tokens_and_takes_as_long_as_its_longest_trace() -> None:
    end = played(recorded((10, "1"), (30, "2"), (20, "1")), name="consensus")
    assert (end.answer, end.tokens, end.sequential_tokens) == ("1", 60, 30)
    assert end.finished == ("1", "1", "2")
    assert (end.started, end.judge_tokens) == (3, 0)


def test_a_stopped_trace_costs_the_tokens_generated_so_far() -> None:
    end = played(recorded((10, "1"), (30, "2"), (20, "1")), name="short", enough=2)
    assert (end.answer, end.tokens, end.sequential_tokens) == ("1", 10 + 20 + 20, 20)


def test_traces_one_after_the_other_are_in_sequence() -> None:
    end = played(recorded((10, "1"), (30, "2"), (20, "1")), name="esc", window=1)
    assert (end.tokens, end.sequential_tokens) == (10, 10)
    end = played(recorded((10, None), (30, None), (20, "1")), name="esc", window=1)
    assert (end.tokens, end.sequential_tokens) == (60, 60)


def test_a_server_without_capacity_lets_traces_wait() -> None:
    narrow = ServerModel(
        first_token_seconds=0.0, step_seconds=1.0, step_seconds_per_stream=0.0, capacity=1
    )
    end = played(recorded((10, "1"), (30, "1")), server=narrow, name="consensus")
    assert (end.tokens, end.sequential_tokens, end.seconds) == (40, 40, 40)


def test_more_streams_make_every_step_slower() -> None:
    slow = ServerModel(first_token_seconds=2.0, step_seconds=1.0, step_seconds_per_stream=0.5)
    end = played(recorded((10, "1"), (30, "1")), server=slow, name="consensus")
    assert end.seconds == pytest.approx(2.0 + 10 * 2.0 + 20 * 1.5)
    assert end.sequential_tokens == pytest.approx(30)


def test_a_trace_that_still_waits_when_the_run_ends_costs_nothing() -> None:
    narrow = ServerModel(step_seconds=1.0, capacity=1)
    end = played(recorded((10, "1"), (30, "1")), server=narrow, name="short", enough=1)
    assert (end.tokens, end.started) == (10, 1)


def test_a_trace_can_be_stopped_before_its_first_token() -> None:
    slow = ServerModel(first_token_seconds=5.0, step_seconds=1.0, capacity=2)
    question = recorded((10, "1"), (12, "1"), (30, "1"))
    end = played(question, server=slow, name="short", enough=2)
    assert (end.tokens, end.started) == (22, 2)


# --- confidences ----------------------------------------------------------------------------------


def test_an_unsure_trace_is_stopped_at_the_report_that_falls_below_the_bar() -> None:
    sure, doubts = (9.0,) * 20, (9.0,) * 6 + (1.0,) * 14
    question = recorded((20, "1", sure), (20, "2", sure), (20, "3", doubts), (20, "1", sure))
    policy: dict[str, Any] = {"name": "deepconf-high", "warm_up": 2, "confidence_window": 2}
    end = played(question, report_every=1, **policy)
    assert (end.answer, end.tokens, end.finished) == ("1", 20 + 20 + 7 + 20, ("1", "2", "1"))
    later = played(question, report_every=8, **policy)
    assert later.tokens == 20 + 20 + 8 + 20


def test_every_confidence_is_reported_once_and_in_order() -> None:
    question = recorded((10, "1", tuple(map(float, range(10)))), (30, "2", (5.0,) * 30))
    reported: dict[int, tuple[float, ...]] = {0: (), 1: ()}

    def listen(event: Event) -> None:
        if isinstance(event, TokensArrived):
            reported[event.trace] += event.confidences

    prefixes = [Prefix("so " * 25, 7)] * 2
    played(
        question,
        checkpoints=prefixes,
        report_every=3,
        sink=listen,
        name="deepprune",
        vote="confidence",
    )
    assert reported[0] == question.traces[0].confidences
    assert len(reported[1]) in (6, 7, 30)  # pruned behind its checkpoint, or finished


# --- checkpoints and the judge --------------------------------------------------------------------


def test_deepprune_pauses_judges_and_resumes() -> None:
    question = recorded((10, "1"), (30, "2"), (20, "1"), (40, "1"))
    events: list[Event] = []
    end = played(
        question,
        checkpoints=[Prefix("so " * 25, 5)] * 4,
        sink=events.append,
        name="deepprune",
        survivors=1,
    )
    assert end.answer == "1"
    assert end.tokens == 10 + 5 + 5 + 5
    assert end.sequential_tokens == 10
    pairs = sum(len(event.members) for event in events if isinstance(event, PairsJudged))
    calls = sum(isinstance(event, PairsJudged) for event in events)
    assert end.judge_tokens == 5 * pairs + 5 * calls  # the new trace is read once a call
    assert sum(isinstance(event, TraceResumed) for event in events) == 1


def test_without_a_recorded_verdict_nothing_is_pruned() -> None:
    question = recorded((10, "1"), (30, "2"), (20, "1"))
    events: list[Event] = []
    end = played(
        question,
        checkpoints=[Prefix("so " * 25, 5)] * 3,
        judge=RecordedJudge({}, [0, 1, 2]),
        sink=events.append,
        name="deepprune",
    )
    assert any(isinstance(event, JudgeFailed) for event in events)
    assert end.tokens == 60


# --- the counts -----------------------------------------------------------------------------------

QUESTIONS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from(["1", "2", "3", None])), min_size=1, max_size=8
).map(lambda traces: recorded(*traces))


@given(
    question=QUESTIONS,
    name=st.sampled_from(
        [
            "consensus",
            "auto",
            "race",
            "esc",
            "short",
            "adaptive-consistency",
            "random-k",
            "deepprune",
        ]
    ),
    capacity=st.sampled_from([None, 1, 3]),
    first_token=st.sampled_from([0.0, 2.5]),
    at=st.integers(1, 20),
)
def test_the_player_counts_what_the_view_of_a_live_run_counts(
    question: RecordedQuestion, name: str, capacity: int | None, first_token: float, at: int
) -> None:
    server = ServerModel(
        first_token_seconds=first_token, step_seconds=1.0, capacity=capacity, judge_seconds=0.5
    )
    prefixes = [Prefix("so " * 25, at) if at < trace.tokens else None for trace in question.traces]
    view = RunView()
    ends: list[int] = []

    def watch(event: Event) -> None:
        view.apply(event)
        if isinstance(event, TraceFinished | TraceStopped | TraceFailed):
            ends.append(event.trace)

    own: dict[str, Any] = {"survivors": 2} if name in policies_with("survivors") else {}
    end = played(question, server=server, checkpoints=prefixes, sink=watch, name=name, **own)
    assert end.tokens == view.generated_tokens
    assert end.answer == view.answer
    assert end.seconds == view.elapsed
    assert len(ends) == len(set(ends))
    assert end.tokens <= sum(trace.tokens for trace in question.traces)
    assert end.sequential_tokens <= end.tokens + 1e-6


def test_a_server_that_has_nothing_to_do_is_stuck() -> None:
    server = SimulatedServer(INSTANT, recorded((1, "1")).traces, [None])
    with pytest.raises(RuntimeError, match="stuck"):
        server.advance()


def test_a_trace_starts_before_it_finishes() -> None:
    events: list[Event] = []
    played(recorded((5, "1")), sink=events.append, name="pass1")
    assert [type(event) for event in events[1:3]] == [TraceStarted, TraceFinished]
