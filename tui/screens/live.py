"""The live screen: grid, clusters, bill, vote, judge and log of one run, going on or recorded."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Footer

from tui.panels.bill import draw_bill
from tui.panels.clusters import draw_clusters
from tui.panels.grid import Grid
from tui.panels.header import draw_header, draw_states
from tui.panels.judge import draw_judge
from tui.panels.log import draw_log
from tui.panels.panel import Panel
from tui.panels.seek import SeekBar
from tui.panels.vote import draw_vote
from tui.screens.base import HEIGHTS, WIDTHS, RunScreen
from tui.screens.trace import TraceScreen
from tui.sources import Source

__all__ = ["LiveScreen"]


class LiveScreen(RunScreen):
    """Everything about one run at a glance."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "questions", show=False),
        Binding("tab", "app.focus_next", "next panel", show=False),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._grid = Grid(id="grid")

    def compose(self) -> ComposeResult:
        """The panels; the style sheet says where they go."""
        yield Panel(lambda frame: draw_header(frame, self.source.notice), id="header")
        yield Panel(draw_states, id="states")
        with Container(id="body"):
            with Container(id="left"):
                yield self._grid
                yield Panel(draw_log, id="log")
            with Container(id="side"):
                yield Panel(draw_clusters, id="clusters")
                with Container(id="figures"):
                    yield Panel(draw_vote, id="vote")
                    yield Panel(draw_bill, id="bill")
                    yield Panel(draw_judge, id="judge")
        yield SeekBar(lambda: self.source.player, id="seek")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Arrows seek in a recording, and move in the grid of a live run."""
        recorded = self.source.player is not None
        self.query_one("#seek").display = recorded
        self.set_focus(self.query_one("#seek") if recorded else self._grid)

    @property
    def target(self) -> int | None:
        """The trace under the grid's cursor."""
        return self._grid.cursor

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Shows a trace."""
        self.app.push_screen(TraceScreen(self.source, message.trace))

    def action_back(self) -> None:
        """To the list of questions, where there is one."""
        if len(self.app.screen_stack) > 2:
            self.dismiss()
