"""Majority vote over the answers of finished traces (self-consistency, cons@N)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from scipy.special import betainc

from orchestrator.core.facts import Ballots, VoteCast

__all__ = ["leader_posterior", "majority"]


def majority(answers: Iterable[str | None], *, min_ballots: int, at: float) -> VoteCast:
    """The vote of one ballot per answer; traces without an answer (None) have none.

    Of equally frequent answers the one that was given first wins. With fewer than `min_ballots` ballots
    the answer is None.
    """
    counts = Counter(answer for answer in answers if answer is not None)
    ranked = counts.most_common()  # stable: first given first among equals
    total = counts.total()
    runner_up = ranked[1][1] if len(ranked) > 1 else 0
    return VoteCast(
        at=at,
        answer=ranked[0][0] if ranked and total >= min_ballots else None,
        votes=tuple(Ballots(answer=a, ballots=n, weight=float(n)) for a, n in ranked),
        margin=(ranked[0][1] - runner_up) / total if total else 0.0,
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
