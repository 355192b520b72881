"""What cons@N would have cost: the tokens of N traces that all run to their end.

A stopped trace is a censored length (it would have gone on for an unknown while), never a short
one. The lengths' survival curve S is estimated by Kaplan and Meier (1958), the mean length is the area
under S, and cons@N costs N times that.

Where the curve does not come down to zero (the longest trace seen was cut), its tail is unknown:

- the low end of the interval lets S fall to 0 after the last observed end,
- the estimate lets S fall to 0 at the longest length seen (Efron 1967): too low rather than too high, so
  savings are understated, never flattered,
- the high end keeps S constant up to the token limit of a trace (the longest length seen if there is none).

To that the sampling error is added: Greenwood's variance of the area with the m/(m-1) correction for m
ends, Student's t with m-1 degrees of freedom, and the finite population correction 1 - finished/N,
because the lengths of finished traces are known, not estimated. Both ends are clipped to what is certain:
every token seen would have been spent, and no trace exceeds its limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.report.view import RunView

__all__ = [
    "Counterfactual",
    "Method",
    "estimate_cost",
    "load",
    "of_run",
    "saved_if",
    "saved_so_far",
]

Method = Literal["observed", "kaplan-meier", "none"]

Vector = NDArray[np.float64]

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The cost of cons@N in generated tokens, with its 95 % interval.

    `method` is "observed" when all N traces finished (exact, low = high), "kaplan-meier" when some were cut
    or never started, and "none" when no trace finished: then `tokens` is None and `low`, the tokens seen,
    is a lower bound and no estimate. `high` is None where nothing bounds it.
    """

    tokens: float | None
    low: float
    high: float | None
    method: Method
    planned: int

    @property
    def mean_length(self) -> float | None:
        """Tokens of one trace on average, if it is known and not 0."""
        return self.tokens / self.planned if self.tokens and self.planned else None


def load() -> None:
    """Imports what the first interval needs: a quarter of a second, on a slow disk several.

    A look at a finished run need not pay that, and a program that reads streams must not: while it imports, it reads none.
    """
    import scipy.special  # noqa: F401


def of_run(view: RunView) -> Counterfactual:
    """The estimate from what a run has seen so far; its unfinished traces count as cut where they are."""
    finished, cut = [], []
    for trace in view.traces.values():
        if trace.ending == "finished":
            finished.append(trace.tokens)
        elif trace.tokens > 0:
            cut.append(trace.tokens)
    return estimate_cost(finished, cut, planned=view.planned, limit=view.token_limit)


def estimate_cost(
    finished: Sequence[int], cut: Sequence[int], *, planned: int, limit: int | None
) -> Counterfactual:
    """What `planned` traces cost when all of them finish.

    Args:
        finished: lengths of the traces that ended by themselves, in tokens.
        cut: tokens of the traces that were stopped, failed, or are still running.
        planned: N; traces that never started have no length and only scale the result.
        limit: the most tokens that one trace can have, None if unknown.
    """
    seen = float(sum(finished) + sum(cut))
    open_traces = planned - len(finished)
    certain = float(sum(finished) + open_traces * limit) if limit is not None else None
    if not open_traces:
        return Counterfactual(seen, seen, seen, "observed", planned)
    if not finished:
        return Counterfactual(None, seen, certain, "none", planned)
    tokens = max(seen, planned * _mean_length(finished, cut))  # max: against rounding dust
    low, high = seen, certain
    if len(finished) > 1:
        low, high = _interval(finished, cut, planned=planned, limit=limit)
        low = max(low, seen)
        high = min(high, certain) if certain is not None else high
    return Counterfactual(
        tokens,
        min(low, tokens),
        max(high, tokens) if high is not None else None,
        "kaplan-meier",
        planned,
    )


def saved_so_far(view: RunView) -> float | None:
    """The share of cons@N's cost that the traces cut so far will not cost, 0..1; None while unknown.

    Unlike the final figure it does not count what running traces have yet to write.
    """
    cost = of_run(view).tokens
    return saved_if(view, cost) if cost else None


def saved_if(view: RunView, cost: float) -> float:
    """The same share, 0..1, if cons@N costs `cost` tokens (more than 0)."""
    mean = cost / max(1, view.planned)
    cut = [t.tokens for t in view.traces.values() if t.ending in ("pruned", "stopped")]
    return sum(max(0.0, mean - tokens) for tokens in cut) / cost


class _Curve(NamedTuple):
    """The survival curve at each observed end, shapes (ends,); `greenwood` are the terms of his sum."""

    lengths: Vector
    survival: Vector
    greenwood: Vector


def _curve(finished: Sequence[int], cut: Sequence[int]) -> _Curve:
    """Kaplan-Meier; a trace cut at the very length where another ended was still alive there."""
    ends, died = np.unique(np.asarray(finished, float), return_counts=True)
    everyone = np.sort(np.concatenate((finished, cut)))
    at_risk = len(everyone) - np.searchsorted(everyone, ends)
    stays = (at_risk - died) / at_risk  # the fraction that does not end here
    greenwood = np.divide(1 - stays, at_risk * stays, out=np.zeros_like(stays), where=stays > 0)
    return _Curve(ends, np.cumprod(stays, dtype=np.float64), greenwood)


def _areas(curve: _Curve, horizon: float) -> Vector:
    """The area under the curve from each observed end up to `horizon`, in tokens; shape (ends,)."""
    knots = np.append(curve.lengths, max(horizon, curve.lengths[-1]))
    return np.cumsum((np.diff(knots) * curve.survival)[::-1])[::-1]


def _mean_length(finished: Sequence[int], cut: Sequence[int]) -> float:
    curve = _curve(finished, cut)
    return float(curve.lengths[0] + _areas(curve, max(cut, default=0))[0])


def _interval(
    finished: Sequence[int], cut: Sequence[int], *, planned: int, limit: int | None
) -> tuple[float, float]:
    """The 95 % interval of N times the mean length, before it is clipped; needs two ends or more."""
    from scipy.special import stdtrit  # not at the top: see `load`

    curve = _curve(finished, cut)
    ends = len(finished)
    student = stdtrit(ends - 1, (1 + _CONFIDENCE) / 2)
    scale = student * np.sqrt(ends / (ends - 1) * (1 - ends / planned))

    def side(horizon: float, sign: int) -> float:
        areas = _areas(curve, horizon)
        spread = np.sqrt(np.sum(areas**2 * curve.greenwood))
        return float(planned * (curve.lengths[0] + areas[0] + sign * scale * spread))

    return side(curve.lengths[-1], -1), side(max(*finished, *cut, limit or 0), +1)
