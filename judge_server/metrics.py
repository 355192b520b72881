"""How well scores tell same-answer pairs from the others: pure functions over arrays.

A pair is *merged* when its score is above tau, as the client joins a trace to a cluster. A figure that cannot be
computed from the pairs is nan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

__all__ = [
    "ReliabilityBin",
    "ScoredPairs",
    "SwapEffect",
    "ThresholdResult",
    "auroc",
    "auroc_within",
    "by_question",
    "expected_calibration_error",
    "reliability",
    "swap_effect",
    "threshold_result",
    "tnr_at_fnr",
]

BINS = 15


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs as arrays of equal length: which question (pairs,), same answer (pairs,), p(identical) (pairs,)."""

    questions: NDArray[np.str_]
    same: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @classmethod
    def of(
        cls, questions: Sequence[str], same: Sequence[bool], scores: Sequence[float]
    ) -> "ScoredPairs":
        """The arrays of three sequences."""
        return cls(np.array(questions), np.array(same, bool), np.array(scores, np.float64))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def has_both_classes(self) -> bool:
        """Whether there are same-answer pairs and others."""
        return bool(self.same.any() and not self.same.all())

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "ScoredPairs":
        """The chosen pairs, by a mask (pairs,) or by their numbers."""
        return ScoredPairs(self.questions[chosen], self.same[chosen], self.scores[chosen])

    def with_scores(self, scores: Sequence[float] | NDArray[np.float64]) -> "ScoredPairs":
        """The same pairs with other scores."""
        return ScoredPairs(self.questions, self.same, np.asarray(scores, np.float64))


class ThresholdResult(NamedTuple):
    """What a threshold does to the pairs; all but `tau` are fractions in 0..1.

    tpr: of the same-answer pairs, those merged. tnr: of the others, those kept apart. precision: of the merged
    pairs, those with the same answer. merged: of all pairs, those merged, which is what merging can save.
    """

    tau: float
    tpr: float
    tnr: float
    precision: float
    merged: float


class ReliabilityBin(NamedTuple):
    """The pairs with a score in low..high: how many, their mean score, the fraction with the same answer."""

    low: float
    high: float
    pairs: int
    mean_score: float
    same_share: float


class SwapEffect(NamedTuple):
    """How much a judge's scores depend on which trace it reads first.

    mean_difference: mean of |p(a, b) - p(b, a)|. flips: fraction of pairs whose verdict at tau depends on the order.
    """

    mean_difference: float
    flips: float
    mean_score: float
    mean_score_swapped: float
    auroc: float
    auroc_swapped: float


def auroc(pairs: ScoredPairs) -> float:
    """Probability that a same-answer pair scores higher than another pair, over all questions; nan with one class."""
    if not pairs.has_both_classes:
        return float("nan")
    return float(roc_auc_score(pairs.same, pairs.scores))


def auroc_within(pairs: ScoredPairs) -> float:
    """Mean of the AUROCs within each question that has both classes; nan if none has."""
    values = [auroc(part) for part in by_question(pairs)]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def tnr_at_fnr(pairs: ScoredPairs, fnr: float = 0.2) -> float:
    """Largest fraction of different-answer pairs called different while at most `fnr` of the others are.

    arXiv 2510.08483 reports it at 0.2; nan with one class.
    """
    if not pairs.has_both_classes:
        return float("nan")
    false_same, true_same, _ = roc_curve(pairs.same, pairs.scores, drop_intermediate=False)
    allowed = true_same >= 1.0 - fnr - 1e-12
    return float(1.0 - false_same[allowed].min())


def threshold_result(pairs: ScoredPairs, tau: float) -> ThresholdResult:
    """The fractions at one threshold; a fraction of no pairs is nan."""
    merged = pairs.scores > tau
    return ThresholdResult(
        tau=tau,
        tpr=_fraction(merged[pairs.same]),
        tnr=_fraction(~merged[~pairs.same]),
        precision=_fraction(pairs.same[merged]),
        merged=_fraction(merged),
    )


def reliability(pairs: ScoredPairs, bins: int = BINS) -> list[ReliabilityBin]:
    """The pairs in bins of equal width over 0..1, without the empty ones.

    A bin includes its lower edge; the last includes 1 too.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.clip(np.searchsorted(edges, pairs.scores, side="right") - 1, 0, bins - 1)
    return [
        ReliabilityBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            pairs=int((places == place).sum()),
            mean_score=float(pairs.scores[places == place].mean()),
            same_share=float(pairs.same[places == place].mean()),
        )
        for place in np.unique(places)
    ]


def expected_calibration_error(pairs: ScoredPairs, bins: int = BINS) -> float:
    """ECE: mean over the pairs of |fraction of same answers - mean score| in their bin (arXiv 1706.04599)."""
    filled = reliability(pairs, bins)
    gaps = [one.pairs * abs(one.same_share - one.mean_score) for one in filled]
    return float(sum(gaps) / len(pairs)) if len(pairs) else float("nan")


def swap_effect(pairs: ScoredPairs, swapped: NDArray[np.float64], tau: float) -> SwapEffect:
    """The effect of the order; `swapped` are the scores of the same pairs in the other order, (pairs,)."""
    return SwapEffect(
        mean_difference=float(np.abs(pairs.scores - swapped).mean()),
        flips=float(((pairs.scores > tau) != (swapped > tau)).mean()),
        mean_score=float(pairs.scores.mean()),
        mean_score_swapped=float(swapped.mean()),
        auroc=auroc(pairs),
        auroc_swapped=auroc(pairs.with_scores(swapped)),
    )


def by_question(pairs: ScoredPairs) -> list[ScoredPairs]:
    """The pairs of each question, in the order of the questions' names."""
    order = np.argsort(pairs.questions, kind="stable")
    starts = np.unique(pairs.questions[order], return_index=True)[1][1:]
    return [pairs.where(part) for part in np.split(order, starts)]


def _fraction(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
