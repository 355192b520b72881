"""Servers that are away for longer than a run waits: nothing is lost, and --resume goes on where it broke off."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.events import RunFinished, TokensArrived, TraceFailed
from orchestrator.errors import ServersAway
from orchestrator.journal.journal import read_journal
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from tests.support.paced_servers import PacedServers
from tests.support.proxy import Proxy
from tests.support.sessions import run_session

WORDS = 600
"""Of traces that nobody has read to their end when the server goes away, however slow the machine is."""


def session(url: str, out: Path, *, questions: int = 1, **endpoint: Any) -> Session:
    tree = {
        "endpoint": {"urls": [url], "outage_seconds": 0.3, **endpoint},
        "policy": {"name": "consensus", "traces": 3},
        "run": {"out": str(out), "questions_at_once": 1},
    }
    return Session(
        settings=Settings.model_validate(tree),
        questions=[Question(id=f"q{n}", question=f"{n}?") for n in range(questions)],
        keys=Keys(),
    )


async def refuse_after(
    proxy: Proxy, servers: PacedServers, seen: list[SessionState], tokens: int
) -> None:
    """Takes the server away once the run has so many tokens; when it is back, it writes without a pause."""
    while True:
        runs = [state.run for each in seen for state in each.started if state.run is not None]
        if any(run.view.generated_tokens >= tokens for run in runs):
            proxy.refuse()
            servers.pause = 0.0
            return
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("trace", "attempts"):
        monkeypatch.setattr(f"orchestrator.runtime.{module}._backoff", lambda state: 0.02)
    monkeypatch.setattr("orchestrator.runtime.attempts._ANNOUNCED_AFTER", 0.0)


async def test_a_run_whose_server_went_away_is_continued_from_its_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        PacedServers(words=WORDS, pause=0.01, answers=("26",)).serving() as servers,
        Proxy(servers.reasoner.url).running() as proxy,
    ):
        seen: list[SessionState] = []
        outage = asyncio.create_task(refuse_after(proxy, servers, seen, 30))
        with pytest.raises(ServersAway, match=r"away for 0\.3 seconds.*--resume") as caught:
            await run_session(session(proxy.url, tmp_path), seen=seen)
        await outage
        (run_dir,) = tmp_path.iterdir()
        assert str(run_dir) in str(caught.value)
        assert not (run_dir / "report.json").exists()
        printed = capsys.readouterr()
        report = json.loads(printed.out)
        assert (report["traces"]["failed"], report["interrupted"]) == (3, True)
        assert "It is waited for, at most 0.3 seconds" in printed.err

        before = list(read_journal(run_dir))
        assert not any(isinstance(entry, TraceFailed | RunFinished) for entry in before)
        again = session(servers.reasoner.url, tmp_path)
        ended = await run_session(dataclasses.replace(again, resume=run_dir))

    (finished,) = ended.reports
    assert (finished.answer, finished.traces.finished) == ("26", 3)
    ids: dict[int, list[int]] = {}
    for entry in read_journal(run_dir):
        if isinstance(entry, TokensArrived):
            ids.setdefault(entry.trace, []).extend(entry.token_ids)
    for found in ids.values():
        assert found == list(range(found[0], found[0] + WORDS + 1))


async def test_a_short_outage_is_announced_and_survived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        PacedServers(words=WORDS, pause=0.01, answers=("26",)).serving() as servers,
        Proxy(servers.reasoner.url).running() as proxy,
    ):
        seen: list[SessionState] = []

        async def outage() -> None:
            await refuse_after(proxy, servers, seen, 30)
            await asyncio.sleep(0.5)
            proxy.accept()

        away = asyncio.create_task(outage())
        ended = await run_session(session(proxy.url, tmp_path, outage_seconds=60.0), seen=seen)
        await away
    assert ended.reports[0].traces.finished == 3
    (warning,) = ended.reports[0].warnings
    assert warning.warning == "wait"
    notes = capsys.readouterr().err
    assert notes.count("It is waited for, at most 60 seconds.") >= 1
    assert notes.count("The server answers again.") == 1


async def test_a_question_whose_server_is_away_before_its_first_token_is_continued(
    tmp_path: Path,
) -> None:
    async with (
        PacedServers(words=4, answers=("26",)).serving() as servers,
        Proxy(servers.reasoner.url).running() as proxy,
    ):
        seen: list[SessionState] = []

        async def after_the_first() -> None:
            while True:
                if seen and seen[0].started and seen[0].started[0].report:
                    proxy.refuse()
                    return
                await asyncio.sleep(0)

        outage = asyncio.create_task(after_the_first())
        with pytest.raises(ServersAway, match="--resume"):
            await run_session(session(proxy.url, tmp_path, questions=3), seen=seen)
        await outage
        (run_dir,) = tmp_path.iterdir()
        again = session(servers.reasoner.url, tmp_path, questions=3)
        ended = await run_session(dataclasses.replace(again, resume=run_dir))
    assert [report.answer for report in ended.reports] == ["26"] * 3
