"""A replica of three that is killed with SIGKILL while traces run on it, and returns."""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import deepprune
from orchestrator.core.events import (
    TokensArrived,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)
from orchestrator.journal.journal import read_journal
from orchestrator.report.result import Result
from tests.faults.invariants import of_any_server, under_way_on_vllm, unexplained
from tests.faults.runs import Outcome
from tests.faults.vllm_fleet import Replica, VllmFleet
from tests.perf.sticky_routing import QUESTION

__all__ = ["Loss", "lose_a_replica", "losses_table"]

_TRACES = 64
_SIDE_BY_SIDE = 16
"""Questions of a policy that starts only a few traces for each."""
_VICTIM = 1
_TOKENS = (30, 200)
"""That have come from the victim before it is killed."""
_SHORTEST_TRACE = 400
"""Tokens. Traces of the nano model may be written whole before a busy client has read their first tokens."""
_SETTINGS = {
    "sampling.extra": {"min_tokens": _SHORTEST_TRACE},
    "endpoint.check_cancellation": False,
    "endpoint.breaker_seconds": 2.0,
    "endpoint.health_seconds": 0.5,
}


@dataclass
class Loss:
    """What was seen of the killed replica (`there`) and the others (`elsewhere`), in tokens."""

    outcome: Outcome
    billed_there: int = 0
    written_elsewhere: int = 0
    billed_elsewhere: int = 0
    seconds_out: float = 0.0
    traces_back: list[list[int]] = field(default_factory=list)
    """Of each replica, in the two runs after the return; the killed one is the second, and the first run tries it."""


async def lose_a_replica(fleet: VllmFleet, policy: str, random: np.random.Generator) -> Loss:
    """A run during which a replica is killed, and two runs of the same client after its return."""
    loss = Loss(Outcome(policy=f"{policy}, a replica is killed", seed=0))
    victim = fleet.replicas[_VICTIM]
    asked = [QUESTION] * (_SIDE_BY_SIDE if policy == "auto" else 1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        async with deepprune.Client(
            fleet.urls,
            judge=fleet.judge,
            policy=policy,
            preset="nano",
            traces=_TRACES,
            out=out,
            settings=_SETTINGS,
        ) as client:
            before = await fleet.generated()
            killer = _Killer(victim, int(random.integers(*_TOKENS)))
            first = await asyncio.gather(*(killer.watch(client, question) for question in asked))
            loss.outcome.faults["kill -9 of a replica"] += killer.has_killed
            after = await fleet.generated(but=victim)
            loss.written_elsewhere = sum(after) - sum(before) + before[_VICTIM]
            if not killer.has_killed:  # no trace ran there any more, which `_examine` finds
                await victim.kill()
            await victim.start_again()
            await asyncio.sleep(2 * client.settings.endpoint.health_seconds)
            trial, second = [await _results(client, asked) for _ in range(2)]
        _examine(loss, first, (trial, second), victim.url)
    return loss


@dataclass
class _Killer:
    """Kills a replica as soon as traces on it have received so many tokens, while one of them runs."""

    victim: Replica
    tokens: int
    has_killed: bool = False

    async def watch(self, client: deepprune.Client, question: str) -> Result:
        """The result of a question whose events count."""
        here: set[int] = set()
        async with client.stream(question) as events:
            async for event in events:
                if isinstance(event, TraceStarted | TraceResumed):
                    (here.add if event.endpoint == self.victim.url else here.discard)(event.trace)
                elif isinstance(event, TracePaused | TraceFinished | TraceStopped):
                    here.discard(event.trace)
                elif isinstance(event, TokensArrived) and event.trace in here:
                    self.tokens -= len(event.token_ids)
                if self.tokens <= 0 and here and not self.has_killed:
                    self.has_killed = True
                    await self.victim.kill()
        return events.result


async def _results(client: deepprune.Client, asked: Sequence[str]) -> list[Result]:
    return [result async for result in client.ask_many(asked)]


def _examine(
    loss: Loss, first: Sequence[Result], back: Sequence[Sequence[Result]], victim: str
) -> None:
    """Adds what does not hold: of every run, and of the tokens that were there before the kill."""
    outcome = loss.outcome
    for result in (*first, *itertools.chain(*back)):
        outcome.violations += of_any_server(_folder(result), result.report)
        outcome.add_traces(result.report)
    if outcome.traces["failed"]:
        outcome.violations.append(f"{outcome.traces['failed']} traces failed")
    outcome.moved = sum(result.usage.reasoner.moved_traces for result in first)
    if not outcome.moved:
        outcome.violations.append("no trace ran on the replica when it was killed")
    _compare(loss, first, victim)
    for results in back:
        traces: Counter[str] = Counter()
        for result in results:
            traces.update({line.endpoint: line.traces for line in result.report.replicas})
        loss.traces_back.append(list(traces.values()))
        if not traces[victim]:
            outcome.violations.append("the replica that came back got no trace")


def _compare(loss: Loss, results: Sequence[Result], victim: str) -> None:
    """The other replicas wrote what is on the bill for them: nothing that the killed one had written before."""
    lines = [line for result in results for line in result.report.replicas]
    loss.billed_there = sum(line.tokens for line in lines if line.endpoint == victim)
    loss.billed_elsewhere = sum(line.tokens for line in lines if line.endpoint != victim)
    loss.seconds_out = max(line.seconds_out for line in lines if line.endpoint == victim)
    outcome = loss.outcome
    outcome.tokens = loss.written_elsewhere
    outcome.unseen = loss.written_elsewhere - loss.billed_elsewhere
    under_way = sum(under_way_on_vllm(read_journal(_folder(result))) for result in results)
    outcome.violations += unexplained(outcome.tokens, outcome.unseen, 0, under_way=under_way)


def _folder(result: Result) -> Path:
    if result.run_dir is None:
        raise AssertionError("the run has no journal")
    return result.run_dir


def losses_table(losses: Sequence[Loss]) -> str:
    """The figures of the killed replica in Markdown."""
    lines = [
        "| run | traces moved | failed | kept of the killed one | the others wrote | billed | seconds out | traces after the return |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for loss in losses:
        cells = [
            loss.outcome.policy,
            loss.outcome.moved,
            loss.outcome.traces["failed"],
            f"{loss.billed_there:,}",
            f"{loss.written_elsewhere:,}",
            f"{loss.billed_elsewhere:,}",
            f"{loss.seconds_out:.1f}",
            "; ".join(" + ".join(map(str, traces)) for traces in loss.traces_back),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"
