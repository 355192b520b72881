"""The help: every key and its effect."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from orchestrator.report.display_state import GLYPHS, LABELS
from tui.drawing.theme import palette_for
from tui.screens.base import HEIGHTS

__all__ = ["HelpScreen"]

_KEYS = (
    ("everywhere", ""),
    ("? · q", "this help · leave the screen; a live run continues"),
    ("Ctrl-C", "end a live run: streams closed, vote, report"),
    ("s · t · Ctrl-P", "save as SVG · light or dark · all commands"),
    ("Enter · Esc", "open · back"),
    ("live screen", ""),
    ("h j k l · arrows", "move in the grid; arrows once it has the focus (Tab)"),
    ("click · twice", "select a trace · open it"),
    ("trace screen", ""),
    ("← → · ↑ ↓ PgUp PgDn", "other traces · scroll; End follows again"),
    ("c", "side by side with the representative"),
    ("steering a live run", ""),
    ("+ · -", "raise · lower tau for traces that are waiting"),
    ("p · f · x", "pin (never prune) · let finish · stop the trace"),
    ("z · v v", "hold launching or resume · stop all and vote"),
    ("replay", ""),
    ("space · [ ] · , .", "play or pause · slower, faster · event by event"),
    ("← → · ↓ ↑ · Home End", "seek bar: small steps · big steps · ends; click"),
)


class HelpScreen(ModalScreen[None]):
    """The keys and the legend; Esc, ? and q close it."""

    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", show=False)
    ]

    def compose(self) -> ComposeResult:
        """A table that scrolls."""
        with VerticalScroll(id="help"):
            yield Static(self._table())

    def _table(self) -> Table:
        palette = palette_for(self.app.current_theme)
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for key, meaning in _KEYS:
            if meaning:
                table.add_row(Text(key, palette.accent), Text(meaning, palette.text))
            else:
                table.add_row(Text(key, palette.strong), "")
        legend = Text()
        for number, (state, glyph) in enumerate(GLYPHS.items(), start=1):
            gap = "\n" if number % 3 == 0 else ""
            legend.append(f"{glyph} ", palette.states[state])
            legend.append(f"{LABELS[state]:<16}{gap}", palette.dim)
        table.add_row(Text("legend", palette.strong), legend)
        return table
