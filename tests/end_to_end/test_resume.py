"""`deepprune-orchestrate` killed with SIGKILL and resumed: nothing that the journal holds is paid for again."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from orchestrator.client.reasoner.probe import PROBE_TOKENS
from orchestrator.core.commands import Command
from orchestrator.core.events import Event, TokensArrived, TraceFinished
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.report.report import to_json_line
from tests.support.command import (
    LONG_TRACES,
    end,
    metric,
    orchestrate,
    start,
    until_idle,
    until_tokens,
)
from tests.support.paced_servers import PacedServers
from tests.support.reward_server import likes

pytestmark = pytest.mark.slow

QUESTIONS = Path(__file__).parents[2] / "nano" / "data" / "questions.jsonl"
PROMPT = 3  # tokens, of the server in this process
WORDS = 150


@pytest.fixture
async def servers() -> AsyncIterator[PacedServers]:
    async with PacedServers(words=WORDS, pause=0.02).serving() as running:
        yield running


def flags(servers: PacedServers) -> tuple[str, ...]:
    return ("--endpoint", servers.reasoner.url, "--judge-endpoint", servers.judge.url)


def generated(entries: Iterable[Event | Command]) -> dict[int, list[int]]:
    """Journalled tokens of each trace, as ids."""
    ids: dict[int, list[int]] = {}
    for entry in entries:
        if isinstance(entry, TokensArrived):
            ids.setdefault(entry.trace, []).extend(entry.token_ids)
    return ids


async def killed(cwd: Path, *arguments: object, tokens: int) -> Path:
    """Runs the command and kills it once the newest journal below `cwd` holds so many tokens."""
    process = await start(*arguments, cwd=cwd)
    await until_tokens(cwd, process, tokens)
    process.kill()
    assert (await end(process)).code == -9
    (run_dir,) = cwd.glob("runs/*")
    return run_dir


async def test_a_killed_question_goes_on_from_its_tokens(
    tmp_path: Path, servers: PacedServers
) -> None:
    asked = ("How many?", *flags(servers), "--json", "--traces", 4, "--policy", "consensus")
    run_dir = await killed(tmp_path, *asked, tokens=60)
    await servers.reasoner.until_live(0)
    before = list(read_journal(run_dir))
    servers.reasoner.seen.clear()
    ended = await orchestrate("--resume", run_dir, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    (report,) = ended.reports
    sent = [body["prompt"][PROMPT:] for body in servers.reasoner.bodies("/v1/completions")]
    probe, *resumed = sent
    assert probe == []
    assert sorted(resumed) == sorted(generated(before).values())
    assert report["answer"] == "26"
    assert report["ledger"]["reasoner"]["generated_tokens"] == 4 * (WORDS + 1)
    assert report["resumed"] == 1
    again = replay(run_dir)
    assert again.difference is None
    assert json.loads(to_json_line(again.report))["ledger"] == report["ledger"]


async def test_a_run_goes_on_with_servers_that_have_moved(
    tmp_path: Path, servers: PacedServers
) -> None:
    """The reasoner and the reward model answer at other addresses than when the run began."""
    vote = ("--policy", "consensus", "--traces", 4, "--set", "policy.vote=best-of-n")
    async with likes("26") as reward:
        at_first = ("--endpoint", servers.reasoner.url, "--reward-endpoint", reward.url)
        run_dir = await killed(tmp_path, "How many?", *at_first, *vote, "--json", tokens=60)
    before = list(read_journal(run_dir))
    async with PacedServers(words=WORDS).serving() as moved, likes("38") as reward:
        now = ("--endpoint", moved.reasoner.url, "--reward-endpoint", reward.url)
        ended = await orchestrate("--resume", run_dir, *now, "--json", cwd=tmp_path)
        assert ended.code == 0, ended.err
        asked = reward.bodies("/classify")
        sent = [body["prompt"][PROMPT:] for body in moved.reasoner.bodies("/v1/completions")]
    (report,) = ended.reports
    assert report["answer"] == "38"  # what the reward model at the second address likes
    assert len(asked) >= 4
    done = {entry.trace for entry in before if isinstance(entry, TraceFinished)}
    assert all(ids in sent for trace, ids in generated(before).items() if trace not in done)
    assert report["ledger"]["reasoner"]["generated_tokens"] == 4 * (WORDS + 1)
    assert replay(run_dir).difference is None


async def test_of_several_questions_only_the_open_ones_are_asked(
    tmp_path: Path, servers: PacedServers
) -> None:
    file = tmp_path / "three.jsonl"
    file.write_text("".join(json.dumps({"id": f"q{n}", "question": f"{n}?"}) + "\n" for n in "123"))
    servers.pause = 0.005
    asked = ("--questions", file, *flags(servers), "--json", "--policy", "pass1")
    process = await start(*asked, "--questions-at-once", 1, cwd=tmp_path)
    while not all(
        list(tmp_path.glob(f"runs/*/{file}"))
        for file in ("0001-q1/report.json", "0002-q2/journal.jsonl")
    ):
        assert process.returncode is None
        await asyncio.sleep(0.02)
    process.kill()
    await end(process)
    (run_dir,) = tmp_path.glob("runs/*")
    first = json.loads((run_dir / "0001-q1" / "report.json").read_text())
    servers.reasoner.seen.clear()
    ended = await orchestrate("--resume", run_dir, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    *reports, summary = ended.reports
    assert [report["question_id"] for report in reports] == ["q1", "q2", "q3"]
    assert reports[0] == first
    assert summary["summary"]["questions"] == 3
    probe = 1
    assert len(servers.reasoner.bodies("/v1/completions")) <= 2 + probe
    servers.reasoner.seen.clear()
    ended = await orchestrate("--resume", run_dir, "--json", cwd=tmp_path)
    assert ended.reports == [*reports, summary]
    assert servers.reasoner.seen == []  # all was finished: no server is asked for anything


async def test_what_would_change_the_run_is_refused(tmp_path: Path, servers: PacedServers) -> None:
    asked = ("How many?", *flags(servers), "--policy", "pass1", "--quiet")
    run_dir = await killed(tmp_path, *asked, tokens=3)
    journal = (run_dir / "journal.jsonl").read_bytes()
    for more, sentence in (
        (("--traces", 9), "policy.traces was another one"),
        (("--config", "x.yaml"), "leave out --config, --preset and --out"),
        (("another question",), "the run's own questions"),
    ):
        refused = await orchestrate(*more, "--resume", run_dir, cwd=tmp_path)
        assert refused.code == 2
        assert sentence in refused.err
        assert refused.err.count("\n") == 1
    nowhere = await orchestrate("--resume", tmp_path, cwd=tmp_path)
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "holds no run that can be resumed" in nowhere.err
    assert (run_dir / "journal.jsonl").read_bytes() == journal


@pytest.mark.vllm
@pytest.mark.timeout(600, func_only=True)
async def test_the_servers_own_count_agrees_that_nothing_is_paid_twice(
    tmp_path: Path, reasoner_url: str
) -> None:
    """What the server generates after the kill is what the journal lacked, and nothing else.

    No trace is stopped: how much a server generates until it notices depends on how busy the machine is.
    """
    question = json.loads(QUESTIONS.read_text().splitlines()[0])["question"]
    consensus = ("--endpoint", reasoner_url, "--policy", "consensus", "--traces", 24)
    exact = ("--set", "endpoint.check_cancellation=false")  # how many tokens that takes varies
    asked = (question, *consensus, "--json", *exact, *LONG_TRACES)
    run_dir = await killed(tmp_path, *asked, tokens=200)
    await until_idle(reasoner_url)
    before = list(read_journal(run_dir))
    paid = sum(map(len, generated(before).values()))
    counted = await metric(reasoner_url, "vllm:generation_tokens")
    ended = await orchestrate("--resume", run_dir, "--json", cwd=tmp_path)
    assert ended.code in (0, 3), ended.err
    await until_idle(reasoner_url)
    counted = await metric(reasoner_url, "vllm:generation_tokens") - counted
    (report,) = ended.reports
    entries = list(read_journal(run_dir))
    assert entries[: len(before)] == before
    whole = report["ledger"]["reasoner"]["generated_tokens"]
    assert whole == sum(map(len, generated(entries).values()))
    new = whole - paid
    assert paid > 0
    assert counted - PROBE_TOKENS == new
    done = {entry.trace for entry in before if isinstance(entry, TraceFinished)}
    since = {e.trace for e in entries[len(before) :] if isinstance(e, TokensArrived)}
    assert not done & since
    assert replay(run_dir).difference is None
