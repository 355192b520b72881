"""The vote over the answers of finished traces: plain majority (self-consistency, cons@N), weighted, or best of N."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scipy.special import betainc

from orchestrator.core.facts import Ballots, VoteCast

__all__ = ["Ballot", "best_of_n", "leader_posterior", "majority", "weighted_majority"]


class Ballot(NamedTuple):
    """A finished trace's answer (None: it gave none) and what its ballot weighs, at least 0."""

    answer: str | None
    weight: float


def majority(answers: Iterable[str | None], *, min_ballots: int, at: float) -> VoteCast:
    """The vote of one ballot per answer, all of the same weight; see `weighted_majority`."""
    return weighted_majority((Ballot(a, 1.0) for a in answers), min_ballots=min_ballots, at=at)


def weighted_majority(ballots: Iterable[Ballot], *, min_ballots: int, at: float) -> VoteCast:
    """The answer with the greatest weight of ballots; traces without an answer have none.

    Of equally heavy answers the one that was given first wins. With fewer than `min_ballots` ballots, whatever
    they weigh, the answer is None.
    """
    return _cast(ballots, sum, min_ballots=min_ballots, at=at)


def best_of_n(ballots: Iterable[Ballot], *, min_ballots: int, at: float) -> VoteCast:
    """The answer of the single heaviest ballot; an answer weighs as much as the best of its ballots.

    All else is as in `weighted_majority`.
    """
    return _cast(ballots, max, min_ballots=min_ballots, at=at)


def _cast(
    ballots: Iterable[Ballot],
    together: Callable[[list[float]], float],
    *,
    min_ballots: int,
    at: float,
) -> VoteCast:
    given: defaultdict[str, list[float]] = defaultdict(list)
    for answer, weight in ballots:
        if answer is not None:
            given[answer].append(weight)
    counts = Counter({answer: len(each) for answer, each in given.items()})
    weights = {answer: together(each) for answer, each in given.items()}
    ranked = sorted(counts, key=lambda answer: -weights[answer])  # stable: first given first
    total = sum(weights.values())
    runner_up = weights[ranked[1]] if len(ranked) > 1 else 0.0
    return VoteCast(
        at=at,
        answer=ranked[0] if ranked and counts.total() >= min_ballots else None,
        votes=tuple(Ballots(answer=a, ballots=counts[a], weight=weights[a]) for a in ranked),
        margin=(weights[ranked[0]] - runner_up) / total if total else 0.0,
    )


def leader_posterior(ballots: Sequence[int]) -> float | None:
    """Probability that the leading answer stays ahead of the second; None without ballots.

    Args:
        ballots: counts of equal answers, largest first.

    The first two counts are taken as draws from a Beta(1, 1) prior, as in Adaptive-Consistency
    (arXiv 2305.11860, section 3.2); a single answer has a second one without a ballot against it.
    """
    if not ballots:
        return None
    second = ballots[1] if len(ballots) > 1 else 0
    return 1.0 - float(betainc(ballots[0] + 1, second + 1, 0.5))
