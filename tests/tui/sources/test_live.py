"""Runs that go on, shown and steered in the same event loop, against servers that behave."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Never

import pytest

from orchestrator.core.events import (
    CheckpointReached,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceStopped,
    UserCommandReceived,
    VoteCast,
)
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session
from orchestrator.settings import Settings
from tests.support.paced_servers import PacedServers
from tests.support.screens import driven, text_of
from tests.support.sessions import run_session
from tui.screens.live import LiveScreen
from tui.screens.questions import QuestionsScreen

_ENDS = TraceFinished | TraceStopped | TraceFailed


def session(endpoints, out, traces=6, questions=1, words=6, policy="deepprune"):
    settings = Settings.model_validate(
        {
            "endpoint": {"urls": [endpoints.reasoner.url]},
            "judge": {"url": endpoints.judge.url},
            "policy": {"name": policy, "traces": traces, "survivors": 2},
            "checkpoint": {"words": words},
            "run": {"out": str(out)},
        }
    )
    asked = [Question(id=f"q{n}", question=f"How many? {n}") for n in range(questions)]
    return Session(settings=settings, questions=asked, keys=Keys())


async def until(pilot, condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause(0.02)


def run_folder(out) -> Path:
    (folder,) = out.iterdir()
    return folder


async def test_the_screen_shows_the_run_and_stays_until_the_user_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []

    async def look(pilot, session_state) -> None:
        await until(pilot, lambda: session_state.phase == "over")
        pilot.app.tick()
        await pilot.pause()
        shown.append(text_of(pilot.app))
        assert capsys.readouterr().out == ""
        await pilot.press("q")

    async with PacedServers(words=30).serving() as endpoints:
        await run_session(session(endpoints, tmp_path), driven(look))
    (text,) = shown
    assert "How many? 0" in text
    assert "the run is over: q leaves" in text
    assert "answer 26" in text
    printed = capsys.readouterr()
    assert json.loads(printed.out)["answer"] == "26"
    assert "Reasoner paced" in printed.err


@pytest.mark.parametrize("policy", ["consensus", "deepprune"])
async def test_the_journal_is_the_same_with_and_without_the_screen(tmp_path: Path, policy) -> None:
    async def stay_to_the_end(pilot, session_state) -> None:
        await until(pilot, lambda: session_state.phase == "over")

    told = []
    for screen in (None, driven(stay_to_the_end)):
        out = tmp_path / str(len(told))
        async with PacedServers(words=30).serving() as endpoints:
            await run_session(session(endpoints, out, policy=policy), screen)
        folder = run_folder(out)
        assert replay(folder).difference is None
        told.append(essence(list(read_journal(folder)), with_text=policy == "consensus"))
    assert told[0] == told[1]


def essence(entries, *, with_text):
    """What each trace wrote and how it ended, and the vote: all that is not a matter of who came first.

    A trace that is paused may have written a few words more or less before its stream was closed.
    """
    traces = []
    for trace in range(6):
        mine = [entry for entry in entries if getattr(entry, "trace", None) == trace]
        text = "".join(entry.text for entry in mine if isinstance(entry, TokensArrived))
        kinds = [type(e).__name__ for e in mine if isinstance(e, CheckpointReached | _ENDS)]
        traces.append((text if with_text else "", kinds))
    (vote,) = [entry for entry in entries if isinstance(entry, VoteCast)]
    return sorted(traces), vote.answer, [each.count for each in vote.votes]


async def test_acts_of_the_user_reach_the_journal_and_replay_to_the_same_orders(
    tmp_path: Path,
) -> None:
    async def steer(pilot, session_state) -> None:
        await until(pilot, lambda: "6 running" in text_of(pilot.app))
        await pilot.press("p", "right", "f", "right", "x", "plus", "z", "z")
        await until(pilot, lambda: session_state.phase == "over")

    async with PacedServers(words=60, pause=0.05).serving() as endpoints:
        await run_session(session(endpoints, tmp_path, words=40), driven(steer))
        await endpoints.reasoner.until_live(0)
    folder = run_folder(tmp_path)
    entries = list(read_journal(folder))
    user_commands = [(e.command, e.trace) for e in entries if isinstance(e, UserCommandReceived)]
    assert user_commands == [
        ("pin", 0),
        ("finish", 1),
        ("stop", 2),
        ("tau", None),
        ("hold", None),
        ("release", None),
    ]
    assert all(e.at > 0 for e in entries if isinstance(e, UserCommandReceived))
    finished = {e.trace for e in entries if isinstance(e, TraceFinished)}
    assert {0, 1} <= finished
    assert 2 not in finished
    assert replay(folder).difference is None


async def test_voting_now_ends_the_run_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def vote(pilot, session_state) -> None:
        await until(pilot, lambda: "6 running" in text_of(pilot.app))
        await pilot.press("v", "v")
        await until(pilot, lambda: session_state.phase == "over")

    async with PacedServers(words=400, pause=0.05).serving() as endpoints:
        await run_session(session(endpoints, tmp_path, words=400), driven(vote))
        await endpoints.reasoner.until_live(0)
    report = json.loads(capsys.readouterr().out)
    assert (report["interrupted"], report["traces"]["stopped"]) == (False, 6)
    assert report["answer"] is None  # nothing had finished


async def test_held_launching_starts_no_further_trace_until_it_is_released(tmp_path: Path) -> None:
    seen = []

    async def hold(pilot, session_state) -> None:
        await until(
            pilot,
            lambda: (
                session_state.started and session_state.started[0].run.view.counts()["running"] == 2
            ),
        )
        view = session_state.started[0].run.view
        await pilot.press("z")
        await until(pilot, lambda: view.held)
        await until(pilot, lambda: view.counts()["checkpoint"] + view.counts()["paused"] == 2)
        await pilot.pause(0.3)
        seen.append(view.counts()["queued"])
        await pilot.press("z")
        await until(pilot, lambda: session_state.phase == "over")

    async with PacedServers(words=40, pause=0.01).serving() as endpoints:
        held = session(endpoints, tmp_path, traces=4)
        run = held.settings.run.model_copy(update={"concurrency": 2})
        settings = held.settings.model_copy(update={"run": run})
        await run_session(dataclasses.replace(held, settings=settings), driven(hold), quiet=True)
    assert seen == [2]
    assert replay(run_folder(tmp_path)).difference is None


async def test_ctrl_c_stops_the_streams_and_prints_the_partial_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupt(pilot, session_state) -> None:
        await until(
            pilot,
            lambda: (
                session_state.started and session_state.started[0].run.view.counts()["running"] == 6
            ),
        )
        await pilot.press("ctrl+c")
        await until(pilot, lambda: session_state.phase == "closing")

    async with PacedServers(words=400, pause=0.05).serving() as endpoints:
        ended = await run_session(session(endpoints, tmp_path), driven(interrupt))
        await endpoints.reasoner.until_live(0)
    printed = capsys.readouterr()
    assert ended.interrupted
    assert json.loads(printed.out)["interrupted"] is True
    assert "interrupted" in printed.err


async def test_leaving_the_screen_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def leave(pilot, session_state) -> None:
        await until(
            pilot,
            lambda: session_state.started and session_state.started[0].run.view.counts()["running"],
        )
        await pilot.press("q")

    async with PacedServers(words=200, pause=0.02).serving() as endpoints:
        await run_session(session(endpoints, tmp_path), driven(leave))
    printed = capsys.readouterr()
    assert json.loads(printed.out)["answer"] == "26"
    assert "running" in printed.err  # progress lines went on


async def test_a_screen_that_breaks_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(pilot, session_state) -> Never:
        raise RuntimeError("no such terminal")

    async with PacedServers(words=30).serving() as endpoints:
        await run_session(session(endpoints, tmp_path), driven(broken))
    printed = capsys.readouterr()
    assert json.loads(printed.out)["answer"] == "26"
    assert "The screen broke (no such terminal)" in printed.err


async def test_a_run_that_cannot_start_closes_the_screen_and_tells_why(tmp_path: Path) -> None:
    from orchestrator.errors import EndpointUnreachable

    closed = []

    async def look(pilot, session_state) -> None:
        await until(pilot, lambda: session_state.phase == "closing")
        closed.append(True)

    async with PacedServers().serving() as endpoints:
        unreachable = session(endpoints, tmp_path)
    with pytest.raises(EndpointUnreachable):
        await run_session(unreachable, driven(look))
    assert closed == [True]


async def test_several_questions_can_be_watched_as_they_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def watch(pilot, session_state) -> None:
        assert isinstance(pilot.app.screen, QuestionsScreen)
        await until(pilot, lambda: len(session_state.started) == 3)
        pilot.app.tick()
        await pilot.press("home", "enter")
        assert isinstance(pilot.app.screen, LiveScreen)
        await pilot.pause(0.2)
        assert "q0" not in text_of(pilot.app)  # ids stay in the table
        assert pilot.app.screen.watched.view.question == "How many? 0"
        assert not pilot.app.screen.source.steerable
        await until(pilot, lambda: session_state.phase == "over")
        await pilot.press("escape")

    async with PacedServers(words=30, pause=0.01).serving() as endpoints:
        await run_session(session(endpoints, tmp_path, questions=3), driven(watch))
    assert len(capsys.readouterr().out.splitlines()) == 4
