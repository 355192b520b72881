"""The campaign against three vLLM replicas: streams that break, a replica that is killed and returns, and full caches."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import deepprune
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.report.report import Report, read_report
from tests.faults.chaos import ChaosProxy
from tests.faults.invariants import of_any_server, under_way_on_vllm, unexplained
from tests.faults.lost_replica import Loss, lose_a_replica, losses_table
from tests.faults.runs import PATIENCE, Outcome
from tests.faults.vllm_fleet import VllmFleet, nano_fleet, tell
from tests.perf.sticky_routing import COLUMNS, QUESTION, Resumed, compared

__all__ = ["ReplicaFigures", "replica_campaign"]

_POLICIES = ("consensus", "deepprune", "auto", "esc", "deepconf-low")
_LOST_UNDER = ("deepprune", "auto")
_TRACES = 32
_RESUMED = 64
_SPREAD = 2
"""Traces that the replica with the most may have more than the one with the fewest."""
_CHANCE = 0.4
_CHANCE_OF_JUDGE = 0.2
_SETTINGS = {**PATIENCE, "endpoint.stall_seconds": 10.0, "judge.timeout_seconds": 10.0}


@dataclass(frozen=True)
class ReplicaFigures:
    """All that was seen: runs whose streams broke, runs that lost a replica, and resumed traces by routing."""

    broken: list[Outcome]
    losses: list[Loss]
    resumed: dict[str, Resumed]

    @property
    def outcomes(self) -> list[Outcome]:
        """Of every run."""
        return [*self.broken, *(loss.outcome for loss in self.losses)]

    @property
    def violations(self) -> list[str]:
        """What does not hold of the routing."""
        sticky, in_turn = self.resumed["sticky"], self.resumed["in turn"]
        found = []
        if any(max(traces) - min(traces) > _SPREAD for traces in sticky.traces):
            found.append(f"the traces of the replicas are unequal: {sticky.traces}")
        if sticky.cached * in_turn.prompt <= in_turn.cached * sticky.prompt:
            found.append(
                "resumed traces found no more in their caches than with each stream in turn"
            )
        return found

    def __str__(self) -> str:
        rows = [f"| {routing} {seen}" for routing, seen in self.resumed.items()]
        head = [f"| routing {COLUMNS}", "|---" * 7 + "|"]
        return f"{losses_table(self.losses)}\n" + "\n".join([*head, *rows]) + "\n"


async def replica_campaign(seed: int = 0) -> ReplicaFigures:
    """A run of each policy through proxies, the loss and the return of a replica, and the caches of resumed traces."""
    random = np.random.default_rng(seed)
    async with nano_fleet() as fleet:
        broken = []
        async with _proxies(fleet, random) as proxies:
            for policy in _POLICIES:
                broken.append(await _broken(fleet, proxies, policy))
                _tell(broken[-1])
        losses = []
        for policy in _LOST_UNDER:
            losses.append(await lose_a_replica(fleet, policy, random))
            _tell(losses[-1].outcome)
        with tempfile.TemporaryDirectory() as folder:
            resumed = await compared(fleet.urls, _RESUMED, Path(folder))
        return ReplicaFigures(broken, losses, resumed)


def _tell(outcome: Outcome) -> None:
    faults, wrong = outcome.faults.total(), len(outcome.violations)
    tell(f"{outcome.policy}: {faults} faults, {outcome.tokens} tokens, {wrong} violations")


@dataclass(frozen=True)
class _Proxies:
    """One before each replica, and one before the judge."""

    replicas: list[ChaosProxy]
    judge: ChaosProxy

    @property
    def all(self) -> list[ChaosProxy]:
        return [*self.replicas, self.judge]


@contextlib.asynccontextmanager
async def _proxies(fleet: VllmFleet, random: np.random.Generator) -> AsyncIterator[_Proxies]:
    proxies = _Proxies(
        [ChaosProxy(url, random, chance=_CHANCE, reads_on=True) for url in fleet.urls],
        ChaosProxy(fleet.judge, random, chance=_CHANCE_OF_JUDGE),
    )
    async with contextlib.AsyncExitStack() as stack:
        for proxy in proxies.all:
            await stack.enter_async_context(proxy.running())
        yield proxies


async def _broken(fleet: VllmFleet, proxies: _Proxies, policy: str) -> Outcome:
    """One question, whose streams break; the servers' own counters are compared with its bill."""
    outcome = Outcome(policy=policy, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        async with deepprune.Client(
            [proxy.url for proxy in proxies.replicas],
            judge=proxies.judge.url,
            policy=policy,
            preset="nano",
            traces=_TRACES,
            out=out,
            settings=_SETTINGS,
        ) as client:
            for proxy in proxies.all:
                proxy.forget()
            before = await fleet.generated()
            await client.ask(QUESTION)
        outcome.tokens = sum(await fleet.generated()) - sum(before)
        for proxy in proxies.replicas:
            await proxy.settled()
        (run_dir,) = out.iterdir()
        _examine(outcome, run_dir, proxies)
    return outcome


def _examine(outcome: Outcome, run_dir: Path, proxies: _Proxies) -> None:
    """Adds the figures of a run, and what does not hold of its report, journal and bill."""
    report = _report(run_dir)
    outcome.violations += of_any_server(run_dir, report)
    outcome.add_traces(report)
    for proxy in proxies.all:
        outcome.faults.update(proxy.injected)
    outcome.lost = sum(proxy.lost for proxy in proxies.replicas)
    outcome.unseen = outcome.tokens - report.ledger.reasoner.generated_tokens
    under_way = under_way_on_vllm(read_journal(run_dir))
    outcome.violations += unexplained(
        outcome.tokens, outcome.unseen, outcome.lost, under_way=under_way
    )


def _report(run_dir: Path) -> Report:
    report = read_report(run_dir / REPORT_FILE)
    if report is None:
        raise AssertionError(f"{run_dir} has no report")
    return report
