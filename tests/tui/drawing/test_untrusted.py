"""Whatever a model writes in text, answers and names is sanitized, and never crashes, hangs or breaks a screen."""

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from orchestrator.core.events import Event, JudgeFailed, RunStarted, TokensArrived, TraceFailed
from orchestrator.report.view import RunView
from tests.support.capabilities import JUDGE, capabilities
from tests.support.screens import StillSource, frame_of, opened
from tests.support.story import Story
from tui.drawing.cells import line
from tui.panels.bill import draw_bill
from tui.panels.clusters import draw_clusters
from tui.panels.grid import draw_grid, layout_for
from tui.panels.header import draw_header, draw_states
from tui.panels.judge import draw_judge
from tui.panels.log import draw_log
from tui.panels.questions import draw_progress, draw_table
from tui.panels.trace import draw_summary, draw_verdicts
from tui.panels.vote import draw_vote
from tui.sources.base import Entry

NASTY = (
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "[red]",
    "[/]",
    "[@click=app.quit]x[/]",
    "\u202eevil\u202c",
    "\u200b\u200d\ufeff",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "한국어",
    "a" + "\u0338" * 50,
    "\r\n\t\x00\x08",
    "\ud800",
    "\u2028",
    "ﷺ",
)
FOREIGN = st.text(st.one_of(st.characters(), st.sampled_from("".join(NASTY))), max_size=80)


def hostile_run(text: str) -> RunView:
    """A run in which everything that others write is `text`."""
    run = Story(4, gold=text).start(0, 1, 2, 3)
    for trace in range(4):
        run.tokens(trace, 30, text=text)
    run.checkpoint(0, 30, chars=len(text) // 2).open_cluster(0, 0).checkpoint(1, 30)
    run.judged(1, 0).join(1, 0).stop(1, 36).judge_failed(2, 0).finish(0, 99, answer=text)
    run.finish(2, 60, answer=text + "2").vote(text, **{"a" + text: 2}).fail(3, 1)
    view = RunView()
    for event in run.events:
        view.apply(_with(event, text))
    return view


def _with(event: Event, text: str) -> Event:
    match event:
        case RunStarted():
            judge = msgspec.structs.replace(JUDGE, endpoint=text, model=text)
            servers = capabilities(judge=judge, endpoint=text, model=text)
            return msgspec.structs.replace(
                event, question=text, question_id=text, capabilities=servers
            )
        case TraceFailed() | JudgeFailed():
            return msgspec.structs.replace(event, message=text)
        case _:
            return event


@given(FOREIGN, st.integers(1, 130), st.integers(1, 30))
def test_no_panel_leaves_its_box_or_lets_anything_through(
    text: str, width: int, height: int
) -> None:
    frame = frame_of(hostile_run(text), width, height)
    entry = Entry(text, text, None, frame.watch)
    lines = [
        *draw_header(frame, text),
        *draw_states(frame),
        *draw_bill(frame),
        *draw_clusters(frame),
        *draw_vote(frame),
        *draw_judge(frame),
        *draw_log(frame),
        *draw_summary(frame, 3),
        *draw_verdicts(frame, 1),
        *draw_table(frame, [entry], cursor=0, top=0, focused=True),
        *draw_grid(frame, layout_for(4, width, height), cursor=0, top=0, focused=True),
    ]
    for strip in lines:
        assert strip.cell_length == width
        assert cell_len(strip.text) == width
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in strip.text)


@pytest.mark.slow  # draws whole screens
async def test_nasty_text_is_shown_sanitized_on_every_screen() -> None:
    text = " ".join(NASTY)
    async with opened(StillSource(hostile_run(text), name=text), size=(100, 34)) as screen:
        for name in ("live", "trace", "questions"):
            screen.app.show(name, 0)
            shown = await screen.text()
            assert "[31m" in shown
            assert not set(shown) & set("\x1b\x9b\x07\x00\u202e\u200b\u200d")
            assert all(cell_len(line) <= 100 for line in shown.splitlines())


@pytest.mark.slow  # draws whole screens
async def test_a_megabyte_without_a_newline_neither_hangs_nor_breaks_the_layout() -> None:
    view = Story(1).start(0).view()
    view.apply(TokensArrived(at=1.0, trace=0, text="\u0338x[b]" * 200_000, tokens=9))
    async with opened(StillSource(view), size=(80, 24)) as screen:
        screen.app.show("trace", 0)
        assert "x[b]" in await screen.text()
        await screen.pilot.resize_terminal(200, 60)
        assert "x[b]" in await screen.text()


def test_an_empty_run_has_panels_too() -> None:
    frame = frame_of(RunView(), 40, 10)
    panels = [
        draw_header(frame),
        draw_states(frame),
        draw_bill(frame),
        draw_clusters(frame),
        draw_vote(frame),
        draw_judge(frame),
        draw_log(frame),
        draw_progress(frame, [], planned=1),
    ]
    assert all(panels)
    assert all(strip.cell_length == 40 for lines in panels for strip in lines)
    assert draw_summary(frame, 0) == []


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\nb", "a\tb", "\u202eab", "\x9b2J", "ab\ud800"])
def test_a_line_is_safe_whoever_makes_it(text: str) -> None:
    (strip,) = [line(20, [(text, Style())])]
    assert strip.cell_length == 20
    assert strip.text.isprintable()
