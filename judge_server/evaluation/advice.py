"""Advice on using a judge, from its scores: a threshold, and what would go wrong.

Pairs stand for clusters here: a merged pair is a trace that joins a cluster because of one member, which is the
cause of savings and of wrong merges.
"""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold

from judge_server.evaluation.bootstrap import ConfidenceInterval, fraction_interval
from judge_server.evaluation.figures import Figures
from judge_server.metrics import ScoredPairs, SwapEffect, ThresholdResult, threshold_result

__all__ = ["Advice", "advise", "findings"]

FEWEST_MERGED = 30
"""Fewer merged pairs are too few to estimate the wrong merges."""

FOLDS = 5


class Advice(NamedTuple):
    """The lowest threshold with at most a wanted fraction of wrong merges, and what it does to these pairs.

    wrong: of the merged pairs, those whose answers differ, with its interval over questions. wrong_unseen: the same
    fraction when the threshold is chosen on four fifths of the questions and used on the others, which is the
    unbiased estimate. fpr: of the different-answer pairs, those merged. merged: of all pairs, those merged.
    """

    wanted: float
    tau: float
    wrong: float
    interval: ConfidenceInterval
    wrong_unseen: float
    fpr: float
    merged: float


def advise(pairs: ScoredPairs, wanted: float, *, seed: int) -> Advice | None:
    """The advice for a fraction of wrong merges in 0..1; None where no threshold merges enough pairs so well."""
    tau = _lowest_tau(pairs, wanted)
    if tau is None:
        return None
    result = threshold_result(pairs, tau)
    merged = pairs.scores > tau
    return Advice(
        wanted=wanted,
        tau=tau,
        wrong=1.0 - result.precision,
        interval=fraction_interval(pairs.questions[merged], ~pairs.same[merged], seed=seed),
        wrong_unseen=_wrong_on_unseen_questions(pairs, wanted),
        fpr=1.0 - result.tnr,
        merged=result.merged,
    )


def _lowest_tau(pairs: ScoredPairs, wanted: float) -> float | None:
    """The midpoint between the last score that may be merged and the next one; None if no score may be merged."""
    scores, rank = np.unique(-pairs.scores, return_inverse=True)  # the highest score first
    merged = np.bincount(rank).cumsum()  # (distinct scores,)
    wrong = np.bincount(rank, ~pairs.same).cumsum()
    allowed = (wrong <= wanted * merged) & (merged >= FEWEST_MERGED) & (scores < 0.0)
    if not allowed.any():
        return None
    last = int(np.flatnonzero(allowed)[-1])
    after = scores[last + 1] if last + 1 < len(scores) else 0.0
    return float(-(scores[last] + after) / 2.0)


def _wrong_on_unseen_questions(pairs: ScoredPairs, wanted: float) -> float:
    """See `Advice`; nan where there are too few questions to leave some out, or nothing is merged."""
    folds = min(FOLDS, len(np.unique(pairs.questions)))
    if folds < 2:
        return float("nan")
    wrong: list[bool] = []
    for seen, unseen in GroupKFold(folds).split(pairs.scores, groups=pairs.questions):
        tau = _lowest_tau(pairs.where(seen), wanted)
        if tau is not None:
            merged = unseen[pairs.scores[unseen] > tau]
            wrong += (~pairs.same[merged]).tolist()
    return float(np.mean(wrong)) if wrong else float("nan")


def findings(
    figures: Figures, at: ThresholdResult, swapped: SwapEffect | None, wanted_wrong: float
) -> list[str]:
    """Sentences on what is wrong with a judge, from the failure signatures of the method; empty if nothing is."""
    return [
        *_on_ranking(figures),
        *_on_merging(figures, at, wanted_wrong),
        *_on_probabilities(figures, swapped),
    ]


def _on_ranking(figures: Figures) -> list[str]:
    found = []
    if not figures.intervals.auroc.low > 0.5:
        found.append(
            "Not shown to be better than chance: the interval of the AUROC reaches down to "
            f"{figures.intervals.auroc.low:.2f}."
        )
    if figures.auroc - figures.auroc_within > 0.05:
        found.append(
            f"The pooled AUROC partly tells questions apart, not traces: {figures.auroc:.2f} pooled, "
            f"{figures.auroc_within:.2f} within a question, where clustering happens."
        )
    return found


def _on_merging(figures: Figures, at: ThresholdResult, wanted_wrong: float) -> list[str]:
    found = []
    if at.merged < 0.02:
        found.append(
            f"At tau {at.tau:g} {at.merged:.1%} of the pairs are merged: nearly all clusters would be singletons. The "
            "judge is out of distribution, or tau is too high."
        )
    elif at.merged < 0.5 and figures.same_share < 0.5:
        found.append(
            f"At tau {at.tau:g} {at.merged:.0%} of the pairs are merged, so less than half can be saved; the answers "
            f"are diverse ({figures.same_share:.0%} of the pairs agree), which no judge can change."
        )
    elif at.merged < 0.5:
        found.append(
            f"At tau {at.tau:g} {at.merged:.0%} of the pairs are merged, though {figures.same_share:.0%} agree: the "
            "judge is too conservative, or tau is too high, and less than half can be saved."
        )
    if at.merged > 0.9 and at.tnr < 0.5:
        found.append(
            f"At tau {at.tau:g} {at.merged:.0%} of the pairs are merged, and of those that differ {1 - at.tnr:.0%}: one "
            "cluster would take nearly all traces. The judge over-predicts equality, or tau is too low."
        )
    elif 1.0 - at.precision > wanted_wrong:
        found.append(
            f"At tau {at.tau:g} {1 - at.precision:.1%} of the merges are wrong: tau is too low for {wanted_wrong:.1%}, "
            "or the judge too weak, and the vote's accuracy would suffer."
        )
    return found


def _on_probabilities(figures: Figures, swapped: SwapEffect | None) -> list[str]:
    found = []
    if figures.ece > 0.1:
        found.append(
            f"The scores are no probabilities: they are off by {figures.ece:.2f} on average (ECE), so tau does not mean "
            "what it says; add --calibrate."
        )
    if swapped is not None and swapped.flips > 0.1:
        found.append(
            f"{swapped.flips:.0%} of the verdicts depend on which trace is read first; add --symmetric to "
            "see the effect of asking in both orders."
        )
    return found
