"""What is on the screen before the first question has begun."""

from pathlib import Path

import pytest

from orchestrator.core.events import RunStarted
from orchestrator.questions import Question
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.session.state import SessionState
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities
from tests.support.screens import text_of
from tui.app import DeepPruneApp
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


def board_of(count):
    return SessionState([Question(id=f"q{n}", question=f"How many? {n}") for n in range(count)])


def begin(session_state, index):
    question = session_state.questions[index]
    run = QuestionRun(question=question, settings=Settings())
    run.view.apply(STARTED)
    session_state.start(question, Path("nowhere"), run=run)


async def look(pilot):
    pilot.app.tick()
    await pilot.pause()
    pilot.app.tick()
    await pilot.pause()
    return text_of(pilot.app)


@pytest.mark.parametrize("count", [1, 3])
async def test_while_servers_start_the_screen_says_which_and_for_how_long(count) -> None:
    session_state = board_of(count)
    source = Live(session_state)
    session_state.note(STARTING)
    source.tick(12.0)
    session_state.note("nano-judge is ready.")
    source.tick(3.0)
    async with DeepPruneApp(source).run_test(size=(100, 30)) as pilot:
        shown = await look(pilot)
    assert "How many? 0" in shown
    assert "for 15." in shown
    assert f"12.0 • {STARTING}" in shown
    assert "15.0 › nano-judge is ready." in shown
    assert "asks no judge" not in shown


async def test_the_first_question_takes_the_place_of_the_start() -> None:
    session_state = board_of(1)
    async with DeepPruneApp(Live(session_state)).run_test(size=(100, 30)) as pilot:
        assert "starting" in await look(pilot)
        begin(session_state, 0)
        shown = await look(pilot)
        await pilot.press("right", "enter")
        await pilot.pause()
        assert "trace 1" in text_of(pilot.app)
    assert "starting" not in shown
    assert "traces 3" in shown


async def test_questions_that_have_not_begun_are_listed_and_cannot_be_opened() -> None:
    session_state = board_of(3)
    async with DeepPruneApp(Live(session_state)).run_test(size=(100, 30)) as pilot:
        begin(session_state, 0)
        shown = await look(pilot)
        assert shown.count("waiting") == 2
        await pilot.press("down", "enter")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, LiveScreen)
        (notice,) = pilot.app._notifications
        assert "has not begun yet" in notice.message


async def test_the_cursor_follows_the_question_that_goes_on_until_it_is_moved() -> None:
    session_state = board_of(3)
    async with DeepPruneApp(Live(session_state)).run_test(size=(100, 30)) as pilot:
        marked = []
        for index in range(3):
            begin(session_state, index)
            rows = (await look(pilot)).splitlines()
            marked += [row.split()[1] for row in rows if row.startswith("▸")]
            if index == 1:
                await pilot.press("up")
    assert marked == ["1", "2", "1"]
