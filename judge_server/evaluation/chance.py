"""Whether an AUROC within questions could be chance: a permutation test that keeps what belongs together.

Two pairs that share a trace are not independent, so labels of pairs are not permuted. The answers of one model's traces
of one question are: each permutation gives the traces of a question the same answers in another order, and from them
every pair its label. A judge that knows nothing about the answers ranks such labels as well as the true ones. Pairs of a
file have no known traces; of these the labels themselves are permuted, which takes them for independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from judge_server.data.pairs import Origin, Pair
from judge_server.metrics import ScoredPairs

__all__ = ["PERMUTATIONS", "chance_p_value"]

PERMUTATIONS = 2_000


@dataclass(frozen=True)
class _Question:
    """One question's pairs: the ranks of their scores and their labels, and how labels follow from answers.

    ranks and same: (pairs,). answers: (traces,), a class for each trace, or (pairs,) where traces are unknown. groups:
    one array of places in `answers` for each model, whose answers are exchanged. ends: (2, pairs), the places of the
    two traces of each pair, None where traces are unknown.
    """

    ranks: NDArray[np.float64]
    same: NDArray[np.bool_]
    answers: NDArray[np.int64]
    groups: list[NDArray[np.intp]]
    ends: NDArray[np.intp] | None

    def aurocs(self, rng: np.random.Generator, permutations: int) -> NDArray[np.float64]:
        """The AUROC of each permutation, (permutations,); nan where all labels are alike."""
        answers = np.tile(self.answers, (permutations, 1))
        for group in self.groups:
            answers[:, group] = rng.permuted(answers[:, group], axis=1)
        if self.ends is None:
            return _aurocs(self.ranks, answers.astype(bool))
        return _aurocs(self.ranks, answers[:, self.ends[0]] == answers[:, self.ends[1]])


def chance_p_value(
    pairs: Sequence[Pair], scored: ScoredPairs, *, seed: int, permutations: int = PERMUTATIONS
) -> float:
    """P(an AUROC within questions as high or higher, if the judge knew nothing); nan without both classes.

    The figure is the mean over questions of both classes, as in `judge_server.metrics.auroc_within`. The least value
    is 1 / (permutations + 1).
    """
    rng = np.random.default_rng(seed)
    questions = [
        question
        for place in _places_by_question(scored.questions)
        if (question := _question([pairs[n] for n in place], scored.where(place))) is not None
    ]
    if not questions:
        return float("nan")
    observed = np.mean([_aurocs(each.ranks, each.same[None, :])[0] for each in questions])
    by_chance = np.array([each.aurocs(rng, permutations) for each in questions])
    known = ~np.isnan(by_chance)
    means = np.where(known, by_chance, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    means = np.where(known.any(axis=0), means, 0.5)
    return float((1 + (means >= observed - 1e-12).sum()) / (permutations + 1))


def _places_by_question(questions: NDArray[np.str_]) -> list[NDArray[np.intp]]:
    order = np.argsort(questions, kind="stable")
    starts = np.unique(questions[order], return_index=True)[1][1:]
    return np.split(order, starts)


def _question(pairs: Sequence[Pair], scored: ScoredPairs) -> _Question | None:
    """The pairs of one question; None if they are all of one class."""
    if not scored.has_both_classes:
        return None
    ranks: NDArray[np.float64] = rankdata(scored.scores)
    ends = [pair.origins for pair in pairs if pair.origins is not None and _has_answers(pair)]
    if len(ends) < len(pairs):
        return _Question(
            ranks, scored.same, scored.same.astype(np.int64), [np.arange(len(pairs))], None
        )
    traces = {(origin.model, origin.trace): origin for both in ends for origin in both}
    place = {trace: number for number, trace in enumerate(traces)}
    models = np.array([model for model, _ in traces])
    return _Question(
        ranks=ranks,
        same=scored.same,
        answers=np.array([origin.answer for origin in traces.values()], np.int64),
        groups=[np.flatnonzero(models == model) for model in np.unique(models)],
        ends=np.array([[place[origin.model, origin.trace] for origin in both] for both in ends]).T,
    )


def _has_answers(pair: Pair) -> bool:
    origins: tuple[Origin, ...] = pair.origins or ()
    return all(origin.answer is not None for origin in origins)


def _aurocs(ranks: NDArray[np.float64], same: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The AUROC for each row of labels, (rows,), by the rank sum (Mann-Whitney); nan where a class is missing."""
    positive = same.sum(axis=1)  # (rows,)
    negative = same.shape[1] - positive
    wins = same @ ranks - positive * (positive + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((positive > 0) & (negative > 0), wins / (positive * negative), np.nan)
