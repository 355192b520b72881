"""What there is to see before the first question has begun: which servers are being started, and for how long.

The rule: it says what was said, with its time; nothing is guessed about what is still to come.
"""

from textual.strip import Strip

from tui.drawing.cells import line, sanitize_line
from tui.panels.base import Frame, title
from tui.panels.header import clock
from tui.sources.base import Start

__all__ = ["draw_start"]


def draw_start(frame: Frame, start: Start | None) -> list[Strip]:
    """A line for everything that was said, the latest at the bottom, with the time that has gone by."""
    if start is None:
        return []
    palette, room = frame.palette, max(1, frame.height - 1)
    said = start.said[-room:] or ((0.0, "Starting ..."),)
    lines = [title(frame, "starting", aside=f"for {clock(start.seconds)}")]
    for index, (at, text) in enumerate(said):
        last = index == len(said) - 1
        style = palette.text if last else palette.dim
        glyph = ("›" if last else "•", palette.accent)
        left = [(f"{at:>7.1f} ", palette.dim), glyph, (f" {sanitize_line(text)}", style)]
        lines.append(line(frame.width, left))
    return lines
