"""What each of the reasoner's servers has done in a run: traces, tokens, faults, time; and what moved between them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from orchestrator.core.commands import Command
from orchestrator.core.events import (
    Event,
    ReplicaDown,
    ReplicaUp,
    RunFinished,
    RunResumed,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)

__all__ = ["ReplicaTotals", "Replicas"]


@dataclass(slots=True)
class ReplicaTotals:
    """One server. `traces` had a stream there; `live` have one now, each with the tokens that it had before."""

    endpoint: str
    _tokens_of: Callable[[int], int] = field(repr=False)
    traces: set[int] = field(default_factory=set)
    live: dict[int, int] = field(default_factory=dict)
    faults: int = 0
    """Streams that broke there, or could not be opened there, so that their traces went on with another one or failed."""
    fault: str = ""
    """Why it is out, or was the last time."""
    out_since: float | None = None
    _busy_since: float = 0.0
    _busy_seconds: float = 0.0
    _seconds_out: float = 0.0
    _tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens generated here; those of open streams are read from their traces, so no token needs a fold."""
        return self._tokens + sum(
            self._tokens_of(trace) - before for trace, before in self.live.items()
        )

    def seconds_out(self, now: float) -> float:
        """How long it took no streams, in seconds."""
        return self._seconds_out + (0.0 if self.out_since is None else now - self.out_since)

    def pace(self, now: float) -> float | None:
        """Tokens per second while it had a stream; None before it had one for some time."""
        seconds = self._busy_seconds + (now - self._busy_since if self.live else 0.0)
        return self.tokens / seconds if seconds > 0 else None

    def enter(self, trace: int, tokens: int, at: float) -> None:
        """A stream of the trace, which has so many tokens, has begun here."""
        if not self.live:
            self._busy_since = at
        self.traces.add(trace)
        self.live[trace] = tokens

    def add(self, tokens: int) -> None:
        """Tokens of a request that was no stream of a trace."""
        self._tokens += tokens

    def leave(self, trace: int, tokens: int, at: float) -> None:
        """The trace, which has so many tokens, has no stream here any more."""
        if trace in self.live:
            self._tokens += tokens - self.live.pop(trace)
            if not self.live:
                self._busy_seconds += at - self._busy_since

    def go_out(self, at: float, reason: str) -> None:
        """It takes no streams from now on."""
        self.fault = reason
        if self.out_since is None:
            self.out_since = at

    def return_at(self, at: float) -> None:
        """It takes streams again."""
        self._seconds_out = self.seconds_out(at)
        self.out_since = None


@dataclass(slots=True)
class _Location:
    """Where a trace is, and what a move has made that server read again."""

    row: ReplicaTotals
    moved: bool = False
    reread: int = 0


class Replicas:
    """The servers of a run, folded from its events; the rows are in the order in which the servers were given.

    Args:
        tokens_of: the tokens that a trace has generated so far.
    """

    def __init__(self, tokens_of: Callable[[int], int]) -> None:
        self._tokens_of = tokens_of
        self.rows: dict[str, ReplicaTotals] = {}
        self.moved: set[int] = set()
        """The traces that went on with another server than the one with their cache."""
        self.reread_tokens = 0
        """Prompt tokens, their own generated ones included, that these traces' next servers had to read anew."""
        self._locations: dict[int, _Location] = {}

    def apply(self, event: Event | Command) -> None:
        """Takes one entry in; arrived tokens only if they tell of a prompt."""
        fold = self._FOLDS.get(type(event))
        if fold is not None:
            fold(self, event)

    def _row(self, endpoint: str) -> ReplicaTotals:
        return self.rows.setdefault(endpoint, ReplicaTotals(endpoint, self._tokens_of))

    def _servers(self, event: RunStarted | RunResumed) -> None:
        """The servers at the start of a process; what was open or out before is over."""
        self._close(event)
        for row in self.rows.values():
            row.return_at(event.at)
        found = event.capabilities
        for endpoint in found.replicas or (found.reasoner.endpoint,):
            self._row(endpoint)

    def _close(self, event: RunStarted | RunResumed | RunFinished) -> None:
        for row in self.rows.values():
            for trace in list(row.live):
                row.leave(trace, self._tokens_of(trace), event.at)

    def _opened(self, event: TraceStarted | TraceResumed) -> None:
        row, tokens = self._row(event.endpoint), self._tokens_of(event.trace)
        before = self._locations.get(event.trace)
        here = self._locations[event.trace] = _Location(row)
        if before is not None:
            before.row.leave(event.trace, tokens, event.at)
            if isinstance(event, TraceResumed) and event.attempt > 0:
                before.row.faults += 1
        row.enter(event.trace, tokens, event.at)
        if isinstance(event, TraceResumed) and event.moved is not None:
            self.moved.add(event.trace)
            here.moved = True
            self._reread(here, event.prompt_tokens, event.cached_prompt_tokens)

    def _reread(self, here: _Location, prompt: int, cached: int) -> None:
        """Counts the prompt of a stream that has moved; servers tell some of it only at the stream's end."""
        self.reread_tokens += prompt - cached - here.reread
        here.reread = prompt - cached

    def _told(self, event: TokensArrived) -> None:
        here = self._locations.get(event.trace)
        if here is not None and here.moved and event.prompt_tokens is not None:
            self._reread(here, event.prompt_tokens, event.cached_prompt_tokens or 0)

    def _left(self, event: TracePaused | TraceFinished | TraceStopped | TraceFailed) -> None:
        here = self._locations.get(event.trace)
        if here is None:
            return
        here.row.leave(event.trace, event.tokens, event.at)
        if isinstance(event, TraceFailed) and event.boundary in ("server", "decode"):
            here.row.faults += 1

    def _probed(self, event: TraceProbed) -> None:
        here = self._locations.get(event.trace)
        if here is not None:
            here.row.add(event.tokens)

    def _down(self, event: ReplicaDown) -> None:
        self._row(event.endpoint).go_out(event.at, event.reason)

    def _up(self, event: ReplicaUp) -> None:
        self._row(event.endpoint).return_at(event.at)

    _FOLDS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        RunStarted: _servers,
        RunResumed: _servers,
        RunFinished: _close,
        TraceStarted: _opened,
        TraceResumed: _opened,
        TokensArrived: _told,
        TracePaused: _left,
        TraceFinished: _left,
        TraceStopped: _left,
        TraceFailed: _left,
        TraceProbed: _probed,
        ReplicaDown: _down,
        ReplicaUp: _up,
    }
