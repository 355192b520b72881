"""What is on the screen before the first question has started."""

import re
from pathlib import Path

import pytest

from orchestrator.core.commands import StartTrace
from orchestrator.core.events import RunStarted
from orchestrator.questions import Question
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities
from tests.support.screens import opened
from tui.screens.live import LiveScreen
from tui.sources.live import Live

STARTING = "Starting nano-reasoner and nano-judge on local vLLM servers ..."
STARTED = RunStarted(
    at=0.0,
    question_id="q0",
    question="How many? 0",
    gold=None,
    planned=3,
    settings=Settings(),
    capabilities=capabilities(endpoint="http://gpu/v1", model="m"),
)


def session_of(count: int) -> SessionState:
    return SessionState([Question(id=f"q{n}", question=f"How many? {n}") for n in range(count)])


def start(state: SessionState, index: int) -> None:
    question = state.questions[index]
    run = QuestionRun(question=question, settings=Settings())
    run.view.apply(STARTED)
    for trace in range(3):
        run.view.apply(StartTrace(trace=trace))
    state.start(question, Path("nowhere"), run=run)


@pytest.mark.parametrize("count", [1, 3])
async def test_while_servers_start_the_screen_says_which_and_for_how_long(count: int) -> None:
    state = session_of(count)
    source = Live(state)
    state.note(STARTING)
    source.tick(12.0)
    state.note("nano-judge is ready.")
    source.tick(3.0)
    async with opened(source, size=(100, 30)) as screen:
        shown = await screen.look()
    assert "How many? 0" in shown
    (elapsed,) = re.findall(r"for (\d+\.\d) s", shown)
    assert float(elapsed) >= 15.0
    assert f"12.0 • {STARTING}" in shown
    assert "15.0 › nano-judge is ready." in shown
    assert "uses no judge" not in shown


@pytest.mark.slow  # draws whole screens
async def test_the_first_question_takes_the_place_of_the_start() -> None:
    state = session_of(1)
    async with opened(Live(state), size=(100, 30)) as screen:
        assert "starting" in await screen.look()
        start(state, 0)
        shown = await screen.text()
        assert "starting" not in shown
        assert "traces 3" in shown
        assert "trace 1" in await screen.pressed("right", "enter")


async def test_questions_that_have_not_started_are_listed_and_cannot_be_opened() -> None:
    state = session_of(3)
    async with opened(Live(state), size=(100, 30)) as screen:
        start(state, 0)
        assert (await screen.text()).count("waiting") == 2
        await screen.press("down", "enter")
        assert not isinstance(screen.uppermost, LiveScreen)
        (notice,) = screen.notices
        assert "has not started yet" in notice


async def test_the_cursor_follows_the_running_question_until_it_is_moved() -> None:
    state = session_of(3)
    marked: list[str] = []
    async with opened(Live(state), size=(100, 30)) as screen:
        for index in range(3):
            for earlier in state.started:
                earlier.run = None
            start(state, index)
            rows = (await screen.text()).splitlines()
            marked += [row.split()[1] for row in rows if row.startswith("▸")]
            if index == 1:
                await screen.press("up")
    assert marked == ["1", "2", "1"]
