"""The app: themes, the keys that work on every screen, and the timer that drives repainting.

It holds no state of a run. Ten times a second it polls the source and lets the uppermost screen repaint the lines
that changed.
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

from orchestrator.errors import DeepPruneError
from tui.drawing.cells import sanitize_line
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
    """Shows a source.

    Args:
        source: the runs to show.
        theme: the name of a registered theme.
        interrupt: called on Ctrl-C; None leaves the screen instead.
    """

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
        self.failure: DeepPruneError | None = None
        """Why the app has left by itself: its source can no longer be read."""
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme

    def on_mount(self) -> None:
        """Opens the first screen and starts the timer."""
        if self._source.listed:
            self.push_screen(QuestionsScreen(self._source))
        else:
            self.push_screen(LiveScreen(self._source))
        self.set_interval(_TICK_SECONDS, self.tick)

    def show(self, screen: Literal["live", "trace", "questions"], trace: int = 0) -> None:
        """Opens a screen on top of those that lead to it."""
        if screen == "questions" and not isinstance(self.screen, QuestionsScreen):
            self.push_screen(QuestionsScreen(self._source))
        elif screen != "questions" and not isinstance(self.screen, LiveScreen):
            self.push_screen(LiveScreen(self._source))
        if screen == "trace":
            self.push_screen(TraceScreen(self._source, trace))

    def tick(self) -> None:
        """Polls the source and repaints."""
        now = time.monotonic()
        try:
            self._source.tick(now - self._ticked_at)
        except DeepPruneError as error:
            self.failure = error
            self.exit()
            return
        self._ticked_at = now
        if self._source.closing:
            self.exit()
        self.redraw()

    def redraw(self) -> None:
        """Repaints the uppermost screen that shows a run; it may be visible behind the help or the palette."""
        shown = [screen for screen in self.screen_stack if isinstance(screen, RunScreen)]
        if shown:
            shown[-1].redraw()

    async def run_action(self, *arguments: Any, **options: Any) -> bool:
        """Runs the action of a key and repaints at once instead of at the next tick."""
        done = await super().run_action(*arguments, **options)
        self.call_next(self.redraw)
        return done

    def restore_terminal(self) -> None:
        """Restores the terminal when the process is about to exit without closing the app."""
        if self._driver is not None:
            self._driver.stop_application_mode()
            self._driver.close()  # waits until everything is written

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The entries of the command palette: every key that works on this screen, by name."""
        yield SystemCommand("Theme", "Choose a theme", self.action_change_theme)
        yield SystemCommand("Keys", "List every key", self.action_help)
        yield SystemCommand("Save", "Save the screen as SVG", self.action_save_svg)
        yield SystemCommand("Leave", "Close the screen; a live run continues", self.action_quit)
        if isinstance(screen, RunScreen):
            yield from screen.commands()

    def action_help(self) -> None:
        """Opens the list of keys."""
        self.push_screen(HelpScreen())

    def action_save_svg(self) -> None:
        """Saves the screen as SVG: in the current folder, or as a download in a browser."""
        path = Path(f"deepprune-{datetime.now().astimezone():%Y-%m-%dT%H-%M-%S}.svg")
        if self.is_web:
            self.deliver_text(StringIO(svg_of(self)), save_filename=path.name)
            return
        try:
            path.write_text(svg_of(self), encoding="utf-8")
        except OSError as error:
            self.warn(f"{path} cannot be written: {error.strerror}")
        else:
            self.notify(f"Saved {path}")

    def warn(self, text: str) -> None:
        """Shows a sentence, which may quote files and servers, for some seconds."""
        self.notify(sanitize_line(text), severity="error", markup=False)

    def action_toggle_theme(self) -> None:
        """Switches between the dark and the light theme."""
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
