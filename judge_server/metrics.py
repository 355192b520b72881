"""How well scores tell same-answer pairs from the others: pure functions over arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

__all__ = ["ScoredPairs", "auroc", "auroc_interval", "auroc_within", "tnr_at_fnr"]


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


def auroc(pairs: ScoredPairs) -> float:
    """Chance that a same-answer pair outscores another pair, over all questions; nan with one class."""
    if pairs.same.all() or not pairs.same.any():
        return float("nan")
    return float(roc_auc_score(pairs.same, pairs.scores))


def auroc_within(pairs: ScoredPairs) -> float:
    """Mean of the AUROCs within each question that has both classes; nan if none has."""
    values = [auroc(part) for part in _by_question(pairs)]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def tnr_at_fnr(pairs: ScoredPairs, fnr: float = 0.2) -> float:
    """Largest share of different-answer pairs called different while at most `fnr` of the others are.

    arXiv 2510.08483 reports it at 0.2; nan with one class.
    """
    if pairs.same.all() or not pairs.same.any():
        return float("nan")
    false_same, true_same, _ = roc_curve(pairs.same, pairs.scores, drop_intermediate=False)
    allowed = true_same >= 1.0 - fnr - 1e-12
    return float(1.0 - false_same[allowed].min())


def auroc_interval(
    pairs: ScoredPairs, *, seed: int, samples: int = 1_000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the pooled AUROC; questions are drawn whole, because their pairs hang together."""
    parts = _by_question(pairs)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(samples):
        drawn = [parts[index] for index in rng.integers(len(parts), size=len(parts))]
        values.append(auroc(_joined(drawn)))
    tail = (1.0 - level) / 2.0
    low, high = np.nanquantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _by_question(pairs: ScoredPairs) -> list[ScoredPairs]:
    order = np.argsort(pairs.questions, kind="stable")
    starts = np.unique(pairs.questions[order], return_index=True)[1][1:]
    return [
        ScoredPairs(pairs.questions[part], pairs.same[part], pairs.scores[part])
        for part in np.split(order, starts)
    ]


def _joined(parts: Sequence[ScoredPairs]) -> ScoredPairs:
    return ScoredPairs(
        np.concatenate([part.questions for part in parts]),
        np.concatenate([part.same for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
