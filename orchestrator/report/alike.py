"""Traces that all have the same text, so that their vote is worth that of one."""

from orchestrator.report.view import RunView

__all__ = ["alike_sentence", "alike_traces"]

_LEAST_TOKENS = 16
"""Of a trace that was stopped: a shorter beginning may be the same by chance."""


def alike_traces(view: RunView) -> int:
    """How many traces have ended with the same text; 0 as soon as one has another text.

    A trace that was stopped has the same text if it is the beginning of that of the others. Traces without text say nothing.
    """
    ended = [trace for trace in view.traces.values() if trace.ending is not None]
    finished = {trace.text for trace in ended if trace.ending == "finished"} - {""}
    if len(finished) > 1:
        return 0
    stopped = [
        trace.text
        for trace in ended
        if trace.ending != "finished" and trace.tokens >= _LEAST_TOKENS
    ]
    whole = finished.pop() if finished else max(stopped, key=len, default="")
    if not all(whole.startswith(text) for text in stopped):
        return 0
    told = sum(bool(text) for text in stopped)
    told += sum(trace.ending == "finished" and bool(trace.text) for trace in ended)
    return told if told > 1 else 0


def alike_sentence(traces: int) -> str:
    """Says that all traces are alike, with the remedy."""
    return (
        f"All {traces:,} traces with text have the same text, so their vote is that of one: set sampling.temperature above 0, "
        "or check that the server heeds it."
    )
