"""How long traces were when they ended, by their fate: finished, pruned, stopped or failed.

How long a live run took, in tokens of one stream: the chain of traces that waited for each other.

The rule: the clock only says which trace ended last and what had ended before it began; lengths are tokens, so a
busy machine or a faster GPU changes nothing but who ends first.
"""

from collections import defaultdict
from typing import NamedTuple

from orchestrator.core.events import (
    Command,
    Event,
    TraceFailed,
    TraceFinished,
    TraceStarted,
    TraceStopped,
)

__all__ = [
    "FATES",
    "CriticalPath",
    "TraceLengths",
]


FATES = ("finished", "pruned", "stopped", "failed")
"""In the order in which tables and plots show them."""


class TraceLengths:
    """Fed with the events of a run, in order, it keeps the tokens of every trace that ended."""

    def __init__(self) -> None:
        self._tokens: defaultdict[str, list[int]] = defaultdict(list)

    def note(self, entry: Event | Command) -> None:
        """Takes the next entry of a run; whatever ends no trace changes nothing."""
        match entry:
            case TraceFinished(tokens=tokens):
                self._tokens["finished"].append(tokens)
            case TraceStopped(reason=reason, tokens=tokens):
                self._tokens["pruned" if reason == "pruned" else "stopped"].append(tokens)
            case TraceFailed(tokens=tokens):
                self._tokens["failed"].append(tokens)
            case _:
                pass

    def by_fate(self) -> dict[str, tuple[int, ...]]:
        """Tokens in the order of the traces' ends; a fate that no trace met is left out."""
        return {fate: tuple(self._tokens[fate]) for fate in FATES if fate in self._tokens}


class _TraceSpan(NamedTuple):
    began: float
    ended: float
    tokens: int


class CriticalPath:
    """Fed with the events of a run, in order, it adds up the traces that had to run one after the other."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._spans: list[_TraceSpan] = []

    def note(self, entry: Event | Command) -> None:
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
                    self._spans.append(_TraceSpan(self._began[trace], at, tokens))
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
