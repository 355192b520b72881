"""Who has the terminal, and until when."""

import asyncio
from pathlib import Path
from typing import TextIO

import pytest

from orchestrator.questions import Question
from orchestrator.report.report import build_report
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.session.display import PlainLines, displayed
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from tests.support.story import Story

QUESTIONS = [Question(id=f"q{n}", question=f"{n}?") for n in range(2)]


class Screen:
    """A display that a user leaves when `left` is set, or that leaves when it has to close."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.left = asyncio.Event()
        self.over = asyncio.Event()
        self.phases: list[str] = []
        self.released = 0
        self._stubborn = stubborn

    async def show(self, state: SessionState) -> None:
        while not self.left.is_set() and (self._stubborn or state.phase != "closing"):
            if state.phase not in self.phases:
                self.phases.append(state.phase)
            if state.phase == "over":
                self.over.set()
            await asyncio.sleep(0.001)

    def write(self, text: str, stream: TextIO) -> None:
        raise AssertionError("nothing is written here")

    def release(self) -> None:
        self.released += 1


async def test_the_screen_stays_after_the_end_until_the_user_leaves() -> None:
    screen, state = Screen(), SessionState(QUESTIONS)

    async def block() -> None:
        async with displayed(screen, state):
            await asyncio.sleep(0.01)

    running = asyncio.create_task(block())
    await screen.over.wait()
    assert not running.done()
    screen.left.set()
    await running
    assert screen.phases == ["running", "over"]
    assert screen.released == 1


async def test_a_user_who_leaves_early_does_not_end_the_session() -> None:
    screen, state = Screen(), SessionState(QUESTIONS)
    async with displayed(screen, state):
        screen.left.set()
        await asyncio.sleep(0.02)
        assert state.phase == "running"


async def test_an_error_closes_the_screen_without_waiting_for_the_user() -> None:
    screen, state = Screen(), SessionState(QUESTIONS)
    with pytest.raises(LookupError):
        await fail(screen, state)
    assert screen.phases == ["running"]
    assert state.phase == "closing"
    assert screen.released == 1


async def fail(screen: Screen, state: SessionState) -> None:
    async with displayed(screen, state):
        await asyncio.sleep(0.01)
        raise LookupError


async def test_an_interrupted_session_closes_the_screen_without_waiting_for_the_user() -> None:
    screen, state = Screen(), SessionState(QUESTIONS)
    async with displayed(screen, state):
        await asyncio.sleep(0.01)
        state.end("closing")
    assert screen.phases == ["running"]


async def test_a_screen_that_does_not_leave_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.session.display._CLOSING_SECONDS", 0.01)
    screen = Screen(stubborn=True)
    with pytest.raises(LookupError):
        await fail(screen, SessionState(QUESTIONS))
    assert screen.released == 1


async def test_progress_lines_name_the_question_that_runs_and_end_with_its_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("orchestrator.session.display._POLL_SECONDS", 0.001)
    state = SessionState(QUESTIONS)
    lines = PlainLines()
    showing = asyncio.create_task(lines.show(state))
    await asyncio.sleep(0.01)
    assert capsys.readouterr().err == ""
    run = QuestionRun(question=QUESTIONS[0], settings=Settings())
    story = Story(1).start(0).tokens(0, 5)
    for event in story.events:
        run.view.apply(event)
    started = state.start(QUESTIONS[0], Path("nowhere"), run=run)
    await asyncio.sleep(0.01)
    assert "question 1/2 · " in capsys.readouterr().err
    started.report = build_report(run.view, run_dir=None)
    for event in Story(1).start(0).tokens(0, 9).events:
        run.view.apply(event)
    await asyncio.sleep(0.01)
    assert capsys.readouterr().err == ""
    state.end("over")
    await showing


async def test_a_quiet_user_sees_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    state = SessionState(QUESTIONS)
    run = QuestionRun(question=QUESTIONS[0], settings=Settings())
    for event in Story(1).start(0).tokens(0, 5).events:
        run.view.apply(event)
    state.start(QUESTIONS[0], Path("nowhere"), run=run)
    showing = asyncio.create_task(PlainLines(quiet=True).show(state))
    await asyncio.sleep(0.01)
    state.end("closing")
    await showing
    assert capsys.readouterr().err == ""
