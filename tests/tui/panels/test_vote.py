"""The answers and how sure the leader is."""

from orchestrator.report.view import RunView
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.vote import draw_vote


def test_the_vote_says_what_could_not_be_read_or_compared(story: type[Story]) -> None:
    told = (
        story(4)
        .start(0, 1, 2, 3)
        .finish(0, 9)
        .tokens(1, 5, "I am \x1b[31mnot sure")
        .finish(1, 9, None)
    )
    told.tokens(2, 5, "cut").finish(2, 9, None, reason="length").finish(3, 9, "7", undecided=2)
    text = " ".join(text_of_strips(draw_vote(frame_of(told.view(), width=70))).split())
    assert "No answer could be read from 2 of 4 finished traces, 1 of them cut" in text
    assert "One ends: “I am ␛[31mnot sure”." in text
    assert "--prompt, or allow longer traces with --max-tokens." in text
    assert "2 comparisons of answers gave no verdict." in text


def test_notices_leave_room_for_the_leader(story: type[Story]) -> None:
    told = story(2).start(0, 1).finish(0, 9).tokens(1, 5, "not sure").finish(1, 9, None)
    lines = text_of_strips(draw_vote(frame_of(told.view(), width=30, height=3))).splitlines()
    assert lines[1].split()[0] == "42"


def test_the_vote_says_how_sure_its_leader_is(story: type[Story]) -> None:
    told = story(5).start(0, 1, 2).finish(0, 9).finish(1, 9).finish(2, 9, answer="7")
    text = text_of_strips(draw_vote(frame_of(told.view())))
    assert "3 so far" in text
    assert "leader stays" in text
    assert text.splitlines()[1].split()[:2] == ["42", "2"]
    assert "no trace has answered yet" in text_of_strips(draw_vote(frame_of(RunView())))
    assert "1 vote " in text_of_strips(draw_vote(frame_of(told.vote("42", a42=1).view())))
