"""The ledger of a report: what the reasoner and the judge have cost, and what a plain vote would have cost.

Tokens "by fate" add up to the generated tokens.
"""

from collections import Counter
from typing import Literal

import msgspec

from orchestrator.capabilities import ServerCapabilities
from orchestrator.report.pricing import (
    Prices,
    prices_of,
    spent_tokens,
    weighed_judge_tokens,
    weighed_reads,
)
from orchestrator.report.savings import Counterfactual
from orchestrator.report.trace_view import Ending
from orchestrator.report.view import RunView

__all__ = [
    "CounterfactualBill",
    "JudgeBill",
    "Ledger",
    "ReasonerBill",
    "TokensByFate",
    "TokensBySource",
    "is_spent_known",
    "ledger_of",
]

Source = Literal["server_usage", "tokenizer", "chunks"]
Cancellation = Literal["confirmed", "failed", "unknown"]


class TokensByFate(msgspec.Struct, frozen=True, kw_only=True):
    """Generated tokens by the fate of their trace; those of `probes` and `regenerations` belong to no trace that votes."""

    finished: int
    pruned: int
    stopped: int
    failed: int
    probes: int = 0
    regenerations: int = 0


class TokensBySource(msgspec.Struct, frozen=True, kw_only=True):
    """Generated tokens by what counted them: the server's usage, the ids that came, or events with text (no exact count)."""

    server_usage: int = 0
    tokenizer: int = 0
    chunks: int = 0


class ReasonerBill(msgspec.Struct, frozen=True, kw_only=True):
    """The reasoner's tokens.

    `overshoot_tokens` (part of the pruned ones) were written past the checkpoint. `source` tells how tokens
    were counted: by the server, by their ids, or by the stream's chunks; with several (`by_source`), the least exact.
    `cancellation` tells whether closed streams were seen to stop the generation: where it failed, the engine generated
    more than these tokens, and nothing is known to be saved. `server_generated_tokens` is the
    servers' own counter over the run, null where it is missing or shared, where one of several servers was out, and for a
    resumed run. `moved_traces` went on with another server than the one with their cache, which had to read
    `reread_tokens` anew (part of the prompt tokens). `weighed_reads` is what probes and continued traces read, in generated
    tokens, by the prices in the settings; the first prompts are left out, because cons@N reads them as well.
    """

    generated_tokens: int
    prompt_tokens: int
    cached_prompt_tokens: int
    by_fate: TokensByFate
    overshoot_tokens: int
    source: Source
    server_generated_tokens: int | None
    moved_traces: int = 0
    reread_tokens: int = 0
    by_source: TokensBySource = TokensBySource()
    cancellation: Cancellation = "unknown"
    weighed_reads: float = 0.0


class JudgeBill(msgspec.Struct, frozen=True, kw_only=True):
    """The judge's bill.

    Beyond the agreed keys, `requests` counts HTTP requests behind the calls, `failures` calls without a
    verdict, and `pruning_off_since` is the second from which the judge gave no more verdicts (null: it
    worked to the end). `weighed_tokens` is the whole bill in generated reasoner tokens, by the prices in the settings.
    """

    calls: int
    pairs: int
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    seconds: float
    requests: int
    failures: int
    pruning_off_since: float | None
    weighed_tokens: float


class CounterfactualBill(msgspec.Struct, frozen=True, kw_only=True):
    """What cons@N would have generated; with method "none" `low` is a lower bound and no estimate."""

    policy: str
    generated_tokens: int | None
    low: int
    high: int | None
    method: Literal["observed", "kaplan-meier", "none"]


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The three ledgers; `equal_cost_votes` is the n for which cons@n costs what this run has cost.

    That cost, and `net_saved`, are generated tokens, `weighed_reads` and the judge's `weighed_tokens`. `prices` is null in
    reports of before.
    """

    reasoner: ReasonerBill
    judge: JudgeBill
    counterfactual: CounterfactualBill
    equal_cost_votes: float | None
    prices: Prices | None = None


def ledger_of(view: RunView, server: ServerCapabilities, cost: Counterfactual) -> Ledger:
    """The ledger of a run on `server`; `cost` is what cons@N would have cost."""
    return Ledger(
        reasoner=_reasoner(view, server),
        judge=_judge(view),
        counterfactual=_counterfactual(cost),
        equal_cost_votes=_equal_cost_votes(view, cost) if is_spent_known(view) else None,
        prices=prices_of(view),
    )


def is_spent_known(view: RunView) -> bool:
    """Whether the engine generated what the bill says, and no more behind streams that were closed."""
    if view.run is None or view.run.capabilities.reasoner.stops_when_closed is not False:
        return True
    return all(trace.ending in (None, "finished") for trace in view.traces.values())


def _reasoner(view: RunView, server: ServerCapabilities) -> ReasonerBill:
    tokens: Counter[Ending | None] = Counter()
    for trace in view.traces.values():
        tokens[trace.fate] += trace.tokens
    by_source = _by_source(view, server)
    return ReasonerBill(
        generated_tokens=view.generated_tokens,
        prompt_tokens=view.prompt_tokens,
        cached_prompt_tokens=view.cached_prompt_tokens,
        by_fate=TokensByFate(
            finished=tokens["finished"],
            pruned=tokens["pruned"],
            stopped=tokens["stopped"],
            failed=tokens["failed"],
            probes=view.probes.tokens,
            regenerations=sum(trace.tokens for trace in view.regenerations.values()),
        ),
        overshoot_tokens=sum(trace.overshoot_tokens for trace in view.traces.values()),
        source=_least_exact(by_source, server),
        server_generated_tokens=_server_generated(view),
        moved_traces=len(view.replicas.moved),
        reread_tokens=view.replicas.reread_tokens,
        by_source=by_source,
        cancellation=_CANCELLATION[server.stops_when_closed],
        weighed_reads=round(weighed_reads(view), 3),
    )


def _server_generated(view: RunView) -> int | None:
    """The server's own count of the whole run, which none has where several processes carried it."""
    if view.finished is None or view.resumed:
        return None
    return view.finished.server_generated_tokens


_CANCELLATION: dict[bool | None, Cancellation] = {
    True: "confirmed",
    False: "failed",
    None: "unknown",
}


def _by_source(view: RunView, server: ServerCapabilities) -> TokensBySource:
    """A server that counts at the end of a stream alone has counted the traces that reached it."""
    tokens = view.generated_tokens
    if server.continuous_usage:
        return TokensBySource(server_usage=tokens)
    if server.token_ids:
        return TokensBySource(tokenizer=tokens)
    whole = [trace.tokens for trace in view.traces.values() if trace.ending == "finished"]
    counted = sum(whole) if server.final_usage else 0
    return TokensBySource(server_usage=counted, chunks=tokens - counted)


def _least_exact(counted: TokensBySource, server: ServerCapabilities) -> Source:
    """Of a run without tokens: what would have counted them."""
    if counted.chunks or not (server.continuous_usage or server.token_ids or counted.server_usage):
        return "chunks"
    return "tokenizer" if server.token_ids and not server.continuous_usage else "server_usage"


def _judge(view: RunView) -> JudgeBill:
    judge = view.judge
    return JudgeBill(
        calls=judge.calls,
        pairs=judge.pairs,
        prompt_tokens=judge.prompt_tokens,
        cached_prompt_tokens=judge.cached_prompt_tokens,
        completion_tokens=judge.completion_tokens,
        seconds=round(judge.seconds, 3),
        requests=judge.requests,
        failures=judge.failures,
        pruning_off_since=judge.pruning_off_since,
        weighed_tokens=round(weighed_judge_tokens(view), 3),
    )


def _counterfactual(cost: Counterfactual) -> CounterfactualBill:
    return CounterfactualBill(
        policy=f"cons@{cost.planned}",
        generated_tokens=None if cost.tokens is None else round(cost.tokens),
        low=round(cost.low),
        high=None if cost.high is None else round(cost.high),
        method=cost.method,
    )


def _equal_cost_votes(view: RunView, cost: Counterfactual) -> float | None:
    mean = cost.mean_length
    return None if mean is None else round(spent_tokens(view) / mean, 3)
