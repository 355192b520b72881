"""The event log: what happened last, newest at the bottom."""

from itertools import islice

from textual.strip import Strip

from orchestrator.core.facts import Fact
from tui.cells import line
from tui.panels.panel import Frame, title
from tui.sentences import sentence, tone
from tui.states import GLYPHS

__all__ = ["draw_log"]


def draw_log(frame: Frame) -> list[Strip]:
    """As many of the latest events as fit."""
    log = frame.watch.digest.log
    room = max(0, frame.height - 1)
    latest = list(islice(reversed(log), room))
    return [title(frame, "log"), *(_row(frame, fact) for fact in reversed(latest))]


def _row(frame: Frame, fact: Fact) -> Strip:
    palette, state = frame.palette, tone(fact)
    glyph, style = (
        ("•", palette.strong) if state is None else (GLYPHS[state], palette.states[state])
    )
    return line(
        frame.width,
        [
            (f"{fact.at:>7.1f} ", palette.dim),
            (f"{glyph} ", style),
            (sentence(fact), palette.strong if state is None else palette.text),
        ],
    )
