"""Measures what sticky routing is worth: tokens of resumed traces that their server has in its cache.

    python -m tests.perf.sticky_routing [TRACES]

Three vLLM servers with the nano model; every trace is paused at its checkpoint, joined to one cluster by a judge that finds
all alike, and resumed. The same run is made with the routing of the program, and with one that gives each stream to the next
server in turn, as a router without affinity does.
"""

import asyncio
import contextlib
import dataclasses
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import deepprune
from orchestrator.core.events import TokensArrived, TraceResumed, TraceStarted
from orchestrator.journal.journal import read_journal
from orchestrator.local_vllm.server import serve_vllm
from orchestrator.runtime.endpoints import nano_models
from orchestrator.runtime.routing import Placement, Routing
from tests.support.paced_servers import PacedServers

QUESTION = "Anna has 32 candles. She shares the candles equally with 3 friends. How many candles does she have?"
QUESTIONS = Path(__file__).parents[2] / "nano" / "data" / "questions.jsonl"
SERVERS = 3


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Inside, each stream goes to the next server, whoever has its cache."""
    turns = count()

    def placed(routing: Routing, now: float) -> Placement | None:
        stream = next(iter(routing._waiting))
        number = next(turns) % len(routing.replicas)
        return Placement(stream, number, None) if routing.replicas[number].has_room(now) else None

    with patch.object(Routing, "_next", placed):
        yield


COLUMNS = (
    "| traces begun on each server | resumed | moved | their prompt tokens | cached | read anew |"
)


class Resumed(NamedTuple):
    """The resumed streams of a run: their prompt tokens, and how many of these their servers had in the cache, by usage."""

    streams: int
    moved: int
    prompt: int
    cached: int

    traces: Sequence[Sequence[int]]
    """That began on each server, by run."""

    def __str__(self) -> str:
        """A row of a table in Markdown; `COLUMNS` is its head."""
        cells = (
            "; ".join(" + ".join(map(str, each)) for each in self.traces),
            self.streams,
            self.moved,
            f"{self.prompt:,}",
            f"{self.cached:,} ({self.cached / self.prompt:.1%})",
            f"{self.prompt - self.cached:,}",
        )
        return f"| {' | '.join(map(str, cells))} |"


def resumed_streams(run_dir: Path) -> list[tuple[int, int]]:
    """Prompt and cached tokens of each resumed stream that came to its end, where the server tells them."""
    told: dict[int, tuple[int, int]] = {}
    streams: list[tuple[int, int]] = []
    for entry in read_journal(run_dir):
        if isinstance(entry, TraceResumed):
            told[entry.trace] = (entry.prompt_tokens, entry.cached_prompt_tokens)
        elif isinstance(entry, TokensArrived) and entry.trace in told:
            if entry.prompt_tokens is not None:
                told[entry.trace] = (entry.prompt_tokens, entry.cached_prompt_tokens or 0)
            if entry.finish_reason is not None:
                streams.append(told.pop(entry.trace))
    return streams


def started_traces(run_dir: Path) -> list[int]:
    """How many traces began on each server."""
    begun = Counter(
        each.endpoint for each in read_journal(run_dir) if isinstance(each, TraceStarted)
    )
    return list(begun.values())


async def measured(
    urls: Sequence[str], judge: str, traces: int, out: Path, questions: Sequence[str]
) -> Resumed:
    """Runs whose traces are all paused at their checkpoint and resumed."""
    async with deepprune.Client(
        urls,
        judge=judge,
        preset="nano",
        traces=traces,
        out=out,
        settings={"policy.survivors": traces, "checkpoint.words": 10},
    ) as client:
        results = [await client.ask(question) for question in questions]
    folders = [each.run_dir for each in results if each.run_dir is not None]
    assert len(folders) == len(results)
    streams = [stream for folder in folders for stream in resumed_streams(folder)]
    return Resumed(
        streams=len(streams),
        moved=sum(each.usage.reasoner.moved_traces for each in results),
        prompt=sum(prompt for prompt, _ in streams),
        cached=sum(cached for _, cached in streams),
        traces=[started_traces(folder) for folder in folders],
    )


async def compared(
    urls: Sequence[str], traces: int, out: Path, first: int = 0
) -> dict[str, Resumed]:
    """The runs with either routing, by its name; of other questions, as the caches hold the texts of the earlier ones."""
    questions = [str(json.loads(line)["question"]) for line in QUESTIONS.read_text().splitlines()]
    async with PacedServers().serving() as paced:
        asked = questions[first : first + 2]
        sticky = await measured(urls, paced.judge.url, traces, out, asked)
        with in_turn():
            asked = questions[first + 2 : first + 4]
            spread = await measured(urls, paced.judge.url, traces, out, asked)
    return {"sticky": sticky, "in turn": spread}


async def main(traces: int) -> None:
    """Prints both runs, twice each, as a table."""
    model = dataclasses.replace(nano_models(with_judge=True)["reasoner"], kv_cache_gib=1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        async with contextlib.AsyncExitStack() as stack:
            servers = [serve_vllm(model, log=out / f"{n}.log") for n in range(SERVERS)]
            urls = list(await asyncio.gather(*map(stack.enter_async_context, servers)))
            print(f"| routing {COLUMNS}\n{'|---' * 7}|")
            for number in range(2):
                for name, seen in (await compared(urls, traces, out, 4 * number)).items():
                    print(f"| {name} {seen}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 64))
