"""The recommendation: which tau, which calibration, and whether the judge pays at its price."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from judge_server.check.sweep import PolicyFigures

__all__ = ["LOST", "Recommendation", "recommend"]

LOST = 0.03
"""Accuracy that a policy may lose against the vote of all traces: the tolerance of arXiv 2510.08483."""
_LEVEL = 0.01
"""Accuracies within it are taken for equal when the judge's policy is compared with `auto`."""


class Recommendation(NamedTuple):
    """What to do.

    `pays`: some policy with the judge costs less than `auto` without it, the judge's tokens at their price, and is as
    accurate. `tau` is the cheapest that loses at most `LOST`, None if none does; `break_even` the price of a judge's token
    at which that policy costs as much as `auto`, None where no price does.
    """

    pays: bool
    policy: str
    tau: float | None
    break_even: float | None
    sentences: list[str]


def recommend(
    rows: Sequence[PolicyFigures], *, price: float, judge_file: Path | None
) -> Recommendation:
    """The recommendation from the replayed policies, which hold a vote of all traces and `auto`."""
    vote = max((row for row in rows if row.policy.startswith("cons@")), key=lambda row: row.cost)
    auto = next(row for row in rows if row.policy == "auto")
    judged = [
        row
        for row in rows
        if row.tau is not None or row.policy.startswith("auto:")
        if row.accuracy >= vote.accuracy - LOST
    ]
    cheapest = min(judged, key=lambda row: row.cost, default=None)
    at_tau = min((row for row in judged if row.tau is not None), key=lambda r: r.cost, default=None)
    pays = (
        cheapest is not None
        and cheapest.cost < auto.cost
        and cheapest.accuracy >= auto.accuracy - _LEVEL
    )
    break_even = None if cheapest is None else _break_even(cheapest, auto)
    tau = None if at_tau is None else at_tau.tau
    chosen = cheapest if pays and cheapest is not None else auto
    sentences = [
        _verdict(pays, cheapest, auto, price),
        _tau_sentence(at_tau, vote),
    ]
    if break_even is not None:
        sentences.append(
            f"It would cost as much as auto at {break_even:.3g} reasoner tokens for each of the judge's."
        )
    if judge_file is not None:
        sentences.append(f"The calibrated judge is {judge_file}; name it with --judge.")
    sentences.append(f"Use --policy {chosen.policy.partition(':')[0]}{_settings(chosen)}.")
    return Recommendation(pays, chosen.policy, tau, break_even, sentences)


def _verdict(pays: bool, cheapest: PolicyFigures | None, auto: PolicyFigures, price: float) -> str:
    if cheapest is None:
        return "The judge does not pay: every policy with it loses more than 3 points of accuracy."
    costs = (
        f"{cheapest.policy} costs {cheapest.cost:,.0f} tokens a question ({cheapest.tokens:,.0f} and "
        f"{cheapest.judge_tokens:,.0f} of the judge at {price:g}) with accuracy {cheapest.accuracy:.1%}, auto without a "
        f"judge {auto.cost:,.0f} with {auto.accuracy:.1%}."
    )
    return f"The judge {'pays' if pays else 'does not pay'} at this price: {costs}"


def _tau_sentence(at_tau: PolicyFigures | None, vote: PolicyFigures) -> str:
    if at_tau is None:
        return f"No tau keeps deepprune within 3 points of {vote.policy} ({vote.accuracy:.1%})."
    return (
        f"The cheapest tau within 3 points of {vote.policy} ({vote.accuracy:.1%}) is {at_tau.tau:g}, with "
        f"{at_tau.accuracy:.1%} and {at_tau.saved or 0.0:.1%} saved, net."
    )


def _break_even(cheapest: PolicyFigures, auto: PolicyFigures) -> float | None:
    left = auto.cost - cheapest.tokens
    return left / cheapest.judge_tokens if left > 0 and cheapest.judge_tokens else None


def _settings(row: PolicyFigures) -> str:
    options = row.policy.partition(":")[2]
    return "".join(f" --set policy.{option}" for option in filter(None, options.split(",")))
