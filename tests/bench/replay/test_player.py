from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.recorded import RecordedTrace
from bench.replay.judges import RecordedJudge, SimulatedJudge, read_scores
from bench.replay.prefixes import Prefix, checkpoint_prefix
from bench.replay.server import ServerModel
from orchestrator.core.events import (
    JudgeFailed,
    PairsJudged,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)
from orchestrator.errors import DatasetError
from orchestrator.report.view import RunView
from orchestrator.settings import CheckpointSettings, policies_with
from tests.support.recordings import INSTANT, played, recorded

# --- the server -----------------------------------------------------------------------------------


def test_a_plain_vote_costs_all_tokens_and_lasts_as_long_as_its_longest_trace() -> None:
    end = played(recorded((10, "1"), (30, "2"), (20, "1")), name="consensus")
    assert (end.answer, end.tokens, end.sequential_tokens) == ("1", 60, 30)
    assert end.finished == ("1", "1", "2")
    assert (end.started, end.judge_tokens) == (3, 0)


def test_a_trace_that_is_stopped_costs_what_it_has_written() -> None:
    end = played(recorded((10, "1"), (30, "2"), (20, "1")), name="short", enough=2)
    assert (end.answer, end.tokens, end.sequential_tokens) == ("1", 10 + 20 + 20, 20)


def test_traces_one_after_the_other_are_in_sequence() -> None:
    end = played(recorded((10, "1"), (30, "2"), (20, "1")), name="esc", window=1)
    assert (end.tokens, end.sequential_tokens) == (10, 10)
    end = played(recorded((10, None), (30, None), (20, "1")), name="esc", window=1)
    assert (end.tokens, end.sequential_tokens) == (60, 60)


def test_a_server_with_little_room_lets_traces_wait() -> None:
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


def test_a_trace_that_waits_for_room_when_the_run_ends_has_cost_nothing() -> None:
    narrow = ServerModel(step_seconds=1.0, capacity=1)
    end = played(recorded((10, "1"), (30, "1")), server=narrow, name="short", enough=1)
    assert (end.tokens, end.started) == (10, 1)


def test_a_trace_that_is_just_being_opened_can_be_stopped() -> None:
    slow = ServerModel(first_token_seconds=5.0, step_seconds=1.0, capacity=2)
    question = recorded((10, "1"), (12, "1"), (30, "1"))
    end = played(question, server=slow, name="short", enough=2)
    assert (end.tokens, end.started) == (22, 2)


# --- confidences ----------------------------------------------------------------------------------


def test_an_unsure_trace_costs_what_it_has_written_when_it_falls_below_the_bar() -> None:
    sure, doubts = (9.0,) * 20, (9.0,) * 6 + (1.0,) * 14
    question = recorded((20, "1", sure), (20, "2", sure), (20, "3", doubts), (20, "1", sure))
    policy = {"name": "deepconf-high", "warm_up": 2, "confidence_window": 2}
    end = played(question, report_every=1, **policy)
    assert (end.answer, end.tokens, end.finished) == ("1", 20 + 20 + 7 + 20, ("1", "2", "1"))
    later = played(question, report_every=8, **policy)
    assert later.tokens == 20 + 20 + 8 + 20


def test_confidences_are_told_once_and_whole_whatever_else_happens() -> None:
    question = recorded((10, "1", tuple(map(float, range(10)))), (30, "2", (5.0,) * 30))
    told = {0: (), 1: ()}

    def listen(event) -> None:
        if isinstance(event, TokensArrived):
            told[event.trace] += event.confidences

    prefixes = [Prefix("so " * 25, 7)] * 2
    played(
        question,
        checkpoints=prefixes,
        report_every=3,
        sink=listen,
        name="deepprune",
        vote="confidence",
    )
    assert told[0] == question.traces[0].confidences
    assert len(told[1]) in (6, 7, 30)  # pruned behind its checkpoint, or finished


# --- checkpoints and the judge --------------------------------------------------------------------


def test_deepprune_pauses_judges_and_resumes() -> None:
    question = recorded((10, "1"), (30, "2"), (20, "1"), (40, "1"))
    events = []
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
    events = []
    end = played(
        question,
        checkpoints=[Prefix("so " * 25, 5)] * 3,
        judge=RecordedJudge({}, [0, 1, 2]),
        sink=events.append,
        name="deepprune",
    )
    assert any(isinstance(event, JudgeFailed) for event in events)
    assert end.tokens == 60


def test_recorded_verdicts_belong_to_the_traces_that_were_drawn(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text('{"question_id": "q", "traces": [7, 3], "p": 0.9}\n')
    judge = RecordedJudge(read_scores(path)["q"], sample=[3, 5, 7])
    assert judge.p_identical(0, 2) == judge.p_identical(2, 0) == 0.9
    assert judge.p_identical(0, 1) is None


def test_the_scores_of_an_evaluation_are_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(
        '{"question_id": "q", "traces": [0, 1], "same": true, "judges": {"words": {"score": 0.75}}}\n'
    )
    assert read_scores(path)["q"] == {frozenset((0, 1)): 0.75}


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "nonsense",
        '{"question_id": "q", "traces": [1], "p": 1}',
        '{"question_id": "q", "traces": [0, 1], "judges": {"a": {"score": 1}, "b": {"score": 1}}}',
        '{"question_id": "q", "traces": null, "judges": {"a": {"score": 1}}}',
    ],
)
def test_scores_that_are_none_are_refused(tmp_path: Path, line) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DatasetError, match="line 1"):
        read_scores(path)
    with pytest.raises(DatasetError, match="Cannot read"):
        read_scores(tmp_path / "none")


def traces_of(answers):
    return [RecordedTrace(tokens=1, answer=answer) for answer in answers]


def test_a_perfect_judge_sees_the_answers() -> None:
    judge = SimulatedJudge(
        "perfect", traces_of(["1", "1", "2", None, None]), np.random.default_rng(0)
    )
    assert judge.p_identical(0, 1) == 1.0
    assert judge.p_identical(0, 2) == 0.0
    assert judge.p_identical(3, 4) == 0.0  # no answer is like no other


def test_a_simulated_judge_has_the_auroc_that_was_asked_for() -> None:
    answers = ["1", "2"] * 100
    judge = SimulatedJudge(0.71, traces_of(answers), np.random.default_rng(1))
    pairs = [(i, j) for i in range(200) for j in range(i)]
    alike = np.array([judge.p_identical(i, j) for i, j in pairs if answers[i] == answers[j]])
    other = np.array([judge.p_identical(i, j) for i, j in pairs if answers[i] != answers[j]])
    assert (alike[:, None] > other[None, :]).mean() == pytest.approx(0.71, abs=0.02)
    assert judge.p_identical(3, 9) == judge.p_identical(9, 3)


def test_a_checkpoint_lies_at_its_reasoning_word() -> None:
    settings = CheckpointSettings(words=2)
    trace = RecordedTrace(tokens=10, answer="1", text="so it is. wait, no: so " + "." * 27)
    assert checkpoint_prefix(trace, settings) == Prefix("so it is. wait,", 3)
    short = RecordedTrace(tokens=10, answer="1", text="so it is")
    assert checkpoint_prefix(short, settings) is None


def test_a_checkpoint_at_tokens_needs_no_text() -> None:
    settings = CheckpointSettings(unit="tokens", tokens=4)
    assert checkpoint_prefix(RecordedTrace(tokens=10, answer="1"), settings) == Prefix("", 4)
    assert checkpoint_prefix(RecordedTrace(tokens=4, answer="1"), settings) is None
    text = RecordedTrace(tokens=8, answer="1", text="abcdefgh")
    assert checkpoint_prefix(text, settings) == Prefix("abcd", 4)


# --- the ledger -----------------------------------------------------------------------------------

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
    question, name, capacity, first_token, at
) -> None:
    server = ServerModel(
        first_token_seconds=first_token, step_seconds=1.0, capacity=capacity, judge_seconds=0.5
    )
    prefixes = [Prefix("so " * 25, at) if at < trace.tokens else None for trace in question.traces]
    view, ends = RunView(), []

    def watch(event) -> None:
        view.apply(event)
        if isinstance(event, TraceFinished | TraceStopped | TraceFailed):
            ends.append(event.trace)

    own = {"survivors": 2} if name in policies_with("survivors") else {}
    end = played(question, server=server, checkpoints=prefixes, sink=watch, name=name, **own)
    assert end.tokens == view.generated_tokens
    assert end.answer == view.answer
    assert end.seconds == view.elapsed
    assert len(ends) == len(set(ends))
    assert end.tokens <= sum(trace.tokens for trace in question.traces)
    assert end.sequential_tokens <= end.tokens + 1e-6


def test_a_policy_that_waits_for_nothing_is_found_out() -> None:
    from bench.replay.server import SimulatedServer

    server = SimulatedServer(INSTANT, recorded((1, "1")).traces, [None])
    with pytest.raises(RuntimeError, match="stuck"):
        server.advance()


def test_a_started_trace_says_so() -> None:
    events = []
    played(recorded((5, "1")), sink=events.append, name="pass1")
    assert [type(event) for event in events[1:3]] == [TraceStarted, TraceFinished]
