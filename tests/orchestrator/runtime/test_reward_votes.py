"""Whole runs whose vote goes by rewards, on servers that behave and on a reward model that does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bench.cli.main import main as bench
from orchestrator.cli.main import main
from orchestrator.core.events import RewardFailed, TraceRewarded
from orchestrator.journal.journal import read_journal
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.journal.replay import replay
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session
from orchestrator.settings import Settings
from tests.support.fake_server import FakeServer, answer_json
from tests.support.paced_servers import PacedServers
from tests.support.reward_server import likes
from tests.support.sessions import run_session


def session(endpoints: PacedServers, reward: FakeServer, out: Path, vote: str) -> Session:
    settings = Settings.model_validate(
        {
            "endpoint": {"urls": [endpoints.reasoner.url]},
            "reward": {"url": reward.url, "max_attempts": 1},
            "policy": {"name": "consensus", "traces": 4, "vote": vote},
            "run": {"out": str(out)},
        }
    )
    asked = [Question(id="q", question="How many?", gold="38")]
    return Session(settings=settings, questions=asked, keys=Keys())


@pytest.mark.parametrize(("vote", "weight"), [("best-of-n", 0.125), ("reward", 0.375)])
async def test_a_rare_answer_that_is_rewarded_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], vote: str, weight: float
) -> None:
    async with PacedServers(words=8).serving() as endpoints, likes("38") as server:
        await run_session(session(endpoints, server, tmp_path, vote))
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["answer"], report["correct"]) == ("38", True)
    assert [(v["answer"], v["weight"]) for v in report["votes"]] == [("38", 0.75), ("26", weight)]
    assert "Reward model m at" in printed.err
    assert "Rewards: 4 traces, 28 tokens read" in printed.err
    (folder,) = tmp_path.iterdir()
    entries = list(read_journal(folder))
    rewarded = [e for e in entries if isinstance(e, TraceRewarded)]
    assert {(e.trace, e.prompt_tokens) for e in rewarded} == {(trace, 7) for trace in range(4)}
    assert replay(folder).difference is None
    killed = entries.index(rewarded[0])
    assert rewarded[0].trace in RecoveredRun(entries[:killed]).unrewarded
    assert rewarded[0].trace not in RecoveredRun(entries[: killed + 1]).unrewarded


async def test_a_reward_model_that_goes_down_leaves_a_plain_majority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = likes("38")
    classify = server.answers["/classify"]

    async def once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        first = len(server.bodies("/classify")) == 1
        answer = classify if first else answer_json({"detail": "out of \x1b[31mmemory"}, 500)
        return await answer(request, body)

    server.answers["/classify"] = once
    async with PacedServers(words=8).serving() as endpoints, server:
        await run_session(session(endpoints, server, tmp_path, "best-of-n"))
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert [(v["answer"], v["weight"]) for v in report["votes"]] == [("26", 3.0), ("38", 1.0)]
    assert "No trace got a reward, so the vote is a plain majority" in printed.err
    assert "4 traces got no reward" in printed.err
    assert "\x1b" not in printed.err
    (folder,) = tmp_path.iterdir()
    assert sum(isinstance(e, RewardFailed) for e in read_journal(folder)) == 4
    assert replay(folder).difference is None


VOTE = ("--set", "policy.vote=best-of-n")


def test_a_vote_by_reward_without_an_endpoint_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["--endpoint", "http://127.0.0.1:9/v1"]
    run = [*to, "--policy", "consensus", *VOTE, "--out", str(tmp_path / "runs"), "--no-tui", "q"]
    assert main(run) == 2
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"id": "1", "question": "1+1?", "answer": "2"}\n')
    live = ["--policy", "cons@4:vote=reward", "--questions", str(questions)]
    assert bench(["run", *to, *live, "--out", str(tmp_path / "bench")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["q.jsonl"]
    err = capsys.readouterr().err
    assert "The policy consensus votes by reward (policy.vote is best-of-n); name" in err
    assert "cons@4:vote=reward votes by reward" in err
    assert err.count("--reward-endpoint URL") == 2
