"""The base of the screens: it shows one run of a source, controls the replay, and sends user commands.

A key becomes one call of the source or changes what is shown; decisions about the run are made by the core.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from orchestrator.core.events import UserCommand, UserCommandReceived
from tui.drawing.theme import palette_for
from tui.panels.base import Panel
from tui.sources.base import Source
from tui.state.watch import Watch

__all__ = ["HEIGHTS", "WIDTHS", "RunScreen"]

WIDTHS: list[tuple[int, str]] = [(0, "-narrow"), (100, "-normal"), (150, "-wide")]
"""Style classes by the least width of the terminal in cells."""

HEIGHTS: list[tuple[int, str]] = [(0, "-short"), (34, "-tall")]
"""Style classes by the least height of the terminal in cells."""

_TAU_STEP = 0.05
_CONFIRM_SECONDS = 3.0
_TRACE_COMMANDS: tuple[tuple[str, str, UserCommand], ...] = (
    ("Pin trace", "Never prune it; again: unpin", "pin"),
    ("Finish trace", "Let it run on without waiting for the judge", "finish"),
    ("Stop trace", "End it now", "stop"),
)


class RunScreen(Screen[None]):
    """A screen about the current run of `source`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "replay_toggle", "play/pause"),
        Binding("left_square_bracket", "replay_speed(-1)", "slower", key_display="["),
        Binding("right_square_bracket", "replay_speed(1)", "faster", key_display="]"),
        Binding("comma", "replay_step(-1)", "one event back", show=False),
        Binding("full_stop", "replay_step(1)", "one event on", show=False),
        Binding("plus,equals_sign", "steer_tau(1)", "tau up", key_display="+"),
        Binding("minus", "steer_tau(-1)", "down", key_display="-"),
        Binding("p", "steer_trace('pin')", "pin"),
        Binding("f", "steer_trace('finish')", "finish"),
        Binding("x", "steer_trace('stop')", "stop"),
        Binding("v", "steer_vote", "vote"),
        Binding("z", "steer_hold", "hold"),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self._was_steerable = source.steerable
        self._vote_asked_at = float("-inf")

    @property
    def watched(self) -> Watch:
        """The current run; an empty one before the first question starts."""
        entries = self.source.entries
        watch = entries[self.source.current].watch if entries else None
        return watch if watch is not None else Watch()

    @property
    def target(self) -> int | None:
        """The trace that commands refer to."""
        return None

    def redraw(self) -> None:
        """Repaints what has changed."""
        if self._was_steerable != self.source.steerable:
            self._was_steerable = self.source.steerable
            self.refresh_bindings()
        watch, palette = self.watched, palette_for(self.app.current_theme)
        watch.update()
        for panel in self.query(Panel):
            panel.repaint(watch, palette)

    def on_resize(self) -> None:
        """Repaints at the new size."""
        self.call_after_refresh(self.redraw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the keys that have no effect on this screen."""
        if action.startswith("steer"):
            return self.source.steerable
        if action.startswith("replay"):
            return self.source.player is not None
        return True

    def commands(self) -> Iterator[SystemCommand]:
        """The entries of the command palette for the replay and the user commands, where they have an effect."""
        if self.check_action("replay_toggle", ()):
            yield SystemCommand("Play", "Or pause", self.action_replay_toggle)
            yield SystemCommand("Faster", "Twice as fast", partial(self.action_replay_speed, 1))
            yield SystemCommand("Slower", "Half as fast", partial(self.action_replay_speed, -1))
        if not self.check_action("steer_tau", ()):
            return
        yield SystemCommand("Raise tau", "Fewer traces join", partial(self.action_steer_tau, 1))
        yield SystemCommand("Lower tau", "More traces join", partial(self.action_steer_tau, -1))
        if self.target is not None:
            for name, text, command in _TRACE_COMMANDS:
                action = partial(self.action_steer_trace, command)
                yield SystemCommand(f"{name} {self.target}", text, action)
        yield SystemCommand("Pause launching", "Or resume it", self.action_steer_hold)
        yield SystemCommand("Vote now", "Stop all traces and count", partial(self._steer, "vote"))

    def action_replay_toggle(self) -> None:
        """Plays or pauses."""
        if self.source.player is not None:
            self.source.player.toggle()

    def action_replay_speed(self, direction: int) -> None:
        """Plays faster or slower."""
        if self.source.player is not None:
            self.source.player.change_speed(direction)

    def action_replay_step(self, direction: int) -> None:
        """Jumps to the next or the previous event."""
        if self.source.player is not None:
            self.source.player.step(direction)

    def action_steer_tau(self, direction: int) -> None:
        """Raises or lowers tau by 0.05."""
        tau = self.watched.view.tau
        if tau is None:
            self.notify("This policy has no tau.", severity="warning")
            return
        self._steer("tau", tau=round(min(1.0, max(0.0, tau + direction * _TAU_STEP)), 2))

    def action_steer_trace(self, command: UserCommand) -> None:
        """Pins (or unpins), finishes or stops the target trace."""
        trace = self.watched.view.traces.get(self.target) if self.target is not None else None
        if trace is None:
            return
        if trace.ending is not None:
            self.notify(f"Trace {trace.trace} has ended already.", severity="warning")
            return
        self._steer("unpin" if command == "pin" and trace.pinned else command, trace=trace.trace)

    def action_steer_vote(self) -> None:
        """Stops all traces and votes, if pressed twice."""
        now = time.monotonic()
        if now - self._vote_asked_at > _CONFIRM_SECONDS:
            self._vote_asked_at = now
            self.notify("Press v again to stop all traces and vote.", timeout=_CONFIRM_SECONDS)
            return
        self._steer("vote")

    def action_steer_hold(self) -> None:
        """Pauses or resumes the launching of traces."""
        self._steer("release" if self.watched.view.held else "hold")

    def _steer(
        self, command: UserCommand, *, trace: int | None = None, tau: float | None = None
    ) -> None:
        if self.watched.view.vote is not None:
            self.notify("The run is over.", severity="warning")
            return
        self.source.steer(UserCommandReceived(at=0.0, command=command, trace=trace, tau=tau))
