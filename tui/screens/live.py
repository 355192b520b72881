"""The live screen of one live or recorded run: traces, answers or clusters, the decision or the vote, bill, judge, log.

Panels that the run's policy does not use are not shown.
"""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Footer

from tui.panels.answers import draw_answers
from tui.panels.base import Panel
from tui.panels.bill import draw_bill
from tui.panels.clusters import draw_clusters
from tui.panels.decision import decides, draw_decision
from tui.panels.grid import Grid
from tui.panels.header import draw_header, draw_states
from tui.panels.judge import draw_judge
from tui.panels.log import draw_log
from tui.panels.seek import SeekBar
from tui.panels.servers import draw_servers, servers_height
from tui.panels.start import draw_start
from tui.panels.vote import draw_vote
from tui.screens.base import HEIGHTS, WIDTHS, RunScreen
from tui.screens.trace import TraceScreen
from tui.sources.base import Source

__all__ = ["LiveScreen"]


class LiveScreen(RunScreen):
    """An overview of one run."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "look", "trace", key_display="Enter"),
        Binding("escape", "back", "questions", show=False),
        Binding("h", "cursor(-1, 0)", "left", show=False),
        Binding("l", "cursor(1, 0)", "right", show=False),
        Binding("k", "cursor(0, -1)", "up", show=False),
        Binding("j", "cursor(0, 1)", "down", show=False),
        Binding("tab", "app.focus_next", "next panel", show=False),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._grid = Grid(id="grid")
        self._start = Panel(lambda frame: draw_start(frame, source.start), id="start")
        self._states = Panel(draw_states, id="states")
        self._servers = Panel(draw_servers, id="servers")
        self._body = Container(id="body")
        self._show_start(starting=source.start is not None)

    def compose(self) -> ComposeResult:
        """The panels; the style sheet lays them out."""
        yield Panel(
            lambda frame: draw_header(frame, self.source.notice, self.source.start), id="header"
        )
        yield self._states
        yield self._start
        with self._body:
            with Container(id="left"):
                yield self._grid
                yield self._servers
                yield Panel(draw_log, id="log")
            with Container(id="side"):
                yield Panel(draw_clusters, id="clusters")
                yield Panel(draw_answers, id="answers")
                with Container(id="numbers"):
                    yield Panel(draw_vote, id="vote")
                    yield Panel(draw_decision, id="decision")
                    yield Panel(draw_bill, id="bill")
                    yield Panel(draw_judge, id="judge")
        yield SeekBar(lambda: self.source.player, id="seek")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Sets the focus: arrows seek in a recording and move the cursor in a live run."""
        recorded = self.source.player is not None
        self.query_one("#seek").display = recorded
        self.set_focus(self.query_one("#seek") if recorded else self._grid)

    def redraw(self) -> None:
        """Replaces the start panel by the others once the run has started; shows the servers if there are several."""
        starting = self.source.start is not None
        if self._start.display != starting:
            self._show_start(starting=starting)
            self.set_focus(self._grid)
        self._choose_panels()
        height = servers_height(self.watched.view)
        self._servers.display = height > 0
        self._servers.styles.height = height
        super().redraw()

    def _choose_panels(self) -> None:
        """Marks what the run's policy uses; the style sheet shows the panels for it."""
        view = self.watched.view
        self._body.set_class(view.makes_clusters, "-clusters")
        self._body.set_class(decides(view), "-decides")
        self._body.set_class(view.has_judge, "-judged")

    def _show_start(self, *, starting: bool) -> None:
        self._start.display = starting
        self._states.display = self._body.display = not starting

    @property
    def target(self) -> int | None:
        """The trace under the grid's cursor."""
        return self._grid.cursor

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Opens the trace screen."""
        self.app.push_screen(TraceScreen(self.source, message.trace))

    def action_look(self) -> None:
        """Opens the trace under the grid's cursor, independent of the focus."""
        self._grid.action_open()

    def action_cursor(self, columns: int, rows: int) -> None:
        """Moves the grid's cursor, independent of the focus."""
        self._grid.action_move(columns, rows)

    def action_back(self) -> None:
        """Returns to the list of questions, where there is one."""
        if len(self.app.screen_stack) > 2:
            self.dismiss()
