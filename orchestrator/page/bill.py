"""The bill as rows of a table: what was generated and read, and what a plain vote would have cost."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from orchestrator.report.ledger import CounterfactualBill, JudgeBill, ReasonerBill
from orchestrator.report.report import Report

__all__ = ["BillRow", "bill_rows"]

_METHODS = {
    "observed": "exact: all traces finished",
    "kaplan-meier": "Kaplan-Meier estimate",
    "none": "no trace finished: a lower bound",
}
_SOURCES = {
    "server_usage": "counted by the server",
    "tokenizer": "counted by token ids",
    "chunks": "counted by stream chunks, not exact",
}


class BillRow(NamedTuple):
    """A line of the bill, in tokens; None for what is not known. Parts of the line above are indented."""

    label: str
    tokens: float | None
    note: str = ""
    part: bool = False


def bill_rows(report: Report) -> list[BillRow]:
    """All lines of a report's three bills."""
    ledger = report.ledger
    return [
        *_reasoner(ledger.reasoner),
        *_judge(ledger.judge),
        _without(ledger.counterfactual),
    ]


def _reasoner(bill: ReasonerBill) -> Iterator[BillRow]:
    source = _SOURCES[bill.source]
    if bill.cancellation == "failed":
        source += "; closed streams went on in the engine, which is not in this bill"
    yield BillRow("generated", bill.generated_tokens, source)
    for fate, tokens in msgspec.structs.asdict(bill.by_fate).items():
        past = f"{bill.overshoot_tokens:,} of them past the checkpoint"
        note = past if fate == "pruned" and bill.overshoot_tokens else ""
        if tokens:
            yield BillRow(fate, tokens, note, part=True)
    yield BillRow("prompts read", bill.prompt_tokens)
    yield BillRow("cached", bill.cached_prompt_tokens, part=True)
    if bill.moved_traces:
        note = f"by servers to which {bill.moved_traces} traces moved"
        yield BillRow("read again", bill.reread_tokens, note, part=True)


def _judge(bill: JudgeBill) -> Iterator[BillRow]:
    if not bill.calls and not bill.failures:
        return
    failed = f", {bill.failures} failed" if bill.failures else ""
    note = f"{bill.calls:,} calls, {bill.pairs:,} pairs, {bill.seconds:.1f} s{failed}"
    yield BillRow("judge", bill.prompt_tokens + bill.completion_tokens, note)
    yield BillRow("cached", bill.cached_prompt_tokens, part=True)
    yield BillRow("in reasoner tokens", bill.weighed_tokens, "by the prices in the settings", True)


def _without(cost: CounterfactualBill) -> BillRow:
    note = _METHODS[cost.method]
    if cost.generated_tokens is not None and cost.low != cost.high:
        high = "?" if cost.high is None else f"{cost.high:,}"
        note += f", 95 %: {cost.low:,} to {high}"
    if cost.generated_tokens is None:
        return BillRow(f"{cost.policy} instead", None, f"at least {cost.low:,}")
    return BillRow(f"{cost.policy} instead", cost.generated_tokens, note)
