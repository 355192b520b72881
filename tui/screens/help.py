"""The help: every key with what it does."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.palette import palette_for
from tui.states import GLYPHS, LABELS

__all__ = ["HelpScreen"]

_KEYS = (
    ("everywhere", ""),
    ("? · q", "this help · leave the screen (a live run goes on without it)"),
    ("Ctrl-C", "end a live run: streams closed, vote over what has finished, report"),
    ("s · t · Ctrl-P", "save the screen as SVG · light or dark · all commands and themes"),
    ("Enter · Esc", "look closer · back"),
    ("live screen", ""),
    (
        "arrows or h j k l",
        "move in the grid, once it has the focus (Tab); click and double click too",
    ),
    ("trace screen", ""),
    ("← → · ↑ ↓ PgUp PgDn", "other traces · scroll; End follows the stream again"),
    ("c", "side by side with the representative"),
    ("steering a live run", ""),
    ("+ · -", "raise · lower tau: traces still waiting are judged by it"),
    ("p · f · x", "pin (never prune) · let finish · stop the trace under the cursor"),
    ("z · v v", "pause or resume launching · stop all and vote now"),
    ("replay", ""),
    ("space · [ ] · , .", "play or pause · slower, faster · one event back or on"),
    ("← → · ↓ ↑ · Home End", "on the seek bar: small steps · big steps · ends; a click jumps"),
)


class HelpScreen(ModalScreen[None]):
    """Keys and the legend; any of Esc, ? and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", show=False)
    ]

    def compose(self) -> ComposeResult:
        """One table."""
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
        for state, glyph in GLYPHS.items():
            legend.append(f"{glyph}\u00a0", palette.states[state]).append(
                f"{LABELS[state]}   ", palette.dim
            )
        table.add_row(Text("legend", palette.strong), legend)
        return table
