"""The event log, newest event at the bottom."""

from collections.abc import Reversible
from itertools import groupby, islice

from textual.strip import Strip

from orchestrator.core.events import Event, TraceStopped
from orchestrator.report.display_state import GLYPHS
from orchestrator.terminal.event_text import describe_event, event_state
from tui.drawing.cells import line
from tui.panels.base import Frame, title

__all__ = ["draw_log"]


def draw_log(frame: Frame) -> list[Strip]:
    """The latest events, as many as fit."""
    log = frame.watch.digest.log
    room = max(0, frame.height - 1)
    return [title(frame, "log"), *(_row(frame, events) for events in _latest(log, room))]


def _latest(log: Reversible[Event], room: int) -> list[list[Event]]:
    """The events of the last `room` lines; traces pruned in direct succession share a line."""
    rows: list[list[Event]] = []
    for pruned, events in groupby(reversed(log), key=_is_pruned):
        if len(rows) >= room:
            break
        rows += (
            [list(events)] if pruned else [[event] for event in islice(events, room - len(rows))]
        )
    return [events[::-1] for events in reversed(rows)]


def _is_pruned(event: Event) -> bool:
    return isinstance(event, TraceStopped) and event.reason == "pruned"


def _row(frame: Frame, events: list[Event]) -> Strip:
    event = events[-1]
    palette, state = frame.palette, event_state(event)
    glyph, style = (
        ("•", palette.strong) if state is None else (GLYPHS[state], palette.states[state])
    )
    return line(
        frame.width,
        [
            (f"{event.at:>7.1f} ", palette.dim),
            (f"{glyph} ", style),
            (_text(events), palette.strong if state is None else palette.text),
        ],
    )


def _text(events: list[Event]) -> str:
    pruned = [event for event in events if isinstance(event, TraceStopped)]
    if len(pruned) < 2:
        return describe_event(events[-1])
    numbers = ", ".join(str(event.trace) for event in pruned)
    return f"{len(pruned)} traces pruned: {numbers}"
