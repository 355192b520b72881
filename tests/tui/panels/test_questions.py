"""The table of questions and its progress bar."""

import msgspec

from orchestrator.report.report import Report, build_report
from orchestrator.report.view import RunView
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.questions import draw_progress, draw_table
from tui.sources.base import Entry


def report(correct: bool | None, **changes: object) -> Report:
    """Of a run in which three traces finished after 1,234 tokens, in 10 seconds."""
    told = Story(4).start(0, 1, 2, 3).finish(0, 600).finish(1, 300).finish(2, 300).stop(3, 34)
    built = build_report(told.view(), run_dir="r")
    known = {"answer": "42", "correct": correct, "saved": 0.5, "seconds": 10.0}
    return msgspec.structs.replace(built, **{**known, **changes})


def test_the_progress_tells_how_many_are_right_and_how_long_the_rest_takes() -> None:
    entries = [Entry("a", "?", report(True)), Entry("b", "?", report(False))]
    text = text_of_strips(draw_progress(frame_of(RunView(), 100), entries, planned=4))
    assert "2 of 4 questions" in text
    assert "1 of 2 right" in text
    assert "about 20.0 s left" in text


def test_the_progress_tells_how_many_questions_run_side_by_side() -> None:
    entries = [Entry("a", "?", report(True)), Entry("b", "?"), Entry("c", "?")]
    waiting = [Entry("d", "?", started=False), Entry("e", "?", started=False)]
    text = text_of_strips(draw_progress(frame_of(RunView(), 100), entries + waiting, planned=5))
    assert "1 of 5 questions  2 running" in text
    assert "about 20.0 s left" in text


def test_the_table_tells_each_questions_state(story: type[Story]) -> None:
    frame = frame_of(story(2).start(0, 1).finish(0, 50).view(), 140)
    entries = [
        Entry("a", "first?", report(True)),
        Entry("b", "second?", report(None, answer=None, saved=None)),
        Entry("c", "third?", None, frame.watch),
        Entry("d", "fourth?"),
    ]
    table = text_of_strips(draw_table(frame, entries, cursor=1, top=0, focused=False))
    answered, unanswered, running, waiting = table.splitlines()[2:6]
    assert "42" in answered
    assert "✓" in answered
    assert "no answer" in unanswered
    assert unanswered.startswith("▸")
    assert "42 ?" in running
    assert "1 › 1 ✓" in running
    assert "waiting" in waiting
