"""The campaign against three vLLM replicas and a judge with the nano models, one of which is killed and comes back."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np

import deepprune
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.local_vllm.server import LocalModel, VllmServer, run_vllm
from orchestrator.report.report import Report, read_report
from orchestrator.runtime.endpoints import nano_models
from tests.faults.chaos import ChaosProxy
from tests.faults.invariants import UNKNOWN_PER_STREAM, of_any_server
from tests.faults.runs import Outcome
from tests.support.command import metric, until_idle, until_tokens_in

__all__ = ["replica_campaign"]

_REPLICAS = 3
_VICTIM = 1
_POLICIES = ("consensus", "deepprune", "auto", "esc", "deepconf-low")
_TRACES = 32
_QUESTION = "Anna has 32 candles. She shares the candles equally with 3 friends. How many candles does she have?"
_SETTINGS = {
    "endpoint.stall_seconds": 5.0,
    "endpoint.check_cancellation": False,
    "endpoint.breaker_seconds": 2.0,
}


@dataclasses.dataclass
class _World:
    """The replicas with a proxy before each, and a judge behind another one."""

    replicas: list[VllmServer]
    proxies: list[ChaosProxy]
    judge: ChaosProxy
    random: np.random.Generator


async def replica_campaign(seed: int = 0) -> list[Outcome]:
    """A run of each policy, then questions during which a replica is killed with SIGKILL and started again."""
    async with _serving(seed) as world:
        await _warm_up(world)
        outcomes = []
        for policy in _POLICIES:
            outcomes.append(await _run(world, policy))
            _tell(outcomes[-1])
        outcomes.append(await _killed(world))
        return outcomes


def _tell(outcome: Outcome) -> None:
    """A line on stderr, since the whole takes minutes."""
    faults, wrong = outcome.faults.total(), len(outcome.violations)
    sys.stderr.write(f"{outcome.policy}: {faults} faults, {wrong} violations\n")


async def _warm_up(world: _World) -> None:
    """Asks for log-probabilities once: the first such request holds an engine up while it compiles."""
    urls = [replica.url for replica in world.replicas]
    async with deepprune.Client(urls, policy="deepconf-low", preset="nano"):
        pass


@contextlib.asynccontextmanager
async def _serving(seed: int) -> AsyncIterator[_World]:
    models = nano_models(with_judge=True)
    random = np.random.default_rng(seed)
    async with contextlib.AsyncExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def serve(model: LocalModel, name: str) -> VllmServer:
            small = dataclasses.replace(model, kv_cache_gib=1)
            return await stack.enter_async_context(run_vllm(small, log=logs / f"{name}.log"))

        async with asyncio.TaskGroup() as group:
            starts = [
                *(group.create_task(serve(models["reasoner"], f"r{n}")) for n in range(_REPLICAS)),
                group.create_task(serve(models["judge"], "judge")),
            ]
        *replicas, judge = [start.result() for start in starts]
        proxies = [ChaosProxy(each.url, random, chance=0.4) for each in replicas]
        before_judge = ChaosProxy(judge.url, random, chance=0.2)
        for proxy in (*proxies, before_judge):
            await stack.enter_async_context(proxy.running())
        yield _World(replicas, proxies, before_judge, random)


def _client(world: _World, policy: str, out: Path) -> deepprune.Client:
    return deepprune.Client(
        [proxy.url for proxy in world.proxies],
        judge=world.judge.url,
        policy=policy,
        preset="nano",
        traces=_TRACES,
        out=out,
        settings=_SETTINGS,
    )


async def _run(world: _World, policy: str) -> Outcome:
    """One question; the servers' own counters are compared with the bill."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = Outcome(policy=policy, seed=0)
        out = Path(folder)
        async with _client(world, policy, out) as client:
            _forget(world)
            before = [await _generated(each) for each in world.replicas]
            await client.ask(_QUESTION)
            for each in world.replicas:
                await until_idle(each.url)
        after = [await _generated(each) for each in world.replicas]
        (run_dir,) = out.iterdir()
        report = _examine(outcome, run_dir, world)
        written = [now - then for now, then in zip(after, before, strict=True)]
        _compare(outcome, report, written, world)
        return outcome


async def _killed(world: _World) -> Outcome:
    """Two questions over whole connections; a replica is killed during the first one and is back for the second."""
    outcome = Outcome(policy="kill -9 of a replica", seed=0)
    victim = world.replicas[_VICTIM]
    survivors = [each for each in world.replicas if each is not victim]
    for proxy in (*world.proxies, world.judge):
        proxy.chance = 0.0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        async with _client(world, "consensus", out) as client:
            _forget(world)
            before = [await _generated(each) for each in survivors]
            asking = asyncio.ensure_future(client.ask(_QUESTION))
            await until_tokens_in(out, int(world.random.integers(200, 1500)))
            os.killpg(victim.process.pid, signal.SIGKILL)
            outcome.faults["kill -9 of a replica"] += 1
            await asking
            (first,) = out.iterdir()
            for each in survivors:
                await until_idle(each.url)
            after = [await _generated(each) for each in survivors]
            again = dataclasses.replace(victim.model, port=_port(victim.url))
            async with run_vllm(again, log=out / "again.log"):
                await asyncio.sleep(2 * client.settings.endpoint.health_seconds)
                await client.ask(_QUESTION)
        second = max(out.glob("*/journal.jsonl"), key=lambda file: file.stat().st_mtime).parent
        report = _examine(outcome, first, world)
        _compare_survivors(outcome, report, world, int(sum(after) - sum(before)))
        _came_back(outcome, _examine(outcome, second, world), world.proxies[_VICTIM].url)
    if outcome.traces["failed"]:
        outcome.violations.append(f"{outcome.traces['failed']} traces failed")
    return outcome


def _compare_survivors(outcome: Outcome, report: Report, world: _World, written: int) -> None:
    """The other replicas wrote what is on the bill for them: nothing that the killed one had written."""
    outcome.tokens = written
    victim = world.proxies[_VICTIM].url
    billed = sum(line.tokens for line in report.replicas if line.endpoint != victim)
    outcome.unseen = written - billed
    if not 0 <= outcome.unseen <= UNKNOWN_PER_STREAM * _TRACES + written // 100:
        outcome.violations.append(f"the others wrote {written} tokens, and {billed} are billed")


def _came_back(outcome: Outcome, report: Report, endpoint: str) -> None:
    traces = {line.endpoint: line.traces for line in report.replicas}
    if not traces.get(endpoint):
        outcome.violations.append(f"the replica that came back got no trace: {traces}")


def _examine(outcome: Outcome, run_dir: Path, world: _World) -> Report:
    """Adds the figures of a run, and what does not hold of its report and journal."""
    report = read_report(run_dir / REPORT_FILE)
    if report is None:
        raise AssertionError(f"{run_dir} has no report")
    outcome.violations += of_any_server(run_dir, report)
    traces = report.traces
    outcome.traces.update(
        finished=traces.finished,
        pruned=traces.pruned,
        stopped=traces.stopped,
        failed=traces.failed,
    )
    outcome.moved += report.ledger.reasoner.moved_traces
    for proxy in (*world.proxies, world.judge):
        outcome.faults.update(proxy.injected)
        proxy.injected.clear()
    return report


def _compare(outcome: Outcome, report: Report, written: Sequence[float], world: _World) -> None:
    outcome.tokens = int(sum(written))
    outcome.lost = sum(proxy.lost for proxy in world.proxies)
    outcome.unseen = outcome.tokens - report.ledger.reasoner.generated_tokens
    cut = outcome.faults.total() + _TRACES
    allowed = outcome.lost + 2 * UNKNOWN_PER_STREAM * cut + outcome.tokens // 100
    if not 0 <= outcome.unseen <= allowed:
        outcome.violations.append(
            f"the servers wrote {outcome.tokens} tokens, and {outcome.unseen} are not on the bill; "
            f"a proxy has lost {outcome.lost}"
        )


def _forget(world: _World) -> None:
    for proxy in (*world.proxies, world.judge):
        proxy.injected.clear()
        proxy.lost = 0


async def _generated(server: VllmServer) -> float:
    return await metric(server.url, "vllm:generation_tokens")


def _port(url: str) -> int:
    return int(url.removesuffix("/v1").rpartition(":")[2])
