"""Whatever a model writes, in text, answers and names: shown inert, never a crash, a hang or a broken layout."""

import unicodedata
from collections.abc import Callable
from typing import Never

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.core.events import TokensArrived
from orchestrator.report.view import RunView
from tests.support.capabilities import JUDGE, capabilities
from tests.support.screens import settled
from tests.support.story import Story
from tui.app import DeepPruneApp
from tui.drawing.theme import DARK
from tui.panels.base import Frame
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
from tui.state.watch import Watch

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


def told(story: Callable, text: str) -> RunView:
    """A run in which everything that others write is `text`."""
    run = story(4, gold=text).start(0, 1, 2, 3)
    for trace in range(4):
        run.tokens(trace, 30, text=text)
    run.checkpoint(0, 30, chars=len(text) // 2).open_cluster(0, 0).checkpoint(1, 30)
    run.judged(1, 0).join(1, 0).stop(1, 36).judge_failed(2, 0).finish(0, 99, answer=text)
    run.finish(2, 60, answer=text + "2").vote(text, **{"a" + text: 2})
    run.events[0] = msgspec.structs.replace(
        run.events[0],
        question=text,
        question_id=text,
        capabilities=capabilities(
            judge=msgspec.structs.replace(JUDGE, endpoint=text, model=text),
            endpoint=text,
            model=text,
        ),
    )
    run._add(
        type(story(1).fail(0, 1).events[-1]), trace=3, boundary="server", message=text, tokens=1
    )
    return run.view()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FOREIGN, st.integers(1, 130), st.integers(1, 30))
def test_no_panel_leaves_its_box_or_lets_anything_through(
    story: type[Story], text, width, height
) -> None:
    watch = Watch(told(story, text))
    watch.update()
    frame = Frame(watch, DARK, width, height)
    entry = Entry(text, text, None, watch)
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


async def test_nasty_text_is_shown_inert_on_every_screen(story: type[Story]) -> None:
    view = told(story, " ".join(NASTY))
    app = DeepPruneApp(Still(view))
    async with app.run_test(size=(100, 34)) as pilot:
        for screen in ("live", "trace", "questions"):
            app.show(screen, 0)
            shown = await settled(pilot)
            assert "[31m" in shown
            assert not set(shown) & set("\x1b\x9b\x07\x00\u202e\u200b\u200d")
            assert all(cell_len(line) <= 100 for line in shown.splitlines())


async def test_a_megabyte_without_a_newline_neither_hangs_nor_breaks_the_layout(
    story: type[Story],
) -> None:
    view = story(1).start(0).view()
    view.apply(TokensArrived(at=1.0, trace=0, text="\u0338x[b]" * 200_000, tokens=9))
    app = DeepPruneApp(Still(view))
    async with app.run_test(size=(80, 24)) as pilot:
        app.show("trace", 0)
        shown = await settled(pilot)
        assert "x[b]" in shown
        await pilot.resize_terminal(200, 60)
        assert "x[b]" in await settled(pilot)


def test_an_empty_run_has_panels_too() -> None:
    frame = Frame(Watch(RunView()), DARK, 40, 10)
    for draw in (
        draw_header,
        draw_states,
        draw_bill,
        draw_clusters,
        draw_vote,
        draw_judge,
        draw_log,
    ):
        assert all(strip.cell_length == 40 for strip in draw(frame))
    assert draw_summary(frame, 0) == []
    assert draw_progress(frame, Still(RunView()))


class Still:
    """A run that neither plays nor goes on."""

    player = None
    planned = 1
    closing = False
    steerable = False
    notice = ""
    start = None
    current = 0

    def __init__(self, view) -> None:
        self.entries = [Entry("q1", " ".join(NASTY), None, Watch(view))]

    def open(self, index):
        return self.entries[index].watch

    def tick(self, seconds) -> None:
        pass

    def steer(self, act) -> Never:
        raise AssertionError("nothing to steer")
