"""Which events may come when: whatever the runtime can produce does, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.commands import (
    AskJudge,
    FinishRun,
    PauseTrace,
    ProbeTrace,
    ResumeTrace,
    RewardTrace,
    StartTrace,
    StopTrace,
)
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    CheckpointReached,
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    RewardFailed,
    RunFinished,
    RunInterrupted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceRewarded,
    TraceStarted,
    TraceStopped,
    TraceWarned,
    UserCommandReceived,
)
from orchestrator.core.transitions import TRANSITIONS, TraceState, Transitions
from orchestrator.errors import EventOutOfTurn
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import decisions
from orchestrator.settings import Settings
from tests.support.world import opened, run_started

DEMO = Path(__file__).parents[3] / "nano" / "demo-run"

MAKE: dict[str, Callable[[], Event]] = {
    "started": lambda: opened(0),
    "tokens": lambda: TokensArrived(at=1.0, trace=0, text="x", tokens=1),
    "last tokens": lambda: TokensArrived(at=1.0, trace=0, text="", tokens=1, finish_reason="stop"),
    "warned": lambda: TraceWarned(at=1.0, trace=0, warning="usage", message="odd"),
    "paused": lambda: TracePaused(at=1.0, trace=0, tokens=1),
    "resumed": lambda: TraceResumed(
        at=1.0, trace=0, endpoint="here", prompt_tokens=7, cached_prompt_tokens=0
    ),
    "finished": lambda: TraceFinished(
        at=1.0, trace=0, answer="4", raw_answer="4", finish_reason="stop", tokens=1
    ),
    "stopped": lambda: TraceStopped(at=1.0, trace=0, reason="user", tokens=1),
    "failed": lambda: TraceFailed(at=1.0, trace=0, boundary="server", message="reset", tokens=1),
}

RUNTIME: dict[str, dict[str, str]] = {
    "queued": {
        "warned": "queued",
        "started": "streaming",
        "paused": "held",
        "stopped": "end",
        "failed": "end",
    },
    "held": {"warned": "held", "started": "streaming", "stopped": "end", "failed": "end"},
    "streaming": {
        "warned": "streaming",
        "tokens": "streaming",
        "last tokens": "complete",
        "paused": "paused",
        "resumed": "streaming",
        "finished": "end",
        "stopped": "end",
        "failed": "end",
    },
    "paused": {
        "warned": "paused",
        "resumed": "streaming",
        "stopped": "end",
        "failed": "end",
    },
    "complete": {"warned": "complete", "finished": "end", "failed": "end"},
    "end": {},
}
"""What `orchestrator/runtime/trace.py` emits behind what, written down once more and by hand."""


def transitions() -> Transitions:
    """Those of a run whose trace 0 was started, and then commanded everything often enough."""
    made = Transitions()
    made.note_event(run_started(Settings()))
    made.note_command(StartTrace(trace=0))
    for command in (*(PauseTrace(trace=0), ResumeTrace(trace=0)) * 12,):
        made.note_command(command)
    made.note_command(StopTrace(trace=0, reason="user"))
    return made


@given(st.lists(st.sampled_from(sorted(MAKE)), max_size=12))
def test_what_the_runtime_can_produce_is_taken_and_all_else_raises(names: list[str]) -> None:
    taken, state = transitions(), "queued"
    for name in names:
        following = RUNTIME[state].get(name)
        if following is None:
            with pytest.raises(EventOutOfTurn, match="trace 0 came out of turn"):
                taken.note_event(MAKE[name]())
            return
        taken.note_event(MAKE[name]())
        state = following


@given(st.lists(st.integers(0, 7), max_size=12))
def test_a_trace_has_one_end_and_nothing_comes_behind_it(choices: list[int]) -> None:
    taken, state = transitions(), "queued"
    for choice in choices:
        following = sorted(RUNTIME[state])
        if not following:
            break
        name = following[choice % len(following)]
        taken.note_event(MAKE[name]())
        state = RUNTIME[state][name]
    if state == "end":
        for make in MAKE.values():
            with pytest.raises(EventOutOfTurn, match="the trace is ended"):
                taken.note_event(make())


@pytest.mark.parametrize("name", sorted(MAKE))
def test_nothing_comes_of_a_trace_that_was_never_started(name: str) -> None:
    taken = Transitions()
    taken.note_event(run_started(Settings()))
    with pytest.raises(EventOutOfTurn, match="the trace is planned"):
        taken.note_event(MAKE[name]())


def test_every_state_but_the_last_and_the_first_has_a_way_on() -> None:
    assert {state for state, following in TRANSITIONS.items() if not following} == {
        TraceState.PLANNED,
        TraceState.ENDED,
    }


def verdict(members: tuple[int, ...] = (1,)) -> PairsJudged:
    return PairsJudged(
        at=1.0,
        trace=0,
        members=members,
        probabilities=(0.5,) * len(members),
        prompt_tokens=1,
        cached_prompt_tokens=0,
        completion_tokens=0,
        seconds=0.1,
    )


@pytest.mark.parametrize(
    "answer", [verdict(), JudgeFailed(at=1.0, trace=0, members=(1,), message="down")]
)
def test_the_judge_answers_once_and_only_what_it_was_asked(
    answer: PairsJudged | JudgeFailed,
) -> None:
    taken = transitions()
    with pytest.raises(EventOutOfTurn, match="was not asked"):
        taken.note_event(answer)
    taken.note_command(AskJudge(trace=0, members=(1,)))
    with pytest.raises(EventOutOfTurn, match="was not asked"):
        taken.note_event(verdict((1, 2)))
    taken.note_event(answer)
    with pytest.raises(EventOutOfTurn, match="was not asked"):
        taken.note_event(answer)


@pytest.mark.parametrize(
    "reward",
    [
        TraceRewarded(at=1.0, trace=0, reward=0.5, prompt_tokens=1, seconds=0.1),
        RewardFailed(at=1.0, trace=0, message="down"),
    ],
)
def test_a_reward_comes_once_and_only_when_asked_for(reward: Event) -> None:
    taken = transitions()
    with pytest.raises(EventOutOfTurn, match="no reward was asked for"):
        taken.note_event(reward)
    taken.note_command(RewardTrace(trace=0))
    taken.note_event(reward)
    with pytest.raises(EventOutOfTurn, match="no reward was asked for"):
        taken.note_event(reward)


PROBED = TraceProbed(
    at=1.0,
    trace=0,
    answer="4",
    raw_answer="4.0",
    asked_at=7,
    tokens=20,
    prompt_tokens=30,
    cached_prompt_tokens=16,
    seconds=0.1,
)


@pytest.mark.parametrize("answer", [PROBED, ProbeFailed(at=1.0, trace=0, message="down")])
def test_each_probe_is_answered_once_also_after_its_trace_has_ended(answer: Event) -> None:
    taken = transitions()
    with pytest.raises(EventOutOfTurn, match="no probe was asked for"):
        taken.note_event(answer)
    for _ in range(2):
        taken.note_command(ProbeTrace(trace=0))
    taken.note_event(answer)
    taken.note_event(opened(0))
    taken.note_event(TraceStopped(at=1.0, trace=0, reason="user", tokens=1))
    taken.note_event(answer)
    with pytest.raises(EventOutOfTurn, match="no probe was asked for"):
        taken.note_event(answer)


def end_of_run() -> RunFinished:
    return RunFinished(at=2.0, correct_answers=(), server_generated_tokens=None, interrupted=False)


def test_a_run_starts_once_and_nothing_comes_before_its_start_or_behind_its_end() -> None:
    for event in (
        RunInterrupted(at=0.0),
        end_of_run(),
        UserCommandReceived(at=0.0, command="vote"),
    ):
        with pytest.raises(EventOutOfTurn):
            Transitions().note_event(event)
    taken = transitions()
    with pytest.raises(EventOutOfTurn, match="RunStarted"):
        taken.note_event(run_started(Settings()))
    taken.note_event(RunInterrupted(at=1.0))
    with pytest.raises(EventOutOfTurn, match="RunFinished"):
        taken.note_event(end_of_run())  # the vote is not cast
    taken.note_command(FinishRun())
    taken.note_event(end_of_run())
    for late in (end_of_run(), RunInterrupted(at=3.0), verdict(), opened(0)):
        with pytest.raises(EventOutOfTurn):
            taken.note_event(late)


def test_an_event_that_the_core_derives_never_comes_from_outside() -> None:
    derived = CheckpointReached(at=1.0, trace=0, chars=1, words=1, tokens=1, complete=False)
    with pytest.raises(EventOutOfTurn, match="CheckpointReached"):
        transitions().note_event(derived)


def test_the_engine_refuses_an_answer_of_a_trace_that_was_never_started() -> None:
    started = run_started(Settings.model_validate({"policy": {"name": "consensus", "traces": 2}}))
    engine = Engine(started)
    engine.feed(started)
    unknown = TraceFinished(
        at=1.0, trace=7, answer="4", raw_answer="4", finish_reason="stop", tokens=1
    )
    with pytest.raises(EventOutOfTurn, match="trace 7"):
        engine.feed(unknown)


def test_the_recorded_run_has_no_event_out_of_turn() -> None:
    entries = list(read_journal(DEMO))
    assert sum(isinstance(entry, TraceStarted) for entry in decisions(entries)) > 1
