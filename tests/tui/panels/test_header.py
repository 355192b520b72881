"""The head of the live screen, and the legend of states."""

from typing import Any

import msgspec
import pytest

from orchestrator.core.commands import StartTrace
from orchestrator.core.events import UserCommandReceived
from orchestrator.report.view import RunView
from tests.support.capabilities import JUDGE
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.header import clock, draw_header, draw_states

JUDGED: dict[str, Any] = {
    "judge": msgspec.structs.replace(JUDGE, endpoint="http://judge:1/v1", model="j")
}


def test_the_header_says_when_launching_is_paused_and_when_the_run_is_stopping(
    story: type[Story],
) -> None:
    view = story(2).start(0).view()
    view.apply(UserCommandReceived(at=1.0, command="hold"))
    assert "launching paused" in text_of_strips(draw_header(frame_of(view, 120)))
    view.interrupted = True
    assert "stopping" in text_of_strips(draw_header(frame_of(view, 120)))


def test_the_header_says_before_the_run_what_is_waited_for() -> None:
    assert "Starting servers" in text_of_strips(
        draw_header(frame_of(RunView()), "Starting servers")
    )
    assert "waiting for the servers" in text_of_strips(draw_header(frame_of(RunView())))


def test_the_header_tells_the_answer_and_whether_it_is_right(story: type[Story]) -> None:
    told = story(1, gold="42").start(0).finish(0, 9).vote("42", a42=1)
    assert "answer 42" in text_of_strips(draw_header(frame_of(told.view(), 120)))
    assert "answer 42 ✓" in text_of_strips(
        draw_header(frame_of(told.end("42").view(), 120), "over")
    )
    wrong = story(1, gold="7").start(0).finish(0, 9).vote("42", a42=1).end()
    assert "answer 42 ✗" in text_of_strips(draw_header(frame_of(wrong.view(), 120)))
    assert "no answer" in text_of_strips(draw_header(frame_of(story(1).vote(None).view(), 120)))


def test_the_time_left_is_told_once_it_can_be_known(story: type[Story]) -> None:
    told = story(3).start(0, 1, 2)
    for _ in range(20):
        told.tokens(1, len(told.events)).tokens(2, len(told.events))
    told.finish(0, 200)
    assert "left" in text_of_strips(draw_header(frame_of(told.view(), 120)))
    assert "left" not in text_of_strips(draw_header(frame_of(told.vote("42", a42=1).view(), 120)))


def test_no_time_is_promised_while_traces_wait_for_their_cluster(story: type[Story]) -> None:
    told = story(3, **JUDGED).start(0, 1, 2).tokens(1, 50).tokens(2, 60).finish(0, 100)
    assert "left" not in text_of_strips(draw_header(frame_of(told.view(), 120)))


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.94, "5.9 s"), (60, "1:00"), (125, "2:05"), (3725, "1:02:05")]
)
def test_times_are_written_as_people_write_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_legend_names_only_states_that_occur(story: type[Story]) -> None:
    view = story(2).start(0).view()
    view.apply(StartTrace(trace=1))
    text = text_of_strips(draw_states(frame_of(view, 80)))
    assert "1 running" in text
    assert "1 queued" in text
    assert "pruned" not in text


def test_streams_that_had_to_be_reopened_are_counted_beside_the_legend(story: type[Story]) -> None:
    view = story(2).start(0, 1).view()
    assert "reopened" not in text_of_strips(draw_states(frame_of(view)))
    view.traces[1].retries = 3
    assert "streams reopened 3" in text_of_strips(draw_states(frame_of(view)))


def test_a_legend_that_does_not_fit_leaves_out_the_names(story: type[Story]) -> None:
    told = story(6).start(0, 1, 2, 3).finish(0, 9).stop(1, 9).fail(2, 9)
    view = told.view()
    for trace in (4, 5):
        view.apply(StartTrace(trace=trace))
    wide, narrow, tiny = (
        text_of_strips(draw_states(frame_of(view, width))) for width in (70, 58, 30)
    )
    assert "✓ 1 finished  › 1 running" in wide
    assert "✓ 1 finished › 1 running" in narrow
    assert "✓ 1  › 1" in tiny
