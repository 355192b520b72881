"""The questions screen: all questions of a run in a table; Enter opens one."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.strip import Strip
from textual.widgets import Footer

from orchestrator.errors import JournalError
from tui.drawing.cells import sanitize_line
from tui.panels.base import Frame, Panel
from tui.panels.questions import QuestionTable, draw_progress
from tui.panels.start import draw_start
from tui.screens.base import RunScreen
from tui.screens.live import LiveScreen
from tui.sources.base import Source

__all__ = ["QuestionsScreen"]


class QuestionsScreen(RunScreen):
    """The table of all questions with the progress of the run."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._table = QuestionTable(source, id="questions")
        self._start = Panel(lambda frame: draw_start(frame, source.start), id="start")

    def compose(self) -> ComposeResult:
        """The progress bar, the table, and the start panel."""
        yield Panel(self._draw_progress, id="progress")
        yield self._table
        yield self._start
        yield Footer(compact=True, show_command_palette=False)

    def _draw_progress(self, frame: Frame) -> list[Strip]:
        return draw_progress(frame, self.source.entries, self.source.planned)

    def redraw(self) -> None:
        """Shows the start panel until the first question starts."""
        self._start.display = self.source.start is not None
        super().redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A question must be opened before it can be played or steered."""
        return not action.startswith(("steer", "replay"))

    def on_question_table_opened(self, message: QuestionTable.Opened) -> None:
        """Opens the live screen of a question."""
        try:
            self.source.open(message.index)
        except JournalError as error:
            self.notify(sanitize_line(str(error)), severity="error", markup=False)
            return
        self.app.push_screen(LiveScreen(self.source))
