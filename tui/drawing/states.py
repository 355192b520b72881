"""What a trace is shown as: one of eleven states, each with a glyph of its own.

The rule: a state is told from the folded view alone, and its glyph is one cell wide everywhere.
"""

from collections import Counter
from typing import Literal

from orchestrator.report.view import RunView, TraceView

__all__ = ["GLYPHS", "LABELS", "ORDER", "Shown", "count_states", "shown_state"]

Shown = Literal[
    "queued",
    "running",
    "checkpoint",
    "judging",
    "paused",
    "representative",
    "finishing",
    "finished",
    "pruned",
    "stopped",
    "failed",
]

GLYPHS: dict[Shown, str] = {
    "queued": "·",
    "running": "›",
    "checkpoint": "◇",
    "judging": "◈",
    "paused": "=",
    "representative": "★",
    "finishing": "»",
    "finished": "✓",
    "pruned": "×",
    "stopped": "■",
    "failed": "!",
}

LABELS: dict[Shown, str] = {state: state for state in GLYPHS} | {"checkpoint": "at checkpoint"}

ORDER: tuple[Shown, ...] = (
    "finished",
    "finishing",
    "running",
    "checkpoint",
    "judging",
    "representative",
    "paused",
    "queued",
    "pruned",
    "stopped",
    "failed",
)
"""From what counts to what was cut: the order of bars and legends."""


def shown_state(view: RunView, trace: TraceView) -> Shown:
    """The state of `trace`: finer than the view's, which knows neither judging nor representatives."""
    match trace.state:
        case "checkpoint":
            return "judging" if trace.asked else "checkpoint"
        case "paused":
            return "representative" if _represents(view, trace) else "paused"
        case "running":
            return "finishing" if trace.checkpoint is not None else "running"
        case state:
            return state


def count_states(view: RunView) -> Counter[Shown]:
    """How many traces are shown in each state."""
    return Counter(shown_state(view, trace) for trace in view.traces.values())


def _represents(view: RunView, trace: TraceView) -> bool:
    return trace.cluster is not None and view.clusters[trace.cluster].representative == trace.trace
