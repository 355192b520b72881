"""The reasoner's servers, where there are several: open streams, tokens, pace, and which are out."""

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from textual.strip import Strip

from orchestrator.report.replicas import ReplicaTotals
from orchestrator.report.view import RunView
from orchestrator.terminal.event_text import server_name
from orchestrator.terminal.numbers import format_rate
from tui.drawing.cells import Part, clip, line, sanitize_line
from tui.panels.base import Frame, title

__all__ = ["draw_servers", "servers_height"]

_MOST_ROWS = 6
_NORMAL, _ROOMY = 52, 70
"""From these widths on there is room for longer addresses, and for the traces of a server."""


def servers_height(view: RunView) -> int:
    """The lines that the panel needs, its title included; none with a single server."""
    count = len(view.replicas.rows)
    return min(count, _MOST_ROWS) + 1 if count > 1 else 0


def draw_servers(frame: Frame) -> list[Strip]:
    """One line for each server; those that are out come first where not all fit."""
    replicas = frame.watch.view.replicas
    rows = list(replicas.rows.values())
    up = sum(row.out_since is None for row in rows)
    moved = f"traces moved {len(replicas.moved)}" if replicas.moved else ""
    room = max(0, frame.height - 1)
    if len(rows) > room:
        rows.sort(key=lambda row: row.out_since is None)
    head = title(frame, "servers", note=f"{up} of {len(rows)} up", aside=moved)
    return [head, *(_row(frame, row) for row in rows[:room])]


def _row(frame: Frame, row: ReplicaTotals) -> Strip:
    palette, now = frame.palette, frame.watch.view.elapsed
    address = server_name(row.endpoint)
    cells, gap = (24, 1) if frame.width >= _NORMAL else (15, 0)
    name = f"{clip(address, cells):<{cells}}"
    if row.out_since is not None:
        why = sanitize_line(row.fault).removeprefix(row.endpoint).strip()
        parts: list[Part] = [
            (" ✗ ", palette.bad),
            (name, palette.text),
            (f" out for {now - row.out_since:.0f} s", palette.bad),
            (f"  {why}", palette.dim),
        ]
        return line(frame.width, parts)
    pace = row.pace(now)
    parts = [(" ● ", palette.good), (name, palette.text)]
    parts += [(f"{len(row.live):>{3 + gap}}", palette.strong), (" open", palette.dim)]
    if frame.width >= _ROOMY:
        parts += [(f"{len(row.traces):>5}", palette.text), (" traces", palette.dim)]
    parts += [(f"{row.tokens:>{7 + gap},}", palette.text)]
    parts += [(" tokens", palette.dim)] if frame.width >= _NORMAL else []
    more = [] if pace is None else [(f"  {format_rate(pace)}/s", palette.dim)]
    more += [(f"  faults {row.faults}", palette.warn)] if row.faults else []
    return line(frame.width, [*parts, *_fitting(more, frame.width - _cells(parts))])


def _fitting(parts: Sequence[Part], room: int) -> Iterator[Part]:
    """Those that are shown whole; a rate that is cut off is another rate."""
    for part in parts:
        room -= _cells([part])
        if room < 0:
            return
        yield part


def _cells(parts: Iterable[Part]) -> int:
    return sum(cell_len(text) for text, _style in parts)
