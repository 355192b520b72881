"""Traces without a readable answer, and answers that could not be compared: what the report and its readers say."""

import json

from orchestrator.report.report import build_report, notices, to_json_line
from orchestrator.report.summary import summarise
from orchestrator.report.unreadable import unreadable_of
from tests.support.story import Story


def told(story: type[Story], *, cut: int, whole: int, read: int) -> Story:
    """A run with so many traces that cannot be read, cut at their limit or not, and some that can."""
    run = story(cut + whole + read)
    for trace in range(cut + whole + read):
        answer = "42" if trace >= cut + whole else None
        reason = "length" if trace < cut else "stop"
        run.start(trace).tokens(trace, 3, f"words {trace} " * 40 + "and so on ")
        run.finish(trace, 3, answer, reason=reason)
    return run


def test_unreadable_traces_are_counted_with_those_cut_by_length(story: type[Story]) -> None:
    report = build_report(told(story, cut=2, whole=3, read=4).view(), run_dir=None)
    assert (report.traces.finished, report.traces.unreadable, report.traces.unreadable_cut) == (
        9,
        5,
        2,
    )
    assert report.unreadable_ending is not None
    assert report.unreadable_ending.endswith("words 2 and so on")  # of one that was not cut
    assert len(report.unreadable_ending) <= 160
    line = json.loads(to_json_line(report))
    assert line["traces"]["unreadable"] == 5
    assert line["unreadable_ending"] == report.unreadable_ending
    summary = summarise([report, report]).summary
    assert (summary.traces.unreadable, summary.traces.unreadable_cut) == (10, 4)


def test_the_remedy_fits_the_cause(story: type[Story]) -> None:
    def remedy(**traces: int) -> str:
        return unreadable_of(told(story, **traces).view()).sentences()[-1]

    assert remedy(cut=0, whole=3, read=1) == "Ask for a form of answer with --prompt."
    assert remedy(cut=3, whole=0, read=1) == "Allow longer traces with --max-tokens."
    both = "Ask for a form of answer with --prompt, or allow longer traces with --max-tokens."
    assert remedy(cut=1, whole=2, read=1) == both


def test_a_few_unreadable_traces_are_only_counted(story: type[Story]) -> None:
    assert unreadable_of(told(story, cut=0, whole=1, read=9).view()).sentences() == [
        "No answer could be read from 1 of 10 finished traces."
    ]
    assert unreadable_of(told(story, cut=0, whole=0, read=2).view()).sentences() == []


def test_a_view_without_texts_counts_and_shows_no_ending(story: type[Story]) -> None:
    found = unreadable_of(told(story, cut=0, whole=2, read=0).view(keep_text=False))
    assert (found.traces, found.ending) == (2, None)
    assert found.sentences()[-1] == "Ask for a form of answer with --prompt."


def test_comparisons_without_a_verdict_are_added_up_and_explained(story: type[Story]) -> None:
    run = story(2, gold="42").start(0, 1).finish(0, 5)
    run.warn(1, "answers", "Some answers could not be compared: the worker is away; start it.")
    run.finish(1, 5, "21*2", undecided=3).vote("42", a42=1).end("42", undecided=1)
    report = build_report(run.view(), run_dir=None)
    assert report.undecided_comparisons == 4
    assert [(line.warning, line.traces) for line in report.warnings] == [("answers", 1)]
    assert notices(report) == [
        "Some answers could not be compared: the worker is away; start it.",
        "4 comparisons of answers gave no verdict.",
    ]
    assert summarise([report, report]).summary.undecided_comparisons == 8
