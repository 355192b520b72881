"""`deepprune-orchestrate` with several endpoints: real vLLM replicas, one of which is killed in mid-run."""

import dataclasses
import os
import signal
from pathlib import Path

import pytest

from orchestrator.core.events import ReplicaDown, TraceResumed
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.local_vllm.server import run_vllm
from orchestrator.runtime.endpoints import nano_models
from tests.support.command import (
    LONG_TRACES,
    end,
    metric,
    orchestrate,
    start,
    until_begun,
    until_idle,
)
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers

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
            *(QUESTION, "--policy", "consensus", "--traces", TRACES, "--json", *LONG_TRACES),
            *("--endpoint", victim.url, "--endpoint", reasoner_url),
            cwd=tmp_path,
        )
        await until_begun(tmp_path, process, TRACES)  # a new server's first tokens take their time
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
