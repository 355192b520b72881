"""Two judges on the same pairs: the difference of their figures, and whether so many questions can tell it.

Everything follows from the bootstrap over questions, with the same draws for both judges: a question that is hard for one
is mostly hard for the other, so the interval of the difference is narrower than the two intervals suggest.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from judge_server.evaluation.bootstrap import ConfidenceInterval, interval_of
from judge_server.evaluation.figures import Figures, rounded

__all__ = [
    "TOLD_DIFFERENCE",
    "Difference",
    "JudgeDifference",
    "difference_line",
    "difference_of",
    "questions_needed",
    "too_few_questions",
]

TOLD_DIFFERENCE = 0.05
"""The difference in AUROC that somebody who chooses between two judges wants to see."""
FEWEST_QUESTIONS = 5
"""Draws of fewer questions say nothing about others."""
ERROR, POWER = 0.05, 0.8
"""Of the two-sided test for which the number of questions is computed."""


class Difference(NamedTuple):
    """A figure of one judge minus that of another, with its 95 % interval.

    p: two-sided, by the bootstrap; the least is 2 / (draws + 1). needed: questions that a true difference of
    `TOLD_DIFFERENCE` needs to be seen in four of five evaluations (p < 0.05).
    """

    value: float
    interval: ConfidenceInterval
    p: float
    needed: int | None


class JudgeDifference(NamedTuple):
    """One judge against another on the same pairs."""

    judge: str
    other: str
    auroc: Difference
    auroc_within: Difference


def difference_of(judge: str, figures: Figures, other: str, others: Figures) -> JudgeDifference:
    """`judge` minus `other`; both figures are of the same pairs, with draws of the same seed."""
    mine, theirs = figures.intervals, others.intervals
    questions = figures.questions
    return JudgeDifference(
        judge,
        other,
        _difference(figures.auroc - others.auroc, mine.auroc_draws - theirs.auroc_draws, questions),
        _difference(
            figures.auroc_within - others.auroc_within,
            mine.within_draws - theirs.within_draws,
            questions,
        ),
    )


def difference_line(difference: JudgeDifference) -> dict[str, Any]:
    """The difference as JSON."""
    return {
        "other": difference.other,
        **{
            f"{name}_{key}": value
            for name, one in (
                ("auroc", difference.auroc),
                ("auroc_within", difference.auroc_within),
            )
            for key, value in (
                ("difference", rounded(one.value)),
                ("low", rounded(one.interval.low)),
                ("high", rounded(one.interval.high)),
                ("p", rounded(one.p)),
                ("questions_needed", one.needed),
            )
        },
    }


def questions_needed(draws: NDArray[np.float64], questions: int) -> int | None:
    """Questions after which a difference of `TOLD_DIFFERENCE` is seen; None where the draws do not tell.

    The variance of a mean over questions falls with their number, so it follows from that of these `questions`.
    """
    known = draws[~np.isnan(draws)]
    if len(known) < 2 or questions < FEWEST_QUESTIONS:
        return None
    seen = float(norm.ppf(1 - ERROR / 2) + norm.ppf(POWER)) * float(known.std(ddof=1))
    return max(FEWEST_QUESTIONS, math.ceil(questions * (seen / TOLD_DIFFERENCE) ** 2))


def too_few_questions(differences: Sequence[JudgeDifference], questions: int) -> list[str]:
    """A sentence for each comparison that so many questions cannot settle."""
    found = []
    for one in differences:
        needed = {"": one.auroc.needed, " within a question": one.auroc_within.needed}
        if None in needed.values():
            found.append(
                f"{questions} questions are too few to compare {one.judge} with {one.other}: give at least "
                f"{FEWEST_QUESTIONS}."
            )
        short = [f"{n:,}{where}" for where, n in needed.items() if n is not None and n > questions]
        if short:
            found.append(
                f"{questions} questions are too few to tell a difference of {TOLD_DIFFERENCE:g} in AUROC between "
                f"{one.judge} and {one.other}: {' and '.join(short)} are needed."
            )
    return found


def _difference(value: float, draws: NDArray[np.float64], questions: int) -> Difference:
    known = draws[~np.isnan(draws)]
    if not len(known):
        return Difference(value, interval_of(known), float("nan"), None)
    below, above = (known <= 0.0).sum(), (known >= 0.0).sum()
    p = min(1.0, 2.0 * (1 + int(min(below, above))) / (len(known) + 1))
    return Difference(value, interval_of(known), p, questions_needed(draws, questions))
