"""Pairs per second of a served judge, with one request per pair and with batched requests: `deepprune-judge throughput`.

The methods are timed in turn, over several rounds, so that other load on the machine affects all of them.

Every new trace is sent once in the whole measurement, so that no method finds in the server's prefix cache
what another has left there.
"""

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from judge_server.data.traces import TraceRow, group_by_question
from judge_server.data.truncation import Truncation, TruncationRules, cut_text
from orchestrator.client.judge.client import JudgeClient
from orchestrator.config.keys import JUDGE_KEY, key_from
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import DatasetError, first_error
from orchestrator.settings import JudgeSettings
from orchestrator.terminal.numbers import format_rate

__all__ = [
    "Comparison",
    "QueryMethod",
    "ThroughputOptions",
    "comparisons_of",
    "measure_throughput",
    "throughput_table",
]

TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class ThroughputOptions:
    """The size of a measurement; `judge_server.cli.throughput` describes each flag."""

    repeats: int = 5
    new: int = 4
    members: int = 32
    batch: int = 64
    concurrency: int = 32


class Comparison(NamedTuple):
    """A new segment and the members that it is compared with, all of one question."""

    question: str
    new: str
    members: tuple[str, ...]


@dataclass
class QueryMethod:
    """One way to ask, and its measurements: pairs per second in each repeat, and totals."""

    name: str
    dialect: str
    batch: int
    rates: list[float] = field(default_factory=list)
    pairs: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int | None = 0


def methods_for(spec: JudgeSpec, batch: int) -> list[QueryMethod]:
    """One request per pair first: the others are compared with it."""
    if spec.kind == "classification":
        return [
            QueryMethod("one request per pair", "classify", 1),
            QueryMethod("batched", "classify", batch),
        ]
    if spec.kind == "embedding-head":
        return [
            QueryMethod("one request per pair", "embeddings", 1),
            QueryMethod("batched", "embeddings", batch),
        ]
    return [
        QueryMethod("one request per pair", "generative_scoring", 1),
        QueryMethod("one request per pair", "completions", 1),
        QueryMethod("batched", "generative_scoring", batch),
    ]


def comparisons_of(rows: Iterable[TraceRow], spec: JudgeSpec, members: int) -> list[Comparison]:
    """Every trace once as the new one, against the `members` traces that follow it cyclically.

    Questions of at most `members` traces are left out.
    """
    rules = TruncationRules(Truncation(spec.segment_words))
    comparisons = []
    for traces in group_by_question(rows).values():
        segments = [cut_text(row.text, rules).text for row in traces]
        if len(segments) <= members:
            continue
        for number, new in enumerate(segments):
            others = itertools.islice(itertools.cycle(segments), number + 1, number + 1 + members)
            comparisons.append(Comparison(traces[0].question, new, tuple(others)))
    return comparisons


async def measure_throughput(
    url: str, spec: JudgeSpec, comparisons: Sequence[Comparison], options: ThroughputOptions
) -> list[QueryMethod]:
    """The methods with their measurements.

    Raises:
        DatasetError: there are too few traces to send each only once.
        EndpointError, JudgeError: a server that fails.
    """
    methods = methods_for(spec, options.batch)
    needed = len(methods) * (1 + options.repeats * options.new)
    if len(comparisons) < needed:
        raise DatasetError(
            f"{needed} traces are needed, of questions with more than {options.members} traces each, and "
            f"there are {len(comparisons)}: give more traces, or lower --repeats, --new or --members."
        )
    unused = iter(comparisons)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(_client(url, spec, method, options))
            for method in methods
        ]
        for client in clients:
            await client.probe()
            await _ask(client, [next(unused)])  # untimed: opens connections, warms the server up
        for _ in range(options.repeats):
            for method, client in zip(methods, clients, strict=True):
                await _time(method, client, list(itertools.islice(unused, options.new)))
    return methods


def throughput_table(methods: Sequence[QueryMethod]) -> Iterator[str]:
    """The lines of a Markdown table; the ratio is the median over repeats of rate / first method's rate."""
    yield (
        "| way | dialect | pairs | requests | prompt tokens/pair (cached) | pairs/s, median | least to most "
        "| ratio, median | least to most |"
    )
    yield "|---" * 9 + "|"
    for method in methods:
        ratios = [rate / first for rate, first in zip(method.rates, methods[0].rates, strict=True)]
        cells = [
            method.name if method.batch == 1 else f"{method.name}, {method.batch} at most",
            f"`{method.dialect}`",
            f"{method.pairs:,}",
            f"{method.requests:,}",
            _tokens_per_pair(method),
            format_rate(statistics.median(method.rates)),
            f"{format_rate(min(method.rates))} to {format_rate(max(method.rates))}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def _client(
    url: str, spec: JudgeSpec, method: QueryMethod, options: ThroughputOptions
) -> JudgeClient:
    settings = JudgeSettings.model_validate(
        {
            "url": url,
            "dialect": method.dialect,
            "batch": method.batch,
            "concurrency": options.concurrency,
            "timeout_seconds": TIMEOUT_SECONDS,
            "max_attempts": 1,
        }
    )
    return JudgeClient(settings, spec, key_from(os.environ, JUDGE_KEY))


async def _time(
    method: QueryMethod, client: JudgeClient, comparisons: Sequence[Comparison]
) -> None:
    """Adds one repeat to the method's measurements."""
    before = await client.counters()
    began = time.perf_counter()
    method.requests += await _ask(client, comparisons)
    seconds = time.perf_counter() - began
    after = await client.counters()
    pairs = sum(len(comparison.members) for comparison in comparisons)
    method.rates.append(pairs / seconds)
    method.pairs += pairs
    if before is None or after is None:
        method.cached_tokens = None
        return
    method.prompt_tokens += after.prompt_tokens - before.prompt_tokens
    if method.cached_tokens is not None:
        cached = (after.prompt_tokens_cached or 0) - (before.prompt_tokens_cached or 0)
        method.cached_tokens += cached


async def _ask(client: JudgeClient, comparisons: Sequence[Comparison]) -> int:
    """The number of requests sent. Raises JudgeError for a pair without a verdict."""
    try:
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(
                    client.score(question=one.question, new=one.new, members=one.members)
                )
                for one in comparisons
            ]
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return sum(call.result().requests for call in calls)


def _tokens_per_pair(method: QueryMethod) -> str:
    if method.cached_tokens is None:
        return "–"
    return (
        f"{method.prompt_tokens / method.pairs:,.0f} ({method.cached_tokens / method.pairs:,.0f})"
    )
