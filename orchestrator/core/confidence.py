"""How sure the model was of a trace, measured from the confidences of its tokens (arXiv 2508.15260, section 3.1).

The rule: a measure depends on the tokens alone, never on how they arrived. Every group is the difference of two
running sums, and the sums are added up token by token.
"""

from array import array
from collections.abc import Iterable
from itertools import accumulate
from operator import sub

import numpy as np

from orchestrator.core.events import TokensArrived
from orchestrator.settings import PolicySettings

__all__ = ["Confidences", "TraceConfidence"]

_BOTTOM_SHARE = 0.1


class TraceConfidence:
    """The confidences of one trace so far.

    A group is `window` tokens in a row; a trace that is shorter is one group. All measures are in nats, like the
    confidences, and 0.0 for a trace without tokens.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._sums = array("d", [0.0])  # of the first 0, 1, 2, ... tokens
        self._least = float("inf")  # the smallest sum of a group

    @property
    def tokens(self) -> int:
        """Tokens measured."""
        return len(self._sums) - 1

    @property
    def least_group(self) -> float | None:
        """The mean of the least confident group written so far; None before the first group is full."""
        return self._least / self._window if self.tokens >= self._window else None

    @property
    def lowest(self) -> float:
        """The mean of the least confident group."""
        least = self.least_group
        return self.mean if least is None else least

    @property
    def mean(self) -> float:
        """The mean over all tokens: the average trace confidence of section 2."""
        return self._sums[-1] / max(1, self.tokens)

    @property
    def tail(self) -> float:
        """The mean over the last `window` tokens."""
        last = min(self._window, self.tokens)
        return (self._sums[-1] - self._sums[self.tokens - last]) / max(1, last)

    @property
    def bottom(self) -> float:
        """The mean over the least confident tenth of all groups, one group at least."""
        if self.tokens < self._window:
            return self.mean
        sums = np.array(self._sums)
        groups = np.sort(sums[self._window :] - sums[: -self._window]) / self._window
        return float(groups[: max(1, int(len(groups) * _BOTTOM_SHARE))].mean())

    def extend(self, confidences: Iterable[float]) -> None:
        """Takes the next tokens in."""
        first = len(self._sums)
        self._sums.extend(list(accumulate(confidences, initial=self._sums[-1]))[1:])
        ends = self._sums[max(first, self._window) :]
        if ends:
            starts = self._sums[len(self._sums) - len(ends) - self._window :]
            self._least = min(self._least, *map(sub, ends, starts))


class Confidences:
    """The confidences of a run's traces; `settings.trace_confidence` says what counts as a whole trace's."""

    def __init__(self, settings: PolicySettings) -> None:
        self._window = settings.confidence_window
        self._measure = settings.trace_confidence
        self._traces: dict[int, TraceConfidence] = {}

    def take(self, event: TokensArrived) -> None:
        """Measures new tokens."""
        self.trace(event.trace).extend(event.confidences)

    def trace(self, number: int) -> TraceConfidence:
        """What was measured of a trace; empty for one without tokens."""
        found = self._traces.get(number)
        if found is None:
            found = self._traces[number] = TraceConfidence(self._window)
        return found

    def of(self, trace: int) -> float:
        """The confidence of the whole trace."""
        measured = self.trace(trace)
        match self._measure:
            case "mean":
                return measured.mean
            case "bottom":
                return measured.bottom
            case "tail":
                return measured.tail
            case _:  # "lowest"
                return measured.lowest
