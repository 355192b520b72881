"""The seek bar of a replay: position and speed; a click jumps."""

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.drawing.cells import Part, line
from tui.panels.base import Frame, Panel
from tui.panels.header import clock
from tui.sources.player import Player

__all__ = ["SeekBar", "draw_seek"]

_LEFT = 4  # cells before the bar


def draw_seek(frame: Frame, player: Player, *, focused: bool) -> list[Strip]:
    """One line: state, bar, time and speed."""
    palette = frame.palette
    width = _bar_width(frame.width, player)
    at = min(width - 1, int(player.fraction * width))
    sign = "▮▮" if not player.playing else "▶ "
    knob = "●" if focused else "○"
    parts: list[Part] = [
        (f" {sign} ", palette.accent),
        ("━" * at, palette.accent),
        (knob, palette.strong),
        ("─" * (width - at - 1), palette.faint),
        (_note(player), palette.dim),
    ]
    return [line(frame.width, parts)]


def _note(player: Player) -> str:
    return f" {clock(player.now)} of {clock(player.length)}  {player.speed:g}x "


def _bar_width(width: int, player: Player) -> int:
    return max(1, width - _LEFT - len(_note(player)))


class SeekBar(Panel, can_focus=True):
    """Seeks in the player; empty where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "jump(-0.02)", "back", show=False),
        Binding("right", "jump(0.02)", "on", show=False),
        Binding("down", "jump(-0.1)", "far back", show=False),
        Binding("up", "jump(0.1)", "far on", show=False),
        Binding("home", "jump(-1)", "to the start", show=False),
        Binding("end", "jump(1)", "to the end", show=False),
    ]

    def __init__(self, player: Callable[[], Player | None], *, id: str) -> None:  # noqa: A002
        super().__init__(self._draw_seek, id=id)
        self._player = player

    def _draw_seek(self, frame: Frame) -> list[Strip]:
        player = self._player()
        return [] if player is None else draw_seek(frame, player, focused=self.has_focus)

    def action_jump(self, fraction: float) -> None:
        """Moves by a fraction of the run's length."""
        player = self._player()
        if player is not None:
            player.seek(player.now + fraction * player.length)

    def on_click(self, event: events.Click) -> None:
        """Jumps to the clicked position."""
        player = self._player()
        if player is not None:
            fraction = (event.x - _LEFT) / _bar_width(self.size.width, player)
            player.seek(fraction * player.length)
