"""What finished votes and evidence on running traces say together about the shares of the answers.

Votes alone are the Chinese restaurant process of `orchestrator/core/agreement.py`. A running trace is one more draw of it whose
outcome is not known; its likelihoods (`orchestrator/core/evidence.py`) weigh the outcomes. All outcomes of all such traces are
gone through together, exactly: what one trace is believed to say changes what the next one is, as votes would.

States of the process are merged where they are the same, so the work grows with the number of different counts, not
with the number of outcomes.
"""

from functools import lru_cache
from typing import NamedTuple

from orchestrator.core.agreement import FOLLOWED, Count, repeat_chance, share_after
from orchestrator.core.evidence import Likelihood

__all__ = ["expected_shares", "outcomes_of", "share_knowing", "share_with_votes"]


Weighted = tuple[Count, float]
"""One state of the process after the running traces, and its weight: prior chance times likelihood."""


class _Move(NamedTuple):
    """A step from one state to the next: its prior chance, and the place of the answer given, the number followed for any other."""

    to: Count
    chance: float
    answer: int


def expected_shares(count: Count, evidence: tuple[Likelihood, ...]) -> tuple[float, ...]:
    """For each of the answers in `count.leading`: the chance that one more trace would give it, all evidence counted."""
    states = _after(count, len(count.leading), evidence)
    total = sum(weight for _, weight in states)
    return tuple(
        sum(weight * state.leading[answer] * _repeat(state) for state, weight in states) / total
        for answer in range(len(count.leading))
    )


@lru_cache(maxsize=1 << 14)
def share_knowing(
    count: Count, known: tuple[Likelihood, ...], unknown: tuple[Likelihood, ...]
) -> float:
    """The share of the best answer, expected over how the `known` traces may end, the others still as unsure as now."""
    followed = len(count.leading)
    total = best = 0.0
    for state, weight in _after(count, followed, known):
        # a trace of which something is known says no more about an answer that none of the finished ones gave
        new = len(state.leading) - followed
        others = tuple(Likelihood(each.of + (each.other,) * new, each.other) for each in unknown)
        after = _after(state, len(state.leading), others)
        evidence = weight * sum(each for _, each in after)
        total += evidence
        if state.leading:
            best += evidence * max(expected_shares(state, others))
    return best / total


@lru_cache(maxsize=1 << 14)
def share_with_votes(count: Count, known: tuple[Likelihood, ...], votes: int) -> float:
    """The share of the best answer that is expected once the `known` traces and so many new ones have ended."""
    states = _after(count, len(count.leading), known)
    total = sum(weight for _, weight in states)
    return sum(weight * share_after(_sorted(state), votes) for state, weight in states) / total


def outcomes_of(own: Likelihood, count: Count, others: tuple[Likelihood, ...]) -> tuple[float, ...]:
    """The chances that a running trace ends in each of the answers of `count.leading`; the rest is for another one."""
    followed = len(count.leading)
    chances = [0.0] * (followed + 1)
    for state, weight in _after(count, followed, others):
        repeat = _repeat(state)
        given = [state.leading[answer] * repeat for answer in range(followed)]
        for answer, chance in enumerate(given):
            chances[answer] += weight * chance * own.of[answer]
        chances[followed] += weight * (1.0 - sum(given)) * own.other
    total = sum(chances)
    return tuple(chance / total for chance in chances[:followed])


@lru_cache(maxsize=1 << 14)
def _after(count: Count, followed: int, evidence: tuple[Likelihood, ...]) -> tuple[Weighted, ...]:
    """The states that the process may be in after all of these traces; the first `followed` counts keep their places."""
    states = {count: 1.0}
    for likelihood in evidence:
        likelihoods = (*likelihood.of[:followed], likelihood.other)
        following: dict[Count, float] = {}
        for state, weight in states.items():
            for move in _moves(state, followed):
                chance = weight * (move.chance * likelihoods[move.answer])
                following[move.to] = following.get(move.to, 0.0) + chance
        states = following
    return tuple(states.items())


@lru_cache(maxsize=1 << 16)
def _moves(state: Count, followed: int) -> tuple[_Move, ...]:
    """What one more trace may do to a state."""
    leading, ended, kinds = state
    repeat = repeat_chance(ended, kinds)
    moves = [
        _Move(
            _merged(
                (*leading[:place], votes + 1, *leading[place + 1 :]), ended + 1, kinds, followed
            ),
            votes * repeat,
            min(place, followed),
        )
        for place, votes in enumerate(leading)
    ]
    others = ended - sum(leading)
    if others:
        moves.append(_Move(Count(leading, ended + 1, kinds), others * repeat, followed))
    to_new = _merged((*leading, 1), ended + 1, kinds + 1, followed)
    moves.append(_Move(to_new, 1.0 - ended * repeat, followed))
    return tuple(moves)


def _merged(leading: tuple[int, ...], ended: int, kinds: int, followed: int) -> Count:
    """The state with its new answers in falling order, as many as are followed at all."""
    newcomers = sorted(leading[followed:], reverse=True)[: max(0, FOLLOWED - followed)]
    return Count((*leading[:followed], *newcomers), ended, kinds)


def _sorted(count: Count) -> Count:
    return Count(tuple(sorted(count.leading, reverse=True)[:FOLLOWED]), count.ended, count.kinds)


def _repeat(count: Count) -> float:
    return repeat_chance(count.ended, count.kinds)
