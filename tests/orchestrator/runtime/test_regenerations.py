"""Prefix consistency on a server that continues token ids: what is sent, billed, recorded, and taken up again."""

from pathlib import Path

import pytest

import deepprune
from bench.data.readers.journals import read_run
from bench.data.recorded import RecordedQuestion, RecordedTrace, Regeneration
from bench.mock_server.server import ReplayServer, serve_recording
from orchestrator.errors import ConfigError
from orchestrator.journal.journal import read_journal
from tests.support.fake_server import FakeServer, answer_stream, event
from tests.support.recorded_server import FAST, QUESTIONS

LENGTHS = (40, 21)
KEPT = (30, 15)
"""Three quarters of each, rounded down."""


def server() -> ReplayServer:
    text = "so it goes. " * 9 + r"It is \boxed{1}."
    question = RecordedQuestion(
        id=QUESTIONS[0].id,
        question=QUESTIONS[0].question,
        correct=frozenset({"1"}),
        traces=tuple(RecordedTrace(tokens=n, answer="1", text=text) for n in LENGTHS),
    )
    return ReplayServer([question], model=FAST)


async def ask(url: str, out: Path) -> deepprune.Result:
    async with deepprune.Client(
        url, policy="prefix-consistency", traces=len(LENGTHS), out=out
    ) as client:
        return await client.ask(QUESTIONS[0])


async def test_finished_traces_go_on_behind_their_prefix_and_are_kept_for_replays(
    tmp_path: Path,
) -> None:
    async with serve_recording(server()) as url:
        result = await ask(url, tmp_path)
    again = sum(LENGTHS) - sum(KEPT)
    assert [(vote.answer, vote.ballots, vote.weight) for vote in result.votes] == [("1", 2, 16.0)]
    reasoner = result.usage.reasoner
    assert reasoner.by_fate.regenerations == again
    assert reasoner.generated_tokens == sum(LENGTHS) + again
    assert reasoner.weighed_reads > 0
    counts = result.report.traces
    assert (counts.planned, counts.started, counts.finished) == (2, 2, 2)
    assert result.saved is not None
    assert result.saved < 0  # a plain vote of the same traces costs less
    assert result.run_dir is not None
    (recorded,) = read_run(result.run_dir)
    assert {trace.tokens: trace.regeneration for trace in recorded.traces} == {
        length: Regeneration(tokens=length - kept, answer="1")
        for length, kept in zip(LENGTHS, KEPT, strict=True)
    }


async def test_a_run_that_broke_off_in_a_regeneration_goes_on_behind_the_same_prefix(
    tmp_path: Path,
) -> None:
    async with serve_recording(server()) as url:
        whole = await ask(url, tmp_path)
        assert whole.run_dir is not None
        journal = whole.run_dir / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        cut = next(
            number
            for number, line in enumerate(lines)
            if b'"StartTrace"' in line and b'"of"' in line
        )
        journal.write_bytes(b"".join(lines[: cut + 1]))
        (whole.run_dir / "report.json").unlink(missing_ok=True)
        async with deepprune.Client(
            url, policy="prefix-consistency", traces=len(LENGTHS), out=tmp_path
        ) as client:
            run = client.prepare(deepprune.Question(id="q0", question=QUESTIONS[0].question))
            run.folder = whole.run_dir
            await client.run(run)
    regenerations = run.view.regenerations.values()
    assert sorted(trace.tokens for trace in regenerations) == sorted(
        length - kept for length, kept in zip(LENGTHS, KEPT, strict=True)
    )
    assert [vote.weight for vote in run.view.votes] == [16.0]
    assert list(read_journal(whole.run_dir))


async def test_a_server_that_continues_no_tokens_is_refused(tmp_path: Path) -> None:

    fake = FakeServer({"/v1/chat/completions": answer_stream(event("so", finish_reason="stop"))})
    async with fake:
        with pytest.raises(ConfigError, match="cannot continue token ids"):
            await ask(fake.url, tmp_path)
