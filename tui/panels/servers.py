"""The reasoner's servers, where there are several: open streams, tokens, pace, and which are out."""

from textual.strip import Strip

from orchestrator.report.replicas import ReplicaTotals
from orchestrator.report.view import RunView
from tui.drawing.cells import Part, clip, line, sanitize_line
from tui.panels.base import Frame, title

__all__ = ["draw_servers", "servers_height"]

_MOST_ROWS = 6
_ADDRESS = 24
_ROOMY = 70  # from this width on there is room for the traces of a server


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
    out = row.out_since is not None
    parts: list[Part] = [
        (" ✗ " if out else " ● ", palette.bad if out else palette.good),
        (f"{clip(address, _ADDRESS):<{_ADDRESS}}", palette.text),
    ]
    if out:
        why = sanitize_line(row.fault)
        parts += [
            (f" out for {now - (row.out_since or 0.0):.0f} s", palette.bad),
            (f"  {row.tokens:,} tokens", palette.dim),
            (f"  {why}", palette.dim),
        ]
        return line(frame.width, parts)
    pace = row.pace(now)
    parts += [(f"{len(row.live):>5}", palette.strong), (" open", palette.dim)]
    if frame.width >= _ROOMY:
        parts += [(f"{len(row.traces):>5}", palette.text), (" traces", palette.dim)]
    parts += [(f"{row.tokens:>9,}", palette.text), (" tokens", palette.dim)]
    parts += [("" if pace is None else f"  {pace:,.0f}/s", palette.dim)]
    if row.faults:
        parts += [(f"  faults {row.faults}", palette.warn)]
    return line(frame.width, parts)
