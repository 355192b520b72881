"""The figures of one set of scored pairs: one row of a table, one printed line."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from judge_server.evaluation.bootstrap import ConfidenceInterval, FigureIntervals, bootstrap
from judge_server.metrics import (
    ScoredPairs,
    auroc,
    auroc_within,
    expected_calibration_error,
    tnr_at_fnr,
)

__all__ = ["Figures", "figures_of", "rounded"]


@dataclass(frozen=True)
class Figures:
    """How well scores tell same-answer pairs from others, with 95 % intervals over questions."""

    auroc: float
    auroc_within: float
    tnr_at_fnr20: float
    ece: float
    pairs: int
    questions: int
    same_share: float
    intervals: FigureIntervals

    def line(self) -> dict[str, Any]:
        """The figures of every table and printed line; null stands for one that cannot be computed."""
        return {
            "auroc": rounded(self.auroc),
            "auroc_low": rounded(self.intervals.auroc.low),
            "auroc_high": rounded(self.intervals.auroc.high),
            "auroc_within": rounded(self.auroc_within),
            "tnr_at_fnr20": rounded(self.tnr_at_fnr20),
            "ece": rounded(self.ece),
            "pairs": self.pairs,
            "questions": self.questions,
            "same_share": rounded(self.same_share),
        }

    def other_intervals(self) -> dict[str, Any]:
        """The intervals that are not in the line."""
        named: dict[str, ConfidenceInterval] = {
            "auroc_within": self.intervals.auroc_within,
            "tnr_at_fnr20": self.intervals.tnr_at_fnr20,
        }
        return {
            f"{name}_{end}": rounded(value)
            for name, interval in named.items()
            for end, value in interval._asdict().items()
        }


def figures_of(pairs: ScoredPairs, *, seed: int) -> Figures:
    """The figures; `seed` is the bootstrap's."""
    return Figures(
        auroc=auroc(pairs),
        auroc_within=auroc_within(pairs),
        tnr_at_fnr20=tnr_at_fnr(pairs),
        ece=expected_calibration_error(pairs),
        pairs=len(pairs),
        questions=len(np.unique(pairs.questions)),
        same_share=float(pairs.same.mean()) if len(pairs) else float("nan"),
        intervals=bootstrap(pairs, seed=seed),
    )


def rounded(value: float) -> float | None:
    """Rounded to four places, for JSON; nan becomes None, and an integer is unchanged."""
    return None if np.isnan(value) else round(value, 4)
