"""`--at-checkpoint run` with a judge that is slower than the traces, on any machine."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    TraceJoined,
    TracePaused,
    TraceStopped,
)
from orchestrator.journal.journal import read_journal
from tests.support.command import orchestrate
from tests.support.paced_servers import PacedServers

pytestmark = pytest.mark.slow

TRACES = 6
WORDS = 200  # at 20 ms each: a trace lasts four seconds, so it does not end before its verdict
JUDGE_SECONDS = 0.1


async def test_traces_write_on_while_the_judge_decides_and_the_overshoot_is_billed(
    tmp_path: Path,
) -> None:
    async with PacedServers(words=WORDS, pause=0.02).serving() as servers:
        slow_down(servers)
        ended = await orchestrate(
            *("How many?", "--endpoint", servers.reasoner.url),
            *("--judge-endpoint", servers.judge.url, "--json", "--traces", TRACES),
            *("--at-checkpoint", "run", "--set", "checkpoint.words=4"),
            *("--set", "policy.survivors=1"),
            cwd=tmp_path,
        )
        await servers.reasoner.until_live(0)
    assert ended.code == 0, ended.err
    (report,) = ended.reports
    entries = list(read_journal(tmp_path / report["run_dir"]))
    checkpoints = {e.trace: e.tokens for e in entries if isinstance(e, CheckpointReached)}
    pruned = [e for e in entries if isinstance(e, TraceStopped) and e.reason == "pruned"]
    assert pruned
    assert all(event.tokens > checkpoints[event.trace] for event in pruned)
    overshoot = sum(event.tokens - checkpoints[event.trace] for event in pruned)
    assert report["ledger"]["reasoner"]["overshoot_tokens"] == overshoot
    clustered: set[int] = set()
    for entry in entries:
        if isinstance(entry, ClusterOpened | TraceJoined):
            clustered.add(entry.trace)
        if isinstance(entry, TracePaused):
            assert entry.trace in clustered  # not at its checkpoint, but by the verdict


def slow_down(servers: PacedServers) -> None:
    """Makes the judge take longer than the reasoner takes for a word."""
    score = servers.judge.answers["/generative_scoring"]

    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(JUDGE_SECONDS)
        return await score(request, body)

    servers.judge.answers["/generative_scoring"] = slow
