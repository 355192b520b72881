"""`deepprune-orchestrate --questions` on real vLLM: several questions at once, their bill, Ctrl-C and kill."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from orchestrator.client.reasoner.probe import PROBE_TOKENS
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from tests.faults.invariants import under_way_on_vllm, unexplained
from tests.support.command import (
    LONG_TRACES,
    GrowingJournals,
    end,
    metric,
    orchestrate,
    start,
    tokens_received,
    until_idle,
)

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.timeout(600, func_only=True)]

QUESTIONS = Path(__file__).parents[2] / "nano" / "data" / "questions.jsonl"
GENERATED = "vllm:generation_tokens"


def asked(tmp_path: Path, reasoner: str, count: int, *more: object) -> tuple[object, ...]:
    """The command line for the first `count` questions, without tokens that are on no bill."""
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(QUESTIONS.read_text().splitlines()[:count]) + "\n")
    exact = ("--set", "endpoint.check_cancellation=false")
    return ("--questions", file, "--endpoint", reasoner, "--json", *exact, *more)


def paid(journals: GrowingJournals) -> dict[str, int]:
    """The token ids in the journal of each question that has any."""
    counts = {run.name: tokens_received(entries) for run, entries in journals.look().items()}
    return {name: count for name, count in counts.items() if count}


async def until_paid(
    journals: GrowingJournals,
    process: asyncio.subprocess.Process,
    *,
    questions: int,
    tokens: int,
) -> None:
    """Waits until so many questions have so many tokens each."""
    while sum(count >= tokens for count in paid(journals).values()) < questions:
        assert process.returncode is None
        await asyncio.sleep(0.02)


def replays(run_dir: Path) -> list[object]:
    return [replay(path.parent).difference for path in run_dir.glob("*/journal.jsonl")]


class Counted(NamedTuple):
    """A run of several questions, and the tokens that the server counted for it."""

    run_dir: Path
    reports: list[dict[str, Any]]
    summary: dict[str, Any]
    tokens: int


async def counted_run(tmp_path: Path, reasoner: str, count: int, *more: object) -> Counted:
    """Asks the first `count` questions with the presets of nano."""
    await until_idle(reasoner)
    before = await metric(reasoner, GENERATED)
    ended = await orchestrate(
        *asked(tmp_path, reasoner, count, "--preset", "nano", *more), cwd=tmp_path
    )
    assert ended.code in (0, 3), ended.err
    await until_idle(reasoner)
    tokens = await metric(reasoner, GENERATED) - before - PROBE_TOKENS
    *reports, line = ended.reports
    (run_dir,) = tmp_path.glob("runs/*")
    run = Counted(run_dir, reports, line["summary"], int(tokens))
    assert run.summary["ledger"]["reasoner"]["server_generated_tokens"] == run.tokens
    return run


async def test_questions_side_by_side_are_on_the_bill_to_the_token(
    tmp_path: Path, reasoner_url: str
) -> None:
    """Every trace ends by itself, so nothing is lost on the way."""
    run = await counted_run(tmp_path, reasoner_url, 8, "--policy", "consensus", "--traces", 8)
    wanted = [json.loads(each)["id"] for each in QUESTIONS.read_text().splitlines()[:8]]
    assert [report["question_id"] for report in run.reports] == wanted
    assert run.summary["wall_seconds"] < run.summary["seconds"]  # they ran side by side
    bill = run.summary["ledger"]["reasoner"]
    assert bill["generated_tokens"] == run.tokens
    assert bill["cached_prompt_tokens"] > 0
    assert replays(run.run_dir) == [None] * 8


async def test_stopped_traces_and_probes_side_by_side_are_on_the_bill(
    tmp_path: Path, reasoner_url: str
) -> None:
    """But for what vLLM drops of a closed stream, and for probes that take a second longer than their question."""
    run = await counted_run(tmp_path, reasoner_url, 24, "--policy", "auto", "--traces", 16)
    assert len(run.reports) == 24
    bill = run.summary["ledger"]["reasoner"]
    assert bill["by_fate"]["stopped"] > 0
    assert bill["by_fate"]["probes"] > 0
    assert bill["cached_prompt_tokens"] > 0
    journals = [read_journal(path.parent) for path in run.run_dir.glob("*/journal.jsonl")]
    unseen = run.tokens - bill["generated_tokens"]
    under_way = sum(map(under_way_on_vllm, journals))
    assert not list(unexplained(run.tokens, unseen, known=0, under_way=under_way))
    assert replays(run.run_dir) == [None] * 24


async def test_ctrl_c_ends_all_that_run_and_a_kill_loses_none_of_them(
    tmp_path: Path, reasoner_url: str
) -> None:
    """Interrupted questions are over; those that were killed go on from their tokens, and the rest is asked."""
    more = ("--policy", "consensus", "--traces", 8, "--concurrency", 24, *LONG_TRACES)
    process = await start(*asked(tmp_path, reasoner_url, 8, *more), cwd=tmp_path)
    journals = GrowingJournals(tmp_path)
    await until_paid(journals, process, questions=3, tokens=100)
    process.send_signal(signal.SIGINT)
    interrupted = await end(process)
    assert interrupted.code == 130, interrupted.err
    await until_idle(reasoner_url)
    (run_dir,) = tmp_path.glob("runs/*")
    *first, _ = interrupted.reports
    assert sum(report["interrupted"] for report in first) >= 2

    process = await start("--resume", run_dir, "--json", cwd=tmp_path)
    await until_paid(journals, process, questions=len(first) + 2, tokens=50)
    process.kill()
    await end(process)
    await until_idle(reasoner_url)
    before, counted = sum(paid(journals).values()), await metric(reasoner_url, GENERATED)

    ended = await orchestrate("--resume", run_dir, "--json", cwd=tmp_path)
    assert ended.code in (0, 3), ended.err
    await until_idle(reasoner_url)
    counted = await metric(reasoner_url, GENERATED) - counted - PROBE_TOKENS
    *reports, summary = ended.reports
    assert reports[: len(first)] == first
    assert summary["summary"]["questions"] == 8
    assert sum(paid(journals).values()) - before == counted  # nothing is paid twice
    assert replays(run_dir) == [None] * 8
