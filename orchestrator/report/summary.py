"""Several questions in one line: accuracy with its interval, and the sums of their bills.

A sum counts only what every report behind it knows, and says how many reports those are. Savings
are taken over the totals, so a long question weighs more than a short one.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec

from orchestrator.report.ledger import (
    CounterfactualBill,
    JudgeBill,
    Ledger,
    ReasonerBill,
    TokensByFate,
)
from orchestrator.report.pricing import Prices
from orchestrator.report.report import Report, TraceCounts

__all__ = [
    "CounterfactualSums",
    "JudgeSums",
    "LedgerSums",
    "ReasonerSums",
    "ServerCounts",
    "Summary",
    "SummaryLine",
    "summarise",
]

_Z = 1.959963984540054
"""The normal quantile of a 95 % interval."""

_Sums = TypeVar("_Sums", bound=msgspec.Struct)


class ServerCounts(NamedTuple):
    """What the servers themselves have counted over questions that ran side by side, in tokens; None: not known.

    Their counters cannot be divided among the questions, so the questions' own bills take tokens from the cache for computed
    ones where no answer tells of them.
    """

    generated: int | None = None
    cached_prompt: int | None = None
    judge_cached_prompt: int | None = None


class ReasonerSums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of the reports' reasoner ledgers.

    The servers' own count is null unless every report has one, or it was taken over all questions together.
    """

    generated_tokens: int
    prompt_tokens: int
    cached_prompt_tokens: int
    by_fate: TokensByFate
    overshoot_tokens: int
    server_generated_tokens: int | None
    moved_traces: int = 0
    reread_tokens: int = 0
    weighed_reads: float = 0.0


class JudgeSums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of the reports' judge ledgers."""

    calls: int
    pairs: int
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    seconds: float
    requests: int
    failures: int
    weighed_tokens: float


class CounterfactualSums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the `questions` with an estimate; the ends are sums too, so they cover 95 % or more."""

    generated_tokens: int | None
    low: int | None
    high: int | None
    questions: int


class LedgerSums(msgspec.Struct, frozen=True, kw_only=True):
    """The three ledgers; `equal_cost_votes` is the mean over the questions that have one."""

    reasoner: ReasonerSums
    judge: JudgeSums
    counterfactual: CounterfactualSums
    equal_cost_votes: float | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole summary.

    `graded` questions have a known gold answer, `answered` ones an answer. The interval of `accuracy` is
    Wilson's, 95 %. `policy` is null if the reports differ. `seconds` adds up the questions' own times, which
    may have passed side by side; `wall_seconds` passed meanwhile, null where several processes asked the questions.
    """

    questions: int
    answered: int
    graded: int
    correct: int
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    policy: str | None
    traces: TraceCounts
    ledger: LedgerSums
    saved: float | None
    net_saved: float | None
    seconds: float
    interrupted: int
    undecided_comparisons: int = 0
    wall_seconds: float | None = None


class SummaryLine(msgspec.Struct, frozen=True, kw_only=True):
    """The summary as it is written, schema 1."""

    schema: Literal[1]
    summary: Summary


def summarise(
    reports: Sequence[Report],
    counts: ServerCounts | None = None,
    wall_seconds: float | None = None,
) -> SummaryLine:
    """The summary of the reports of one run over several questions.

    Args:
        reports: of the questions.
        counts: what the servers have counted over all of them.
        wall_seconds: what all of them together have taken.
    """
    grades = [report.correct for report in reports if report.correct is not None]
    low, high = _wilson(sum(grades), len(grades))
    policies = {report.policy for report in reports}
    ledger = _ledger([report.ledger for report in reports], counts or ServerCounts())
    summary = Summary(
        questions=len(reports),
        answered=sum(report.answer is not None for report in reports),
        graded=len(grades),
        correct=sum(grades),
        accuracy=round(sum(grades) / len(grades), 4) if grades else None,
        accuracy_low=low,
        accuracy_high=high,
        policy=policies.pop() if len(policies) == 1 else None,
        traces=_sums(TraceCounts, [report.traces for report in reports]),
        ledger=ledger,
        saved=_saved(reports, None),
        net_saved=_saved(reports, ledger),
        seconds=_total(report.seconds for report in reports),
        interrupted=sum(report.interrupted for report in reports),
        undecided_comparisons=sum(report.undecided_comparisons for report in reports),
        wall_seconds=None if wall_seconds is None else round(wall_seconds, 3),
    )
    return SummaryLine(schema=1, summary=summary)


def _ledger(ledgers: Sequence[Ledger], counts: ServerCounts) -> LedgerSums:
    votes = [ledger.equal_cost_votes for ledger in ledgers if ledger.equal_cost_votes is not None]
    prices = next((ledger.prices for ledger in ledgers), None)
    return LedgerSums(
        reasoner=_reasoner([ledger.reasoner for ledger in ledgers], counts, prices),
        judge=_judge([ledger.judge for ledger in ledgers], counts.judge_cached_prompt, prices),
        counterfactual=_counterfactual([ledger.counterfactual for ledger in ledgers]),
        equal_cost_votes=round(sum(votes) / len(votes), 3) if votes else None,
    )


def _reasoner(
    bills: Sequence[ReasonerBill], counts: ServerCounts, prices: Prices | None
) -> ReasonerSums:
    counted = [
        bill.server_generated_tokens for bill in bills if bill.server_generated_tokens is not None
    ]
    generated = sum(counted) if counted and len(counted) == len(bills) else None
    prompt = sum(bill.prompt_tokens for bill in bills)
    cached = _cached(sum(bill.cached_prompt_tokens for bill in bills), prompt, counts.cached_prompt)
    reads = _total(bill.weighed_reads for bill in bills)
    if prices is not None and not prices.cached_prompt_token:  # all of it is for computed tokens
        reads = round(min(reads, (prompt - cached) * prices.prompt_token), 3)
    return ReasonerSums(
        generated_tokens=sum(bill.generated_tokens for bill in bills),
        prompt_tokens=prompt,
        cached_prompt_tokens=cached,
        by_fate=_sums(TokensByFate, [bill.by_fate for bill in bills]),
        overshoot_tokens=sum(bill.overshoot_tokens for bill in bills),
        server_generated_tokens=generated if counts.generated is None else counts.generated,
        moved_traces=sum(bill.moved_traces for bill in bills),
        reread_tokens=sum(bill.reread_tokens for bill in bills),
        weighed_reads=reads,
    )


def _judge(bills: Sequence[JudgeBill], counted: int | None, prices: Prices | None) -> JudgeSums:
    sums = _sums(JudgeSums, bills)
    cached = _cached(sums.cached_prompt_tokens, sums.prompt_tokens, counted)
    weighed = sums.weighed_tokens
    if prices is not None:
        less = prices.judge_prompt_token - prices.judge_cached_token
        weighed = round(weighed - less * (cached - sums.cached_prompt_tokens), 3)
    return msgspec.structs.replace(sums, cached_prompt_tokens=cached, weighed_tokens=weighed)


def _cached(told: int, prompt: int, counted: int | None) -> int:
    """The prompt tokens from the cache: those that the answers have told of, or those that the servers counted."""
    return told if counted is None else min(prompt, max(told, counted))


def _counterfactual(bills: Sequence[CounterfactualBill]) -> CounterfactualSums:
    known = [bill for bill in bills if bill.generated_tokens is not None]
    highs = [bill.high for bill in known if bill.high is not None]
    return CounterfactualSums(
        generated_tokens=sum(bill.generated_tokens or 0 for bill in known) if known else None,
        low=sum(bill.low for bill in known) if known else None,
        high=sum(highs) if known and len(highs) == len(known) else None,
        questions=len(known),
    )


def _saved(reports: Sequence[Report], net: LedgerSums | None) -> float | None:
    """The fraction of cons@N's tokens that was not spent, over the questions whose cons@N is known.

    `net` counts what was read as well: the questions' own bills of it, corrected as these sums are. None where it is
    not known of a question what was spent (`is_spent_known`).
    """
    if any(_is_spent_unknown(report) for report in reports):
        return None
    read = sum(_read(report.ledger) for report in reports)
    correction = 0.0 if net is None or not read else _read(net) / read
    spent, without = 0.0, 0.0
    for ledger in (report.ledger for report in reports):
        cost = ledger.counterfactual.generated_tokens
        if cost is not None:
            without += cost
            spent += ledger.reasoner.generated_tokens + correction * _read(ledger)
    return round(1 - spent / without, 4) if without else None


def _read(ledger: Ledger | LedgerSums) -> float:
    """What judge and reasoner have read, in generated reasoner tokens."""
    return ledger.judge.weighed_tokens + ledger.reasoner.weighed_reads


def _is_spent_unknown(report: Report) -> bool:
    known = report.ledger.counterfactual.generated_tokens and report.saved is None
    return bool(known) and report.ledger.reasoner.cancellation == "failed"


def _wilson(correct: int, graded: int) -> tuple[float | None, float | None]:
    """Wilson's 95 % interval of a fraction; unknown without trials."""
    if not graded:
        return None, None
    share, squared = correct / graded, _Z**2 / graded
    center = share + squared / 2
    spread = _Z * math.sqrt(share * (1 - share) / graded + squared / (4 * graded))
    low, high = ((center + sign * spread) / (1 + squared) for sign in (-1, 1))
    return round(max(0.0, low), 4), round(min(1.0, high), 4)


def _sums(kind: type[_Sums], rows: Sequence[msgspec.Struct]) -> _Sums:
    """The column sums of every field that `kind` has."""
    names = kind.__struct_fields__
    return kind(**{name: _total(getattr(row, name) for row in rows) for name in names})


def _total(values: Iterable[float]) -> float:
    """A sum that stays an integer for integers and does not show rounding dust otherwise."""
    total = sum(values)
    return total if isinstance(total, int) else round(total, 3)
