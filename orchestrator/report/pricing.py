"""What a run has cost in one unit, generated reasoner tokens, by the prices in its settings."""

from typing import Literal

import msgspec

from orchestrator.report.view import RunView
from orchestrator.settings import PriceSettings

__all__ = ["Prices", "prices_of", "spent_tokens", "weighed_judge_tokens", "weighed_reads"]


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """The prices by which tokens are weighed, in generated reasoner tokens; `source` says whether they are the defaults."""

    prompt_token: float
    cached_prompt_token: float
    judge_token: float
    judge_prompt_token: float
    judge_cached_token: float
    source: Literal["defaults", "settings"]


def prices_of(view: RunView) -> Prices | None:
    """The prices of a run; None before it has started."""
    if view.run is None:
        return None
    prices = view.run.settings.prices
    usual = PriceSettings(million_tokens=prices.million_tokens)
    return Prices(
        prompt_token=prices.prompt_token,
        cached_prompt_token=prices.cached_prompt_token,
        judge_token=prices.judge_token,
        judge_prompt_token=prices.of_judge_prompt,
        judge_cached_token=prices.judge_cached_token,
        source="defaults" if prices == usual else "settings",
    )


def spent_tokens(view: RunView) -> float:
    """The whole cost of a run so far: generated tokens, what probes and continued traces read, and the judge's bill."""
    return view.generated_tokens + weighed_reads(view) + weighed_judge_tokens(view)


def weighed_reads(view: RunView) -> float:
    """What probes and continued traces read. First prompts are left out, because cons@N reads them as well."""
    if view.run is None:
        return 0.0
    prices = view.run.settings.prices
    computed, cached = view.further_reads
    return computed * prices.prompt_token + cached * prices.cached_prompt_token


def weighed_judge_tokens(view: RunView) -> float:
    """The judge's bill."""
    if view.run is None:
        return 0.0
    judge, prices = view.judge, view.run.settings.prices
    cached = judge.cached_prompt_tokens
    return (
        (judge.prompt_tokens - cached) * prices.of_judge_prompt
        + judge.completion_tokens * prices.judge_token
        + cached * prices.judge_cached_token
    )
