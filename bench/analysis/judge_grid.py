"""Which policy is best for how good a judge is and what its tokens cost: against the plain vote of equal cost.

A policy without a judge is replayed once, one with a judge for every AUROC, and `auto`, which asks only while the answer is
worth its price, for every price as well. The judge is simulated; its errors may go with a trace
(`bench/replay/judges.py`), as those of real judges do.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from bench.analysis.comparison import PolicyRow, compare_policies, is_vote
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import PolicySpec, parse_policies

__all__ = ["GridCell", "JudgeGrid", "judge_grid"]


class GridCell(msgspec.Struct, frozen=True, kw_only=True):
    """The best policy at one AUROC and price of a judge's token, and its accuracy above the equal-cost vote.

    `price` is in generated reasoner tokens, `cost` in the same unit per question. `differences` has every policy's accuracy
    above that vote; a policy that costs more or less than every vote that was measured is not in it.
    """

    file: str
    auroc: str
    price: float
    policy: str | None
    accuracy: float | None
    cost: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    differences: dict[str, float]


class JudgeGrid(NamedTuple):
    """What is compared: policies without a judge and plain votes, policies with one, and the judges."""

    without: Sequence[str]
    with_judge: Sequence[str]
    aurocs: Sequence[str]
    prices: Sequence[float]

    @property
    def specs(self) -> list[PolicySpec]:
        """Every policy that has to be replayed."""
        texts = [*self.without]
        texts += [
            _with_judge(policy, auroc, price)
            for policy in self.with_judge
            for auroc in self.aurocs
            for price in self.prices
        ]
        return parse_policies(list(dict.fromkeys(texts)))


def judge_grid(
    grid: JudgeGrid, replay: Callable[[list[PolicySpec]], Sequence[Outcome]]
) -> list[GridCell]:
    """A cell for every file, AUROC and price; `replay` gives the outcomes of policies."""
    by_label: dict[str, list[Outcome]] = {}
    for outcome in replay(grid.specs):
        by_label.setdefault(outcome.policy, []).append(outcome)
    return [
        cell
        for auroc in grid.aurocs
        for price in grid.prices
        for cell in _cells(grid, by_label, auroc, price)
    ]


def _cells(
    grid: JudgeGrid, by_label: dict[str, list[Outcome]], auroc: str, price: float
) -> list[GridCell]:
    names = {_with_judge(policy, auroc, price): policy for policy in grid.with_judge}
    names |= {policy: policy for policy in grid.without}
    outcomes = [outcome for label in names for outcome in by_label[label]]
    rows = compare_policies(outcomes, judge_price=price)
    return [
        _cell([row for row in rows if row.file == file], names, auroc, price)
        for file in dict.fromkeys(row.file for row in rows)
    ]


def _cell(rows: Sequence[PolicyRow], names: dict[str, str], auroc: str, price: float) -> GridCell:
    compared = [row for row in rows if not is_vote(row.policy) and row.difference is not None]
    best = max(compared, key=lambda row: row.difference or 0.0, default=None)
    return GridCell(
        file=rows[0].file,
        auroc=auroc,
        price=price,
        policy=None if best is None else names[best.policy],
        accuracy=None if best is None else best.accuracy,
        cost=None if best is None else best.cost,
        difference=None if best is None else best.difference,
        difference_low=None if best is None else best.difference_low,
        difference_high=None if best is None else best.difference_high,
        differences={names[row.policy]: row.difference or 0.0 for row in compared},
    )


def _with_judge(policy: str, auroc: str, price: float) -> str:
    """The policy with this judge; only `auto` decides by the price."""
    head, colon, options = policy.partition(":")
    own = [options] if colon else []
    own.append(f"judge_auroc={auroc}")
    if head.partition("@")[0] == "auto":
        own.append(f"prices.judge_prompt_token={price:g}")
    return f"{head}:{','.join(own)}"
