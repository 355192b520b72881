"""The trace grid: one cell for each trace, as large as the number of traces allows, with a cursor.

A trace keeps its cell for the whole run. The state is shown as glyph and colour, the length so far as a fill. The
grid is a pure function of a frame and a `Layout`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from orchestrator.report.display_state import GLYPHS, display_state
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView
from tui.drawing.cells import Part, bar, level, line, pad, sanitize_line
from tui.panels.base import Frame, Panel, title
from tui.panels.quote import quote

__all__ = ["Grid", "Layout", "draw_grid", "layout_for"]

Kind = Literal["roomy", "named", "filled", "tight", "dots"]

_ROOMY = 15  # the width of a trace with bar and tokens, without the digits of its number
_ROOMIEST = 44
_QUOTED = 4  # lines of a trace's text at most
_NOTE = 8  # the width of the answer or the cluster
_WITH_NOTE = 26  # from this width on there is room for the note
_CELLS: dict[Kind, int] = {"filled": 3, "tight": 2, "dots": 1}
_PINNED = Style(underline=True, bold=True)
_SELECTED = Style(underline=True, bold=True)
_FOCUSED = Style(reverse=True)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a grid is laid out; sizes are in cells, `label` is the width of the row labels."""

    kind: Kind
    columns: int
    cell: int
    label: int
    lines: int = 1
    """The lines of a trace: its cell, and under it the end of its text."""

    def at(self, x: int, y: int) -> int | None:
        """The trace under column `x` of line `y` of the grid; the number may exceed the last trace."""
        column = (x - self.label) // self.cell
        row = y // self.lines
        return (
            row * self.columns + column if 0 <= column < self.columns and x >= self.label else None
        )


def layout_for(traces: int, width: int, rows: int) -> Layout:
    """The largest layout that shows `traces` in `width` x `rows` cells; the smallest may need scrolling."""
    needed = max(1, -(-traces // max(1, rows)))
    digits = len(str(max(0, traces - 1)))
    if width // needed >= _ROOMY + digits:
        lines = max(1, min(_QUOTED + 1, rows // max(1, traces))) if needed == 1 else 1
        return Layout("roomy", needed, min(_ROOMIEST, width // needed), 0, lines)
    if width // needed >= digits + 4:
        return Layout("named", width // (digits + 4), digits + 4, 0)
    room = max(1, width - digits - 2)
    kind: Kind = "filled" if room // 3 >= needed else "tight" if room // 2 >= needed else "dots"
    cell = _CELLS[kind]
    return Layout(kind, max(1, _round(room // cell)), cell, digits + 2)


def _round(columns: int) -> int:
    """`columns` rounded down to a multiple of ten, if that costs little; rows are then easy to count."""
    return columns - columns % 10 if columns >= 20 else columns


def draw_grid(frame: Frame, layout: Layout, *, cursor: int, top: int, focused: bool) -> list[Strip]:
    """The title and the rows from `top` on."""
    view = frame.watch.view
    scale = _scale(view)
    shown = [trace.trace for trace in view.launched]
    head = title(frame, "traces", _counted(view, len(shown)), f"full = {scale:,} tokens")
    lines = [head]
    for row in range(top, top + (frame.height - 1) // layout.lines):
        first = row * layout.columns
        cells = shown[first : first + layout.columns]
        parts = _label(frame, layout, first) if cells else []
        for number in cells:
            selected = number == cursor
            parts += _cell(
                frame, layout, view.traces[number], scale, selected=selected, focused=focused
            )
        lines.append(line(frame.width, parts))
        if layout.lines > 1:
            text = quote(frame, view.traces[cells[0]], layout.lines - 1) if cells else []
            lines += [*text, *[Strip.blank(frame.width)] * (layout.lines - 1 - len(text))]
    return lines


def _counted(view: RunView, launched: int) -> str:
    """How many traces there are; and how many there may be, where a policy launches only what it needs."""
    if launched == view.planned:
        return str(launched or "")
    return f"{launched} of up to {view.planned}"


def _scale(view: RunView) -> int:
    """The length of a full fill in tokens: a round number, so that it rarely changes."""
    longest = max((trace.tokens for trace in view.traces.values()), default=0)
    scale = 100
    while True:
        for step in (1, 1.5, 2, 3, 4, 5, 7):
            if longest <= scale * step:
                return round(scale * step)
        scale *= 10


def _label(frame: Frame, layout: Layout, first: int) -> list[Part]:
    return [(f"{first:>{layout.label - 1}} ", frame.palette.dim)] if layout.label else []


def _cell(
    frame: Frame, layout: Layout, trace: TraceView, scale: int, *, selected: bool, focused: bool
) -> list[Part]:
    palette = frame.palette
    state = display_state(frame.watch.view, trace)
    style = palette.states[state]
    glyph = GLYPHS[state]
    marked = style + _PINNED if trace.pinned else style
    if selected:
        marked += _FOCUSED if focused else _SELECTED
    fraction = trace.tokens / scale
    if layout.kind == "roomy":
        return _roomy(frame, layout, trace, fraction, glyph, style, marked)
    if layout.kind == "dots":
        return [(glyph, marked)]
    fill, area = level(fraction) if trace.tokens else " ", palette.fills[state]
    if layout.kind == "named":
        name = f"{glyph}{trace.trace:>{layout.cell - 4}}"
        return [(" ", palette.text), (name, marked), (fill, area), (" ", palette.text)]
    return [(glyph, marked), (fill, area), (" " * (layout.cell - 2), palette.text)]


def _roomy(
    frame: Frame,
    layout: Layout,
    trace: TraceView,
    fraction: float,
    glyph: str,
    style: Style,
    marked: Style,
) -> list[Part]:
    """Glyph, number, bar, tokens, and the answer or the cluster if there is room."""
    digits = len(str(max(0, len(frame.watch.view.launched) - 1)))
    tokens = f"{trace.tokens:,}" if trace.tokens else ""
    note_width = _NOTE if layout.cell >= _WITH_NOTE + digits else 0
    dim = frame.palette.dim
    parts: list[Part] = [
        (" ", dim),
        (f"{glyph} {trace.trace:>{digits}}", marked),
        (f" {bar(fraction, layout.cell - digits - 11 - note_width)}", style),
        (f"{tokens:>6} ", dim),
    ]
    if note_width:
        answered = trace.ending == "finished"
        parts.append((pad(_note(trace), note_width), frame.palette.text if answered else dim))
    return parts


def _note(trace: TraceView) -> str:
    if trace.ending == "finished":
        return "–" if trace.answer is None else f"→ {sanitize_line(trace.answer, limit=8)}"
    if trace.probed is not None:
        return (
            "? –"
            if trace.probed.answer is None
            else f"? {sanitize_line(trace.probed.answer, limit=8)}"
        )
    return "" if trace.cluster is None else f"in {trace.cluster}"


class Grid(Panel, can_focus=True):
    """The grid with its cursor, which selects the trace that keys act on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1, 0)", "left", show=False),
        Binding("right", "move(1, 0)", "right", show=False),
        Binding("up", "move(0, -1)", "up", show=False),
        Binding("down", "move(0, 1)", "down", show=False),
        Binding("home", "jump(0)", "first trace", show=False),
        Binding("end", "jump(-1)", "last trace", show=False),
    ]

    class Opened(Message):
        """The user opened a trace."""

        def __init__(self, trace: int) -> None:
            super().__init__()
            self.trace = trace

    def __init__(self, *, id: str) -> None:  # noqa: A002  (Textual's own name)
        super().__init__(self._draw_grid, id=id)
        self.cursor = 0
        self._top = 0
        self._count = 0
        self._layout = layout_for(1, 1, 1)

    def _draw_grid(self, frame: Frame) -> list[Strip]:
        self._count = len(frame.watch.view.launched)
        self._layout = layout_for(self._count, frame.width, frame.height - 1)
        rows = max(1, (frame.height - 1) // self._layout.lines)
        row = self.cursor // self._layout.columns
        last = max(0, -(-self._count // self._layout.columns) - rows)
        self._top = min(last, max(row - rows + 1, min(self._top, row)))
        return draw_grid(
            frame, self._layout, cursor=self.cursor, top=self._top, focused=self.has_focus
        )

    def action_move(self, columns: int, rows: int) -> None:
        """Moves the cursor; at the edges it stays."""
        target = self.cursor + columns + rows * self._layout.columns
        if 0 <= target < self._count:
            self.cursor = target

    def action_jump(self, trace: int) -> None:
        """Moves the cursor to a trace; -1 is the last."""
        if self._count:
            self.cursor = trace % self._count

    def action_open(self) -> None:
        """Opens the trace under the cursor."""
        if self._count:
            self.post_message(self.Opened(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a second one opens."""
        trace = (
            self._layout.at(event.x, self._top * self._layout.lines + event.y - 1)
            if event.y > 0
            else None
        )
        if trace is None or trace >= self._count:
            return
        self.cursor = trace
        if event.chain > 1:
            self.action_open()

    def on_mouse_scroll_down(self) -> None:
        """One row down."""
        self.action_move(0, 1)

    def on_mouse_scroll_up(self) -> None:
        """One row up."""
        self.action_move(0, -1)
