"""The agreement of all questions of one model as figures, for tables, JSON lines and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from judge_server.analysis.agreement import DIFFICULTIES, QuestionAgreement, difficulty_of
from judge_server.evaluation.bootstrap import ConfidenceInterval, interval_of, resamples
from judge_server.evaluation.figures import rounded

__all__ = ["BINS", "DifficultyRow", "ModelSummary", "summaries"]

BINS = 10
"""Bins of equal width of the fraction of same-answer pairs of a question, the last one closed."""


@dataclass(frozen=True, slots=True)
class DifficultyRow:
    """The questions of one difficulty; `same` is over all their pairs, nan without a pair."""

    difficulty: str
    questions: int
    pairs: int
    same: float


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model's traces.

    same: the fraction of same-answer pairs over all pairs, with its 95 % interval over questions. per_question: that
    fraction for each question with a pair. cut_chars: characters to the cut of the traces that reach it;
    cut_fractions: the fraction of each that is written there.
    """

    model: str
    questions: int
    traces: int
    answered: int
    pairs: int
    same: float
    interval: ConfidenceInterval
    per_question: tuple[float, ...]
    difficulties: tuple[DifficultyRow, ...]
    ended_before: int
    cut_chars: tuple[int, ...]
    cut_fractions: tuple[float, ...]

    @property
    def histogram(self) -> list[int]:
        """Questions in each of the `BINS` of `per_question`."""
        return [int(n) for n in np.histogram(self.per_question, BINS, (0.0, 1.0))[0]]

    def line(self) -> dict[str, Any]:
        """The figures as JSON; lengths are quantiles."""
        return {
            "model": self.model,
            "questions": self.questions,
            "traces": self.traces,
            "answered": self.answered,
            "pairs": self.pairs,
            "same_share": rounded(self.same),
            "same_share_low": rounded(self.interval.low),
            "same_share_high": rounded(self.interval.high),
            "same_share_of_questions": self.histogram,
            "all_alike": sum(each == 1.0 for each in self.per_question),
            "ended_before_checkpoint": self.ended_before,
            "cut_chars": quantiles(self.cut_chars),
            "cut_fraction": quantiles(self.cut_fractions),
            "difficulties": [
                {
                    "difficulty": row.difficulty,
                    "questions": row.questions,
                    "pairs": row.pairs,
                    "same_share": rounded(row.same),
                }
                for row in self.difficulties
            ],
        }


def quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """Median, 10th and 90th percentile; None without a value."""
    names = {"p10": 0.1, "median": 0.5, "p90": 0.9}
    if not values:
        return dict.fromkeys(names)
    return {name: rounded(float(np.quantile(values, at))) for name, at in names.items()}


def summaries(questions: Sequence[QuestionAgreement], *, seed: int) -> list[ModelSummary]:
    """One for each model, in order of appearance."""
    models = dict.fromkeys(question.model for question in questions)
    return [_summary([q for q in questions if q.model == model], seed) for model in models]


def _summary(questions: Sequence[QuestionAgreement], seed: int) -> ModelSummary:
    lengths = [length for question in questions for length in question.lengths]
    reached = [length for length in lengths if not length.ended_before]
    paired = [question for question in questions if question.pairs]
    return ModelSummary(
        model=questions[0].model,
        questions=len(questions),
        traces=len(lengths),
        answered=sum(question.answered for question in questions),
        pairs=sum(question.pairs for question in questions),
        same=_same(questions),
        interval=_interval(paired, seed),
        per_question=tuple(question.same / question.pairs for question in paired),
        difficulties=tuple(
            DifficultyRow(name, len(own), sum(q.pairs for q in own), _same(own))
            for name in DIFFICULTIES
            if (own := [q for q in questions if difficulty_of(q) == name])
        ),
        ended_before=len(lengths) - len(reached),
        cut_chars=tuple(length.cut for length in reached),
        cut_fractions=tuple(length.cut / length.whole for length in reached),
    )


def _same(questions: Sequence[QuestionAgreement]) -> float:
    pairs = sum(question.pairs for question in questions)
    return sum(question.same for question in questions) / pairs if pairs else float("nan")


def _interval(questions: Sequence[QuestionAgreement], seed: int) -> ConfidenceInterval:
    """By bootstrap over questions, because the pairs of one question are not independent."""
    if not questions:
        return interval_of(np.array([]))
    same = np.array([question.same for question in questions])
    pairs = np.array([question.pairs for question in questions])
    draws = resamples(len(questions), seed, 1_000)
    return interval_of(np.array([counts @ same / (counts @ pairs) for counts in draws]))
