"""`deepprune-orchestrate` with several endpoints: real vLLM replicas, one of which is killed in mid-run and returns."""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from orchestrator.core.events import ReplicaDown, ReplicaUp, TraceResumed, TraceStarted
from orchestrator.errors import JournalError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.local_vllm.server import VllmServer, run_vllm
from orchestrator.runtime.endpoints import nano_models
from tests.perf.sticky_routing import in_turn, measured
from tests.support.command import end, metric, orchestrate, start, until_idle, until_tokens
from tests.support.fake_server import answer_json
from tests.support.local_client import LocalClient
from tests.support.paced_servers import PacedServers

MODEL = dataclasses.replace(nano_models(with_judge=True)["reasoner"], kv_cache_gib=1)
QUESTIONS = Path(__file__).parents[2] / "nano" / "data" / "questions.jsonl"
QUESTION = "Anna has 32 candles. She shares the candles equally with 3 friends. How many candles does she have?"
TRACES = 64


@dataclass
class Victim:
    """A replica that tests kill, and start again at its address."""

    stack: contextlib.AsyncExitStack
    log: Path
    server: VllmServer

    @property
    def url(self) -> str:
        return self.server.url

    async def kill(self) -> None:
        os.killpg(self.server.process.pid, signal.SIGKILL)
        await self.server.process.wait()

    async def restart(self) -> None:
        port = urlsplit(self.url).port
        assert port is not None
        model = dataclasses.replace(MODEL, port=port)
        self.server = await self.stack.enter_async_context(run_vllm(model, log=self.log))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(
    local_client: LocalClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Victim, list[str]]]:
    """A replica to be killed, and the addresses of two others; the last one is that of all tests."""
    logs = tmp_path_factory.mktemp("replicas")
    async with contextlib.AsyncExitStack() as stack:
        victim, other = await asyncio.gather(
            *(
                stack.enter_async_context(run_vllm(MODEL, log=logs / f"{name}.log"))
                for name in ("victim", "other")
            )
        )
        kept = [other.url, local_client.reasoner_url]
        yield Victim(stack, logs / "again.log", victim), kept


def endpoints(victim: Victim, kept: Sequence[str]) -> list[str]:
    return [word for url in (victim.url, *kept) for word in ("--endpoint", url)]


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)  # its servers are started
async def test_resumed_traces_find_their_tokens_in_the_cache_of_their_replica(
    tmp_path: Path, replicas: tuple[Victim, list[str]]
) -> None:
    """All traces are paused and resumed; a routing that gives each stream to the next server makes them read more."""
    victim, kept = replicas
    urls = [victim.url, *kept]
    async with PacedServers().serving() as paced:
        sticky = await measured(urls, paced.judge.url, TRACES, tmp_path)
        with in_turn():
            spread = await measured(urls, paced.judge.url, TRACES, tmp_path)
    print(f"sticky: {sticky}\nin turn: {spread}")  # noqa: T201  the figures of the documentation
    assert sticky.streams >= TRACES / 2
    assert sticky.moved == 0
    assert sticky.cached > 0.6 * sticky.prompt
    assert sticky.cached / sticky.prompt > spread.cached / spread.prompt


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)  # it starts a server
async def test_a_replica_that_is_killed_and_returns_takes_traces_again(
    tmp_path: Path, replicas: tuple[Victim, list[str]]
) -> None:
    """Under `auto`, in one run over many questions; few streams, so that it lasts until the replica is back."""
    victim, kept = replicas
    file = tmp_path / "questions.jsonl"
    file.write_text(QUESTIONS.read_text())
    process = await start(
        *("--questions", file, "--policy", "auto", "--preset", "nano", "--json"),
        *("--concurrency", 6, *endpoints(victim, kept)),
        cwd=tmp_path,
    )
    await until_tokens(tmp_path, process, 200)
    await victim.kill()
    while not seen(tmp_path, victim.url, ReplicaDown):
        assert process.returncode is None
        await asyncio.sleep(0.1)
    lost = seen(tmp_path, victim.url, TraceStarted)
    assert lost > 0
    await victim.restart()
    while seen(tmp_path, victim.url, TraceStarted) == lost:
        assert process.returncode is None
        await asyncio.sleep(0.1)
    assert seen(tmp_path, victim.url, ReplicaUp) > 0
    process.send_signal(signal.SIGINT)
    ended = await end(process)
    assert ended.code == 130, ended.err
    *reports, _ = ended.reports
    over = [report for report in reports if not report["interrupted"]]
    assert over
    assert {report["traces"]["failed"] for report in reports} == {0}
    assert all(replay(tmp_path / report["run_dir"]).difference is None for report in reports)
    for url in (victim.url, *kept):
        await until_idle(url)


def seen(cwd: Path, url: str, kind: type[ReplicaDown | ReplicaUp | TraceStarted]) -> int:
    """How many events of a kind the journals of all questions have about a server."""
    found = 0
    for path in cwd.glob("runs/*/*/journal.jsonl"):
        with contextlib.suppress(JournalError):  # its first line is still being written
            found += sum(isinstance(e, kind) and e.endpoint == url for e in read_journal(path))
    return found


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(400)
async def test_no_trace_is_lost_when_one_of_three_replicas_is_killed(
    tmp_path: Path, replicas: tuple[Victim, list[str]]
) -> None:
    victim, kept = replicas
    before = [await metric(url, "vllm:generation_tokens") for url in kept]
    process = await start(
        *(QUESTION, "--policy", "consensus", "--traces", TRACES, "--json"),
        *("--set", "endpoint.check_cancellation=false", *endpoints(victim, kept)),
        cwd=tmp_path,
    )
    await until_tokens(tmp_path, process, 1000)
    await victim.kill()
    ended = await end(process)
    assert ended.code == 0, ended.err
    (report,) = ended.reports
    assert report["traces"]["finished"] == TRACES
    lost, *others = report["replicas"]
    assert [row["endpoint"] for row in (lost, *others)] == [victim.url, *kept]
    assert TRACES // 3 - 2 <= lost["traces"] <= TRACES // 3 + 2
    assert lost["seconds_out"] > 0
    bill = report["ledger"]["reasoner"]
    assert sum(row["tokens"] for row in (lost, *others)) == bill["generated_tokens"]
    assert bill["moved_traces"] > 0
    for url, row, earlier in zip(kept, others, before, strict=True):
        await until_idle(url)
        generated = await metric(url, "vllm:generation_tokens") - earlier
        assert generated == pytest.approx(row["tokens"], rel=0.01)  # nothing was generated again
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
