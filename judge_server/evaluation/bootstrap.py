"""Intervals by drawing questions with replacement, whole, because the pairs of a question hang together.

The rule: a draw is a count for each question, and every figure is computed from the pairs weighted by their
question's count, so nothing is sorted or copied twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge_server.metrics import ScoredPairs, auroc, by_question

__all__ = ["Interval", "Intervals", "bootstrap", "share_interval"]

Numbers = NDArray[np.float64]
ENDS = (0.025, 0.975)
GRID = 101


class Interval(NamedTuple):
    """The ends of a 95 % interval; nan where no draw gave the figure."""

    low: float
    high: float


class Intervals(NamedTuple):
    """Of the figures of one judge, nan without both classes.

    `roc` is the band around its ROC: the low and the high end of the TPR at each FPR of `fpr`, (2, grid).
    """

    auroc: Interval
    auroc_within: Interval
    tnr_at_fnr20: Interval
    fpr: Numbers
    roc: Numbers


@dataclass(frozen=True)
class _Curve:
    """A ROC from the strictest threshold to the laxest, from (0, 0) to (1, 1); both (points,)."""

    fpr: Numbers
    tpr: Numbers

    @property
    def area(self) -> float:
        return float(np.trapezoid(self.tpr, self.fpr))

    def tnr_at_fnr(self, fnr: float) -> float:
        return float(1.0 - self.fpr[self.tpr >= 1.0 - fnr - 1e-12].min())


def bootstrap(pairs: ScoredPairs, *, seed: int, samples: int = 1_000) -> Intervals:
    """Intervals over questions; the same seed and the same questions give the same draws."""
    grid = np.linspace(0.0, 1.0, GRID)
    ranks = _Ranks(pairs)
    within = np.array([auroc(part) for part in by_question(pairs)])  # (questions,)
    known = ~np.isnan(within)
    aurocs, withins, tnrs, tprs = [], [], [], []
    for counts in _draws(len(within), seed, samples):
        if counts[known].any():
            withins.append(np.average(within[known], weights=counts[known]))
        curve = ranks.curve(counts)
        if curve is not None:
            aurocs.append(curve.area)
            tnrs.append(curve.tnr_at_fnr(0.2))
            tprs.append(np.interp(grid, curve.fpr, curve.tpr))
    band = np.quantile(tprs, ENDS, axis=0) if tprs else np.full((2, GRID), np.nan)
    return Intervals(_interval(aurocs), _interval(withins), _interval(tnrs), grid, band)


def share_interval(
    questions: NDArray[np.str_], hits: NDArray[np.bool_], *, seed: int, samples: int = 1_000
) -> Interval:
    """The interval of a share of pairs, from which pairs (pairs,) it counts."""
    names, question = np.unique(questions, return_inverse=True)
    hit = np.bincount(question, weights=hits, minlength=len(names))
    all_of = np.bincount(question, minlength=len(names))
    draws = _draws(len(names), seed, samples)
    return _interval([float(counts @ hit / (counts @ all_of)) for counts in draws])


class _Ranks:
    """The pairs in order of their scores, once for all draws."""

    def __init__(self, pairs: ScoredPairs) -> None:
        self._question = np.unique(pairs.questions, return_inverse=True)[1]
        rank = np.unique(-pairs.scores, return_inverse=True)[1]  # (pairs,), 0 is the highest score
        self._ranks = len(np.unique(pairs.scores))
        self._rank = rank
        self._same = pairs.same

    def curve(self, counts: Numbers) -> _Curve | None:
        """The ROC of the pairs weighted by `counts` (questions,); None if a class is missing."""
        weights = counts[self._question]
        same = np.bincount(self._rank, weights * self._same, self._ranks).cumsum()
        different = np.bincount(self._rank, weights * ~self._same, self._ranks).cumsum()
        if not self._ranks or not same[-1] or not different[-1]:
            return None
        return _Curve(
            fpr=np.concatenate([[0.0], different / different[-1]]),
            tpr=np.concatenate([[0.0], same / same[-1]]),
        )


def _draws(questions: int, seed: int, samples: int) -> Iterator[Numbers]:
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = rng.integers(questions, size=questions)
        yield np.bincount(drawn, minlength=questions).astype(np.float64)


def _interval(values: list[float]) -> Interval:
    if not values:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, ENDS)
    return Interval(float(low), float(high))
