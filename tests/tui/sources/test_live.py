"""Live runs, shown and steered in the same event loop, against servers that work as they should.

Where a test has to act while a run is in a certain state, the servers are slow until it has, and fast afterwards.
"""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.core.commands import Command
from orchestrator.core.events import (
    CheckpointReached,
    Event,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceStopped,
    UserCommandReceived,
    VoteCast,
)
from orchestrator.errors import EndpointUnreachable
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.questions import Question
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from tests.support.paced_servers import PacedServers
from tests.support.screens import DrivenApp, driven, text_of
from tests.support.sessions import run_session
from tui.screens.live import LiveScreen
from tui.screens.questions import QuestionsScreen

_ENDS = TraceFinished | TraceStopped | TraceFailed
SLOW, FAST = 1.0, 0.001  # seconds per word; a slow trace outlasts what a test does meanwhile


def session(
    servers: PacedServers,
    out: Path,
    *,
    questions: int = 1,
    words: int = 6,
    concurrency: int | None = None,
    at_once: int | None = None,
    **policy: object,
) -> Session:
    own = {} if "name" in policy else {"name": "deepprune", "survivors": 2}
    run = {"out": str(out), "questions_at_once": at_once}
    run |= {"concurrency": concurrency} if concurrency else {}
    settings = Settings.model_validate(
        {
            "endpoint": {"urls": [servers.reasoner.url]},
            "judge": {"url": servers.judge.url},
            "policy": {"traces": 6, **own, **policy},
            "checkpoint": {"words": words},
            "run": run,
        }
    )
    asked = [Question(id=f"q{n}", question=f"How many? {n}") for n in range(questions)]
    return Session(settings=settings, questions=asked, keys=Keys())


def view_of(state: SessionState) -> RunView:
    """The view of the first question; an empty one before it has started."""
    run = state.started[0].run if state.started else None
    return run.view if run is not None else RunView()


def run_folder(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


async def to_the_end(screen: DrivenApp, state: SessionState) -> None:
    await screen.until(lambda: state.phase == "over")


async def test_the_screen_shows_the_run_and_stays_until_the_user_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []

    async def look(screen: DrivenApp, state: SessionState) -> None:
        await to_the_end(screen, state)
        shown.append(await screen.look())
        assert capsys.readouterr().out == ""
        await screen.press("q")

    async with PacedServers(words=30).serving() as servers:
        await run_session(session(servers, tmp_path), driven(look))
    (text,) = shown
    assert "How many? 0" in text
    assert "the run is over: q leaves" in text
    assert "answer 26" in text
    printed = capsys.readouterr()
    assert json.loads(printed.out)["answer"] == "26"
    assert "Reasoner paced" in printed.err


@pytest.mark.slow  # draws whole screens
@pytest.mark.parametrize("policy", ["consensus", "deepprune"])
async def test_the_journal_is_the_same_with_and_without_the_screen(
    tmp_path: Path, policy: str
) -> None:
    outcomes = []
    for name, screen in (("plain", None), ("screen", driven(to_the_end))):
        async with PacedServers(words=30).serving() as servers:
            await run_session(session(servers, tmp_path / name, name=policy), screen)
        folder = run_folder(tmp_path / name)
        assert replay(folder).difference is None
        outcomes.append(outcome(list(read_journal(folder)), with_text=policy == "consensus"))
    assert outcomes[0] == outcomes[1]


def outcome(entries: list[Event | Command], *, with_text: bool) -> object:
    """What each trace wrote, how it ended, and the vote: all that does not depend on who came first.

    A trace that is paused may have written a few words more or less before its stream was closed.
    """
    traces = []
    for trace in range(6):
        own = [entry for entry in entries if getattr(entry, "trace", None) == trace]
        text = "".join(entry.text for entry in own if isinstance(entry, TokensArrived))
        kinds = [type(entry) for entry in own if isinstance(entry, CheckpointReached | _ENDS)]
        traces.append((text if with_text else "", [kind.__name__ for kind in kinds]))
    (vote,) = [entry for entry in entries if isinstance(entry, VoteCast)]
    return sorted(traces), vote.answer, [each.count for each in vote.votes]


@pytest.mark.slow  # draws whole screens
async def test_commands_of_the_user_reach_the_journal_and_replay_to_the_same_commands(
    tmp_path: Path,
) -> None:
    async def steer(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: "6 running" in text_of(screen.app))
        await screen.press("p", "right", "f", "right", "x", "plus", "z", "z")
        await screen.until(lambda: len(received(view_of(state).events)) == 6)
        servers.pause = FAST
        await to_the_end(screen, state)

    async with PacedServers(words=60, pause=SLOW).serving() as servers:
        await run_session(session(servers, tmp_path, words=40), driven(steer))
        await servers.reasoner.until_live(0)
    folder = run_folder(tmp_path)
    entries = list(read_journal(folder))
    commands = received(entries)
    assert [(command.command, command.trace) for command in commands] == [
        ("pin", 0),
        ("finish", 1),
        ("stop", 2),
        ("tau", None),
        ("hold", None),
        ("release", None),
    ]
    assert all(command.at > 0 for command in commands)
    finished = {entry.trace for entry in entries if isinstance(entry, TraceFinished)}
    assert {0, 1} <= finished
    assert 2 not in finished
    assert replay(folder).difference is None


def received(entries: Iterable[Event | Command]) -> list[UserCommandReceived]:
    return [entry for entry in entries if isinstance(entry, UserCommandReceived)]


async def test_voting_now_stops_all_traces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def vote(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: "6 running" in text_of(screen.app))
        await screen.press("v", "v")
        await to_the_end(screen, state)

    async with PacedServers(words=400, pause=SLOW).serving() as servers:
        await run_session(session(servers, tmp_path, words=400), driven(vote))
        await servers.reasoner.until_live(0)
    report = json.loads(capsys.readouterr().out)
    assert (report["interrupted"], report["traces"]["stopped"]) == (False, 6)
    assert report["answer"] is None  # nothing had finished


@pytest.mark.slow  # draws whole screens
async def test_held_launching_starts_no_further_trace_until_it_is_released(tmp_path: Path) -> None:
    queued: list[int] = []

    async def hold(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: "2 running" in text_of(screen.app))
        await screen.press("z")
        await screen.until(lambda: view_of(state).held)
        servers.pause = FAST
        await screen.until(lambda: waiting(view_of(state)) == 2)
        await screen.pilot.pause(0.3)
        queued.append(view_of(state).counts()["queued"])
        await screen.press("z")
        await to_the_end(screen, state)

    async with PacedServers(words=40, pause=SLOW).serving() as servers:
        held = session(servers, tmp_path, traces=4, concurrency=2)
        await run_session(held, driven(hold), quiet=True)
    assert queued == [2]
    assert replay(run_folder(tmp_path)).difference is None


def waiting(view: RunView) -> int:
    counts = view.counts()
    return counts["checkpoint"] + counts["paused"]


async def test_ctrl_c_stops_the_streams_and_prints_the_partial_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupt(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: "6 running" in text_of(screen.app))
        await screen.press("ctrl+c")
        await screen.until(lambda: state.phase == "closing")

    async with PacedServers(words=400, pause=SLOW).serving() as servers:
        ended = await run_session(session(servers, tmp_path), driven(interrupt))
        await servers.reasoner.until_live(0)
    printed = capsys.readouterr()
    assert ended.interrupted
    assert json.loads(printed.out)["interrupted"] is True
    assert "interrupted" in printed.err


async def test_leaving_the_screen_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress: list[str] = []

    async def speed_up_once_progress_is_printed() -> None:
        while "running" not in "".join(progress):
            await asyncio.sleep(0.01)
            progress.append(capsys.readouterr().err)
        servers.pause = FAST

    async def leave(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: view_of(state).counts()["running"])
        await screen.press("q")
        tasks.create_task(speed_up_once_progress_is_printed())

    async with (
        PacedServers(words=60, pause=SLOW).serving() as servers,
        asyncio.TaskGroup() as tasks,
    ):
        await run_session(session(servers, tmp_path), driven(leave))
    assert json.loads(capsys.readouterr().out)["answer"] == "26"


async def test_a_screen_that_breaks_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(screen: DrivenApp, state: SessionState) -> None:
        raise RuntimeError("no such terminal")

    async with PacedServers(words=30).serving() as servers:
        await run_session(session(servers, tmp_path), driven(broken))
    printed = capsys.readouterr()
    assert json.loads(printed.out)["answer"] == "26"
    assert "The screen broke (no such terminal)" in printed.err


async def test_a_run_that_cannot_start_closes_the_screen_and_tells_why(tmp_path: Path) -> None:
    closed: list[bool] = []

    async def look(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: state.phase == "closing")
        closed.append(True)

    async with PacedServers().serving() as servers:
        unreachable = session(servers, tmp_path)
    with pytest.raises(EndpointUnreachable):
        await run_session(unreachable, driven(look))
    assert closed == [True]


@pytest.mark.slow  # draws whole screens
async def test_an_earlier_question_can_be_opened_while_the_last_one_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def watch(screen: DrivenApp, state: SessionState) -> None:
        assert isinstance(screen.uppermost, QuestionsScreen)
        await screen.until(lambda: len(state.started) == 3)
        servers.pause = SLOW  # the last question still runs when the first one is shown
        await screen.look()
        await screen.press("home", "enter")
        live = screen.uppermost
        assert isinstance(live, LiveScreen)
        shown = await screen.look()
        assert "How many? 0" in shown
        assert "q0" not in shown  # ids stay in the table
        assert live.watched.view.question == "How many? 0"
        assert not live.source.steerable
        servers.pause = FAST
        await to_the_end(screen, state)
        await screen.press("escape")

    async with PacedServers(words=30, pause=FAST).serving() as servers:
        asked = session(servers, tmp_path, questions=3, at_once=1)
        await run_session(asked, driven(watch))
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.slow  # draws whole screens
async def test_questions_side_by_side_are_all_shown_and_each_is_steered_by_itself(
    tmp_path: Path,
) -> None:
    shown: list[str] = []

    async def watch(screen: DrivenApp, state: SessionState) -> None:
        await screen.until(lambda: len(state.running) == 3)
        await screen.until(lambda: text_of(screen.app).count("6 › 0 ✓") == 3)
        shown.append(await screen.look())
        await screen.press("down", "enter", "v", "v")
        await screen.until(lambda: state.started[1].report is not None)
        shown.append(await screen.look())
        servers.pause = FAST
        await screen.press("escape")
        await to_the_end(screen, state)
        shown.append(await screen.look())

    async with PacedServers(words=60, pause=SLOW).serving() as servers:
        asked = session(servers, tmp_path, questions=3, name="consensus")
        await run_session(asked, driven(watch), quiet=True)
    beside, steered, over = shown
    assert "0 of 3 questions  3 running" in beside
    assert "How many? 1" in steered
    assert "3 of 3 questions" in over
    folders = sorted(path for path in run_folder(tmp_path).iterdir() if path.is_dir())
    assert [len(received(read_journal(folder))) for folder in folders] == [0, 1, 0]
    assert all(replay(folder).difference is None for folder in folders)
