"""Lines of terminal cells: text cut to a width, bars and sparklines.

Widths are in cells, not characters. Every text of a line is sanitized when the line is made, so that nothing
reaches the terminal raw; a text that is measured before passes through `sanitize_line` first.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from orchestrator.terminal.sanitize import sanitize

__all__ = ["Part", "bar", "clip", "level", "line", "pad", "sanitize_line", "sparkline", "spread"]

Part = tuple[str, Style]
"""A piece of a line and its style."""

_LEVELS = " ▁▂▃▄▅▆▇█"


def sanitize_line(text: str, *, limit: int = 400) -> str:
    """Untrusted text as one line of at most `limit` characters; see `orchestrator.terminal.sanitize`."""
    return sanitize(text, limit=limit)


def _safe(text: str) -> str:
    """The text as it may be shown, with its spaces."""
    if text.isascii() and text.isprintable():
        return text
    return sanitize(text, one_line=False).replace("\n", " ")


@lru_cache(maxsize=4096)
def _segment(text: str, style: Style) -> tuple[Segment, int]:
    """A part as it may be shown, and its cells; kept, because a screen of many traces has few different ones."""
    safe = _safe(text)
    return Segment(safe, style), cell_len(safe)


@lru_cache(maxsize=4096)
def clip(text: str, width: int) -> str:
    """`text` cut to `width` cells, with "…" where it was cut."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    kept, used = 0, 0
    for character in text:
        used += cell_len(character)
        if used > width - 1:
            break
        kept += 1
    return text[:kept] + "…"


def pad(text: str, width: int) -> str:
    """`text` cut or filled with spaces to exactly `width` cells."""
    text = clip(text, width)
    return text + " " * (width - cell_len(text))


def line(width: int, parts: Iterable[Part]) -> Strip:
    """The parts side by side, cut or padded to exactly `width` cells."""
    segments, used = [], 0
    for part, style in parts:
        segment, cells = _segment(part, style)
        if cells > width - used:
            text = clip(segment.text, width - used)
            segment, cells = Segment(text, style), cell_len(text)
        if cells:
            segments.append(segment)
            used += cells
    if used < width:
        segments.append(Segment(" " * (width - used)))
    return Strip(segments, width)


def spread(width: int, left: Sequence[Part], right: Sequence[Part]) -> Strip:
    """`left` at the left edge and `right` at the right edge; `left` is cut where both do not fit."""
    taken = sum(cell_len(text) for text, _style in right)
    if taken >= width:
        return line(width, right)
    room = width - taken - (1 if right else 0)
    return Strip.join([line(room, left), Strip.blank(1 if right else 0), line(taken, right)])


def bar(fraction: float, width: int) -> str:
    """A bar of `width` cells, filled to `fraction` (0..1) in half cells; any value above 0 is visible."""
    halves = round(max(0.0, min(1.0, fraction)) * width * 2)
    if fraction > 0:
        halves = max(1, halves)
    full, half = divmod(halves, 2)
    return ("━" * full + "╸" * half).ljust(width)[:width]


def sparkline(values: Sequence[float], most: float) -> str:
    """One cell for each value, from blank at 0 to full at `most`."""
    return "".join(level(value / most if most > 0 else 0.0) for value in values)


def level(fraction: float) -> str:
    """A cell filled from the bottom up to `fraction` (0..1); any value above 0 is visible."""
    eighth = round(max(0.0, min(1.0, fraction)) * 8)
    return _LEVELS[max(1, eighth) if fraction > 0 else eighth]
