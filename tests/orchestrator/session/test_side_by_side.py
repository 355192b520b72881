"""Several questions of a session at once, against servers of known speed."""

import asyncio
import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.events import RunStarted
from orchestrator.errors import DeepPruneError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.questions import Question
from orchestrator.report.report import Report
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session, SessionResult
from orchestrator.session.state import SessionState
from orchestrator.settings import AutoSettings, Settings
from tests.support.engine import Engine
from tests.support.paced_servers import PacedServers
from tests.support.sessions import run_session


def session(
    servers: PacedServers, out: Path, *, questions: int, concurrency: int = 8, **run: object
) -> Session:
    tree = {
        "endpoint": {"urls": [servers.reasoner.url], "max_attempts": 1},
        "policy": {"name": "consensus", "traces": 2},
        "run": {"out": str(out), "concurrency": concurrency, **run},
    }
    return Session(
        settings=Settings.model_validate(tree),
        questions=[Question(id=f"q{n}", question=f"{n}?") for n in range(questions)],
        keys=Keys(),
    )


def ids(reports: Sequence[Report]) -> list[str]:
    return [report.question_id for report in reports]


class Peak:
    """Counts the streams that are open at once."""

    def __init__(self, servers: PacedServers) -> None:
        self.most = 0
        complete = servers.reasoner.answers["/v1/completions"]

        async def counted(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            self.most = max(self.most, servers.reasoner.live)
            return await complete(request, body)

        servers.reasoner.answers["/v1/completions"] = counted


async def test_questions_fill_the_streams_and_never_take_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states: list[SessionState] = []
    most = 0

    async def watch() -> None:
        nonlocal most
        while not states or states[0].phase == "running":
            most = max(most, len(states[0].running) if states else 0)
            await asyncio.sleep(0.002)

    async with PacedServers(words=20, pause=0.005, answers=("26",)).serving() as servers:
        peak, watching = Peak(servers), asyncio.create_task(watch())
        ended = await run_session(session(servers, tmp_path, questions=6), seen=states)
        await watching
    assert ids(ended.reports) == [f"q{n}" for n in range(6)]
    assert most >= 4  # two traces each, in eight streams
    assert peak.most <= 8
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["question_id"] for line in lines] == ids(ended.reports)
    told = summary["summary"]
    assert told["questions"] == 6
    assert told["ledger"]["reasoner"]["generated_tokens"] == 6 * 2 * 21
    assert told["wall_seconds"] < told["seconds"]
    (run_dir,) = tmp_path.iterdir()
    folders = sorted(path for path in run_dir.iterdir() if path.is_dir())
    assert all(replay(folder).difference is None for folder in folders)


async def test_a_short_question_behind_a_long_one_is_written_as_it_ends_and_printed_in_its_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first question's two traces wait for the test; the others do not."""
    seen: list[tuple[bool, str]] = []
    release = asyncio.Event()

    async def look(run_dir: Callable[[], Path]) -> None:
        while not list(tmp_path.glob("*/0003-q2/report.json")):  # noqa: ASYNC110  there is no event for a file
            await asyncio.sleep(0.005)
        seen.append(((run_dir() / "0001-q0" / "report.json").exists(), capsys.readouterr().out))
        release.set()

    async with PacedServers(words=6, answers=("26",)).serving() as servers:
        hold_streams(servers, 2, release)
        looking = asyncio.create_task(look(lambda: next(tmp_path.iterdir())))
        ended = await run_session(session(servers, tmp_path, questions=3))
        await looking
    assert seen == [(False, "")]
    assert ids(ended.reports) == ["q0", "q1", "q2"]


def hold_streams(servers: PacedServers, streams: int, release: asyncio.Event) -> None:
    """Lets the first streams behind the probe wait until `release` is set."""
    complete = servers.reasoner.answers["/v1/completions"]
    requests = 0

    async def held(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if 1 < requests <= 1 + streams:
            await release.wait()
        return await complete(request, body)

    servers.reasoner.answers["/v1/completions"] = held


async def interrupted(servers: PacedServers, asked: Session, streams: int) -> SessionResult:
    """The session after Ctrl-C once so many streams are open."""
    states: list[SessionState] = []

    async def press() -> None:
        await servers.reasoner.until_live(streams)
        states[0].interrupt()

    pressing = asyncio.create_task(press())
    ended = await run_session(asked, seen=states)
    await pressing
    await servers.reasoner.until_live(0)
    return ended


async def test_an_interrupt_ends_all_that_run_in_order_and_starts_no_other(tmp_path: Path) -> None:
    async with PacedServers(words=500, pause=0.05).serving() as servers:
        ended = await interrupted(servers, session(servers, tmp_path, questions=9), streams=8)
    assert ended.interrupted
    assert ids(ended.reports) == ["q0", "q1", "q2", "q3"]
    assert all(report.interrupted for report in ended.reports)
    assert {report.traces.stopped for report in ended.reports} == {2}


async def test_after_an_interrupt_the_questions_that_had_not_run_are_asked(tmp_path: Path) -> None:
    async with PacedServers(words=500, pause=0.05, answers=("26",)).serving() as servers:
        asked = session(servers, tmp_path, questions=6)
        first = await interrupted(servers, asked, streams=8)
        (run_dir,) = tmp_path.iterdir()
        servers.pause, servers.words = 0.0, 6
        ended = await run_session(dataclasses.replace(asked, resume=run_dir))
    assert ids(ended.reports) == [f"q{n}" for n in range(6)]
    assert ended.reports[:4] == first.reports
    assert [report.answer for report in ended.reports[4:]] == ["26", "26"]


async def test_several_open_questions_go_on_from_their_tokens(tmp_path: Path) -> None:
    """The session is cancelled, as by a kill: no question has its report, and all have tokens."""
    async with PacedServers(words=60, pause=0.01, answers=("26",)).serving() as servers:
        asked = session(servers, tmp_path, questions=5)
        states: list[SessionState] = []
        running = asyncio.create_task(run_session(asked, seen=states))
        while not (states and are_under_way(tokens_of(states[0]))):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await servers.reasoner.until_live(0)
        (run_dir,) = tmp_path.iterdir()
        assert not list(run_dir.glob("*/report.json"))
        servers.pause = 0.0
        ended = await run_session(dataclasses.replace(asked, resume=run_dir))
    assert ids(ended.reports) == [f"q{n}" for n in range(5)]
    assert [report.resumed for report in ended.reports] == [1, 1, 1, 1, 0]
    assert {report.ledger.reasoner.generated_tokens for report in ended.reports} == {2 * 61}
    for report in ended.reports:
        assert report.run_dir is not None
        assert replay(Path(report.run_dir)).difference is None


def are_under_way(tokens: list[int]) -> bool:
    return len(tokens) == 4 and min(tokens) > 20


def tokens_of(state: SessionState) -> list[int]:
    return [each.run.view.generated_tokens for each in state.running if each.run is not None]


async def test_a_question_that_fails_ends_those_beside_it_and_they_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with PacedServers(words=30, pause=0.02, answers=("26",)).serving() as servers:
        complete = servers.reasoner.answers["/v1/completions"]
        asked = session(servers, tmp_path, questions=2)
        streams = 0

        async def broken(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            nonlocal streams
            streams += 1
            if streams in (4, 5):  # the second question's, behind a probe and two streams
                return web.json_response({"error": "no"}, status=500)
            return await complete(request, body)

        servers.reasoner.answers["/v1/completions"] = broken
        with pytest.raises(DeepPruneError, match="All 2 traces failed"):
            await run_session(asked)
        await servers.reasoner.until_live(0)
        (line,) = capsys.readouterr().out.splitlines()
        assert json.loads(line)["traces"]["failed"] == 2
        (run_dir,) = tmp_path.iterdir()
        assert [path.parent.name for path in run_dir.glob("*/report.json")] == ["0002-q1"]
        assert list(read_journal(run_dir / "0001-q0"))


async def test_the_servers_count_all_questions_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counters move by what the streams have written, and by nothing of any single question alone."""
    engine = Engine()
    async with PacedServers(words=6, answers=("26",)).serving() as servers:
        complete = servers.reasoner.answers["/v1/completions"]

        async def counting(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            answer = await complete(request, body)
            engine.generated += 7
            engine.cached += 2
            return answer

        servers.reasoner.answers |= {"/metrics": engine.page, "/v1/completions": counting}
        asked = session(servers, tmp_path, questions=3)
        quiet = asked.settings.endpoint.model_copy(update={"check_cancellation": False})
        settings = asked.settings.model_copy(update={"endpoint": quiet})
        await run_session(dataclasses.replace(asked, settings=settings))
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert {line["ledger"]["reasoner"]["server_generated_tokens"] for line in lines} == {None}
    bill = summary["summary"]["ledger"]["reasoner"]
    assert bill["server_generated_tokens"] == bill["generated_tokens"] == 3 * 2 * 7
    assert bill["cached_prompt_tokens"] == 3 * 2 * 2


async def test_an_interrupt_while_the_servers_are_counted_keeps_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request of somebody else keeps the server busy, so that its counters are waited for."""
    states: list[SessionState] = []

    async def press() -> None:
        while not (states and len(states[0].started) == 2 and not states[0].running):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        states[0].interrupt()

    async with PacedServers(words=6, answers=("26",)).serving() as servers:
        servers.reasoner.answers["/metrics"] = Engine(running=1).page
        pressing = asyncio.create_task(press())
        ended = await run_session(session(servers, tmp_path, questions=2), seen=states)
        await pressing
    assert ended.interrupted
    assert not any(report.interrupted for report in ended.reports)
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert len(lines) == 2
    assert summary["summary"]["answered"] == 2


async def test_the_progress_lines_count_the_questions_that_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with PacedServers(words=30, pause=0.05, answers=("26",)).serving() as servers:
        await run_session(session(servers, tmp_path, questions=3))
    err = capsys.readouterr().err
    assert re.search(r"0 of 3 questions done, 3 running · traces: \d+ running", err)


def with_budget(servers: PacedServers, out: Path, tokens: int, *, questions: int) -> Session:
    asked = session(servers, out, questions=questions)
    tree = asked.settings.model_dump(mode="json")
    tree["policy"] = {"name": "auto", "traces": 16, "budget": tokens}
    return dataclasses.replace(asked, settings=Settings.model_validate(tree))


def prices(run_dir: Path) -> list[float]:
    """The price of a trace of each question that has begun, in their order."""
    found = []
    for journal in sorted(run_dir.glob("*/journal.jsonl")):
        started = next(read_journal(journal))
        assert isinstance(started, RunStarted)
        assert isinstance(started.settings.policy, AutoSettings)
        assert started.settings.policy.trace_price is not None
        found.append(started.settings.policy.trace_price)
    return found


@pytest.mark.parametrize(("tokens", "dearer"), [(10 * 20, True), (10 * 2000, False)])
async def test_with_a_budget_the_price_of_a_trace_follows_what_is_left(
    tmp_path: Path, tokens: int, dearer: bool
) -> None:
    async with PacedServers(words=20, answers=("26", "26", "38")).serving() as servers:
        ended = await run_session(with_budget(servers, tmp_path, tokens, questions=10))
    (run_dir,) = tmp_path.iterdir()
    first, *later = prices(run_dir)
    assert first == 0.005
    assert all((price > first) is dearer for price in later)
    assert [report.answer for report in ended.reports] == ["26"] * 10
    assert all(replay(Path(str(report.run_dir))).difference is None for report in ended.reports)


async def test_a_question_that_is_continued_keeps_its_price(tmp_path: Path) -> None:
    async with PacedServers(words=60, pause=0.005, answers=("26",)).serving() as servers:
        asked = with_budget(servers, tmp_path, 2000, questions=4)
        states: list[SessionState] = []
        running = asyncio.create_task(run_session(asked, seen=states))
        while not (states and len(states[0].started) == 3 and sum(tokens_of(states[0])) > 10):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (run_dir,) = tmp_path.iterdir()
        before = prices(run_dir)
        ended = await run_session(dataclasses.replace(asked, resume=run_dir))
    assert prices(run_dir)[:3] == before
    assert [report.resumed for report in ended.reports] == [0, 0, 1, 0]
    assert all(replay(Path(str(report.run_dir))).difference is None for report in ended.reports)
