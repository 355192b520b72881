"""The oracle of a setting: for each question the value that was best on its other resamplings.

It bounds what adapting the setting could gain: the oracle knows how each question went, which no policy does. The rule:
a value is chosen on the resamplings that it is not measured on, otherwise luck would count as a gain.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from bench.analysis.comparison import PolicyRow, compare_policies, is_vote
from bench.analysis.sweeps import SettingSeries
from bench.results.outcomes import Outcome

__all__ = ["oracle_row"]

_LABEL = "best for each question"

OutcomeGroups = Mapping[tuple[str, str], Sequence[Outcome]]
"""All outcomes by file and policy."""


def oracle_row(
    series: SettingSeries, groups: OutcomeGroups, *, judge_price: float
) -> PolicyRow | None:
    """The row of the oracle over the values of `series`; None unless every question has two resamplings or more."""
    candidates = [groups[(series.file, row.policy)] for row in series.rows]
    best = _best_on_other_resamples(candidates, judge_price)
    if not best:
        return None
    votes = [
        outcome
        for (file, policy), group in groups.items()
        if file == series.file and is_vote(policy)
        for outcome in group
    ]
    rows = compare_policies([*votes, *best], judge_price=judge_price)
    return next(row for row in rows if row.policy == _LABEL)


def _best_on_other_resamples(
    candidates: Sequence[Sequence[Outcome]], judge_price: float
) -> list[Outcome]:
    """For every question and resampling the outcome of the best candidate; empty if the candidates' resamplings differ."""
    by_resample: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for group in candidates:
        for outcome in group:
            by_resample[(outcome.question_id, outcome.resample)].append(outcome)
    by_question: dict[str, list[list[Outcome]]] = defaultdict(list)
    for (question, _), outcomes in by_resample.items():
        by_question[question].append(outcomes)
    complete = all(len(outcomes) == len(candidates) for outcomes in by_resample.values())
    if not complete or any(len(resamples) < 2 for resamples in by_question.values()):
        return []
    return [
        msgspec.structs.replace(
            outcomes[_best_candidate(resamples, number, judge_price)], policy=_LABEL
        )
        for resamples in by_question.values()
        for number, outcomes in enumerate(resamples)
    ]


def _best_candidate(
    resamples: Sequence[Sequence[Outcome]], left_out: int, judge_price: float
) -> int:
    """The candidate that was right most often on the other resamplings; of several, the cheapest."""
    others = [outcomes for number, outcomes in enumerate(resamples) if number != left_out]

    def score(candidate: int) -> tuple[int, float]:
        own = [outcomes[candidate] for outcomes in others]
        cost = sum(outcome.tokens + judge_price * outcome.judge_tokens for outcome in own)
        return sum(outcome.correct for outcome in own), -cost

    return max(range(len(resamples[0])), key=score)
