"""What the panels say in situations that the recorded run does not have."""

import msgspec
import pytest

from orchestrator.core.events import UserCommandReceived
from orchestrator.report.report import Report, build_report
from orchestrator.report.view import RunView
from tests.support.capabilities import JUDGE
from tests.support.story import Story
from tui.drawing.states import GLYPHS, ORDER, count_states, display_state
from tui.panels.bill import draw_bill
from tui.panels.clusters import draw_clusters
from tui.panels.grid import draw_grid, layout_for
from tui.panels.header import clock, draw_header, draw_states
from tui.panels.judge import draw_judge
from tui.panels.questions import draw_progress, draw_table
from tui.panels.vote import draw_vote
from tui.sources.base import Entry


def shown(strips):
    return "\n".join(strip.text.rstrip() for strip in strips)


JUDGED = {"judge": msgspec.structs.replace(JUDGE, endpoint="http://judge:1/v1", model="j")}


def test_every_state_has_a_glyph_of_its_own_and_a_place_in_the_bar() -> None:
    assert len(set(GLYPHS.values())) == len(GLYPHS)
    assert set(ORDER) == set(GLYPHS)


def test_the_finer_states_are_told_from_the_view(story: type[Story]) -> None:
    told = story(9).start(0, 1, 2, 3, 4, 5, 6).checkpoint(1, 9).checkpoint(2, 9)
    told.checkpoint(3, 9).pause(3, 9).open_cluster(3, 0).checkpoint(4, 9).pause(4, 9).join(4, 0)
    told.checkpoint(5, 9).unjudged(5).fail(6, 3)
    view = told.view()
    view.traces[2].asked = True
    states = [display_state(view, view.traces[n]) for n in range(8)]
    assert states == [
        "running",
        "checkpoint",
        "judging",
        "representative",
        "paused",
        "finishing",
        "failed",
        "queued",
    ]
    assert count_states(view)["queued"] == 2


@pytest.mark.parametrize(
    ("traces", "width", "rows", "kind"),
    [
        (1, 60, 20, "roomy"),
        (64, 66, 24, "roomy"),
        (64, 42, 12, "named"),
        (512, 71, 24, "filled"),
        (512, 50, 24, "tight"),
        (512, 41, 14, "dots"),
        (2000, 41, 14, "dots"),
        (0, 1, 0, "dots"),
    ],
)
def test_the_grid_is_as_roomy_as_the_number_of_traces_allows(traces, width, rows, kind) -> None:
    layout = layout_for(traces, width, rows)
    assert layout.kind == kind
    assert layout.label + layout.columns * layout.cell <= max(width, layout.label + 1)


@pytest.mark.parametrize("count", [3, 40, 100, 300, 900])
def test_a_trace_lies_where_a_click_finds_it(story: type[Story], frame, count) -> None:
    view = story(count).view()
    box = frame(view, 70, 21)
    layout = layout_for(count, 70, 20)
    for trace in (0, count // 2, count - 1):
        row, column = divmod(trace, layout.columns)
        assert layout.at(layout.label + column * layout.cell, row) == trace
    assert layout.at(10_000, 0) is None
    assert len(draw_grid(box, layout, cursor=0, top=0, focused=False)) == 21


def test_a_grid_of_hundreds_shows_state_and_length_of_each(story: type[Story], frame) -> None:
    told = story(300).start(*range(300))
    for trace in range(300):
        told.tokens(trace, trace + 1)
    told.finish(299, 300).stop(0, 1)
    box = frame(told.view(), 66, 21)
    text = shown(draw_grid(box, layout_for(300, 66, 20), cursor=0, top=0, focused=True))
    assert "full = 300 tokens" in text
    assert "×▁" in text
    assert text.rstrip().endswith("✓█")


def test_the_scale_of_the_fills_grows_in_round_steps(story: type[Story], frame) -> None:
    for longest, full in (
        (1, "100"),
        (101, "150"),
        (600, "700"),
        (30_000, "30,000"),
        (70_001, "100,000"),
    ):
        view = story(1).start(0).tokens(0, longest).view()
        text = shown(draw_grid(frame(view), layout_for(1, 60, 19), cursor=0, top=0, focused=True))
        assert f"full = {full} tokens" in text


def test_a_pinned_trace_is_marked(story: type[Story], frame) -> None:
    view = story(2).start(0, 1).view()
    view.apply(UserCommandReceived(at=1.0, command="pin", trace=1))
    strip = draw_grid(frame(view), layout_for(2, 60, 19), cursor=0, top=0, focused=True)
    marked = [s.text for line in strip[1:] for s in line if s.style and s.style.underline]
    assert marked == ["› 1"]


def test_the_bill_counts_what_is_saved_for_certain_while_the_run_goes_on(
    story: type[Story], frame
) -> None:
    told = story(4).start(0, 1, 2, 3).tokens(1, 20).tokens(2, 100).finish(0, 100).stop(1, 20)
    text = shown(draw_bill(frame(told.view())))
    rows = {line.split()[0]: line.split()[1] for line in text.splitlines()[1:] if line.split()}
    assert (rows["cons@4"], rows["saved"]) == ("400", "20%")


def test_the_bill_has_no_figures_before_a_trace_has_finished(story: type[Story], frame) -> None:
    text = shown(draw_bill(frame(story(2).start(0).tokens(0, 5).view())))
    assert "not known yet" in text


def test_the_bill_of_a_plain_vote_is_exact(story: type[Story], frame) -> None:
    told = story(2).start(0, 1).finish(0, 10).finish(1, 30).vote("42", a42=2).end("42")
    text = shown(draw_bill(frame(told.view())))
    assert "exact" in text
    assert "0%" in text


def test_the_bill_shows_money_where_a_price_is_set(story: type[Story], frame) -> None:
    prices = {"prices": {"million_tokens": 10.0}}
    told = story(2, settings=prices).start(0, 1).finish(0, 1000).finish(1, 1000)
    text = shown(draw_bill(frame(told.view())))
    assert "money" in text
    assert "0.0200 of 0.0200" in text


def test_the_header_says_when_launching_is_paused_and_when_the_run_is_stopping(
    story: type[Story], frame
) -> None:
    view = story(2).start(0).view()
    view.apply(UserCommandReceived(at=1.0, command="hold"))
    assert "launching paused" in shown(draw_header(frame(view, 120)))
    view.interrupted = True
    assert "stopping" in shown(draw_header(frame(view, 120)))


def test_the_header_says_before_the_run_what_is_waited_for(frame) -> None:
    assert "Starting servers" in shown(draw_header(frame(RunView()), "Starting servers"))
    assert "waiting for the servers" in shown(draw_header(frame(RunView())))


def test_the_header_tells_the_answer_and_whether_it_is_right(story: type[Story], frame) -> None:
    told = story(1, gold="42").start(0).finish(0, 9).vote("42", a42=1)
    assert "answer 42" in shown(draw_header(frame(told.view(), 120)))
    assert "answer 42 ✓" in shown(draw_header(frame(told.end("42").view(), 120), "over"))
    wrong = story(1, gold="7").start(0).finish(0, 9).vote("42", a42=1).end()
    assert "answer 42 ✗" in shown(draw_header(frame(wrong.view(), 120)))
    assert "no answer" in shown(draw_header(frame(story(1).vote(None).view(), 120)))


def test_the_time_left_is_told_once_it_can_be_known(story: type[Story], frame) -> None:
    told = story(3).start(0, 1, 2)
    for _ in range(20):
        told.tokens(1, len(told.events)).tokens(2, len(told.events))
    told.finish(0, 200)
    assert "left" in shown(draw_header(frame(told.view(), 120)))
    assert "left" not in shown(draw_header(frame(told.vote("42", a42=1).view(), 120)))


def test_no_time_is_promised_while_traces_wait_for_their_cluster(story: type[Story], frame) -> None:
    told = story(3, **JUDGED).start(0, 1, 2).tokens(1, 50).tokens(2, 60).finish(0, 100)
    assert "left" not in shown(draw_header(frame(told.view(), 120)))


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.94, "5.9 s"), (60, "1:00"), (125, "2:05"), (3725, "1:02:05")]
)
def test_times_are_written_as_people_write_them(seconds, text) -> None:
    assert clock(seconds) == text


def test_the_legend_names_only_states_that_occur(story: type[Story], frame) -> None:
    text = shown(draw_states(frame(story(2).start(0).view(), 80)))
    assert "1 running" in text
    assert "1 queued" in text
    assert "pruned" not in text


def test_streams_that_had_to_be_reopened_are_counted_beside_the_legend(
    story: type[Story], frame
) -> None:
    view = story(2).start(0, 1).view()
    assert "reopened" not in shown(draw_states(frame(view)))
    view.traces[1].retries = 3
    assert "streams reopened 3" in shown(draw_states(frame(view)))


def test_a_legend_that_does_not_fit_leaves_out_the_names(story: type[Story], frame) -> None:
    told = story(6).start(0, 1, 2, 3).finish(0, 9).stop(1, 9).fail(2, 9)
    view = told.view()
    wide, narrow, tiny = (shown(draw_states(frame(view, width))) for width in (70, 58, 30))
    assert "✓ 1 finished  › 1 running" in wide
    assert "✓ 1 finished › 1 running" in narrow
    assert "✓ 1  › 1" in tiny


def test_the_judge_panel_tells_that_pruning_is_off(story: type[Story], frame) -> None:
    text = shown(draw_judge(frame(story(2, **JUDGED).judge_failed(0, 1).view())))
    assert "pruning off since" in text
    recovered = story(2, **JUDGED).judge_failed(0, 1).judged(0, 1)
    assert "1 failed" in shown(draw_judge(frame(recovered.view())))


def test_a_policy_without_a_judge_says_so(story: type[Story], frame) -> None:
    view = story(2).start(0).view()
    assert "asks no judge" in shown(draw_judge(frame(view)))
    assert "does not cluster" in shown(draw_clusters(frame(view)))


def test_the_histogram_marks_tau_and_its_ends(story: type[Story], frame) -> None:
    told = story(3, **JUDGED).judged(1, 0, p=0.0).judged(2, 0, 1, p=1.0)
    text = shown(draw_judge(frame(told.view(), 60, 9)))
    assert "tau 0.50" in text
    assert "│" in text
    untold = story(3).judged(1, 0, p=0.3)
    assert "tau" not in shown(draw_judge(frame(untold.view(), 60, 9))).splitlines()[-1]
    assert len(draw_judge(frame(told.view(), 60, 3))) == 2


def test_more_clusters_than_fit_are_counted(story: type[Story], frame) -> None:
    told = story(9, **JUDGED)
    for trace in range(9):
        told.open_cluster(trace, trace)
    lines = shown(draw_clusters(frame(told.view(), 60, 5))).splitlines()
    assert "6 more" in lines[0]
    assert len(lines) == 4


def test_the_vote_says_how_sure_its_leader_is(story: type[Story], frame) -> None:
    told = story(5).start(0, 1, 2).finish(0, 9).finish(1, 9).finish(2, 9, answer="7")
    text = shown(draw_vote(frame(told.view())))
    assert "3 so far" in text
    assert "leader stays" in text
    assert text.splitlines()[1].split()[:2] == ["42", "2"]
    assert "no trace has answered yet" in shown(draw_vote(frame(RunView())))
    assert "1 ballot " in shown(draw_vote(frame(told.vote("42", a42=1).view())))


class Set:
    planned = 4

    def __init__(self, *entries) -> None:
        self.entries = list(entries)


def report(correct: bool | None, **changes: object) -> Report:
    """Of a run in which three traces finished after 1,234 tokens, in 10 seconds."""
    told = Story(4).start(0, 1, 2, 3).finish(0, 600).finish(1, 300).finish(2, 300).stop(3, 34)
    built = build_report(told.view(), run_dir="r")
    known = {"answer": "42", "correct": correct, "saved": 0.5, "seconds": 10.0}
    return msgspec.structs.replace(built, **{**known, **changes})


def test_the_set_tells_how_many_are_right_and_how_long_the_rest_takes(frame) -> None:
    source = Set(Entry("a", "?", report(True)), Entry("b", "?", report(False)))
    text = shown(draw_progress(frame(RunView(), 100), source))
    assert "2 of 4 questions" in text
    assert "1 of 2 right" in text
    assert "about 20.0 s left" in text


def test_the_table_tells_each_questions_state(story: type[Story], frame) -> None:
    box = frame(story(2).start(0, 1).finish(0, 50).view(), 140)
    entries = [
        Entry("a", "first?", report(True)),
        Entry("b", "second?", report(None, answer=None, saved=None)),
        Entry("c", "third?", None, box.watch),
        Entry("d", "fourth?"),
    ]
    lines = shown(draw_table(box, entries, cursor=1, top=0, focused=False)).splitlines()[2:]
    assert "42" in lines[0]
    assert "✓" in lines[0]
    assert "no answer" in lines[1]
    assert lines[1].startswith("▸")
    assert "42 ?" in lines[2]
    assert "waiting" in lines[3]
