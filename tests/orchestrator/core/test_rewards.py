"""Votes by reward, on examples worked by hand. `Jury` ends traces and hands out rewards when the test says so."""

from typing import Any, Self

import pytest
from pydantic import ValidationError

from orchestrator.core.commands import FinishRun, RewardTrace, StartTrace, StopTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    Event,
    RewardFailed,
    RunInterrupted,
    TraceFinished,
    TraceRewarded,
    TraceStopped,
    UserCommandReceived,
    VoteCast,
)
from orchestrator.core.voting import Vote, best_of_n
from orchestrator.settings import RewardSettings, Settings
from tests.support.world import opened, run_started


class Jury:
    """An engine under one vote; stopped traces end at once."""

    def __init__(self, vote: str | None = "best-of-n", traces: int = 4, **policy: Any) -> None:
        given = {"name": "consensus", "traces": traces, "vote": vote, **policy}
        started = run_started(Settings.model_validate({"policy": given}))
        self._engine = Engine(started)
        self.asked: list[int] = []
        self.cast: VoteCast | None = None
        self.over = False
        self._feed(started)

    def end(self, trace: int, answer: str | None) -> Self:
        text = answer or "?"
        return self._feed(
            TraceFinished(
                at=1.0,
                trace=trace,
                answer=answer,
                raw_answer=text,
                finish_reason="stop",
                tokens=5,
            )
        )

    def reward(self, trace: int, reward: float | None) -> Self:
        if reward is None:
            return self._feed(RewardFailed(at=2.0, trace=trace, message="down"))
        return self._feed(
            TraceRewarded(at=2.0, trace=trace, reward=reward, prompt_tokens=9, seconds=0.1)
        )

    def both(self, *ends: tuple[str | None, float | None]) -> Self:
        """Traces that end with these answers and rewards, in order."""
        for trace, (answer, reward) in enumerate(ends):
            self.end(trace, answer)
            if trace in self.asked:
                self.reward(trace, reward)
        return self

    def do(self, event: Event) -> Self:
        return self._feed(event)

    @property
    def vote(self) -> VoteCast:
        assert self.cast is not None, "there was no vote yet"
        return self.cast

    @property
    def tally(self) -> list[tuple[str, int, float]]:
        return [(each.answer, each.count, each.weight) for each in self.vote.votes]

    def _feed(self, event: Event) -> Self:
        outcome = self._engine.feed(event)
        for decided in outcome.events:
            if isinstance(decided, VoteCast):
                self.cast = decided
        for command in outcome.commands:
            self.over = self.over or isinstance(command, FinishRun)
            if isinstance(command, RewardTrace):
                self.asked.append(command.trace)
        for command in outcome.commands:
            if isinstance(command, StartTrace):
                self._feed(opened(command.trace))
            if isinstance(command, StopTrace):
                self._feed(
                    TraceStopped(at=1.0, trace=command.trace, reason=command.reason, tokens=3)
                )
        return self


ENDS = (("A", 0.25), ("B", 0.75), ("A", 0.5), ("A", 0.125))


def test_the_best_reward_alone_decides_against_the_majority() -> None:
    jury = Jury("best-of-n").both(*ENDS)
    assert jury.vote.answer == "B"
    assert jury.tally == [("B", 1, 0.75), ("A", 3, 0.5)]
    assert jury.vote.margin == (0.75 - 0.5) / 1.25


def test_rewards_of_equal_answers_are_added_up() -> None:
    jury = Jury("reward").both(*ENDS)
    assert jury.vote.answer == "A"
    assert jury.tally == [("A", 3, 0.875), ("B", 1, 0.75)]


def test_without_a_vote_by_reward_nobody_is_asked() -> None:
    jury = Jury(None)
    for trace in range(4):
        jury.end(trace, "A")
    assert jury.asked == []
    assert jury.over


def test_a_trace_is_asked_about_when_it_finishes_and_only_if_it_has_a_ballot() -> None:
    jury = Jury(traces=3).end(2, "A")
    assert jury.asked == [2]
    assert jury.end(0, None).asked == [2]
    assert jury.end(1, "B").asked == [2, 1]


def test_the_vote_waits_for_the_last_reward() -> None:
    jury = Jury(traces=2).end(0, "A").end(1, "B").reward(1, 0.5)
    assert not jury.over
    assert jury.reward(0, 0.25).over
    assert jury.vote.answer == "B"


@pytest.mark.parametrize(("vote", "winner"), [("best-of-n", "B"), ("reward", "A")])
def test_a_trace_without_a_reward_weighs_the_mean_of_the_others(vote: str, winner: str) -> None:
    jury = Jury(vote, traces=3).both(("A", 0.25), ("A", None), ("B", 0.5))
    weights = {answer: weight for answer, _, weight in jury.tally}
    assert weights["A"] == (0.375 if vote == "best-of-n" else 0.625)
    assert jury.vote.answer == winner


@pytest.mark.parametrize("vote", ["best-of-n", "reward"])
def test_without_any_reward_the_majority_decides(vote: str) -> None:
    jury = Jury(vote).both(("B", None), ("A", None), ("A", None), (None, None))
    assert jury.tally == [("A", 2, 2.0), ("B", 1, 1.0)]


@pytest.mark.parametrize("vote", ["best-of-n", "reward"])
def test_rewards_of_nothing_still_give_the_first_answer(vote: str) -> None:
    jury = Jury(vote, traces=2).both(("B", 0.0), ("A", 0.0))
    assert (jury.vote.answer, jury.vote.margin) == ("B", 0.0)


def test_an_interrupt_waits_for_no_reward() -> None:
    jury = Jury().end(0, "A").end(1, "B").end(2, "B").reward(0, 0.75)
    jury.do(RunInterrupted(at=3.0))
    assert jury.over
    assert jury.tally == [("A", 1, 0.75), ("B", 2, 0.75)]


def test_an_interrupt_ends_a_run_that_only_waits_for_rewards() -> None:
    jury = Jury(traces=1).end(0, "A")
    assert not jury.over
    assert jury.do(RunInterrupted(at=3.0)).over


def test_a_user_who_wants_the_vote_gets_it_with_the_rewards_that_are_under_way() -> None:
    jury = Jury().end(0, "A").end(1, "B").do(UserCommandReceived(at=3.0, command="vote"))
    assert not jury.over
    jury.reward(0, 0.5).reward(1, 0.75)
    assert jury.vote.answer == "B"


def test_a_policy_that_stops_early_still_hears_the_rewards() -> None:
    jury = Jury("reward", traces=5, name="short", enough=2).end(3, "A").end(1, "B")
    assert jury.asked == [3, 1]
    assert not jury.over
    assert jury.reward(3, 0.25).reward(1, 0.5).vote.answer == "B"


def test_too_few_ballots_give_no_answer_however_good_they_are() -> None:
    assert Jury(traces=1, min_ballots=2).both(("A", 1.0)).vote.answer is None


def test_of_equally_good_ballots_the_answer_given_first_wins() -> None:
    cast = best_of_n([Vote("1", 0.5), Vote("2", 0.5)], min_ballots=1, at=0.0)
    assert cast.answer == "1"


def test_a_template_without_the_trace_is_refused() -> None:
    with pytest.raises(ValidationError, match="must contain"):
        RewardSettings(template="{question}")
