"""The report and the summary as panels."""

from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from orchestrator.report.report import Report, VoteLine, build_report
from orchestrator.report.summary import summarise
from orchestrator.terminal.render import render_report, render_summary
from tests.support.story import Story


def report_of(told: Any) -> Report:
    return build_report(told.view(), run_dir="runs/x")


def flat(text: str) -> str:
    """The text without the frame and its line breaks."""
    return " ".join(" ".join(line.strip("│╭╮╰╯─ ") for line in text.splitlines()).split())


def test_a_panel_has_answer_bill_and_folder(pruned_story: Any) -> None:
    text = flat(render_report(report_of(pruned_story)))
    for part in (
        "question q1 · deepprune",
        "42 ✓ correct",
        "42 ×1",
        "4 of 4 started: 1 finished · 1 pruned · 1 stopped · 1 failed",
        "200 generated (finished 100 · pruned 36 · stopped 30 · failed 34)",
        "6 of them past the checkpoint",
        "2 calls, 2 pairs, 202 tokens (120 cached), 1.0 s; worth 41 reasoner tokens",
        "cons@4 ≈ 400 tokens, 95 %: 200 to ? (Kaplan-Meier)",
        "39.6% net · 50.0% in generated tokens · a plain vote of 2.4 traces costs the same",
        "runs/x",
    ):
        assert part in text


def test_the_largest_cluster_has_the_longest_bar(pruned_story: Any) -> None:
    lines = [line for line in render_report(report_of(pruned_story)).splitlines() if "█" in line]
    assert [line.count("█") for line in lines] == [24, 12]


def test_the_panel_fits_into_80_columns(pruned_story: Any) -> None:
    text = render_report(report_of(pruned_story))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text


def test_the_panel_is_made_for_the_given_console(pruned_story: Any) -> None:
    file = StringIO()
    console = Console(file=file, width=120, force_terminal=True, color_system="standard")
    text = render_report(report_of(pruned_story), console)
    assert "\x1b[" in text
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    "answer", ["\x1b[2J\x1b]0;x\x07", "[red]x[/]", "[/]", "\u202e42", "x" * 100_000, ":smile:", ""]
)
def test_answers_cannot_control_the_terminal(story: type[Story], answer: str) -> None:
    told = story(1).start(0).finish(0, 5, answer).open_cluster(0, 0).vote(answer).end()
    text = render_report(report_of(told))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert len(text) < 5000
    if len(answer) < 20 and answer.isprintable() and answer.isascii():
        assert answer in text


def test_unknown_figures_are_named(story: type[Story]) -> None:
    told = story(2, continuous_usage=False, token_ids=False).start(0, 1).judge_failed(1)
    text = flat(render_report(report_of(told.tokens(0, 8))))
    for part in (
        "none: too few votes",
        "off from t=0.3 s: the judge gave no verdicts",
        "cons@2 ≈ at least 8 tokens (no trace finished: a lower bound)",
        "unknown: no trace finished",
        "counted by stream chunks, not exact",
        "1 failed",
        "interrupted",
    ):
        assert part in text


def test_a_wrong_answer_is_marked(story: type[Story]) -> None:
    told = story(1, gold="7").start(0).finish(0, 5).vote("42", a42=1).end("7")
    text = flat(render_report(report_of(told)))
    assert "42 ✗ wrong" in text
    assert "not asked" in text


def test_of_many_clusters_and_answers_some_are_shown(story: type[Story]) -> None:
    told = story(40)
    for trace in range(12):
        told.start(trace).finish(trace, 9, str(trace)).open_cluster(trace, trace)
    for trace in range(12, 17):
        told.start(trace).finish(trace, 9, f"x{trace}").join(trace, 0)
    told.vote("1", **{f"a{n}": 1 for n in range(7)})
    text = flat(render_report(report_of(told)))
    assert "and 4 more with 4 traces" in text
    assert "and 2 more" in text
    assert "0 ×1, x12 ×1, x13 ×1 …" in text


def test_the_summary_shows_accuracy_and_totals(pruned_story: Any) -> None:
    report = report_of(pruned_story)
    text = flat(render_summary(summarise([report, msgspec.structs.replace(report, correct=False)])))
    for part in (
        "2 questions",
        "2 of 2",
        "50.0% (1 of 2), 95 %: 9.4% to 90.5%",
        "400 generated",
        "800 tokens, 95 %: 400 to ? · 2 questions",
        "39.6% net",
    ):
        assert part in text


def test_an_ungraded_summary_has_no_accuracy(story: type[Story]) -> None:
    text = flat(render_summary(summarise([report_of(story(1))])))
    assert "accuracy" not in text
    assert "1 interrupted" in text
    assert "unknown" in text


def test_votes_that_do_not_weigh_one_have_their_weight(pruned_story: Any) -> None:
    votes = [
        VoteLine(answer="42", ballots=9, weight=88.25),
        VoteLine(answer="7", ballots=1, weight=9.5),
    ]
    report = msgspec.structs.replace(report_of(pruned_story), votes=votes)
    assert "42 ×9 (weight 88.2) · 7 ×1 (weight 9.5)" in flat(render_report(report))
