"""`auto`: as many traces as the question deserves, and no straggler that cannot change the vote.

A few traces start side by side. Whenever one ends, `auto` asks what further ballots would be worth
(`orchestrator/core/policies/auto.py`): by how many points they would raise the share of traces that are expected
to agree with the winner. It asks so for one more ballot, for two, up to eight, and subtracts their price. If no
number is worth its price, the vote is settled: every other trace is stopped. If some number is, `auto` sees to it
that so many traces run, and waits for the next one to end.

Two ballots that agree settle an easy question; one on which the answers fall apart gets more while they may still
come together, and is given up when they do not. The price is the user's knob (`--effort`): what one trace must
bring. A trace that already runs costs half of a new one, because part of it is paid for.

Whether short traces are right more often than long ones differs between models (docs/explanation/benchmarks.md), so `auto` does not
build on it: a ballot counts the same whenever it comes. More traces than would settle an easy question start at once:
the vote then does not wait for the slowest of a few, and latency falls by more than tokens rise.

What further ballots are worth: a belief about how the answers to one question are spread.

The belief is a Chinese restaurant process. The next trace gives an answer seen c times before with a chance
proportional to c, and a new one with a chance proportional to the concentration, which is unknown: it is near 0 for
a question on which all traces agree and large for one on which they scatter. Its prior is even over powers of
two from 1/8 to 16; the ballots of the question itself, and nothing else, move it.

An answer is worth its expected share: the chance that one more trace would give it. That is what a vote is for
(with ever more traces it finds the answer with the largest share), and on a question without hope all shares
are small, so that little can be gained there. The gain of j further ballots is what the leader's share, whoever
leads then, is expected to be higher.

The rule: pure arithmetic on counts; the same counts always have the same worth.
"""

import math
from functools import lru_cache
from itertools import count
from typing import Literal, NamedTuple

from orchestrator.core.events import Event
from orchestrator.core.policies.base import Step, Tally
from orchestrator.settings import AutoSettings

__all__ = [
    "EFFORT_PRICES",
    "Auto",
    "Count",
    "gain",
    "leader_share",
]


_CONCENTRATIONS = tuple(2.0**power for power in range(-3, 5))
_ELECTABLE = 4


class Count(NamedTuple):
    """The ballots so far.

    `leading` are the largest counts, falling; `ended` traces have voted or were blank; they fall into `kinds`
    different answers, blanks being one of them.
    """

    leading: tuple[int, ...]
    ended: int
    kinds: int

    @classmethod
    def of(cls, ballots: tuple[int, ...], blanks: int) -> "Count":
        """From the ballots of every answer, largest first, and the number of traces without one."""
        kinds = len(ballots) + (blanks > 0)
        return cls(ballots[:_ELECTABLE], sum(ballots) + blanks, kinds)


def leader_share(count: Count) -> float:
    """The chance that one more trace would give the leading answer; 0 without a ballot."""
    return count.leading[0] * _weight(count.ended, count.kinds) if count.leading else 0.0


def gain(count: Count, ballots: int) -> float:
    """By how much the leader's expected share rises through so many more ballots, 0..1."""
    return _share_after(count, ballots) - leader_share(count)


@lru_cache(maxsize=1 << 18)
def _share_after(count: Count, ballots: int) -> float:
    """The expected share of whoever leads after so many more ballots."""
    if not ballots:
        return leader_share(count)
    leading, ended, kinds = count
    weight = _weight(ended, kinds)
    newcomer = (*leading, 1) if len(leading) < _ELECTABLE else leading
    expected = (1.0 - ended * weight) * _share_after(
        Count(newcomer, ended + 1, kinds + 1), ballots - 1
    )
    others = ended - sum(leading)
    if others:
        expected += others * weight * _share_after(Count(leading, ended + 1, kinds), ballots - 1)
    for votes in set(leading):
        first = leading.index(votes)  # raised there, the counts still fall
        raised = (*leading[:first], votes + 1, *leading[first + 1 :])
        chance = votes * leading.count(votes) * weight
        expected += chance * _share_after(Count(raised, ended + 1, kinds), ballots - 1)
    return expected


@lru_cache(maxsize=1 << 14)
def _weight(ended: int, kinds: int) -> float:
    """The chance that the next trace repeats one certain earlier trace's answer.

    It is the posterior mean of 1 / (ended + concentration). Source of the likelihood: Ewens' sampling formula,
    in which the counts cancel and only `ended` and `kinds` are left.
    """
    logs = [kinds * math.log(a) + math.lgamma(a) - math.lgamma(a + ended) for a in _CONCENTRATIONS]
    top = max(logs)
    odds = [math.exp(log - top) for log in logs]
    total = math.fsum(odds)
    return math.fsum(o / (ended + a) for o, a in zip(odds, _CONCENTRATIONS, strict=True)) / total


EFFORT_PRICES: dict[Literal["low", "medium", "high"], float] = {
    "low": 0.01,
    "medium": 0.005,
    "high": 0.001,
}
"""What one more trace must bring, as expected share of the traces that agree with the winner."""

_HORIZON = 8
"""Ballots looked ahead: enough for a rival to catch up wherever it is likely to."""

_RUNNING = 0.5
"""What is left to pay of a trace that already runs."""

_SPARE = 2
"""Traces started beyond those that would settle the vote if all agreed."""


class Auto:
    """Launches, waits or stops, whichever the next ballots are worth."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: AutoSettings) -> None:
        price = settings.trace_price
        self._price = EFFORT_PRICES[settings.effort] if price is None else price
        self._min_ballots = settings.min_ballots
        self._tally = Tally(settings.traces)
        self._settled = False

    def start(self) -> Step:
        """Starts what would settle the vote if all agreed, and a few to spare."""
        agreeing = next(
            n for n in count(self._min_ballots) if not self._worthwhile(Count.of((n,), 0))
        )
        return Step([], self._tally.launch(agreeing + _SPARE))

    def on(self, event: Event) -> Step:
        """Settles the vote, or sees to it that enough traces run."""
        if not self._tally.ended(event) or self._settled:
            return Step([], [])
        ballots = self._tally.vote_counts
        missing = self._min_ballots - sum(ballots) if ballots else 0
        wanted = max(self._worthwhile(Count.of(ballots, self._tally.blanks)), missing)
        self._settled = wanted <= 0
        return Step(
            [],
            self._tally.stop_all("settled")
            if self._settled
            else self._tally.launch(wanted - self._tally.running),
        )

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def _worthwhile(self, so_far: Count) -> int:
        """The number of further ballots that brings most beyond its price, or 0."""
        running = self._tally.running
        possible = min(_HORIZON, running + self._tally.left)
        best, most = 0, 1e-12
        for ballots in range(1, possible + 1):
            cost = _RUNNING * min(ballots, running) + max(0, ballots - running)
            net = gain(so_far, ballots) - self._price * cost
            if net > most:
                best, most = ballots, net
        return best


"""So many leading answers are followed one by one; behind them nobody wins within a few ballots."""
