"""Lengths of a run's traces by their fate, and the run's critical path: how long it took in tokens of one stream.

Both read the events of a run in order. The clock only decides in which order traces began and ended; lengths are
tokens, so a busy machine or a faster GPU changes the figures little.
"""

from collections import defaultdict
from typing import NamedTuple

from orchestrator.core.commands import Command
from orchestrator.core.events import Event, TraceFailed, TraceFinished, TraceStarted, TraceStopped

__all__ = ["FATES", "CriticalPath", "TraceLengths"]

FATES = ("finished", "pruned", "stopped", "failed")
"""How a trace can end, in the order in which tables and plots show it."""


class TraceLengths:
    """The tokens of every trace that has ended."""

    def __init__(self) -> None:
        self._tokens: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, entry: Event | Command) -> None:
        """Takes the next entry of the run's journal."""
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
        """Tokens in the order in which the traces ended; a fate without traces is left out."""
        return {fate: tuple(self._tokens[fate]) for fate in FATES if fate in self._tokens}


class _TraceSpan(NamedTuple):
    began: float
    ended: float
    tokens: int


class CriticalPath:
    """The chain of traces that had to run one after the other."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._spans: list[_TraceSpan] = []

    def add(self, entry: Event | Command) -> None:
        """Takes the next entry of the run's journal."""
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
        """The tokens of the trace that ended last, plus those of the last one that ended before it began, and so on."""
        path = 0
        waiting = sorted(self._spans, key=lambda span: span.ended)
        while waiting:
            last = waiting.pop()
            path += last.tokens
            while waiting and waiting[-1].ended > last.began:
                waiting.pop()
        return path
