"""`deepprune-orchestrate --questions` on real vLLM: several questions at once, their bill, Ctrl-C and kill."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client.reasoner.probe import PROBE_TOKENS
from orchestrator.journal.replay import replay
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


async def test_questions_side_by_side_are_on_the_bill_as_the_server_counts_them(
    tmp_path: Path, reasoner_url: str
) -> None:
    """Every trace ends by itself, so the two counts agree to the token."""
    await until_idle(reasoner_url)
    before = await metric(reasoner_url, GENERATED)
    more = ("--policy", "consensus", "--preset", "nano", "--traces", 8)
    ended = await orchestrate(*asked(tmp_path, reasoner_url, 8, *more), cwd=tmp_path)
    assert ended.code in (0, 3), ended.err
    await until_idle(reasoner_url)
    counted = await metric(reasoner_url, GENERATED) - before - PROBE_TOKENS
    *reports, line = ended.reports
    wanted = [json.loads(each)["id"] for each in QUESTIONS.read_text().splitlines()[:8]]
    assert [report["question_id"] for report in reports] == wanted
    summary: dict[str, Any] = line["summary"]
    assert summary["wall_seconds"] < summary["seconds"]  # they ran side by side
    bill = summary["ledger"]["reasoner"]
    assert bill["server_generated_tokens"] == counted
    assert bill["generated_tokens"] == counted
    assert bill["cached_prompt_tokens"] > 0
    (run_dir,) = tmp_path.glob("runs/*")
    assert replays(run_dir) == [None] * 8


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
