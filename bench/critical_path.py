"""How long a live run took, in tokens of one stream: the chain of traces that waited for each other.

The rule: the clock only says which trace ended last and what had ended before it began; lengths are tokens, so a
busy machine or a faster GPU changes nothing but who ends first.
"""

from typing import NamedTuple

from orchestrator.core.facts import (
    Fact,
    Order,
    TraceFailed,
    TraceFinished,
    TraceStarted,
    TraceStopped,
)

__all__ = ["CriticalPath"]


class _Span(NamedTuple):
    began: float
    ended: float
    tokens: int


class CriticalPath:
    """Fed with the facts of a run, in order, it adds up the traces that had to run one after the other."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._spans: list[_Span] = []

    def note(self, entry: Fact | Order) -> None:
        """Takes the next entry of a run; whatever begins or ends no trace changes nothing."""
        match entry:
            case TraceStarted(trace=trace, at=at):
                self._began.setdefault(trace, at)
            case (
                TraceFinished(trace=trace, at=at, tokens=tokens)
                | TraceStopped(trace=trace, at=at, tokens=tokens)
                | TraceFailed(trace=trace, at=at, tokens=tokens)
            ):
                if trace in self._began:
                    self._spans.append(_Span(self._began[trace], at, tokens))
            case _:
                pass

    def tokens(self) -> int:
        """The length of the trace that ended last, of the last one that had ended before it began, and so on."""
        path = 0
        waiting = sorted(self._spans, key=lambda span: span.ended)
        while waiting:
            last = waiting.pop()
            path += last.tokens
            while waiting and waiting[-1].ended > last.began:
                waiting.pop()
        return path
