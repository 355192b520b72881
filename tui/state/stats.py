"""The figures that the panels show: the bill so far, the tally, the time left.

The rule: the same estimates as in the report, from the same functions. While a run goes on, "saved" counts
only what is certain to be saved: what the traces cut so far will not write.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.voting import leader_posterior
from orchestrator.report.report import weighed_judge_tokens
from orchestrator.report.savings import Counterfactual, of_run, saved_if
from orchestrator.report.view import RunView, TraceView

__all__ = ["Figures", "Share", "figures_of"]


class Share(NamedTuple):
    """An estimated share of cons@N's cost with its interval; the ends are None where nothing bounds them."""

    low: float | None
    estimate: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The bill so far; costs are in generated reasoner tokens."""

    cost: Counterfactual
    judge_tokens: float
    """The judge's bill, weighed by the prices in the settings."""
    saved: Share | None
    """What is saved against cons@N; None while unknown."""
    net: float | None
    """The same less the judge's bill."""
    equal_cost_votes: float | None
    """The n for which cons@n costs what was spent so far."""
    tally: tuple[tuple[str, int], ...]
    """The vote, or before it the answers of all finished traces, largest first."""
    posterior: float | None
    """Probability that the leading answer stays ahead of the second."""
    eta: float | None
    """Seconds to the end, None while unknown."""
    money: tuple[float, float] | None
    """Spent, and what cons@N would cost; None without a price."""


def figures_of(view: RunView, rate: float | None) -> Figures:
    """The figures of a run; `rate` is in generated tokens per second."""
    cost = of_run(view)
    weighed = weighed_judge_tokens(view)
    saved = _saved(view, cost)
    mean = cost.mean_length
    tally = _tally(view)
    return Figures(
        cost=cost,
        judge_tokens=weighed,
        saved=saved,
        net=saved.estimate - weighed / cost.tokens if saved and cost.tokens else None,
        equal_cost_votes=(view.generated_tokens + weighed) / mean if mean else None,
        tally=tally,
        posterior=leader_posterior([ballots for _answer, ballots in tally]),
        eta=_eta(view, mean, rate),
        money=_money(view, cost, weighed),
    )


def _saved(view: RunView, cost: Counterfactual) -> Share | None:
    if not cost.tokens:
        return None

    def share(tokens: float | None) -> float | None:
        if not tokens:
            return None
        over = view.finished is not None
        return 1 - view.generated_tokens / tokens if over else saved_if(view, tokens)

    estimate = share(cost.tokens)
    return None if estimate is None else Share(share(cost.low), estimate, share(cost.high))


def _tally(view: RunView) -> tuple[tuple[str, int], ...]:
    if view.vote is not None:
        return tuple((vote.answer, vote.count) for vote in view.votes)
    answers = Counter(trace.answer for trace in view.traces.values() if trace.answer is not None)
    return tuple(answers.most_common())


def _eta(view: RunView, mean: float | None, rate: float | None) -> float | None:
    """Seconds until the streams that are open or queued have the mean length, at today's pace.

    The last trace counts as well: many short remainders end no sooner than one stream can write its own.
    While traces wait for their cluster nobody knows how many will go on.
    """
    unplaced = any(trace.cluster is None and not trace.ending for trace in view.traces.values())
    if view.vote is not None or not mean or not rate or (view.tau is not None and unplaced):
        return None
    writing = [trace for trace in view.traces.values() if trace.state == "running"]
    queued = sum(trace.state == "queued" for trace in view.traces.values())
    if not writing:
        return None
    left = [_left(trace, mean) for trace in writing]
    return max((sum(left) + queued * mean) / rate, max(left) * len(writing) / rate)


def _left(trace: TraceView, mean: float) -> float:
    return max(0.0, mean - trace.tokens)


def _money(view: RunView, cost: Counterfactual, weighed: float) -> tuple[float, float] | None:
    settings = view.run.settings if view.run is not None else {}
    price = settings.get("prices", {}).get("million_tokens")
    if price is None or cost.tokens is None:
        return None
    return (view.generated_tokens + weighed) * price / 1e6, cost.tokens * price / 1e6
