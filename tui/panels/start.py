"""The panel shown before the first question starts: the notices so far, e.g. about servers being started."""

from textual.strip import Strip

from tui.drawing.cells import line, sanitize_line
from tui.panels.base import Frame, title
from tui.panels.header import clock
from tui.sources.base import Start

__all__ = ["draw_start"]


def draw_start(frame: Frame, start: Start | None) -> list[Strip]:
    """A line for each notice with its time, the latest at the bottom; the title has the time elapsed."""
    if start is None:
        return []
    palette, room = frame.palette, max(1, frame.height - 1)
    messages = start.messages[-room:] or ((0.0, "Starting ..."),)
    lines = [title(frame, "starting", aside=f"for {clock(start.seconds)}")]
    for index, (at, text) in enumerate(messages):
        last = index == len(messages) - 1
        style = palette.text if last else palette.dim
        glyph = ("›" if last else "•", palette.accent)
        left = [(f"{at:>7.1f} ", palette.dim), glyph, (f" {sanitize_line(text)}", style)]
        lines.append(line(frame.width, left))
    return lines
