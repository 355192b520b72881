"""What further votes are worth: a belief about how the answers to one question are spread, from votes alone.

The belief is a Chinese restaurant process. The next trace gives an answer seen c times before with a chance
proportional to c, and a new one with a chance proportional to the concentration, which is unknown: it is near 0 for
a question on which all traces agree and large for one on which they scatter. Its prior is even over powers of
two from 1/8 to 16; the votes of the question itself, and nothing else, move it.

An answer is worth its expected share: the chance that one more trace would give it. That is what a vote is for
(with ever more traces it finds the answer with the largest share), and on a question without hope all shares
are small, so that little can be gained there. The gain of j further votes is what the leader's share, whoever
leads then, is expected to be higher.

Pure arithmetic on counts; the same counts always have the same worth.
"""

import math
from functools import lru_cache
from typing import NamedTuple

__all__ = ["FOLLOWED", "Count", "gain", "leader_share", "repeat_chance", "share_after"]

FOLLOWED = 4
"""So many leading answers are followed one by one; behind them nobody wins within a few votes."""

_CONCENTRATIONS = tuple(2.0**power for power in range(-3, 5))


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
        return cls(ballots[:FOLLOWED], sum(ballots) + blanks, kinds)


def leader_share(count: Count) -> float:
    """The chance that one more trace would give the leading answer; 0 without a ballot."""
    return count.leading[0] * repeat_chance(count.ended, count.kinds) if count.leading else 0.0


def gain(count: Count, ballots: int) -> float:
    """By how much the leader's expected share rises through so many more ballots, 0..1."""
    return share_after(count, ballots) - leader_share(count)


@lru_cache(maxsize=1 << 18)
def share_after(count: Count, ballots: int) -> float:
    """The expected share of whoever leads after so many more ballots."""
    if not ballots:
        return leader_share(count)
    leading, ended, kinds = count
    weight = repeat_chance(ended, kinds)
    newcomer = (*leading, 1) if len(leading) < FOLLOWED else leading
    expected = (1.0 - ended * weight) * share_after(
        Count(newcomer, ended + 1, kinds + 1), ballots - 1
    )
    others = ended - sum(leading)
    if others:
        expected += others * weight * share_after(Count(leading, ended + 1, kinds), ballots - 1)
    for votes in set(leading):
        first = leading.index(votes)  # raised there, the counts still fall
        raised = (*leading[:first], votes + 1, *leading[first + 1 :])
        chance = votes * leading.count(votes) * weight
        expected += chance * share_after(Count(raised, ended + 1, kinds), ballots - 1)
    return expected


@lru_cache(maxsize=1 << 14)
def repeat_chance(ended: int, kinds: int) -> float:
    """The chance that the next trace repeats one certain earlier trace's answer.

    It is the posterior mean of 1 / (ended + concentration). Source of the likelihood: Ewens' sampling formula,
    in which the counts cancel and only `ended` and `kinds` are left.
    """
    logs = [kinds * math.log(a) + math.lgamma(a) - math.lgamma(a + ended) for a in _CONCENTRATIONS]
    top = max(logs)
    odds = [math.exp(log - top) for log in logs]
    total = math.fsum(odds)
    return math.fsum(o / (ended + a) for o, a in zip(odds, _CONCENTRATIONS, strict=True)) / total
