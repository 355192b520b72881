"""One question's run as the screens see it: the view, its digest, and the figures of the bill.

The rule: it only reads. The figures cost milliseconds (a survival estimate), so they are made anew at most
twice a second, and are the report's own.

What a display remembers of a run beyond its view: verdicts by trace, the judge's pace, log lines.

The rule: it reads the view's events once each and keeps no state that they do not give, so a replay that is
wound back simply reads a new view from the start.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.core.events import Event, PairsJudged
from orchestrator.report.view import TICK_SECONDS, RunView
from tui.state.event_text import is_told
from tui.state.stats import Figures, figures_of

__all__ = [
    "BINS",
    "Digest",
    "Verdict",
    "Watch",
]


_FIGURES_SECONDS = 0.5


class Watch:
    """What a display reads of one run; `restart` puts an empty view in place when a replay is wound back."""

    def __init__(
        self, view: RunView | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.restart(view or RunView())

    def restart(self, view: RunView) -> None:
        """Begins again with `view`."""
        self.view = view
        self.digest = Digest(view)
        self._figures: Figures | None = None
        self._figured_at = (-1, 0.0)

    def update(self) -> None:
        """Reads what has happened since the last call."""
        self.digest.update()

    @property
    def figures(self) -> Figures:
        """The figures, at most half a second old."""
        changes, at = self._figured_at
        now = self._clock()
        stale = self.view.changes != changes and now - at >= _FIGURES_SECONDS
        if self._figures is None or stale or (self.view.finished and self.view.changes != changes):
            self._figures = figures_of(self.view, self.rate)
            self._figured_at = (self.view.changes, now)
        return self._figures

    def forget_figures(self) -> None:
        """Makes the next look at the figures exact, after a jump."""
        self._figures = None

    @property
    def rate(self) -> float | None:
        """Generated tokens per second over the last two seconds; None before anything came."""
        ticks = self.view.tokens_per_tick
        recent = ticks[-9:-1] if len(ticks) > 4 else ticks
        return sum(recent) / (len(recent) * TICK_SECONDS) if recent else None


BINS = 50
"""Bins of p(identical), from 0 to 1."""

_PACE_SECONDS = 5.0
_LOG_LINES = 2000


class Verdict(NamedTuple):
    """The judge's p(identical) of a trace and `member`, at seconds `at`."""

    at: float
    member: int
    p: float


class Digest:
    """Folds the events of `view`; call `update` before reading."""

    def __init__(self, view: RunView) -> None:
        self.verdicts: dict[int, list[Verdict]] = {}
        """The verdicts asked for when each trace was the new one, in order."""
        self.histogram = [0] * BINS
        """Verdicts by p(identical)."""
        self.log: deque[Event] = deque(maxlen=_LOG_LINES)
        """The events worth a sentence, oldest first."""
        self._view = view
        self._read = 0
        self._recent: deque[PairsJudged] = deque()

    def update(self) -> None:
        """Reads the events that have come since the last call."""
        events = self._view.events
        for index in range(self._read, len(events)):
            event = events[index]
            if is_told(event):
                self.log.append(event)
            if isinstance(event, PairsJudged):
                self._judged(event)
        self._read = len(events)

    def pairs_per_second(self) -> float | None:
        """The judge's pace over the last five seconds of the run; None before any verdict."""
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
            self.histogram[min(BINS - 1, max(0, int(p * BINS)))] += 1
