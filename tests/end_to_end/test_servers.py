"""`deepprune-orchestrate` with several endpoints: real vLLM replicas, one of which is killed in mid-run and returns."""

import asyncio
import contextlib
import dataclasses
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.core.events import ReplicaDown, ReplicaUp, TraceResumed, TraceStarted
from orchestrator.errors import JournalError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.local_vllm.server import run_vllm
from orchestrator.runtime.endpoints import nano_models
from tests.support.command import end, metric, orchestrate, start, until_idle, until_tokens
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers

QUESTIONS = Path(__file__).parents[2] / "nano" / "data" / "questions.jsonl"
QUESTION = "Anna has 32 candles. She shares the candles equally with 3 friends. How many candles does she have?"
TRACES = 64


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(400)  # it starts a server of its own
async def test_no_trace_is_lost_when_one_of_two_replicas_is_killed(
    tmp_path: Path, reasoner_url: str
) -> None:
    model = dataclasses.replace(nano_models(with_judge=True)["reasoner"], kv_cache_gib=1)
    before = await metric(reasoner_url, "vllm:generation_tokens")
    async with run_vllm(model, log=tmp_path / "victim.log") as victim:
        process = await start(
            *(QUESTION, "--policy", "consensus", "--traces", TRACES, "--json"),
            *("--endpoint", victim.url, "--endpoint", reasoner_url),
            cwd=tmp_path,
        )
        await until_tokens(tmp_path, process, 1000)
        os.killpg(victim.process.pid, signal.SIGKILL)
        ended = await end(process)
    assert ended.code == 0, ended.err
    (report,) = ended.reports
    assert report["traces"]["finished"] == TRACES
    lost, kept = report["replicas"]
    assert (lost["endpoint"], kept["endpoint"]) == (victim.url, reasoner_url)
    assert lost["traces"] == TRACES / 2
    assert lost["seconds_out"] > 0
    bill = report["ledger"]["reasoner"]
    assert lost["tokens"] + kept["tokens"] == bill["generated_tokens"]
    assert bill["moved_traces"] == kept["traces"] - TRACES / 2 > 0
    await until_idle(reasoner_url)
    generated = await metric(reasoner_url, "vllm:generation_tokens") - before
    assert generated == pytest.approx(kept["tokens"], rel=0.01)  # nothing was generated again
    (run_dir,) = tmp_path.glob("runs/*")
    entries = list(read_journal(run_dir))
    assert [e.endpoint for e in entries if isinstance(e, ReplicaDown)] == [victim.url]
    assert {e.moved for e in entries if isinstance(e, TraceResumed)} == {"down"}
    assert replay(run_dir).difference is None


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(400)  # it starts a server twice
async def test_a_replica_that_is_killed_and_returns_takes_traces_again(
    tmp_path: Path, reasoner_url: str
) -> None:
    """Under `auto`, over many questions; few streams, so that they last until the replica is back."""
    model = dataclasses.replace(nano_models(with_judge=True)["reasoner"], kv_cache_gib=1)
    async with contextlib.AsyncExitStack() as stack:
        victim = await stack.enter_async_context(run_vllm(model, log=tmp_path / "victim.log"))
        process = await start(
            *("--questions", QUESTIONS, "--policy", "auto", "--preset", "nano", "--json"),
            *("--concurrency", 6, "--endpoint", victim.url, "--endpoint", reasoner_url),
            cwd=tmp_path,
        )
        stack.callback(kill_if_running, process)

        async def until_more(kind: type[ReplicaDown | ReplicaUp | TraceStarted], than: int) -> None:
            while seen(tmp_path, victim.url, kind) <= than:
                assert process.returncode is None
                await asyncio.sleep(0.1)

        await until_more(TraceStarted, than=4)
        os.killpg(victim.process.pid, signal.SIGKILL)
        await until_more(ReplicaDown, than=0)
        await asyncio.sleep(1)  # until what was begun before is in the journals
        before = seen(tmp_path, victim.url, TraceStarted)
        again = dataclasses.replace(model, port=urlsplit(victim.url).port)
        await stack.enter_async_context(run_vllm(again, log=tmp_path / "again.log"))
        await until_more(ReplicaUp, than=0)
        await until_more(TraceStarted, than=before)
        process.send_signal(signal.SIGINT)
        ended = await end(process)
    assert ended.code == 130, ended.err
    *reports, _ = ended.reports
    assert sum(not report["interrupted"] for report in reports) > 0
    assert sum(report["traces"]["failed"] for report in reports) == 0
    for report in reports:
        assert replay(tmp_path / report["run_dir"]).difference is None
    await until_idle(reasoner_url)


def kill_if_running(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


def seen(cwd: Path, url: str, kind: type[ReplicaDown | ReplicaUp | TraceStarted]) -> int:
    """How many events of a kind the journals of all questions have about a server."""
    found = 0
    for path in cwd.glob("runs/*/*/journal.jsonl"):
        with contextlib.suppress(JournalError):  # its first line is still being written
            found += sum(isinstance(e, kind) and e.endpoint == url for e in read_journal(path))
    return found


@pytest.mark.slow
async def test_a_server_of_another_model_is_refused_or_left_out(tmp_path: Path) -> None:
    stranger = PacedServers()
    stranger.reasoner.answers["/v1/models"] = answer_json({"data": [{"id": "other"}]})
    async with PacedServers().serving() as servers, stranger.serving():
        urls = servers.reasoner.url, stranger.reasoner.url
        asked = ("How many?", "--endpoint", urls[0], "--endpoint", urls[1], "--policy", "pass1")
        refused = await orchestrate(*asked, cwd=tmp_path)
        left_out = await orchestrate(
            *asked, "--set", "endpoint.on_mismatch=leave-out", cwd=tmp_path
        )
    assert refused.code == 2
    assert f"{urls[1]} serves the model other, and {urls[0]} serves the model paced" in refused.err
    assert not list(tmp_path.glob("runs/*"))[1:]  # the refused run has left no folder
    assert left_out.code == 0
    assert f"{urls[1]} serves the model other" in left_out.err
