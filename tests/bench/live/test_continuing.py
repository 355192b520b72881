"""Live benchmarks that were stopped, and continue."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.live.run import run_live
from bench.mock_server.server import ReplayServer, serve_recording
from bench.replay.server import ServerModel
from bench.results.outcomes import read_outcomes
from orchestrator.interrupts import Interrupts
from orchestrator.journal.journal import read_journal
from orchestrator.report.view import RunView
from tests.support.command import console_script
from tests.support.recorded_server import (
    FAST,
    PROBE_TOKENS,
    live_plan,
    recording,
    run_plan,
    write_questions,
)

SLOW = ServerModel(first_token_seconds=0.0, step_seconds=0.05, step_seconds_per_stream=0.0)


async def until(holds: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  the server has no event for it
            await asyncio.sleep(0.01)


def cut_short(folder: Path) -> int:
    """Leaves the run as a kill half-way would; returns the tokens that are in its journal."""
    (folder / "report.json").unlink()
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"type":"Tok')
    view = RunView.of(read_journal(folder))
    assert view.generated_tokens > 0
    return view.generated_tokens


async def test_a_finished_question_is_not_asked_again(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        first = await run_plan(live_plan(url, tmp_path, "cons@2"))
        before = server.generated_tokens
        assert await run_plan(live_plan(url, tmp_path, "cons@2")) == first
    assert server.generated_tokens - before == PROBE_TOKENS


async def test_a_missing_report_is_made_from_the_journal(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        first = await run_plan(live_plan(url, tmp_path, "cons@2"))
        (tmp_path / "cons@2" / "0002-q1" / "report.json").unlink()
        before = server.generated_tokens
        assert await run_plan(live_plan(url, tmp_path, "cons@2")) == first
    assert server.generated_tokens - before == PROBE_TOKENS


async def test_a_question_that_was_cut_short_continues_from_its_tokens(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        await run_plan(live_plan(url, tmp_path, "cons@2"))
        known = cut_short(tmp_path / "cons@2" / "0002-q1")
        before = server.generated_tokens
        outcomes = await run_plan(live_plan(url, tmp_path, "cons@2"))
    again = next(outcome for outcome in outcomes if outcome.question_id == "q1")
    assert server.generated_tokens - before == again.tokens - known + PROBE_TOKENS
    assert again.correct
    assert not list(tmp_path.glob("cons@2/.*"))


async def test_a_question_that_cannot_continue_starts_again_and_keeps_its_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        await run_plan(live_plan(url, tmp_path, "cons@2"))
        folder = tmp_path / "cons@2" / "0002-q1"
        cut_short(folder)
        journal = folder / "journal.jsonl"
        journal.write_text(re.sub(r',"token_ids":\[[^]]*\]', "", journal.read_text()))
        before = server.generated_tokens
        outcomes = await run_plan(live_plan(url, tmp_path, "cons@2"))
    again = next(outcome for outcome in outcomes if outcome.question_id == "q1")
    assert server.generated_tokens - before == again.tokens + PROBE_TOKENS
    assert (tmp_path / "cons@2" / ".0002-q1.cut-1" / "journal.jsonl").exists()
    assert "no token ids to continue from" in capsys.readouterr().err


async def test_an_interrupted_question_is_not_finished_and_continues_later(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=SLOW)
    interrupts = Interrupts(lambda text: None)
    async with serve_recording(server) as url:
        plan = live_plan(url, tmp_path, "cons@2")
        running = asyncio.create_task(run_live(plan, interrupts, lambda: None))
        await until(lambda: server.live == 4)
        interrupts.interrupt()
        assert await running == []
        await until(lambda: server.live == 0)
    assert not list(tmp_path.glob("cons@2/*/report.json"))
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        outcomes = await run_plan(live_plan(url, tmp_path, "cons@2"))
    assert len(outcomes) == 3
    assert not list(tmp_path.glob("cons@2/.*"))


@pytest.mark.slow  # starts the command twice
async def test_a_killed_command_continues_without_paying_twice(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=SLOW)
    out = tmp_path / "out"
    questions = write_questions(tmp_path / "questions.jsonl")
    async with serve_recording(server) as url:
        command = [console_script("deepprune-bench"), "run", "--endpoint", url, "--at-once", "1"]
        command += ["--questions", str(questions), "--policy", "cons@2", "--out", str(out)]
        command += ["--set", "endpoint.check_cancellation=false"]
        first = await asyncio.create_subprocess_exec(*command)
        await until(lambda: list(out.glob("cons@2/*/report.json")) and server.live, seconds=60)
        first.kill()
        await first.wait()
        await until(lambda: server.live == 0)
        reports = {path: path.read_bytes() for path in out.glob("cons@2/*/report.json")}
        spent = server.generated_tokens
        second = await asyncio.create_subprocess_exec(
            *command, "--json", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await second.communicate()
    assert second.returncode == 0
    assert json.loads(printed)["questions"] == 3
    assert 1 <= len(reports) < 3
    assert {path: path.read_bytes() for path in reports} == reports
    finished = {path.parent.name.rpartition("-")[2] for path in reports}
    rest = [o for o in read_outcomes(out / "outcomes.jsonl") if o.question_id not in finished]
    assert server.generated_tokens - spent == sum(o.tokens for o in rest) + PROBE_TOKENS
