"""How much an adaptive setting could gain: for each question the value that was best on its other draws.

The rule: a value is chosen from the draws it is not measured on, else luck would pass for insight. What comes out knows
how each question went, which no policy does, so it is a bound: where it gains little, adapting the setting is not
worth building.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from bench.analysis.comparison import PolicyRow, compare_policies, is_vote
from bench.analysis.sweeps import SettingSeries
from bench.results.outcomes import Outcome

__all__ = ["oracle_row"]

_LABEL = "best for each question"

Groups = Mapping[tuple[str, str], Sequence[Outcome]]
"""All outcomes by file and policy."""


def oracle_row(series: SettingSeries, groups: Groups, *, judge_price: float) -> PolicyRow | None:
    """The row of a policy that knows each question's best value; None without several draws of every question."""
    own = [groups[(series.file, row.policy)] for row in series.rows]
    best = _best_on_other_draws(own, judge_price)
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


def _best_on_other_draws(
    candidates: Sequence[Sequence[Outcome]], judge_price: float
) -> list[Outcome]:
    """For every draw the outcome of the candidate that was right most often on the question's other ones; of several, the cheapest."""
    played: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for group in candidates:
        for outcome in group:
            played[(outcome.question_id, outcome.resample)].append(outcome)
    draws: dict[str, list[list[Outcome]]] = defaultdict(list)
    for (question, _), outcomes in played.items():
        draws[question].append(outcomes)
    complete = all(len(outcomes) == len(candidates) for outcomes in played.values())
    if not complete or any(len(each) < 2 for each in draws.values()):
        return []
    return [
        msgspec.structs.replace(outcomes[_best(each, number, judge_price)], policy=_LABEL)
        for each in draws.values()
        for number, outcomes in enumerate(each)
    ]


def _best(draws: Sequence[Sequence[Outcome]], left_out: int, judge_price: float) -> int:
    """The candidate's number, judged by all draws but one."""
    others = [outcomes for number, outcomes in enumerate(draws) if number != left_out]

    def merit(candidate: int) -> tuple[int, float]:
        own = [outcomes[candidate] for outcomes in others]
        cost = sum(outcome.tokens + judge_price * outcome.judge_tokens for outcome in own)
        return sum(outcome.correct for outcome in own), -cost

    return max(range(len(draws[0])), key=merit)
