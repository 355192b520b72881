"""The questions screen: all questions of a run in a table; Enter opens one."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Footer

from tui.panels.panel import Panel
from tui.panels.questions import QuestionTable, draw_progress
from tui.screens.base import RunScreen
from tui.screens.live import LiveScreen
from tui.sources import Source

__all__ = ["QuestionsScreen"]


class QuestionsScreen(RunScreen):
    """The whole set and how far it is."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._table = QuestionTable(source, id="questions")

    def compose(self) -> ComposeResult:
        """Progress over the table."""
        yield Panel(lambda frame: draw_progress(frame, self.source), id="progress")
        yield self._table
        yield Footer(compact=True, show_command_palette=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A question must be opened before it can be played or steered."""
        return not action.startswith(("steer", "replay"))

    def on_question_table_opened(self, message: QuestionTable.Opened) -> None:
        """Shows a question's run."""
        self.source.open(message.index)
        self.app.push_screen(LiveScreen(self.source))
