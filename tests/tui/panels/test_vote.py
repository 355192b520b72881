"""The answers and how sure the leader is."""

from orchestrator.report.view import RunView
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.vote import draw_vote


def test_the_vote_says_how_sure_its_leader_is(story: type[Story]) -> None:
    told = story(5).start(0, 1, 2).finish(0, 9).finish(1, 9).finish(2, 9, answer="7")
    text = text_of_strips(draw_vote(frame_of(told.view())))
    assert "3 so far" in text
    assert "leader stays" in text
    assert text.splitlines()[1].split()[:2] == ["42", "2"]
    assert "no trace has answered yet" in text_of_strips(draw_vote(frame_of(RunView())))
    assert "1 vote " in text_of_strips(draw_vote(frame_of(told.vote("42", a42=1).view())))
