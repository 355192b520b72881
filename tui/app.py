"""The app: themes, the keys that work everywhere, and the timer that makes the screens pull.

The rule: it holds no state of a run. Ten times a second it asks the source for what is new and lets the
screen on top repaint what has changed.
"""

import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.drawing.theme import THEMES
from tui.screens.base import RunScreen
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.screens.questions import QuestionsScreen
from tui.screens.trace import TraceScreen
from tui.sources.base import Source

__all__ = ["DeepPruneApp", "svg_of"]

_TICK_SECONDS = 0.1
_WEB_FONTS = re.compile(r"@font-face\s*\{[^}]*\}")


class DeepPruneApp(App[None]):
    """Shows a source. `interrupt` is what Ctrl-C does; without it the screen is left."""

    CSS_PATH = "tui.tcss"
    TITLE = "deepprune"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("s", "save_svg", "save SVG", show=False),
        Binding("t", "toggle_theme", "light/dark", show=False),
        Binding("q", "quit", "leave"),
        Binding("ctrl+c", "interrupt", "end the run", show=False, priority=True),
    ]

    def __init__(
        self,
        source: Source,
        *,
        theme: str = "deepprune-dark",
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._source = source
        self._interrupt = interrupt
        self._ticked_at = time.monotonic()
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme

    def on_mount(self) -> None:
        """Opens the first screen and starts the timer."""
        if self._source.planned > 1:
            self.push_screen(QuestionsScreen(self._source))
        else:
            self.push_screen(LiveScreen(self._source))
        self.set_interval(_TICK_SECONDS, self.tick)

    def show(self, screen: Literal["live", "trace", "questions"], trace: int = 0) -> None:
        """Puts a screen on top of those that lead to it."""
        if screen == "questions" and not isinstance(self.screen, QuestionsScreen):
            self.push_screen(QuestionsScreen(self._source))
        elif screen != "questions" and not isinstance(self.screen, LiveScreen):
            self.push_screen(LiveScreen(self._source))
        if screen == "trace":
            self.push_screen(TraceScreen(self._source, trace))

    def tick(self) -> None:
        """Takes in what is new and repaints."""
        now = time.monotonic()
        self._source.tick(now - self._ticked_at)
        self._ticked_at = now
        if self._source.closing:
            self.exit()
        self.redraw()

    def redraw(self) -> None:
        """Repaints the uppermost screen that shows a run; what lies over it lets it shine through."""
        shown = [screen for screen in self.screen_stack if isinstance(screen, RunScreen)]
        if shown:
            shown[-1].redraw()

    async def run_action(self, *arguments: Any, **options: Any) -> bool:
        """What a key is bound to; the screen answers at once, not at the next tick."""
        done = await super().run_action(*arguments, **options)
        self.call_next(self.redraw)
        return done

    def give_terminal_back(self) -> None:
        """Leaves the terminal as it was, for a program that ends at once."""
        if self._driver is not None:
            self._driver.stop_application_mode()
            self._driver.close()  # waits until all of it is written

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the command palette offers: every key that means something here, by its name."""
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Keys", "What every key does", self.action_help)
        yield SystemCommand("Save", "Save the screen as SVG", self.action_save_svg)
        yield SystemCommand("Leave", "Close the screen; a live run goes on", self.action_quit)
        if isinstance(screen, RunScreen):
            yield from screen.commands()

    def action_help(self) -> None:
        """Lists the keys."""
        self.push_screen(HelpScreen())

    def action_save_svg(self) -> None:
        """Saves what is on the screen: in the current folder, or where the browser puts it."""
        path = Path(f"deepprune-{datetime.now().astimezone():%Y-%m-%dT%H-%M-%S}.svg")
        if self.is_web:
            self.deliver_text(StringIO(svg_of(self)), save_filename=path.name)
            return
        try:
            path.write_text(svg_of(self), encoding="utf-8")
        except OSError as error:
            self.notify(f"{path} cannot be written: {error.strerror}", severity="error")
        else:
            self.notify(f"Saved {path}")

    def action_toggle_theme(self) -> None:
        """From dark to light and back."""
        self.theme = "deepprune-light" if self.current_theme.dark else "deepprune-dark"

    def action_interrupt(self) -> None:
        """Ends a live run; leaves a recording."""
        if self._interrupt is None:
            self.exit()
        else:
            self._interrupt()


def svg_of(app: App[Any]) -> str:
    """The current screen as SVG, without references to files elsewhere (Textual's SVG links web fonts)."""
    return _WEB_FONTS.sub("", app.export_screenshot())
