"""One run of one policy in this process, through proxies that break what they pass on."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import deepprune
from orchestrator.errors import DeepPruneError
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.report.report import Report, read_report
from orchestrator.settings import POLICY_NAMES
from tests.faults.chaos import ChaosProxy
from tests.faults.invariants import violations
from tests.faults.servers import CountingServers

__all__ = ["PATIENCE", "POLICIES", "SETTINGS", "TRACES", "Outcome", "examine", "run", "until_idle"]

POLICIES = tuple(name for name in POLICY_NAMES if name != "custom")
TRACES = 12
_IDLE_SECONDS = 2.0
PATIENCE = {
    "endpoint.stall_seconds": 3.0,
    "endpoint.check_cancellation": False,
    "endpoint.max_attempts": 6,
    "endpoint.breaker_seconds": 0.5,
    "endpoint.health_seconds": 0.5,
    "judge.timeout_seconds": 3.0,
    "judge.breaker_seconds": 0.5,
}
"""So short that a campaign of a thousand faults takes minutes."""
SETTINGS = {**PATIENCE, "model.force_answer": "\\boxed{", "answers.equality": "text"}
"""For the mock servers."""


class Outcome(msgspec.Struct, kw_only=True):
    """What happened in one run; `violations` is empty where all holds."""

    policy: str
    seed: int
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    traces: Counter[str] = msgspec.field(default_factory=Counter)
    tokens: int = 0
    """That the server has written."""
    unseen: int = 0
    """Those of them that are not on the bill."""
    lost: int = 0
    """Those that a proxy has read and not passed on, or that were not in the journal of a program that was killed."""
    moved: int = 0
    seconds: float = 0.0
    violations: list[str] = []
    idle_seconds: float = 0.0

    def add_traces(self, report: Report) -> None:
        """Counts the traces of a run by their fate."""
        traces = report.traces
        self.traces.update(
            finished=traces.finished,
            pruned=traces.pruned,
            stopped=traces.stopped,
            failed=traces.failed,
        )


async def run(policy: str, seed: int, out: Path, *, words: int = 60) -> Outcome:
    """A run with this seed; one with an odd seed has two addresses of the same server."""
    random = np.random.default_rng([seed, POLICIES.index(policy)])
    servers = CountingServers(words=words, pause=0.002)
    outcome = Outcome(policy=policy, seed=seed)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(servers.serving())
        reasoners = [
            ChaosProxy(servers.reasoner.url, random, chance=0.6) for _ in range(1 + seed % 2)
        ]
        judge = ChaosProxy(servers.judge.url, random, chance=0.3)
        proxies = [*reasoners, judge]
        for proxy in proxies:
            await stack.enter_async_context(proxy.running())
        with _no_exception_is_lost(outcome.violations):
            await _ask(policy, [proxy.url for proxy in reasoners], judge.url, out)
        outcome.idle_seconds = await until_idle(servers)
        for proxy in proxies:
            await proxy.settled()
    (folder,) = out.iterdir()
    # on a busy machine a replay would hold the streams of the other runs up for longer than they wait
    await asyncio.to_thread(examine, outcome, folder, servers, reasoners, judge)
    return outcome


def examine(
    outcome: Outcome,
    folder: Path,
    servers: CountingServers,
    reasoners: Sequence[ChaosProxy],
    judge: ChaosProxy,
    *,
    in_flight: int = 0,
) -> None:
    """Adds the figures of a run that has ended, and what does not hold; see `violations` for `in_flight`."""
    if outcome.idle_seconds > _IDLE_SECONDS:
        outcome.violations.append(f"streams were open {outcome.idle_seconds:.1f} s after the end")
    for proxy in (*reasoners, judge):
        outcome.faults.update(proxy.injected)
    outcome.lost = sum(proxy.lost for proxy in reasoners)
    outcome.violations += violations(folder, servers, lost=outcome.lost, in_flight=in_flight)
    outcome.lost += in_flight
    _add_figures(outcome, folder, servers)


async def _ask(policy: str, urls: list[str], judge: str, out: Path) -> None:
    """One question; a run all of whose traces failed has ended as it should."""
    client = deepprune.Client(
        urls, judge=judge, policy=policy, traces=TRACES, out=out, settings=SETTINGS
    )
    async with client:
        with contextlib.suppress(DeepPruneError):
            await client.ask("How many?")


async def until_idle(servers: CountingServers) -> float:
    """Seconds until the servers have no open stream."""
    began = time.monotonic()
    await servers.reasoner.until_live(0)
    await servers.judge.until_live(0)
    return time.monotonic() - began


@contextlib.contextmanager
def _no_exception_is_lost(violations: list[str]) -> Iterator[None]:
    """Exceptions that nobody has handled become violations."""
    loop = asyncio.get_running_loop()

    def note(_: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        violations.append(f"nobody handled {error!r}: {context['message']}")

    before = loop.get_exception_handler()
    loop.set_exception_handler(note)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _add_figures(outcome: Outcome, folder: Path, servers: CountingServers) -> None:
    report = read_report(folder / REPORT_FILE)
    if report is None:
        return
    outcome.add_traces(report)
    outcome.tokens = servers.generated
    outcome.unseen = servers.generated - report.ledger.reasoner.generated_tokens
    outcome.moved = report.ledger.reasoner.moved_traces
    outcome.seconds = report.seconds
