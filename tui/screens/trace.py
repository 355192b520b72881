"""The trace screen: the text of one trace as it streams, beside the text of its cluster's representative."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Footer

from tui.panels.base import Panel
from tui.panels.seek import SeekBar
from tui.panels.trace import TextPanel, draw_summary, draw_verdicts
from tui.screens.base import HEIGHTS, WIDTHS, RunScreen
from tui.sources.base import Source

__all__ = ["TraceScreen"]


class TraceScreen(RunScreen):
    """The details of one trace."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "back", key_display="Esc"),
        Binding("left,h", "other(-1)", "previous trace", show=False),
        Binding("right,l", "other(1)", "next trace", show=False),
        Binding("c", "compare", "side by side"),
        Binding("up,k", "scroll_text(-1)", "up", show=False),
        Binding("down,j", "scroll_text(1)", "down", show=False),
        Binding("pageup", "scroll_text(-20)", "page up", show=False),
        Binding("pagedown", "scroll_text(20)", "page down", show=False),
        Binding("home", "scroll_text(-100000000)", "start", show=False),
        Binding("end", "scroll_text(100000000)", "end", show=False),
    ]

    def __init__(self, source: Source, trace: int) -> None:
        super().__init__(source)
        self.trace = trace
        self._compare: bool | None = None
        self._other = TextPanel(
            lambda: self.representative, "its representative, trace", id="other"
        )

    def compose(self) -> ComposeResult:
        """The panels; the style sheet lays them out."""
        yield Panel(lambda frame: draw_summary(frame, self.trace), id="summary")
        with Container(id="texts"):
            yield TextPanel(lambda: self.trace, "trace", id="text")
            yield self._other
        yield Panel(lambda frame: draw_verdicts(frame, self.trace), id="verdicts")
        bar = SeekBar(lambda: self.source.player, id="seek")
        bar.display = self.source.player is not None
        bar.can_focus = False  # the arrow keys change the trace; the bar can be clicked
        yield bar
        yield Footer(compact=True, show_command_palette=False)

    @property
    def target(self) -> int | None:
        """The trace shown."""
        return self.trace

    @property
    def representative(self) -> int | None:
        """The representative of the trace's cluster, unless it is the trace itself."""
        view = self.watched.view
        trace = view.traces.get(self.trace)
        if trace is None or trace.cluster is None:
            return None
        representative = view.clusters[trace.cluster].representative
        return representative if representative != self.trace else None

    def redraw(self) -> None:
        """Shows the representative where there is one and room for it."""
        wide = self._compare if self._compare is not None else self.size.width >= 100
        self._other.display = wide and self.representative is not None
        super().redraw()

    def action_other(self, step: int) -> None:
        """Goes to the next or the previous trace."""
        count = len(self.watched.view.traces)
        if count:
            self.trace = (self.trace + step) % count
            for panel in self.query(TextPanel):
                panel.offset_from_top = None

    def action_compare(self) -> None:
        """Shows or hides the representative."""
        self._compare = not self._other.display

    def action_scroll_text(self, rows: int) -> None:
        """Scrolls both texts."""
        for panel in self.query(TextPanel):
            panel.scroll_by(rows)

    def on_mouse_scroll_down(self) -> None:
        """Three lines down."""
        self.action_scroll_text(3)

    def on_mouse_scroll_up(self) -> None:
        """Three lines up."""
        self.action_scroll_text(-3)
