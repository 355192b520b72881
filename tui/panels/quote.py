"""The end of a trace's text under its line in another panel."""

from textual.strip import Strip

from orchestrator.report.trace_view import TraceView
from tui.drawing.cells import line, sanitize_line
from tui.drawing.text_flow import wrap
from tui.panels.base import Frame

__all__ = ["quote"]

_INDENT = "      "


def quote(frame: Frame, trace: TraceView, rows: int) -> list[Strip]:
    """The last lines that the trace has generated so far, at most `rows`."""
    dim = frame.palette.dim
    written = [row for row in trace.tail.splitlines() if row.strip()]
    if rows == 1:
        return [
            line(frame.width, [(_INDENT, dim), (sanitize_line(row), dim)]) for row in written[-1:]
        ]
    room = max(1, frame.width - len(_INDENT) - 1)
    wrapped = [piece for row in written for piece in wrap(sanitize_line(row), room)]
    return [
        line(frame.width, [(_INDENT, dim), (row, dim)])
        for row in wrapped[max(0, len(wrapped) - rows) :]
    ]
