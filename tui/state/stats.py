"""The numbers that the panels show: the bill so far, the vote counts, the time left.

They are the report's estimates, from the same functions. While a run is going on, "saved" counts only what is
certain to be saved: the tokens that the traces ended so far will not generate.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.voting import leader_posterior
from orchestrator.report.answer_groups import AnswerGroups, answer_groups
from orchestrator.report.pricing import spent_tokens, weighed_judge_tokens
from orchestrator.report.savings import Counterfactual, of_run, saved_if
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView

__all__ = ["RunStats", "SavedFraction", "run_stats", "tally_of"]


class SavedFraction(NamedTuple):
    """An estimated fraction of the cost of cons@N with its interval; an end is None where it has no bound."""

    low: float | None
    estimate: float
    high: float | None


@dataclass(frozen=True, slots=True)
class RunStats:
    """The numbers at one moment of a run; costs are in generated reasoner tokens."""

    cost: Counterfactual
    judge_tokens: float
    """The judge's bill, weighted by the prices in the settings."""
    saved: SavedFraction | None
    """The fraction saved against cons@N; None while unknown."""
    net: float | None
    """The same, minus what probes, continued traces and the judge have read, and the judge has written."""
    equal_cost_votes: float | None
    """The n for which cons@n costs as much as was spent so far."""
    tally: tuple[tuple[str, int], ...]
    """Answers with their vote counts, largest first; before the vote, those of all finished traces."""
    posterior: float | None
    """The probability that the leading answer of the tally stays ahead of the second."""
    answers: AnswerGroups
    """The answers of all traces, unfinished ones included."""
    eta: float | None
    """Seconds until the end; None while unknown."""
    money: tuple[float, float] | None
    """The money spent, and the cost of cons@N; None without a price."""


def run_stats(view: RunView, rate: float | None) -> RunStats:
    """The numbers of a run; `rate` is in generated tokens per second."""
    cost = of_run(view)
    spent = spent_tokens(view)
    saved = _saved(view, cost)
    mean = cost.mean_length
    tally = tally_of(view)
    return RunStats(
        cost=cost,
        judge_tokens=weighed_judge_tokens(view),
        saved=saved,
        net=saved.estimate - (spent - view.generated_tokens) / cost.tokens
        if saved and cost.tokens
        else None,
        equal_cost_votes=spent / mean if mean else None,
        tally=tally,
        posterior=leader_posterior([count for _answer, count in tally]),
        answers=answer_groups(view),
        eta=_eta(view, mean, rate),
        money=_money(view, cost, spent),
    )


def _saved(view: RunView, cost: Counterfactual) -> SavedFraction | None:
    if not cost.tokens:
        return None

    def fraction(tokens: float | None) -> float | None:
        if not tokens:
            return None
        over = view.finished is not None
        return 1 - view.generated_tokens / tokens if over else saved_if(view, tokens)

    estimate = fraction(cost.tokens)
    return (
        None
        if estimate is None
        else SavedFraction(fraction(cost.low), estimate, fraction(cost.high))
    )


def tally_of(view: RunView) -> tuple[tuple[str, int], ...]:
    """The answers so far with their votes, most votes first."""
    if view.vote is not None:
        return tuple((vote.answer, vote.count) for vote in view.votes)
    answers = Counter(trace.answer for trace in view.traces.values() if trace.answer is not None)
    return tuple(answers.most_common())


def _eta(view: RunView, mean: float | None, rate: float | None) -> float | None:
    """Seconds until the open and queued traces reach the mean length at the current rate.

    The longest remainder counts as well: the run ends no sooner than one stream can generate it. None while
    traces wait for their cluster, because the number of traces that will continue is unknown.
    """
    unclustered = any(trace.cluster is None and not trace.ending for trace in view.traces.values())
    if view.vote is not None or not mean or not rate or (view.tau is not None and unclustered):
        return None
    writing = [trace for trace in view.traces.values() if trace.state == "running"]
    queued = sum(trace.state == "queued" for trace in view.launched)
    if not writing:
        return None
    left = [_left(trace, mean) for trace in writing]
    return max((sum(left) + queued * mean) / rate, max(left) * len(writing) / rate)


def _left(trace: TraceView, mean: float) -> float:
    return max(0.0, mean - trace.tokens)


def _money(view: RunView, cost: Counterfactual, spent: float) -> tuple[float, float] | None:
    price = view.run.settings.prices.million_tokens if view.run is not None else None
    if price is None or cost.tokens is None:
        return None
    return spent * price / 1e6, cost.tokens * price / 1e6
