"""What a display remembers of a run beyond its view: verdicts by trace, the judge's pace, log lines.

The rule: it reads the view's events once each and keeps no state that they do not give, so a replay that is
wound back simply reads a new view from the start.
"""

from collections import deque
from typing import NamedTuple

from orchestrator.core.facts import Fact, PairsJudged
from orchestrator.view import RunView
from tui.sentences import is_told

__all__ = ["BINS", "Digest", "Verdict"]

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
        self.log: deque[Fact] = deque(maxlen=_LOG_LINES)
        """The facts worth a sentence, oldest first."""
        self._view = view
        self._read = 0
        self._recent: deque[PairsJudged] = deque()

    def update(self) -> None:
        """Reads the events that have come since the last call."""
        events = self._view.events
        for index in range(self._read, len(events)):
            fact = events[index]
            if is_told(fact):
                self.log.append(fact)
            if isinstance(fact, PairsJudged):
                self._judged(fact)
        self._read = len(events)

    def pairs_per_second(self) -> float | None:
        """The judge's pace over the last five seconds of the run; None before any verdict."""
        if not self._recent:
            return None
        now = self._view.elapsed
        while self._recent and self._recent[0].at < now - _PACE_SECONDS:
            self._recent.popleft()
        pairs = sum(len(fact.members) for fact in self._recent)
        return pairs / max(0.1, min(_PACE_SECONDS, now))

    def _judged(self, fact: PairsJudged) -> None:
        self._recent.append(fact)
        verdicts = self.verdicts.setdefault(fact.trace, [])
        for member, p in zip(fact.members, fact.probabilities, strict=True):
            verdicts.append(Verdict(fact.at, member, p))
            self.histogram[min(BINS - 1, max(0, int(p * BINS)))] += 1
