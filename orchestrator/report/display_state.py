"""The twelve states that a trace is displayed in, each with a glyph of its own that is one cell wide.

They are derived from the folded view alone.
"""

from collections import Counter
from typing import Literal

from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView

__all__ = ["GLYPHS", "LABELS", "ORDER", "DisplayState", "count_states", "display_state"]

DisplayState = Literal[
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
    "unstarted",
]

GLYPHS: dict[DisplayState, str] = {
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
    "unstarted": "-",
}

LABELS: dict[DisplayState, str] = {state: state for state in GLYPHS} | {
    "checkpoint": "at checkpoint",
    "unstarted": "not started",
}

ORDER: tuple[DisplayState, ...] = (
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
    "unstarted",
)
"""The order of bars and legends: traces that vote or may vote first, traces that were ended last."""


def display_state(view: RunView, trace: TraceView) -> DisplayState:
    """The state of `trace`; unlike the view's it tells traces being judged and representatives apart."""
    match trace.state:
        case "checkpoint":
            return "judging" if trace.asked else "checkpoint"
        case "paused":
            return "representative" if _represents(view, trace) else "paused"
        case "running":
            return "finishing" if trace.checkpoint is not None else "running"
        case "queued" if view.finished is not None:
            return "unstarted"
        case state:
            return state


def count_states(view: RunView) -> Counter[DisplayState]:
    """The number of traces in each state, of those that were launched."""
    return Counter(display_state(view, trace) for trace in view.launched)


def _represents(view: RunView, trace: TraceView) -> bool:
    return trace.cluster is not None and view.clusters[trace.cluster].representative == trace.trace
