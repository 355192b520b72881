"""Counts of a set of pairs, kept while it is written.

The rule: memory grows with questions and with different lengths, never with pairs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from judge_server.data.pairs import Pair, PairCounts
from judge_server.data.splits import Split

__all__ = ["PairStats", "SplitStats"]

_QUANTILES = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}


@dataclass(slots=True)
class _QuestionCounts:
    pairs: int = 0
    same: int = 0


@dataclass
class SplitStats:
    """One split; `records` are the entries of its file, with every repetition of a pair."""

    records: int = 0
    models: dict[str, PairCounts] = field(default_factory=dict)
    _questions: dict[str, _QuestionCounts] = field(default_factory=dict)
    _chars: Counter[int] = field(default_factory=Counter)
    _words: Counter[int] = field(default_factory=Counter)

    @property
    def questions(self) -> int:
        """Questions that gave at least one pair."""
        return len(self._questions)

    def counts_of(self, model: str) -> PairCounts:
        """The counts of one model's traces and pairs; callers add to them."""
        return self.models.setdefault(model, PairCounts())

    def add(self, pair: Pair) -> None:
        """Counts one pair, in one of its orders."""
        question = self._questions.setdefault(pair.question_id, _QuestionCounts())
        question.pairs += 1
        question.same += pair.same
        for segment in (pair.new, pair.member):
            self._chars[len(segment)] += 1
            self._words[_words(segment)] += 1

    def total(self) -> PairCounts:
        """The counts over all models."""
        return _sum(self.models.values())

    def as_dict(self) -> dict[str, Any]:
        """The split as it stands in the card; fractions are in 0..1, and None where there is no pair."""
        fractions = Counter(
            round(question.same / question.pairs, 4) for question in self._questions.values()
        )
        return {
            "questions": self.questions,
            "records": self.records,
            **_with_fraction(self.total()),
            "models": {model: _with_fraction(counts) for model, counts in self.models.items()},
            "segment_chars": _quantiles(self._chars),
            "segment_words": _quantiles(self._words),
            "same_share_per_question": {
                **_quantiles(fractions),
                "only_same": fractions[1.0],
                "only_different": fractions[0.0],
            },
        }


@dataclass
class PairStats:
    """All splits; `left_out_traces` are those of test models on questions of training and validation."""

    splits: dict[Split, SplitStats] = field(
        default_factory=lambda: {split: SplitStats() for split in get_args(Split)}
    )
    left_out_traces: int = 0

    def total(self) -> PairCounts:
        """The counts over all splits."""
        return _sum(counts.total() for counts in self.splits.values())

    def as_dict(self) -> dict[str, Any]:
        """The counts as they stand in the card."""
        return {
            "left_out_traces_of_test_models": self.left_out_traces,
            "total": _with_fraction(self.total()),
            "splits": {split: counts.as_dict() for split, counts in self.splits.items()},
        }


@lru_cache(maxsize=1024)
def _words(segment: str) -> int:
    return len(segment.split())


def _sum(counted: Iterable[PairCounts]) -> PairCounts:
    total = PairCounts()
    for counts in counted:
        total.add(counts)
    return total


def _with_fraction(counts: PairCounts) -> dict[str, Any]:
    fraction = round(counts.same / counts.pairs, 4) if counts.pairs else None
    return {**counts.as_dict(), "same_share": fraction}


def _quantiles(values: Mapping[Any, int]) -> dict[str, float | None]:
    """Quantiles of values that each occur so many times; each quantile is one of the values."""
    if not values:
        return dict.fromkeys(_QUANTILES)
    found = np.quantile(
        list(values),
        list(_QUANTILES.values()),
        weights=list(values.values()),
        method="inverted_cdf",
    )
    return dict(zip(_QUANTILES, found.tolist(), strict=True))
