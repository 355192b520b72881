"""Intervals by bootstrap over whole questions, because the pairs of one question are not independent.

A resample is a count for each question, and every figure is computed from the pairs weighted by their question's
count, so that the scores are sorted once only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge_server.metrics import ScoredPairs, auroc, by_question

__all__ = [
    "ConfidenceInterval",
    "FigureIntervals",
    "bootstrap",
    "fraction_interval",
    "interval_of",
    "resamples",
]

Numbers = NDArray[np.float64]
ENDS = (0.025, 0.975)
GRID = 101


class ConfidenceInterval(NamedTuple):
    """The ends of a 95 % interval; nan where no resample gave the figure."""

    low: float
    high: float


class FigureIntervals(NamedTuple):
    """The intervals of one judge's figures, nan without both classes.

    `roc` is the band around its ROC: the low and the high end of the TPR at each FPR of `fpr`, (2, grid). The draws
    are the figures of each resample, (samples,), nan where it has no such figure; those of two judges on the same
    pairs are of the same resamples, in order.
    """

    auroc: ConfidenceInterval
    auroc_within: ConfidenceInterval
    tnr_at_fnr20: ConfidenceInterval
    fpr: Numbers
    roc: Numbers
    auroc_draws: Numbers
    within_draws: Numbers


@dataclass(frozen=True)
class _Curve:
    """A ROC from the highest threshold to the lowest, from (0, 0) to (1, 1); both (points,)."""

    fpr: Numbers
    tpr: Numbers

    @property
    def area(self) -> float:
        return float(np.trapezoid(self.tpr, self.fpr))

    def tnr_at_fnr(self, fnr: float) -> float:
        return float(1.0 - self.fpr[self.tpr >= 1.0 - fnr - 1e-12].min())


def bootstrap(pairs: ScoredPairs, *, seed: int, samples: int = 1_000) -> FigureIntervals:
    """Intervals over questions; the same seed and the same questions give the same resamples."""
    grid = np.linspace(0.0, 1.0, GRID)
    ranked = _RankedPairs(pairs)
    within = np.array([auroc(part) for part in by_question(pairs)])  # (questions,)
    known = ~np.isnan(within)
    aurocs, withins = np.full((2, samples), np.nan)
    tnrs, tprs = [], []
    for number, counts in enumerate(resamples(len(within), seed, samples)):
        if counts[known].any():
            withins[number] = np.average(within[known], weights=counts[known])
        curve = ranked.curve(counts)
        if curve is not None:
            aurocs[number] = curve.area
            tnrs.append(curve.tnr_at_fnr(0.2))
            tprs.append(np.interp(grid, curve.fpr, curve.tpr))
    return FigureIntervals(
        auroc=interval_of(aurocs),
        auroc_within=interval_of(withins),
        tnr_at_fnr20=interval_of(np.array(tnrs)),
        fpr=grid,
        roc=np.quantile(tprs, ENDS, axis=0) if tprs else np.full((2, GRID), np.nan),
        auroc_draws=aurocs,
        within_draws=withins,
    )


def fraction_interval(
    questions: NDArray[np.str_], hits: NDArray[np.bool_], *, seed: int, samples: int = 1_000
) -> ConfidenceInterval:
    """The interval of the fraction of pairs that `hits` marks; both arrays are (pairs,)."""
    names, question = np.unique(questions, return_inverse=True)
    hit = np.bincount(question, weights=hits, minlength=len(names))
    pairs_of = np.bincount(question, minlength=len(names))
    draws = resamples(len(names), seed, samples)
    return interval_of(np.array([float(counts @ hit / (counts @ pairs_of)) for counts in draws]))


class _RankedPairs:
    """The pairs in order of their scores, sorted once for all resamples."""

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


def resamples(questions: int, seed: int, samples: int) -> Iterator[Numbers]:
    """How often each question is drawn, (questions,), in each of the resamples."""
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = rng.integers(questions, size=questions)
        yield np.bincount(drawn, minlength=questions).astype(np.float64)


def interval_of(draws: Numbers) -> ConfidenceInterval:
    """The interval of a figure from its draws, (samples,), without those that are nan."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return ConfidenceInterval(float("nan"), float("nan"))
    low, high = np.quantile(known, ENDS)
    return ConfidenceInterval(float(low), float(high))
