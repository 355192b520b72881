"""Prefix consistency by hand: which traces are cut where, and what their votes weigh."""

from typing import Any, Self

import pytest

from orchestrator.core.commands import FinishRun, StartTrace, StopTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    Event,
    RunInterrupted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceStopped,
    UserCommandReceived,
    VoteCast,
)
from orchestrator.settings import Settings
from tests.support.world import opened, run_started


class Cut:
    """A run by prefix consistency; traces and regenerations end when the test says so."""

    def __init__(self, traces: int = 3, **policy: Any) -> None:
        chosen = {"name": "prefix-consistency", "traces": traces, **policy}
        started = run_started(Settings.model_validate({"policy": chosen}))
        self._engine = Engine(started)
        self.started: list[StartTrace] = []
        self.stopped: list[int] = []
        self.vote: VoteCast | None = None
        self.over = False
        self.feed(started)

    def feed(self, event: Event) -> Self:
        outcome = self._engine.feed(event)
        self.vote = next((e for e in outcome.events if isinstance(e, VoteCast)), self.vote)
        for command in outcome.commands:
            if isinstance(command, StartTrace):
                self.started.append(command)
                self.feed(opened(command.trace))
            elif isinstance(command, StopTrace):
                self.stopped.append(command.trace)
            self.over = self.over or isinstance(command, FinishRun)
        return self

    def end(self, trace: int, answer: str | None, tokens: int = 100) -> Self:
        return self.feed(
            TraceFinished(
                at=1.0,
                trace=trace,
                answer=answer,
                raw_answer=answer,
                finish_reason="stop",
                tokens=tokens,
            )
        )

    @property
    def weights(self) -> dict[str, tuple[int, float]]:
        assert self.vote is not None
        return {vote.answer: (vote.count, vote.weight) for vote in self.vote.votes}


def test_a_finished_trace_is_cut_at_three_quarters_and_continued_once() -> None:
    run = Cut().end(1, "7", tokens=111)
    assert run.started[3:] == [StartTrace(trace=4, of=1, prefix_tokens=83)]
    run.end(4, "7", tokens=30)
    assert len(run.started) == 4


def test_an_answer_that_comes_back_weighs_eight_votes() -> None:
    run = Cut().end(0, "7").end(1, "8").end(2, "8")
    awaited = run.vote is None
    assert awaited  # the regenerations
    run.end(3, "7").end(4, "9").end(5, None)
    assert run.over
    assert run.vote is not None
    assert run.vote.answer == "7"
    assert run.weights == {"7": (1, 8.0), "8": (2, 2.0)}


def test_fraction_and_weight_are_settings() -> None:
    run = Cut(1, prefix_fraction=0.5, prefix_weight=3).end(0, "7", tokens=9)
    assert run.started[-1].prefix_tokens == 4
    assert run.end(1, "7").weights == {"7": (1, 3.0)}


def test_traces_without_an_answer_or_too_short_to_cut_are_not_regenerated() -> None:
    run = Cut(2).end(0, None).end(1, "7", tokens=1)
    assert len(run.started) == 2
    assert run.weights == {"7": (1, 1.0)}


def test_a_regeneration_that_fails_leaves_the_vote_at_one() -> None:
    run = Cut(1).end(0, "7").feed(TokensArrived(at=1.0, trace=1, text="so", tokens=3))
    run.feed(TraceFailed(at=1.0, trace=1, boundary="server", message="reset", tokens=3))
    assert run.weights == {"7": (1, 1.0)}


@pytest.mark.parametrize("ends", ["interrupt", "user"])
def test_regenerations_can_be_stopped(ends: str) -> None:
    run = Cut(1).end(0, "7")
    if ends == "interrupt":
        run.feed(RunInterrupted(at=1.0))
    else:
        run.feed(UserCommandReceived(at=1.0, command="stop", trace=1))
    assert run.stopped == [1]
    reason = "interrupted" if ends == "interrupt" else "user"
    run.feed(TraceStopped(at=1.0, trace=1, reason=reason, tokens=3))
    assert run.weights == {"7": (1, 1.0)}


def test_what_finishes_after_the_user_ended_the_run_is_not_regenerated() -> None:
    run = Cut(2).feed(UserCommandReceived(at=1.0, command="vote"))
    assert len(run.end(0, "7").started) == 2


def test_another_policy_may_vote_so_and_does_not_take_regenerations_for_traces() -> None:
    run = Cut(16, name="auto", vote="prefix-consistency", trace_price=0.5)
    run.end(0, "7")
    assert run.started[-1] == StartTrace(trace=16, of=0, prefix_tokens=75)
    for trace in run.stopped:
        run.feed(TraceStopped(at=1.0, trace=trace, reason="settled", tokens=3))
    assert run.end(16, "7").weights == {"7": (1, 8.0)}
