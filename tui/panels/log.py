"""The event log: what happened last, newest at the bottom."""

from collections.abc import Reversible
from itertools import groupby, islice

from textual.strip import Strip

from orchestrator.core.events import Fact, TraceStopped
from tui.drawing.cells import line
from tui.drawing.states import GLYPHS
from tui.panels.base import Frame, title
from tui.state.event_text import sentence, tone

__all__ = ["draw_log"]


def draw_log(frame: Frame) -> list[Strip]:
    """As many of the latest events as fit."""
    log = frame.watch.digest.log
    room = max(0, frame.height - 1)
    return [title(frame, "log"), *(_row(frame, facts) for facts in _latest(log, room))]


def _latest(log: Reversible[Fact], room: int) -> list[list[Fact]]:
    """The facts of the last `room` lines; traces pruned one after the other share a line."""
    rows: list[list[Fact]] = []
    for pruned, facts in groupby(reversed(log), key=_is_pruned):
        if len(rows) >= room:
            break
        rows += [list(facts)] if pruned else [[fact] for fact in islice(facts, room - len(rows))]
    return [facts[::-1] for facts in reversed(rows)]


def _is_pruned(fact: Fact) -> bool:
    return isinstance(fact, TraceStopped) and fact.reason == "pruned"


def _row(frame: Frame, facts: list[Fact]) -> Strip:
    fact = facts[-1]
    palette, state = frame.palette, tone(fact)
    glyph, style = (
        ("•", palette.strong) if state is None else (GLYPHS[state], palette.states[state])
    )
    return line(
        frame.width,
        [
            (f"{fact.at:>7.1f} ", palette.dim),
            (f"{glyph} ", style),
            (_text(facts), palette.strong if state is None else palette.text),
        ],
    )


def _text(facts: list[Fact]) -> str:
    pruned = [fact for fact in facts if isinstance(fact, TraceStopped)]
    if len(pruned) < 2:
        return sentence(facts[-1])
    numbers = ", ".join(str(fact.trace) for fact in pruned)
    return f"{len(pruned)} traces pruned: {numbers}"
