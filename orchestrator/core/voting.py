"""The vote over the answers of finished traces: plain majority (self-consistency, cons@N), weighted, or best of N.

Rewards of finished traces: who is asked about, who is awaited, and what a trace without one is worth.

A reward that failed says nothing about its trace, so it is neither the best nor the worst: it counts as
the mean of those that are known.

What the ballot of a finished trace weighs, by the voting rule.

A weight is read when the vote is cast, so it counts all that was known by then.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

from orchestrator.core.commands import RewardTrace
from orchestrator.core.confidence import Confidences
from orchestrator.core.events import (
    ClusterOpened,
    Event,
    RewardFailed,
    TraceFinished,
    TraceJoined,
    TraceRewarded,
    VoteCast,
    VoteCount,
)
from orchestrator.core.regenerations import Regenerations
from orchestrator.settings import VotingRule

__all__ = [
    "Rewards",
    "Vote",
    "VoteWeights",
    "best_of_n",
    "leader_posterior",
    "majority",
    "weighted_majority",
]


class Vote(NamedTuple):
    """A finished trace's answer (None: it gave none) and what its ballot weighs, at least 0."""

    answer: str | None
    weight: float


def majority(answers: Iterable[str | None], *, min_ballots: int, at: float) -> VoteCast:
    """The vote of one ballot per answer, all of the same weight; see `weighted_majority`."""
    return weighted_majority((Vote(a, 1.0) for a in answers), min_ballots=min_ballots, at=at)


def weighted_majority(
    ballots: Iterable[Vote],
    *,
    min_ballots: int,
    at: float,
    estimated: Mapping[str, float] | None = None,
) -> VoteCast:
    """The answer with the greatest weight of ballots; traces without an answer have none.

    Of equally heavy answers the one that was given first wins. With fewer than `min_ballots` ballots, whatever
    they weigh, the answer is None. `estimated` adds weight, but no ballots, to answers that have some.
    """
    return _cast(ballots, sum, min_ballots=min_ballots, at=at, estimated=estimated or {})


def best_of_n(ballots: Iterable[Vote], *, min_ballots: int, at: float) -> VoteCast:
    """The answer of the single heaviest ballot; an answer weighs as much as the best of its ballots.

    All else is as in `weighted_majority`.
    """
    return _cast(ballots, max, min_ballots=min_ballots, at=at)


def _cast(
    ballots: Iterable[Vote],
    together: Callable[[list[float]], float],
    *,
    min_ballots: int,
    at: float,
    estimated: Mapping[str, float] = MappingProxyType({}),
) -> VoteCast:
    given: defaultdict[str, list[float]] = defaultdict(list)
    for answer, weight in ballots:
        if answer is not None:
            given[answer].append(weight)
    counts = Counter({answer: len(each) for answer, each in given.items()})
    weights = {
        answer: together(each) + estimated.get(answer, 0.0) for answer, each in given.items()
    }
    ranked = sorted(counts, key=lambda answer: -weights[answer])  # stable: first given first
    total = sum(weights.values())
    runner_up = weights[ranked[1]] if len(ranked) > 1 else 0.0
    return VoteCast(
        at=at,
        answer=ranked[0] if ranked and counts.total() >= min_ballots else None,
        votes=tuple(VoteCount(answer=a, count=counts[a], weight=weights[a]) for a in ranked),
        margin=(weights[ranked[0]] - runner_up) / total if total else 0.0,
    )


def leader_posterior(vote_counts: Sequence[int]) -> float | None:
    """Probability that the leading answer stays ahead of the second; None without votes.

    Args:
        vote_counts: the votes for each answer, largest first.

    The first two counts are taken as draws from a Beta(1, 1) prior, as in Adaptive-Consistency
    (arXiv 2305.11860, section 3.2); a single answer has a second one without votes against it.
    """
    if not vote_counts:
        return None
    first = vote_counts[0]
    second = vote_counts[1] if len(vote_counts) > 1 else 0
    # a Beta distribution with whole parameters, at 1/2, is a tail of so many tosses of a coin
    tosses = first + second + 1
    ways, tail = 1, 1
    for heads in range(second):
        ways = ways * (tosses - heads) // (heads + 1)
        tail += ways
    behind: float = tail / 2**tosses
    return 1.0 - behind


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

    def take(self, event: TraceRewarded | RewardFailed) -> None:
        """What the reward model said."""
        self._awaited.discard(event.trace)
        if isinstance(event, TraceRewarded):
            self._known[event.trace] = event.reward

    def of(self, trace: int) -> float:
        """The trace's reward, or the mean of all that are known; 1.0 where none is."""
        if not self._known:
            return 1.0
        own = self._known.get(trace)
        return fmean(self._known.values()) if own is None else own


class VoteWeights:
    """The weights under one rule; `note` has to see the events that the policy decides.

    `majority`: every ballot weighs 1. `confidence`: as much as the trace is confident (arXiv 2508.15260, section
    3.2). `cluster-size`: as many as the trace's cluster has members, each of which would have voted so if the
    judge is right; a trace in no cluster stands for itself. `reward`, `best-of-n`: the trace's reward.
    `prefix-consistency`: more if the trace's regeneration came to the same answer (arXiv 2605.07654).
    """

    def __init__(
        self,
        rule: VotingRule,
        confidences: Confidences,
        rewards: Rewards,
        regenerations: Regenerations,
    ) -> None:
        self._rule = rule
        self._confidences = confidences
        self._rewards = rewards
        self._regenerations = regenerations
        self._clusters: dict[int, int] = {}  # cluster of each trace
        self._sizes: list[int] = []

    def note(self, event: Event) -> None:
        """Keeps who belongs to which cluster."""
        match event:
            case ClusterOpened(trace=trace):
                self._clusters[trace] = len(self._sizes)
                self._sizes.append(1)
            case TraceJoined(trace=trace, cluster=cluster):
                self._clusters[trace] = cluster
                self._sizes[cluster] += 1
            case _:
                pass

    def of(self, trace: int) -> float:
        """The weight of the trace's ballot."""
        match self._rule:
            case "majority":
                return 1.0
            case "confidence":
                return self._confidences.of(trace)
            case "cluster-size":
                cluster = self._clusters.get(trace)
                return 1.0 if cluster is None else float(self._sizes[cluster])
            case "prefix-consistency":
                return self._regenerations.weight_of(trace)
            case _:  # "reward", "best-of-n"
                return self._rewards.of(trace)

    @property
    def all_equal(self) -> bool:
        """Whether every ballot weighs 1."""
        return self._rule == "majority"

    @property
    def best_alone_counts(self) -> bool:
        """Whether an answer weighs as much as its best ballot, not as all of them; never without a reward."""
        return self._rule == "best-of-n" and self._rewards.known
