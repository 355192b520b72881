"""The reasoner's servers, where there are several: open streams, tokens, pace, and which are out."""

from textual.strip import Strip

from orchestrator.report.replicas import ReplicaTotals
from orchestrator.report.view import RunView
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
    address = sanitize_line(row.endpoint.split("://")[-1].split("/")[0])
    cells = 24 if frame.width >= _NORMAL else 16
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
    parts += [(f"{len(row.live):>4}", palette.strong), (" open", palette.dim)]
    if frame.width >= _ROOMY:
        parts += [(f"{len(row.traces):>5}", palette.text), (" traces", palette.dim)]
    parts += [(f"{row.tokens:>8,}", palette.text)]
    parts += [(" tokens", palette.dim)] if frame.width >= _NORMAL else []
    parts += [("" if pace is None else f"  {format_rate(pace)}/s", palette.dim)]
    if row.faults:
        parts += [(f"  faults {row.faults}", palette.warn)]
    return line(frame.width, parts)
