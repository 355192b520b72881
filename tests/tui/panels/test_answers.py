"""The panels of `auto`: answers with their traces, and the decision."""

from typing import Any, Literal

import pytest

from orchestrator.core.commands import StartTrace
from orchestrator.core.events import LikelyAnswer, VoteWeighed
from orchestrator.report.view import RunView
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.answers import draw_answers
from tui.panels.decision import decides, draw_decision

AUTO: dict[str, Any] = {"policy": {"name": "auto"}}


def weighed(
    action: Literal["wait", "launch", "stop"] = "wait",
    worth: float = 0.0171,
    price: float = 0.0055,
    *,
    traces: int = 2,
    leader: str | None = "26",
    likely: tuple[LikelyAnswer, ...] = (),
) -> VoteWeighed:
    return VoteWeighed(
        at=2.0,
        leader=leader,
        lead_share=0.361,
        worth=worth,
        price=price,
        traces=traces,
        action=action,
        likely=likely,
    )


def decided(*events: VoteWeighed, **policy: Any) -> RunView:
    told = Story(64, settings={"policy": {"name": "auto", **policy}}).start(0, 1, 2, 3)
    view = told.finish(3, 180, "26").finish(2, 200, "25").probed(1, 190, "26").view()
    for event in events:
        view.apply(event)
    return view


def text(view: RunView, draw: Any = draw_decision, width: int = 52, height: int = 9) -> str:
    return text_of_strips(draw(frame_of(view, width, height)))


def test_each_answer_has_its_votes_the_likely_ones_and_its_traces() -> None:
    likely = (LikelyAnswer(trace=1, answer="26", probability=0.78),)
    shown = text(decided(weighed(likely=likely)), draw_answers)
    head, first, its_traces, second, its_trace, silent = shown.splitlines()[:6]
    assert "answers 2" in head
    assert "leader stays" in head
    assert first.split()[:4] == ["26", "1", "+", "0.8"]
    assert "━" in first
    assert "╌" in first
    assert its_traces.split() == ["✓", "3", "›", "1", "78%"]
    assert second.split()[:2] == ["25", "1"]
    assert its_trace.split() == ["✓", "2"]
    assert silent.split() == ["nothing", "known", "of", "›", "0"]


def test_a_short_panel_keeps_the_answers_and_drops_their_traces() -> None:
    shown = text(decided(), draw_answers, height=4)
    assert [row.split()[0] for row in shown.splitlines()[1:3]] == ["26", "25"]


def test_a_probe_alone_is_shown_without_a_probability() -> None:
    assert "says so" in text(decided(), draw_answers)


def test_a_run_without_answers_says_so_and_names_traces_without_one(story: type[Story]) -> None:
    told = story(4, settings=AUTO).start(0)
    assert "no trace has answered yet" in text(told.view(), draw_answers)
    assert "without an answer ✓ 0" in text(told.finish(0, 9, None).view(), draw_answers)
    assert text(told.vote(None).view(), draw_answers).splitlines()[1].strip() == (
        "no trace has answered"
    )


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (weighed(), "waits: worth more than the price"),
        (weighed("launch"), "launches: worth more than the price"),
        (weighed("stop", 0.001, 0.005), "stops: worth less than the price"),
        (weighed("wait", 0.001, 0.005), "goes on: min_ballots is not reached"),
    ],
)
def test_the_decision_says_what_follows_and_why(event: VoteWeighed, why: str) -> None:
    assert why in text(decided(event))


def test_worth_and_price_are_bars_on_one_scale() -> None:
    _head, share, worth, price, *_rest = text(decided(weighed())).splitlines()
    assert share.split() == ["next", "trace", "36.1%", "would", "say", "26"]
    assert worth.split()[:4] == ["2", "more", "votes", "1.71"]
    assert price.split()[:2] == ["price", "0.55"]
    assert worth.count("━") > 2 * price.count("━") > 0
    assert "1 more vote " in text(decided(weighed(traces=1)))


def test_earlier_decisions_follow_the_latest_one() -> None:
    shown = text(decided(weighed("launch", 0.05), weighed("wait", 0.03), weighed()))
    assert [row.split()[1] for row in shown.splitlines()[-2:]] == ["waited", "launched"]
    assert "3.00 > 0.55  26 36%" in shown


def test_nothing_is_decided_before_a_trace_ends(story: type[Story]) -> None:
    told = story(64, settings=AUTO).start(0, 1)
    assert "waits for the first trace to end" in text(told.view())
    assert "asks the running traces first" in text(told.finish(0, 9).view())
    assert "no answer leads yet" in text(decided(weighed(leader=None, traces=0)))
    assert "3.00" not in text(decided(weighed(leader=None), weighed(leader=None)))


def test_the_price_of_a_trace_is_named_with_where_it_comes_from() -> None:
    assert "medium: 0.5 points a trace" in text(decided())
    assert "1 point a trace" in text(decided(effort="low"), width=38)
    assert "2 points a trace" in text(decided(trace_price=0.02))


def test_only_auto_says_what_it_decides_on(story: type[Story]) -> None:
    assert decides(decided())
    assert not decides(story(4).view())
    assert not decides(RunView())
    assert text(RunView()).splitlines()[0].endswith("─")


def test_a_launched_trace_that_waits_for_a_stream_is_queued_and_a_planned_one_is_not(
    story: type[Story],
) -> None:
    view = story(64, settings=AUTO).start(0).view()
    view.apply(StartTrace(trace=1))
    assert [(trace.trace, trace.state) for trace in view.launched] == [
        (0, "running"),
        (1, "queued"),
    ]
