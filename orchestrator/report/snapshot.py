"""Events that give the view of a run again, for somebody who begins to watch it in the middle.

The streamed text comes in as few pieces as the checkpoints allow, so the pace of the tokens before is not known.
"""

from collections.abc import Iterator

from orchestrator.core.events import (
    CheckpointReached,
    Event,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceStopped,
)
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView

__all__ = ["snapshot"]


def snapshot(view: RunView) -> Iterator[Event]:
    """The events of a view that was folded with its texts; nothing before the start of the run."""
    sent: dict[int, int] = {}
    for event in view.events:
        if isinstance(event, CheckpointReached):  # of a short trace it comes behind its end
            trace = view.traces[event.trace]
            yield from _text(trace, sent, event.at, event.tokens, until=event.chars)
        elif isinstance(event, TraceFinished | TraceStopped | TraceFailed):
            yield from _text(view.traces[event.trace], sent, event.at, event.tokens)
        yield event
    for trace in view.traces.values():
        if trace.ending is None:
            yield from _text(trace, sent, view.elapsed, trace.tokens)


def _text(
    trace: TraceView, sent: dict[int, int], at: float, tokens: int, until: int | None = None
) -> Iterator[Event]:
    """What was not sent of a trace's text, up to so many characters; with the last piece come all confidences."""
    done = sent.get(trace.trace, 0)
    text = trace.text[done:until]
    confidences = tuple(trace.confidences) if until is None else ()
    if text or confidences:
        sent[trace.trace] = done + len(text)
        yield TokensArrived(
            at=at, trace=trace.trace, text=text, tokens=tokens, confidences=confidences
        )
