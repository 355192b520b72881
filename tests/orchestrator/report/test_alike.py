"""Traces that all have the same text: what the report says, and when it says nothing."""

import pytest

from orchestrator.report.alike import alike_traces
from orchestrator.report.report import build_report, notices
from orchestrator.report.summary import summarise
from orchestrator.report.view import RunView
from orchestrator.terminal.render import render_summary
from tests.support.story import Story

LONG = "so it must be forty-two " * 10


def finished(story: type[Story], *texts: str) -> Story:
    run = story(len(texts) + 2)
    for trace, text in enumerate(texts):
        run.start(trace).tokens(trace, 60, text).finish(trace, 60, "42")
    return run


def test_traces_with_one_text_are_told_with_the_remedy(story: type[Story]) -> None:
    report = build_report(finished(story, LONG, LONG, LONG).view(), run_dir=None)
    assert report.traces.alike == 3
    (notice,) = notices(report)
    assert notice.startswith("All 3 traces with text have the same text")
    assert "sampling.temperature" in notice
    summary = summarise([report, report])
    assert summary.summary.traces.alike == 6
    assert "6 of 6 traces have the same text" in render_summary(summary).replace("\n", " ")


@pytest.mark.parametrize(
    "texts",
    [(), (LONG,), (LONG, LONG + "!"), (LONG, LONG, "another"), ("", "")],
    ids=["none", "one", "longer", "another", "empty"],
)
def test_traces_that_differ_and_single_ones_say_nothing(
    story: type[Story], texts: tuple[str, ...]
) -> None:
    report = build_report(finished(story, *texts).view(), run_dir=None)
    assert report.traces.alike == 0
    assert not [notice for notice in notices(report) if "same text" in notice]


def test_a_text_that_comes_in_other_pieces_is_the_same(story: type[Story]) -> None:
    run = finished(story, LONG)
    run.start(1).tokens(1, 20, LONG[:7]).tokens(1, 60, LONG[7:]).finish(1, 60, "42")
    assert alike_traces(run.view()) == 2


def test_a_stopped_trace_counts_with_its_beginning(story: type[Story]) -> None:
    def count(beginning: str, tokens: int) -> int:
        run = finished(story, LONG)
        run.start(1).tokens(1, tokens, beginning).stop(1, tokens)
        return alike_traces(run.view())

    assert count(LONG[:90], 20) == 2
    assert count("otherwise", 20) == 0
    assert count("so", 1) == 0  # too short to tell
    assert alike_traces(finished(story, LONG, LONG).start(2).tokens(2, 40, "else").view()) == 2


def test_stopped_traces_alone_can_be_alike(story: type[Story]) -> None:
    run = story(2)
    for trace, chars in ((0, 60), (1, 90)):
        run.start(trace).tokens(trace, 20, LONG[:chars]).stop(trace, 20)
    assert alike_traces(run.view()) == 2


def test_a_view_without_texts_knows_nothing(story: type[Story]) -> None:
    run = finished(story, LONG, LONG)
    assert alike_traces(run.view(keep_text=False)) == 0
    assert alike_traces(RunView()) == 0
