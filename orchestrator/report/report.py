"""The result of one question, schema 1: what it answered and an exact bill. Others script against it.

The rule: the same events give the same bytes; no clock and no chance enters. Every key is always present;
what is not known is null. Keys may be added, never renamed or taken away.

Tokens "by fate" add up to the generated tokens. A trace whose journal was cut before its end counts as
stopped. Figures are shares (0..1), tokens and seconds.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec

from orchestrator.capabilities import ServerCapabilities
from orchestrator.core.events import WarningKind
from orchestrator.errors import JournalError
from orchestrator.report.replicas import ReplicaTotals
from orchestrator.report.savings import Counterfactual, of_run
from orchestrator.report.trace_view import ClusterView, Ending
from orchestrator.report.view import RunView

__all__ = [
    "ClusterLine",
    "CounterfactualBill",
    "JudgeBill",
    "Ledger",
    "ReasonerBill",
    "ReplicaLine",
    "Report",
    "TokensByFate",
    "TraceCounts",
    "VoteLine",
    "WarningLine",
    "build_report",
    "read_report",
    "to_json_line",
    "weighed_judge_tokens",
]

Source = Literal["server_usage", "tokenizer", "chunks"]


class VoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """The ballots for one class of equal answers."""

    answer: str
    ballots: int
    weight: float


class TraceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many traces ended in which way.

    `planned` = `started` + `not_started`, and `started` = `finished` + `pruned` + `stopped` + `failed`.
    """

    planned: int
    started: int
    finished: int
    pruned: int
    stopped: int
    failed: int
    not_started: int = 0


class ClusterLine(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster; `answers` counts those of its finished members, most frequent first."""

    id: int
    size: int
    representative: int
    answers: dict[str, int]


class TokensByFate(msgspec.Struct, frozen=True, kw_only=True):
    """Generated tokens by the fate of their trace; those of `probes` belong to no trace."""

    finished: int
    pruned: int
    stopped: int
    failed: int
    probes: int = 0


class ReasonerBill(msgspec.Struct, frozen=True, kw_only=True):
    """The reasoner's tokens.

    `overshoot_tokens` (part of the pruned ones) were written past the checkpoint. `source` tells how tokens
    were counted: by the server, by their ids, or by the stream's chunks. `server_generated_tokens` is the
    servers' own counter over the run, null where it is missing or shared, where one of several servers was out, and for a
    resumed run. `moved_traces` went on with another server than the one with their cache, which had to read
    `reread_tokens` anew (part of the prompt tokens).
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


class ReplicaLine(msgspec.Struct, frozen=True, kw_only=True):
    """One of the reasoner's servers: the traces that had a stream there, and the tokens generated there.

    `tokens_per_second` is null for a server without streams, and counts only the time in which it had one. `faults` are streams
    that broke or were refused there; `seconds_out` is the time in which it got no streams because of them.
    """

    endpoint: str
    traces: int
    tokens: int
    tokens_per_second: float | None
    faults: int
    seconds_out: float


class WarningLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something odd about the reasoner's servers: its kind, how many traces it is about, and the last message.

    "wait": a server was away or asked to wait. "usage": counts that contradict what was sent; they are not on the bill.
    "token_ids": ids were left out, so those traces were not continued. "limit": a server went beyond the token limit, and its
    streams were closed.
    """

    warning: WarningKind
    traces: int
    message: str


class CounterfactualBill(msgspec.Struct, frozen=True, kw_only=True):
    """What cons@N would have generated; with method "none" `low` is a lower bound and no estimate."""

    policy: str
    generated_tokens: int | None
    low: int
    high: int | None
    method: Literal["observed", "kaplan-meier", "none"]


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The three ledgers; `equal_cost_votes` is the n for which cons@n costs what this run has cost."""

    reasoner: ReasonerBill
    judge: JudgeBill
    counterfactual: CounterfactualBill
    equal_cost_votes: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report. `interrupted` is also true for a journal that breaks off.

    `resumed` counts how often the run was killed and went on; what a server had generated but the journal had
    not received is on no bill.
    """

    schema: Literal[1]
    question_id: str
    answer: str | None
    correct: bool | None
    votes: list[VoteLine]
    policy: str
    traces: TraceCounts
    clusters: list[ClusterLine]
    ledger: Ledger
    saved: float | None
    net_saved: float | None
    seconds: float
    run_dir: str | None
    interrupted: bool
    resumed: int = 0
    warnings: list[WarningLine] = []
    replicas: list[ReplicaLine] = []


def build_report(view: RunView, *, run_dir: str | None) -> Report:
    """The report of a run, finished or not.

    Raises:
        JournalError: the events do not begin with a `RunStarted`.
    """
    if view.run is None:
        raise JournalError("This journal holds no run: it broke off before its first line.")
    cost = of_run(view)
    weighed = weighed_judge_tokens(view)
    return Report(
        schema=1,
        question_id=view.run.question_id,
        answer=view.answer,
        correct=_correct(view),
        votes=[VoteLine(answer=v.answer, ballots=v.count, weight=v.weight) for v in view.votes],
        policy=view.run.settings.policy.name,
        traces=_traces(view),
        clusters=[_cluster(view.clusters[number]) for number in sorted(view.clusters)],
        ledger=Ledger(
            reasoner=_reasoner(view, view.run.capabilities.reasoner),
            judge=_judge(view, weighed),
            counterfactual=_counterfactual(cost),
            equal_cost_votes=_equal_cost_votes(view, cost, weighed),
        ),
        saved=_saved(view.generated_tokens, cost),
        net_saved=_saved(view.generated_tokens + weighed, cost),
        seconds=round(view.elapsed, 3),
        run_dir=run_dir,
        interrupted=view.interrupted or view.finished is None,
        resumed=view.resumed,
        warnings=[
            WarningLine(warning=kind, traces=len(totals.traces), message=totals.message)
            for kind, totals in sorted(view.warnings.items())
        ],
        replicas=[_replica(row, view.elapsed) for row in view.replicas.rows.values()],
    )


def read_report(path: Path) -> Report | None:
    """A report that was written to a file; None if there is no such file.

    Raises:
        JournalError: the file holds no report.
    """
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(
            f"{path} is not a report that this version can read ({error}); restore it or delete it."
        ) from error


def to_json_line(result: msgspec.Struct) -> str:
    """A report or summary as one line of ASCII, so that text of a model cannot reach the terminal raw."""
    return json.dumps(msgspec.to_builtins(result), ensure_ascii=True, allow_nan=False)


def _correct(view: RunView) -> bool | None:
    """Whether the vote equals the gold answer; None without a gold answer or before it was checked."""
    if view.run is None or view.run.gold is None or view.finished is None:
        return None
    return view.answer in view.finished.correct_answers


def _traces(view: RunView) -> TraceCounts:
    fates = Counter(trace.fate for trace in view.traces.values())
    return TraceCounts(
        planned=view.planned,
        started=len(view.traces) - fates[None],
        finished=fates["finished"],
        pruned=fates["pruned"],
        stopped=fates["stopped"],
        failed=fates["failed"],
        not_started=fates[None],
    )


def _cluster(cluster: ClusterView) -> ClusterLine:
    answers = sorted(cluster.answers.items(), key=lambda item: (-item[1], item[0]))
    return ClusterLine(
        id=cluster.cluster,
        size=len(cluster.members),
        representative=cluster.representative,
        answers=dict(answers),
    )


def _replica(row: ReplicaTotals, now: float) -> ReplicaLine:
    pace = row.pace(now)
    return ReplicaLine(
        endpoint=row.endpoint,
        traces=len(row.traces),
        tokens=row.tokens,
        tokens_per_second=None if pace is None else round(pace, 1),
        faults=row.faults,
        seconds_out=round(row.seconds_out(now), 3),
    )


def _reasoner(view: RunView, server: ServerCapabilities) -> ReasonerBill:
    tokens: Counter[Ending | None] = Counter()
    for trace in view.traces.values():
        tokens[trace.fate] += trace.tokens
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
        ),
        overshoot_tokens=sum(trace.overshoot_tokens for trace in view.traces.values()),
        source=_source(server),
        server_generated_tokens=_server_generated(view),
        moved_traces=len(view.replicas.moved),
        reread_tokens=view.replicas.reread_tokens,
    )


def _server_generated(view: RunView) -> int | None:
    """The server's own count of the whole run, which none has where several processes carried it."""
    if view.finished is None or view.resumed:
        return None
    return view.finished.server_generated_tokens


def _source(reasoner: ServerCapabilities) -> Source:
    if reasoner.continuous_usage:
        return "server_usage"
    return "tokenizer" if reasoner.token_ids else "chunks"


def _judge(view: RunView, weighed: float) -> JudgeBill:
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
        weighed_tokens=round(weighed, 3),
    )


def weighed_judge_tokens(view: RunView) -> float:
    """The judge's bill in generated reasoner tokens, by the prices in the run's settings."""
    if view.run is None:
        return 0.0
    judge, prices = view.judge, view.run.settings.prices
    computed = judge.prompt_tokens - judge.cached_prompt_tokens + judge.completion_tokens
    cached = judge.cached_prompt_tokens
    return computed * prices.judge_token + cached * prices.judge_cached_token


def _counterfactual(cost: Counterfactual) -> CounterfactualBill:
    return CounterfactualBill(
        policy=f"cons@{cost.planned}",
        generated_tokens=None if cost.tokens is None else round(cost.tokens),
        low=round(cost.low),
        high=None if cost.high is None else round(cost.high),
        method=cost.method,
    )


def _equal_cost_votes(view: RunView, cost: Counterfactual, weighed: float) -> float | None:
    mean = cost.mean_length
    return None if mean is None else round((view.generated_tokens + weighed) / mean, 3)


def _saved(spent: float, cost: Counterfactual) -> float | None:
    """The share of cons@N's tokens that were not spent; negative when more were."""
    return None if not cost.tokens else round(1 - spent / cost.tokens, 4)
