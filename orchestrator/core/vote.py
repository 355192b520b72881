"""Majority vote over the answers of finished traces (self-consistency, cons@N)."""

from collections import Counter
from collections.abc import Iterable

from orchestrator.core.facts import Ballots, VoteCast

__all__ = ["majority"]


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
