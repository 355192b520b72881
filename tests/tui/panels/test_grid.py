"""The grid for few and many traces."""

import pytest

from orchestrator.core.events import UserCommandReceived
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.grid import draw_grid, layout_for


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
def test_the_grid_is_as_roomy_as_the_number_of_traces_allows(
    traces: int, width: int, rows: int, kind: str
) -> None:
    layout = layout_for(traces, width, rows)
    assert layout.kind == kind
    assert layout.label + layout.columns * layout.cell <= max(width, layout.label + 1)


@pytest.mark.parametrize("count", [3, 40, 100, 300, 900])
def test_a_trace_lies_where_a_click_finds_it(story: type[Story], count: int) -> None:
    view = story(count).view()
    box = frame_of(view, 70, 21)
    layout = layout_for(count, 70, 20)
    for trace in (0, count // 2, count - 1):
        row, column = divmod(trace, layout.columns)
        assert layout.at(layout.label + column * layout.cell, row * layout.lines) == trace
    assert layout.at(10_000, 0) is None
    assert len(draw_grid(box, layout, cursor=0, top=0, focused=False)) == 21


def test_few_traces_show_the_end_of_their_texts(story: type[Story]) -> None:
    told = story(64, settings={"policy": {"name": "auto"}}).start(0, 1)
    told.tokens(0, 5, "first line\nsecond line\n").tokens(1, 7, "a\nb\nc\nd\ne\nf")
    layout = layout_for(2, 50, 10)
    assert (layout.lines, layout.columns) == (5, 1)
    strips = draw_grid(frame_of(told.view(), 50, 11), layout, cursor=1, top=0, focused=True)
    rows = [row.strip() for row in text_of_strips(strips).splitlines()]
    assert "traces 2 of up to 64" in rows[0]
    assert rows[2:6] == ["first line", "second line", "", ""]
    assert rows[6].startswith("› 1")
    assert rows[7:] == ["c", "d", "e", "f"]
    assert [layout.at(3, y) for y in (0, 4, 5, 9)] == [0, 0, 1, 1]


def test_a_running_trace_shows_what_it_answered_when_asked(story: type[Story]) -> None:
    told = story(2).start(0, 1).probed(0, 9, "42").probed(1, 9, None)
    text = text_of_strips(
        draw_grid(frame_of(told.view(), 60, 3), layout_for(2, 60, 2), cursor=0, top=0, focused=True)
    )
    assert "? 42" in text
    assert "? –" in text


def test_a_grid_of_hundreds_shows_state_and_length_of_each(story: type[Story]) -> None:
    told = story(300).start(*range(300))
    for trace in range(300):
        told.tokens(trace, trace + 1)
    told.finish(299, 300).stop(0, 1)
    box = frame_of(told.view(), 66, 21)
    text = text_of_strips(draw_grid(box, layout_for(300, 66, 20), cursor=0, top=0, focused=True))
    assert "full = 300 tokens" in text
    assert "×▁" in text
    assert text.rstrip().endswith("✓█")


def test_the_scale_of_the_fills_grows_in_round_steps(story: type[Story]) -> None:
    for longest, full in (
        (1, "100"),
        (101, "150"),
        (600, "700"),
        (30_000, "30,000"),
        (70_001, "100,000"),
    ):
        view = story(1).start(0).tokens(0, longest).view()
        text = text_of_strips(
            draw_grid(frame_of(view), layout_for(1, 60, 19), cursor=0, top=0, focused=True)
        )
        assert f"full = {full} tokens" in text


def test_a_pinned_trace_is_marked(story: type[Story]) -> None:
    view = story(2).start(0, 1).view()
    view.apply(UserCommandReceived(at=1.0, command="pin", trace=1))
    strip = draw_grid(frame_of(view), layout_for(2, 60, 19), cursor=0, top=0, focused=True)
    marked = [s.text for line in strip[1:] for s in line if s.style and s.style.underline]
    assert marked == ["› 1"]
