"""A panel: its content is a pure function of a frame, and the widget repaints only the lines that changed.

Panels receive no messages about the run; they are redrawn at most ten times a second.
"""

from collections.abc import Callable
from dataclasses import dataclass

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.drawing.cells import Part, clip, line
from tui.drawing.theme import Palette
from tui.state.watch import Watch

__all__ = ["Draw", "Frame", "Panel", "title"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a panel is drawn from; sizes are in cells."""

    watch: Watch
    palette: Palette
    width: int
    height: int


Draw = Callable[[Frame], list[Strip]]
"""Returns the lines of a panel from the top; lines beyond the frame's height are cut."""


class Panel(Widget):
    """Shows the lines that `draw` returns; it handles no keys."""

    def __init__(self, draw: Draw, *, id: str) -> None:  # noqa: A002  (Textual's own name)
        super().__init__(id=id)
        self._draw = draw
        self._lines: list[Strip] = []

    def repaint(self, watch: Watch, palette: Palette) -> None:
        """Draws again and refreshes the lines that differ."""
        width, height = self.size
        if not width or not height:
            return
        lines = self._draw(Frame(watch, palette, width, height))[:height]
        lines += [Strip.blank(width)] * (height - len(lines))
        before, self._lines = self._lines, lines
        if len(before) != height:
            self.refresh()
            return
        changed = [y for y, strip in enumerate(lines) if strip != before[y]]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """The line `y` on the panel's background."""
        background = self.visual_style.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, background)
        return self._lines[y].adjust_cell_length(self.size.width).apply_style(background)


def title(frame: Frame, name: str, note: str = "", aside: str = "") -> Strip:
    """A panel's first line: its name with a note beside it, a horizontal rule, and an aside at the right end."""
    palette, width = frame.palette, frame.width
    aside = f" {clip(aside, width - 12)} " if aside else ""
    left: list[Part] = [("── ", palette.faint), (name, palette.accent)]
    if note:
        left.append((f" {note}", palette.dim))
    left = [(clip(text, width), style) for text, style in left]
    used = min(width, sum(len(text) for text, _style in left)) + 1
    rule = "─" * max(0, width - used - len(aside) - 1)
    return line(
        width,
        [
            *left,
            (" ", palette.faint),
            (rule, palette.faint),
            (aside, palette.dim),
            ("─", palette.faint),
        ],
    )
