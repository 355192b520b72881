"""Rewards of finished traces: who is asked about, who is awaited, and what a trace without one is worth.

The rule: a reward that failed says nothing about its trace, so it is neither the best nor the worst: it counts as
the mean of those that are known.
"""

from statistics import fmean

from orchestrator.core.facts import RewardFailed, RewardTrace, TraceFinished, TraceRewarded

__all__ = ["Rewards"]


class Rewards:
    """The rewards of a run's traces, each in 0..1."""

    def __init__(self) -> None:
        self._known: dict[int, float] = {}
        self._awaited: set[int] = set()

    @property
    def awaited(self) -> bool:
        """Whether the reward model has not yet said something of every trace that it was asked about."""
        return bool(self._awaited)

    @property
    def known(self) -> bool:
        """Whether there is any reward."""
        return bool(self._known)

    def ask(self, finished: TraceFinished) -> list[RewardTrace]:
        """The order that asks about a trace; none for one without an answer, which has no ballot to weigh."""
        if finished.answer is None:
            return []
        self._awaited.add(finished.trace)
        return [RewardTrace(trace=finished.trace)]

    def take(self, fact: TraceRewarded | RewardFailed) -> None:
        """What the reward model said."""
        self._awaited.discard(fact.trace)
        if isinstance(fact, TraceRewarded):
            self._known[fact.trace] = fact.reward

    def of(self, trace: int) -> float:
        """The trace's reward, or the mean of all that are known; 1.0 where none is."""
        if not self._known:
            return 1.0
        own = self._known.get(trace)
        return fmean(self._known.values()) if own is None else own
