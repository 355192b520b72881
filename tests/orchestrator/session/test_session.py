"""Whole sessions, against servers that behave."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.errors import ConfigError, DeepPruneError
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from tests.support.paced_servers import PacedServers
from tests.support.sessions import run_session


def session(
    servers: PacedServers,
    out: Path,
    *,
    questions: int = 1,
    at_once: int | None = 1,
    **settings: object,
) -> Session:
    tree = {
        "endpoint": {"urls": [servers.reasoner.url], "max_attempts": 1},
        "policy": {"name": "consensus", "traces": 2},
        "run": {"out": str(out), "questions_at_once": at_once},
        **settings,
    }
    return Session(
        settings=Settings.model_validate(tree),
        questions=[Question(id=f"q{n}", question=f"{n}?") for n in range(questions)],
        keys=Keys(),
    )


async def test_questions_are_asked_and_reported_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with PacedServers(words=6, answers=("26",)).serving() as servers:
        ended = await run_session(session(servers, tmp_path, questions=3))
    assert [report.question_id for report in ended.reports] == ["q0", "q1", "q2"]
    assert not ended.interrupted
    assert len(capsys.readouterr().out.splitlines()) == 4
    (run_dir,) = tmp_path.iterdir()
    assert (run_dir / "0003-q2" / "report.json").exists()
    assert (run_dir / "summary.json").exists()


async def test_a_finished_session_that_is_resumed_asks_no_server(tmp_path: Path) -> None:
    async with PacedServers(words=6).serving() as servers:
        first = await run_session(session(servers, tmp_path, questions=2))
        (run_dir,) = tmp_path.iterdir()
        servers.reasoner.seen.clear()
        asked = session(servers, tmp_path, questions=2)
        again = await run_session(dataclasses.replace(asked, resume=run_dir))
        assert servers.reasoner.seen == []
    assert again.reports == first.reports


async def test_a_question_that_fails_is_reported_before_the_session_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with PacedServers(words=6).serving() as servers:
        complete = servers.reasoner.answers.pop("/v1/completions")
        probes = iter([complete])
        refused = servers.reasoner.answers["/v1/models"]  # answers, but not with a stream
        servers.reasoner.answers["/v1/completions"] = lambda request, body: next(probes, refused)(
            request, body
        )
        with pytest.raises(DeepPruneError, match="All 2 traces failed"):
            await run_session(session(servers, tmp_path, questions=2))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["traces"]["failed"] == 2


async def interrupt_first(servers: PacedServers, states: list[SessionState]) -> None:
    """Presses Ctrl-C while the first question runs."""
    while not (states and states[0].started):  # noqa: ASYNC110  the session has no event for it
        await asyncio.sleep(0.001)
    await servers.reasoner.until_live(2)
    states[0].interrupt()


async def test_an_interrupt_ends_the_question_in_order_and_asks_no_further_one(
    tmp_path: Path,
) -> None:
    states: list[SessionState] = []
    async with PacedServers(words=500, pause=0.05).serving() as servers:
        watch = asyncio.create_task(interrupt_first(servers, states))
        ended = await run_session(session(servers, tmp_path, questions=3), seen=states)
        await watch
        await servers.reasoner.until_live(0)
    assert ended.interrupted
    (report,) = ended.reports
    assert report.interrupted
    assert report.traces.stopped == 2


async def test_an_interrupt_while_servers_are_opened_ends_the_session_without_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states: list[SessionState] = []
    async with PacedServers().serving() as servers:
        asked = asyncio.Event()

        async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            asked.set()
            await asyncio.sleep(3600)
            raise AssertionError

        async def interrupt() -> None:
            await asked.wait()
            states[0].interrupt()

        servers.reasoner.answers["/v1/models"] = hang
        pressed = asyncio.create_task(interrupt())
        ended = await run_session(session(servers, tmp_path), seen=states)
        await pressed
    assert ended.interrupted
    assert ended.reports == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"questions": []}, "There is no question"),
        ({"settings": Settings()}, "No reasoner is given"),
        ({"local": True}, "starts its own servers"),
    ],
)
async def test_a_session_that_cannot_work_is_refused_before_anything_is_made(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    async with PacedServers().serving() as servers:
        wrong = dataclasses.replace(session(servers, tmp_path / "runs"), **change)  # type: ignore[arg-type]  # by name
        with pytest.raises(ConfigError, match=sentence):
            await run_session(wrong)
        assert servers.reasoner.seen == []
    assert not (tmp_path / "runs").exists()


async def test_a_run_folder_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    async with PacedServers(words=6, answers=("26",)).serving() as servers:
        await run_session(session(servers, tmp_path, questions=2))
    (run_dir,) = tmp_path.iterdir()
    folders = [run_dir, *(path for path in run_dir.iterdir() if path.is_dir())]
    assert len(folders) == 3
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


async def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    servers = PacedServers()
    async with servers.serving():
        asked = session(servers, tmp_path)
    with pytest.raises(DeepPruneError, match=r"127\.0\.0\.1"):
        await run_session(asked)
    assert not list(tmp_path.iterdir())
