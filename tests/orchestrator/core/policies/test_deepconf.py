"""DeepConf, online and offline, on examples worked by hand.

`Lane` plays traces whose tokens and answers the test writes out. A group is two tokens, the warm-up three traces.
"""

from typing import Any, Self

import pytest

from orchestrator.core.commands import StartTrace, StopTrace
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
from orchestrator.core.policies.deepconf import bar_of
from orchestrator.settings import Settings
from tests.support.world import opened, run_started


class Lane:
    """An engine under one policy, fed by hand; stopped traces end at once."""

    def __init__(self, name: str = "deepconf-high", **policy: Any) -> None:
        online = {"warm_up": 3} if name in ("deepconf-low", "deepconf-high") else {}
        given = {"traces": 9, "confidence_window": 2, "name": name, **online, **policy}
        started = run_started(Settings.model_validate({"policy": given}))
        self._engine = Engine(started)
        self.started: list[int] = []
        self.stopped: list[tuple[int, str]] = []
        self.cast: VoteCast | None = None
        self.feed(started)

    def write(self, trace: int, *confidences: float) -> Self:
        return self.feed(
            TokensArrived(at=1.0, trace=trace, text="x", tokens=1, confidences=confidences)
        )

    def end(self, trace: int, answer: str | None) -> Self:
        return self.feed(
            TraceFinished(
                at=1.0,
                trace=trace,
                answer=answer,
                raw_answer=answer,
                finish_reason="stop",
                tokens=2,
            )
        )

    def whole(self, trace: int, answer: str | None, confidence: float) -> Self:
        """A trace of two tokens, both of this confidence."""
        return self.write(trace, confidence, confidence).end(trace, answer)

    def fail(self, trace: int) -> Self:
        return self.feed(
            TraceFailed(at=1.0, trace=trace, boundary="server", message="reset", tokens=0)
        )

    def feed(self, event: Event) -> Self:
        outcome = self._engine.feed(event)
        for decided in outcome.events:
            if isinstance(decided, VoteCast):
                self.cast = decided
        for command in outcome.commands:
            if isinstance(command, StartTrace):
                self.started.append(command.trace)
                self.feed(opened(command.trace))
            if isinstance(command, StopTrace):
                self.stopped.append((command.trace, command.reason))
                stop = TraceStopped(at=1.0, trace=command.trace, reason=command.reason, tokens=1)
                self.feed(stop)
        return self

    @property
    def vote(self) -> VoteCast:
        assert self.cast is not None, "there was no vote yet"
        return self.cast

    @property
    def tally(self) -> list[tuple[str, int, float]]:
        return [(v.answer, v.count, v.weight) for v in self.vote.votes]


def warmed(name: str = "deepconf-high", **policy: Any) -> Lane:
    """Behind a warm-up of confidences 10, 11 and 12: the bar is 10.2 (high) or 11.8 (low)."""
    lane = Lane(name, **policy)
    return lane.whole(0, "1", 10.0).whole(1, "2", 11.0).whole(2, "3", 12.0)


# --- the bar --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "bar"), [(0.9, 10.2), (0.1, 11.8), (1.0, 10.0), (0.5, 11.0)])
def test_the_bar_is_the_percentile_that_keeps_the_surest(kept: float, bar: float) -> None:
    assert bar_of([12.0, 10.0, 11.0], kept) == pytest.approx(bar)


def test_nobody_measured_sets_no_bar() -> None:
    assert bar_of([], 0.1) == 0.0


# --- online ---------------------------------------------------------------------------------------


def test_the_warm_up_runs_to_its_end_however_unsure() -> None:
    lane = Lane()
    assert lane.started == [0, 1, 2]
    lane.whole(0, "1", 50.0).write(1, 0.0, 0.0, 0.0).end(1, "2")
    assert (lane.stopped, lane.started) == ([], [0, 1, 2])


def test_after_the_warm_up_as_many_traces_run_side_by_side() -> None:
    lane = warmed()
    assert lane.started == [0, 1, 2, 3, 4, 5]
    assert lane.whole(3, "1", 11.0).started[-1] == 6


def test_a_trace_is_stopped_as_soon_as_a_group_falls_below_the_bar() -> None:
    lane = warmed()
    lane.write(3, 10.4, 10.0)  # the mean is on the bar
    assert lane.stopped == []
    lane.write(3, 10.3)
    assert lane.stopped == [(3, "unsure")]


def test_the_low_bar_is_harder_to_clear_than_the_high_one() -> None:
    low, high = warmed("deepconf-low"), warmed("deepconf-high")
    for lane in (low, high):
        lane.write(3, 11.0, 11.0)
    assert (low.stopped, high.stopped) == ([(3, "unsure")], [])


def test_less_than_a_group_stops_nobody() -> None:
    assert warmed().write(3, 1.0).stopped == []


def test_what_stands_above_the_bar_votes_by_its_confidence_the_warm_up_too() -> None:
    lane = warmed(traces=4).whole(3, "2", 10.5)
    assert lane.tally == [("2", 2, 21.5), ("3", 1, 12.0)]  # the first trace fell below 10.2
    assert lane.vote.answer == "2"
    assert lane.vote.margin == pytest.approx(9.5 / 33.5)


def test_a_short_trace_below_the_bar_has_no_ballot() -> None:
    lane = warmed(traces=4).write(3, 1.0).end(3, "3")
    assert lane.tally == [("3", 1, 12.0), ("2", 1, 11.0)]


def test_sampling_ends_when_one_answer_has_nearly_all_the_weight() -> None:
    lane = Lane(consensus_share=0.8).whole(0, "1", 10.0).whole(1, "1", 11.0).whole(2, "2", 12.0)
    assert lane.cast is None  # 21 of 33
    lane.whole(3, "1", 16.0)  # 37 of 49 are 76 %
    assert lane.cast is None
    lane.whole(4, "1", 12.0)  # 49 of 61 are 80.3 %
    assert lane.tally == [("1", 3, 39.0), ("2", 1, 12.0)]  # the first trace fell below the bar
    assert lane.stopped == [(5, "settled"), (6, "settled")]
    assert lane.started == [0, 1, 2, 3, 4, 5, 6]


def test_the_surest_tenth_of_the_warm_up_alone_settles_nothing() -> None:
    lane = warmed("deepconf-low")
    assert lane.cast is None  # one trace stands above the bar, and agrees with itself
    assert lane.started == [0, 1, 2, 3, 4, 5]


def test_a_warm_up_that_agrees_is_enough() -> None:
    lane = Lane().whole(0, "1", 10.0).whole(1, "1", 11.0).whole(2, "1", 12.0)
    assert (lane.started, lane.vote.answer) == ([0, 1, 2], "1")


def test_a_trace_without_an_answer_does_not_stand_against_agreement() -> None:
    lane = Lane().whole(0, "1", 10.0).whole(1, None, 11.0).whole(2, "1", 12.0)
    assert (lane.started, lane.vote.answer) == ([0, 1, 2], "1")


def test_the_floor_of_ballots_holds_against_agreement() -> None:
    lane = Lane(min_ballots=3).whole(0, "1", 10.0).whole(1, "1", 11.0).whole(2, "1", 12.0)
    assert lane.cast is None
    assert lane.whole(3, "1", 11.0).vote.answer == "1"


def test_a_warm_up_that_fails_sets_no_bar() -> None:
    lane = Lane(traces=4).fail(0).fail(1).fail(2)
    assert lane.started == [0, 1, 2, 3]
    assert lane.whole(3, "7", 0.5).vote.answer == "7"


def test_an_interrupt_in_the_warm_up_counts_what_there_is() -> None:
    lane = Lane().whole(0, "1", 10.0)
    assert lane.feed(RunInterrupted(at=2.0)).tally == [("1", 1, 10.0)]


def test_a_trace_that_the_user_keeps_is_not_stopped_and_has_a_ballot() -> None:
    lane = warmed(traces=4)
    lane.feed(UserCommandReceived(at=1.0, command="pin", trace=3)).write(3, 1.0, 1.0)
    assert lane.stopped == []
    assert ("9", 1, 1.0) in lane.end(3, "9").tally


def test_tokens_in_one_chunk_or_in_many_stop_the_same_trace() -> None:
    tokens = [12.0, 11.0, 10.0, 10.1, 14.0]
    one, many = warmed(), warmed()
    one.write(3, *tokens)
    for token in tokens:
        if not many.stopped:
            many.write(3, token)
    assert one.stopped == many.stopped == [(3, "unsure")]


# --- offline --------------------------------------------------------------------------------------


def offline(**policy: Any) -> Lane:
    lane = Lane("deepconf-offline", traces=5, **policy)
    assert lane.started == [0, 1, 2, 3, 4]
    lane.whole(0, "1", 10.0).whole(1, "1", 11.0).whole(2, "2", 30.0).whole(3, None, 99.0)
    return lane.whole(4, "1", 12.0)


def test_offline_the_surest_share_of_those_with_an_answer_votes() -> None:
    assert offline(kept_share=0.1).tally == [("2", 1, 30.0)]
    assert offline(kept_share=0.9).tally == [("2", 1, 30.0), ("1", 2, 23.0)]
    assert offline(kept_share=1.0).tally == [("1", 3, 33.0), ("2", 1, 30.0)]


def test_offline_another_measure_ranks_the_traces_otherwise() -> None:
    for measure, answer in (("lowest", "2"), ("tail", "1")):
        lane = Lane("deepconf-offline", traces=2, trace_confidence=measure, kept_share=0.4)
        lane.write(0, 1.0, 1.0, 9.0, 9.0).end(0, "1")
        assert lane.write(1, 4.0, 4.0).end(1, "2").vote.answer == answer


# --- voting by confidence, whatever the policy ----------------------------------------------------


def test_any_policy_can_weigh_its_ballots_by_confidence() -> None:
    lane = Lane("consensus", traces=3, vote="confidence")
    lane.whole(0, "1", 4.0).whole(1, "1", 5.0).whole(2, "2", 10.0)
    assert lane.tally == [("2", 1, 10.0), ("1", 2, 9.0)]


def test_deepconf_can_count_heads_instead() -> None:
    assert offline(kept_share=1.0, vote="majority").tally == [("1", 3, 3.0), ("2", 1, 1.0)]
