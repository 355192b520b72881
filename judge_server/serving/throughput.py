"""How many pairs a served judge compares in a second, one request per pair against batched requests.

    python -m judge_server.serving.throughput --judge-endpoint URL --spec nano --traces traces.jsonl

The ways are timed in turn, again and again, so that whatever else the machine does falls on all of them. The
rule: every new trace is shown once in the whole measurement, so no way finds in the server's prefix cache what
another has left there; what batching saves, it saves by its own shape. Prints a Markdown table.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from judge_server.data.traces import TraceRow, group_by_question, read_traces
from orchestrator.cli.argtypes import positive
from orchestrator.client.judge.client import JudgeClient
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.core.segment import Segmenter
from orchestrator.errors import DatasetError, DeepPruneError, first_error
from orchestrator.settings import JudgeSettings

__all__ = ["Task", "Way", "main", "measure", "tasks_of"]

TIMEOUT_SECONDS = 600.0


class Task(NamedTuple):
    """A new segment and the members it is compared with, all of one question."""

    question: str
    new: str
    members: tuple[str, ...]


@dataclass
class Way:
    """One way to ask, and what was measured of it: pairs per second, by repeat."""

    name: str
    dialect: str
    batch: int
    rates: list[float] = field(default_factory=list)
    pairs: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int | None = 0


def ways_for(spec: JudgeSpec, batch: int) -> list[Way]:
    """One request per pair first: the others are compared with it."""
    if spec.kind == "classification":
        return [Way("one request per pair", "classify", 1), Way("batched", "classify", batch)]
    return [
        Way("one request per pair", "generative_scoring", 1),
        Way("one request per pair", "completions", 1),
        Way("batched", "generative_scoring", batch),
    ]


def tasks_of(rows: Iterable[TraceRow], spec: JudgeSpec, members: int) -> list[Task]:
    """Every trace once as the new one, against the `members` that follow it in a circle.

    Questions of at most `members` traces are passed over.
    """
    tasks = []
    for traces in group_by_question(rows).values():
        segments = [_segment(row.text, spec) for row in traces]
        if len(segments) <= members:
            continue
        for number, new in enumerate(segments):
            circle = itertools.islice(itertools.cycle(segments), number + 1, number + 1 + members)
            tasks.append(Task(traces[0].question, new, tuple(circle)))
    return tasks


def _segment(text: str, spec: JudgeSpec) -> str:
    segmenter = Segmenter(words=spec.segment_words)
    segmenter.feed(text, 0)
    return text[: segmenter.finish().chars]


async def measure(
    url: str, spec: JudgeSpec, tasks: Sequence[Task], arguments: argparse.Namespace
) -> list[Way]:
    """The ways with their figures. Raises DatasetError if there are too few traces to show each only once."""
    ways = ways_for(spec, arguments.batch)
    needed = len(ways) * (1 + arguments.repeats * arguments.new)
    if len(tasks) < needed:
        raise DatasetError(
            f"{needed} traces are needed, of questions with more than {arguments.members} traces each, and "
            f"there are {len(tasks)}: give more traces, or lower --repeats, --new or --members."
        )
    left = iter(tasks)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(_client(url, spec, way, arguments)) for way in ways
        ]
        for client in clients:
            await client.probe()
            await _ask(client, [next(left)])  # untimed: connections and the first slow answer
        for _ in range(arguments.repeats):
            for way, client in zip(ways, clients, strict=True):
                await _time(way, client, list(itertools.islice(left, arguments.new)))
    return ways


def _client(url: str, spec: JudgeSpec, way: Way, arguments: argparse.Namespace) -> JudgeClient:
    settings = JudgeSettings.model_validate(
        {
            "url": url,
            "dialect": way.dialect,
            "batch": way.batch,
            "concurrency": arguments.concurrency,
            "timeout_seconds": TIMEOUT_SECONDS,
            "max_attempts": 1,
        }
    )
    return JudgeClient(settings, spec, os.environ.get("DEEPPRUNE_JUDGE_API_KEY"))


async def _time(way: Way, client: JudgeClient, tasks: Sequence[Task]) -> None:
    """Adds one repeat to the way's figures."""
    before = await client.counters()
    began = time.perf_counter()
    way.requests += await _ask(client, tasks)
    seconds = time.perf_counter() - began
    after = await client.counters()
    pairs = sum(len(task.members) for task in tasks)
    way.rates.append(pairs / seconds)
    way.pairs += pairs
    if before is None or after is None:
        way.cached_tokens = None
        return
    way.prompt_tokens += after.prompt_tokens - before.prompt_tokens
    if way.cached_tokens is not None:
        way.cached_tokens += (after.prompt_tokens_cached or 0) - (before.prompt_tokens_cached or 0)


async def _ask(client: JudgeClient, tasks: Sequence[Task]) -> int:
    """The number of requests that it took. Raises JudgeError for a pair without a verdict."""
    try:
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(
                    client.score(question=task.question, new=task.new, members=task.members)
                )
                for task in tasks
            ]
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return sum(call.result().requests for call in calls)


def table(ways: Sequence[Way]) -> Iterator[str]:
    """The lines of a Markdown table; the ratio is the median over repeats of rate / first way's rate."""
    yield (
        "| way | dialect | pairs | requests | prompt tokens/pair (cached) | pairs/s, median | least to most "
        "| ratio, median | least to most |"
    )
    yield "|---" * 9 + "|"
    for way in ways:
        ratios = [rate / first for rate, first in zip(way.rates, ways[0].rates, strict=True)]
        cells = [
            way.name if way.batch == 1 else f"{way.name}, {way.batch} at most",
            f"`{way.dialect}`",
            f"{way.pairs:,}",
            f"{way.requests:,}",
            _tokens(way),
            f"{statistics.median(way.rates):,.1f}",
            f"{min(way.rates):,.1f} to {max(way.rates):,.1f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def _tokens(way: Way) -> str:
    if way.cached_tokens is None:
        return "–"
    return f"{way.prompt_tokens / way.pairs:,.0f} ({way.cached_tokens / way.pairs:,.0f})"


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = _parser().parse_args(argv)
    try:
        spec = judge_spec(arguments.spec)
        tasks = tasks_of(read_traces(arguments.traces), spec, arguments.members)
        ways = asyncio.run(measure(arguments.judge_endpoint, spec, tasks, arguments))
    except DeepPruneError as error:
        print(f"throughput: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(*table(ways), sep="\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m judge_server.serving.throughput",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--judge-endpoint", required=True, metavar="URL")
    parser.add_argument("--spec", default="nano", help="a name in configs/judges, or a YAML file")
    parser.add_argument("--traces", type=Path, required=True, help="JSON lines of traces")
    for flag, default, meaning in (
        ("--repeats", 5, "times that each way is timed"),
        ("--new", 4, "new traces in one repeat of one way"),
        ("--members", 32, "members for each new trace"),
        ("--batch", 64, "pairs in one batched request"),
        ("--concurrency", 32, "requests at once, every way"),
    ):
        parser.add_argument(flag, type=positive, default=default, help=f"{meaning} ({default})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
