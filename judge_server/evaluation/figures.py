"""The figures of one set of scored pairs: one row of a table, one printed line."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from judge_server.evaluation.bootstrap import FigureIntervals, bootstrap
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
    """How well scores tell same-answer pairs from others, with 95 % intervals over questions.

    p_within: see `judge_server.evaluation.chance`; nan where it was not computed.
    """

    auroc: float
    auroc_within: float
    tnr_at_fnr20: float
    ece: float
    pairs: int
    questions: int
    same_share: float
    intervals: FigureIntervals
    p_within: float = float("nan")

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
            "auroc_within_low": rounded(self.intervals.auroc_within.low),
            "auroc_within_high": rounded(self.intervals.auroc_within.high),
            "p_within": rounded(self.p_within),
        }

    def other_intervals(self) -> dict[str, Any]:
        """The intervals that are not in the line."""
        ends = self.intervals.tnr_at_fnr20._asdict()
        return {f"tnr_at_fnr20_{end}": rounded(value) for end, value in ends.items()}


def figures_of(pairs: ScoredPairs, *, seed: int, p_within: float = float("nan")) -> Figures:
    """The figures; `seed` is the bootstrap's, and `p_within` is taken as it is given."""
    return Figures(
        auroc=auroc(pairs),
        auroc_within=auroc_within(pairs),
        tnr_at_fnr20=tnr_at_fnr(pairs),
        ece=expected_calibration_error(pairs),
        pairs=len(pairs),
        questions=len(np.unique(pairs.questions)),
        same_share=float(pairs.same.mean()) if len(pairs) else float("nan"),
        intervals=bootstrap(pairs, seed=seed),
        p_within=p_within,
    )


def rounded(value: float) -> float | None:
    """Rounded to four places, for JSON; nan becomes None, and an integer is unchanged."""
    return None if np.isnan(value) else round(value, 4)
