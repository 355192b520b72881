"""One question's run as the panels read it: the view, the digest of its events, and the current numbers.

The digest depends on the view's events alone, so seeking backwards in a replay reads a new view from the start.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.core.events import Event, PairsJudged, VoteWeighed
from orchestrator.report.view import TICK_SECONDS, RunView
from orchestrator.terminal.event_text import is_logged
from tui.state.stats import RunStats, run_stats

__all__ = ["BINS", "Digest", "Verdict", "Watch"]

BINS = 50
"""Bins of p(identical), from 0 to 1."""

_PACE_SECONDS = 5.0
_LOG_LINES = 2000
_STATS_SECONDS = 0.5  # computing them takes milliseconds (a survival estimate)


class Verdict(NamedTuple):
    """The judge's p(identical) of a trace and `member`, at seconds `at`."""

    at: float
    member: int
    p: float


class Digest:
    """Verdicts, the judge's pace and the log, folded from the events of `view`; call `update` before reading."""

    def __init__(self, view: RunView) -> None:
        self.verdicts: dict[int, list[Verdict]] = {}
        """For each trace the verdicts of the pairs in which it was the new trace, in order of arrival."""
        self.histogram = [0] * BINS
        """The number of verdicts in each bin of p(identical)."""
        self.log: deque[Event] = deque(maxlen=_LOG_LINES)
        """The logged events, oldest first."""
        self.decisions: list[VoteWeighed] = []
        """What the policy decided and on what, oldest first; empty for policies that do not say."""
        self._view = view
        self._read = 0
        self._recent: deque[PairsJudged] = deque()

    def update(self) -> None:
        """Reads the events since the last call."""
        events = self._view.events
        for index in range(self._read, len(events)):
            event = events[index]
            if is_logged(event):
                self.log.append(event)
            if isinstance(event, PairsJudged):
                self._judged(event)
            elif isinstance(event, VoteWeighed):
                self.decisions.append(event)
        self._read = len(events)

    def pairs_per_second(self) -> float | None:
        """Pairs judged per second over the last five seconds of the run; None before the first verdict."""
        if not self._recent:
            return None
        now = self._view.elapsed
        while self._recent and self._recent[0].at < now - _PACE_SECONDS:
            self._recent.popleft()
        pairs = sum(len(event.members) for event in self._recent)
        return pairs / max(0.1, min(_PACE_SECONDS, now))

    def _judged(self, event: PairsJudged) -> None:
        self._recent.append(event)
        verdicts = self.verdicts.setdefault(event.trace, [])
        for member, p in zip(event.members, event.probabilities, strict=True):
            verdicts.append(Verdict(event.at, member, p))
            self.histogram[min(BINS - 1, int(min(1.0, max(0.0, p)) * BINS))] += 1


class Watch:
    """What the panels read of one run; a replay that seeks backwards calls `restart` with an empty view."""

    def __init__(
        self, view: RunView | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.restart(view or RunView())

    def restart(self, view: RunView) -> None:
        """Starts again with `view`."""
        self.view = view
        self.digest = Digest(view)
        self._stats: RunStats | None = None
        self._stats_at = (-1, 0.0)

    def update(self) -> None:
        """Reads the events since the last call."""
        self.digest.update()

    @property
    def stats(self) -> RunStats:
        """The current numbers, at most half a second old; exact once the run is over."""
        changes, at = self._stats_at
        now = self._clock()
        stale = self.view.changes != changes and now - at >= _STATS_SECONDS
        if self._stats is None or stale or (self.view.finished and self.view.changes != changes):
            self._stats = run_stats(self.view, self.rate)
            self._stats_at = (self.view.changes, now)
        return self._stats

    def invalidate_stats(self) -> None:
        """Makes the next `stats` exact, after a seek."""
        self._stats = None

    @property
    def rate(self) -> float | None:
        """Generated tokens per second over the last two seconds; None before the first token."""
        ticks = self.view.tokens_per_tick
        recent = ticks[-9:-1] if len(ticks) > 4 else ticks
        return sum(recent) / (len(recent) * TICK_SECONDS) if recent else None
