"""Policies side by side: each against the plain vote that costs the same.

The equal-cost vote of a policy is the mixture of the two neighbouring votes (cons@n) that costs exactly as many tokens,
the judge's tokens included at their price. Every comparison is paired: the same questions, the same sampled traces.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test

from bench.results.intervals import MeanInterval, interval_of_mean
from bench.results.outcomes import Outcome, by_policy, per_question

__all__ = ["PolicyRow", "compare_policies", "frontier", "is_vote"]

_PERMUTATIONS = 5_000
_SIGNIFICANCE = 0.05
_VOTE = "cons@"


def is_vote(policy: str) -> bool:
    """Whether the policy of this name is a plain vote, cons@n."""
    return policy.startswith(_VOTE) and policy.removeprefix(_VOTE).isdecimal()


class PolicyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One policy on one file; token counts are means per question, accuracies and fractions lie in 0..1.

    `cost` is reasoner tokens plus judge tokens at their price. `saved` is the fraction by which `cost` is below the cost
    of the most expensive vote, `saved_before_judge` the same for the reasoner's tokens alone. `rival_votes` is the n of
    the equal-cost vote and `difference` the accuracy above it, with its interval and the p-value of a paired permutation
    test; None outside the range of the votes that were measured. `rival_sequential_tokens` and `rival_seconds` are that
    vote's. `sequence_difference` and `seconds_difference` are the accuracy above the votes that take as many tokens in
    sequence, and as many seconds; a policy faster than every vote is compared with the fastest. `largest_cluster` is a
    fraction of the traces.
    """

    file: str
    policy: str
    questions: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    tokens: float
    cut_share: float
    judge_tokens: float
    cost: float
    saved: float | None
    saved_before_judge: float | None
    sequential_tokens: float | None
    seconds: float
    traces: float
    rival_votes: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    rival_sequential_tokens: float | None = None
    rival_seconds: float | None = None
    sequence_difference: float | None = None
    seconds_difference: float | None = None
    clusters: float | None = None
    largest_cluster: float | None = None

    @property
    def is_vote(self) -> bool:
        """Whether this is a plain vote, cons@n."""
        return is_vote(self.policy)

    @property
    def sequence_ratio(self) -> float | None:
        """Tokens in sequence, as a ratio to those of the equal-cost vote."""
        if self.sequential_tokens is None or not self.rival_sequential_tokens:
            return None
        return self.sequential_tokens / self.rival_sequential_tokens

    @property
    def verdict(self) -> str:
        """Against the vote of equal cost: better or worse if the difference is significant (p < 0.05), else level."""
        if self.difference is None or self.p_value is None:
            if self.is_vote or self.saved is None:
                return ""
            return "costs more than every vote" if self.saved < 0 else "no vote to compare with"
        if self.p_value >= _SIGNIFICANCE:
            return "level"
        return "better" if self.difference > 0 else "worse"


class _Vote(NamedTuple):
    """A plain vote that was measured; `correct` has shape (questions,)."""

    n: int
    cost: float
    sequential_tokens: float | None
    seconds: float
    correct: NDArray[np.float64]


class _Rival(NamedTuple):
    """The mixture of two votes at some price; `n` lies between theirs, `correct` has shape (questions,)."""

    n: float
    sequential_tokens: float | None
    seconds: float
    correct: NDArray[np.float64]


def compare_policies(outcomes: Sequence[Outcome], *, judge_price: float) -> list[PolicyRow]:
    """A row for every file and policy, the cheapest first within a file; `judge_price` is per judge token."""
    groups = by_policy(outcomes)
    votes: dict[str, list[_Vote]] = {file: [] for file, _ in groups}
    for (file, policy), group in groups.items():
        if is_vote(policy):
            n = int(policy.removeprefix(_VOTE))
            cost, steps = _cost(group, judge_price), _sequential_tokens(group)
            seconds = _mean([outcome.seconds for outcome in group])
            votes[file].append(_Vote(n, cost, steps, seconds, _correct(group)))
    for each in votes.values():
        each.sort(key=lambda vote: vote.cost)
    rows = [_row(group, votes[file], judge_price) for (file, _), group in groups.items()]
    files = list(votes)
    return sorted(rows, key=lambda row: (files.index(row.file), row.cost))


def frontier(
    rows: Sequence[PolicyRow], field: Literal["cost", "sequential_tokens", "seconds"] = "cost"
) -> list[PolicyRow]:
    """The rows of one file that no other row beats in both accuracy and `field` (the Pareto front), the cheapest first."""
    known = [row for row in rows if getattr(row, field) is not None]
    best: list[PolicyRow] = []
    for row in sorted(known, key=lambda row: (getattr(row, field), -row.accuracy)):
        if not best or row.accuracy > best[-1].accuracy:
            best.append(row)
    return best


def _row(group: Sequence[Outcome], votes: Sequence[_Vote], judge_price: float) -> PolicyRow:
    accuracy = interval_of_mean(_correct(group).tolist())
    cost = _cost(group, judge_price)
    tokens = _mean([outcome.tokens for outcome in group])
    sequential, seconds = _sequential_tokens(group), _mean([outcome.seconds for outcome in group])
    against: dict[str, Any] = {}
    if not is_vote(group[0].policy):
        rival = _rival_at([vote.cost for vote in votes], cost, votes)
        against = {} if rival is None else _difference_columns(group, rival)
        against |= _latency_columns(group, votes, sequential, seconds)
    return PolicyRow(
        file=group[0].file,
        policy=group[0].policy,
        questions=len({outcome.question_id for outcome in group}),
        accuracy=accuracy.mean,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        tokens=tokens,
        cut_share=_mean([o.cut_tokens for o in group]) / max(1.0, tokens),
        judge_tokens=_mean([outcome.judge_tokens for outcome in group]),
        cost=cost,
        saved=1.0 - cost / votes[-1].cost if votes else None,
        saved_before_judge=1.0 - tokens / votes[-1].cost if votes else None,
        sequential_tokens=sequential,
        seconds=seconds,
        traces=_mean([outcome.traces for outcome in group]),
        **against,
        **_cluster_columns(group),
    )


def _rival_at(
    prices: Sequence[float | None], price: float, votes: Sequence[_Vote]
) -> _Rival | None:
    """The mixture of the two neighbouring votes at this price, None below the cheapest and above the most expensive.

    `prices` are those of the votes, rising; what is unknown is at no price.
    """
    for (low_price, low), (high_price, high) in pairwise(zip(prices, votes, strict=True)):
        if low_price is None or high_price is None or low.correct.shape != high.correct.shape:
            continue
        if low_price <= price <= high_price:
            weight = (
                (price - low_price) / (high_price - low_price) if high_price > low_price else 0.0
            )
            return _mixture(low, high, weight)
    return None


def _mixture(low: _Vote, high: _Vote, weight: float) -> _Rival:
    steps = None
    if low.sequential_tokens is not None and high.sequential_tokens is not None:
        steps = (1.0 - weight) * low.sequential_tokens + weight * high.sequential_tokens
    return _Rival(
        low.n + weight * (high.n - low.n),
        steps,
        (1.0 - weight) * low.seconds + weight * high.seconds,
        (1.0 - weight) * low.correct + weight * high.correct,
    )


def _latency_columns(
    group: Sequence[Outcome], votes: Sequence[_Vote], steps: float | None, seconds: float
) -> dict[str, float]:
    """The columns about votes of the same latency; what cannot be compared is left out."""
    columns = {}
    own = _correct(group)
    by_steps = [vote.sequential_tokens for vote in votes]
    by_seconds: list[float | None] = [vote.seconds for vote in votes]
    for name, prices, price in (
        ("sequence_difference", by_steps, steps),
        ("seconds_difference", by_seconds, seconds),
    ):
        known = [each for each in prices if each is not None]
        if price is None or not known or known != sorted(known):
            continue
        rival = _rival_at(prices, max(price, known[0]), votes)
        if rival is not None and rival.correct.shape == own.shape:
            columns[name] = float(np.mean(own - rival.correct))
    return columns


def _difference_columns(group: Sequence[Outcome], rival: _Rival) -> dict[str, float | None]:
    """The columns about the equal-cost vote; empty if it was measured on other questions."""
    own = _correct(group)
    if own.shape != rival.correct.shape:
        return {}
    difference: MeanInterval = interval_of_mean((own - rival.correct).tolist())
    return {
        "rival_votes": rival.n,
        "rival_sequential_tokens": rival.sequential_tokens,
        "rival_seconds": rival.seconds,
        "difference": difference.mean,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p_value": _p_value(own, rival.correct),
    }


def _p_value(own: NDArray[np.float64], rival: NDArray[np.float64]) -> float:
    """Of a two-sided test that swaps the two within questions; 1 for a single question."""
    if len(own) < 2 or np.allclose(own, rival):
        return 1.0
    test = permutation_test(
        (own, rival),
        lambda one, other, axis: np.mean(one - other, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def _cluster_columns(group: Sequence[Outcome]) -> dict[str, float]:
    """Clusters per run, and the fraction of traces in the largest; empty without a judge."""
    sizes = [outcome.clusters for outcome in group if outcome.clusters]
    if not sizes:
        return {}
    return {
        "clusters": _mean([len(each) for each in sizes]),
        "largest_cluster": _mean([max(each) / sum(each) for each in sizes]),
    }


def _correct(group: Sequence[Outcome]) -> NDArray[np.float64]:
    """The fraction of resamplings in which each question was right; shape (questions,)."""
    return np.array(per_question(group, lambda outcome: float(outcome.correct)))


def _sequential_tokens(group: Sequence[Outcome]) -> float | None:
    known = [
        outcome.sequential_tokens for outcome in group if outcome.sequential_tokens is not None
    ]
    return _mean(known) if known else None


def _cost(group: Sequence[Outcome], judge_price: float) -> float:
    return _mean([outcome.tokens + judge_price * outcome.judge_tokens for outcome in group])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
