"""From trace to trace, screen to screen and question to question, by keys and mouse."""

from collections.abc import AsyncIterator

import pytest

from orchestrator.core.events import TokensArrived
from tests.support.screens import DrivenApp, StillSource, demo_recording, opened
from tests.support.story import Story
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.screens.questions import QuestionsScreen
from tui.screens.trace import TraceScreen
from tui.sources.recording import Recording

pytestmark = pytest.mark.slow  # draws whole screens


@pytest.fixture
async def replayed() -> AsyncIterator[DrivenApp]:
    """The recorded run at second 4."""
    recording, _player = demo_recording(4.0)
    async with opened(recording) as screen:
        yield screen


async def test_the_cursor_moves_in_the_grid_and_stays_at_the_edges(replayed: DrivenApp) -> None:
    await replayed.press("tab")
    grid = replayed.grid
    assert grid.has_focus
    await replayed.press("right", "l", "j")
    assert grid.cursor == 2 + grid._layout.columns
    await replayed.press("left", "h", "k", "k", "up")
    assert grid.cursor == 0
    await replayed.press("end", "down", "right")
    assert grid.cursor == 63
    await replayed.press("home")
    assert grid.cursor == 0


async def test_the_wheel_moves_the_cursor(replayed: DrivenApp) -> None:
    grid = replayed.grid
    grid.on_mouse_scroll_down()
    assert grid.cursor == grid._layout.columns
    grid.on_mouse_scroll_up()
    assert grid.cursor == 0


async def test_a_click_selects_a_trace_and_a_second_one_opens_it(replayed: DrivenApp) -> None:
    await replayed.pilot.click("#grid", offset=(30, 3))
    selected = replayed.grid.cursor
    assert selected > 0
    await replayed.pilot.click("#grid", offset=(30, 3), times=2)
    assert isinstance(replayed.uppermost, TraceScreen)
    assert replayed.uppermost.trace == selected


async def test_a_click_beside_the_traces_does_nothing(replayed: DrivenApp) -> None:
    await replayed.pilot.click("#grid", offset=(2, 0))
    await replayed.pilot.click("#grid", offset=(2, 25))
    assert replayed.grid.cursor == 0


async def test_enter_opens_the_trace_and_escape_closes_it(replayed: DrivenApp) -> None:
    shown = await replayed.pressed("tab", "right", "enter")
    assert isinstance(replayed.uppermost, TraceScreen)
    assert "trace 1" in shown
    await replayed.press("escape")
    assert isinstance(replayed.uppermost, LiveScreen)
    await replayed.press("escape")
    assert isinstance(replayed.uppermost, LiveScreen)


async def test_the_trace_screen_goes_from_trace_to_trace(replayed: DrivenApp) -> None:
    replayed.app.show("trace", 0)
    await replayed.text()
    assert "trace 63" in await replayed.pressed("left")
    assert "trace 1 " in await replayed.pressed("right", "right")


async def test_c_shows_and_hides_the_representative(replayed: DrivenApp) -> None:
    replayed.app.show("trace", 1)
    assert "its representative, trace 0" in await replayed.text()
    assert "its representative" not in await replayed.pressed("c")
    assert "its representative" in await replayed.pressed("c")


async def test_a_long_text_scrolls_and_end_follows_again(story: type[Story]) -> None:
    view = story(1).start(0).view()
    text = "".join(f"line {n}\n" for n in range(500)) + "last"
    view.apply(TokensArrived(at=1.0, trace=0, text=text, tokens=500))
    async with opened(StillSource(view), size=(80, 24)) as screen:
        screen.app.show("trace", 0)
        assert "last" in await screen.text()
        shown = await screen.pressed("home")
        assert " line 0\n" in shown
        assert "last" not in shown
        assert " line 20\n" in await screen.pressed("pagedown", "down", "j", "k", "up")
        assert " line 0\n" in await screen.pressed("pageup")
        assert "last" in await screen.pressed("end")
        view.apply(TokensArrived(at=2.0, trace=0, text="\nvery last", tokens=501))
        assert "very last" in await screen.text()


async def test_help_opens_over_everything_and_closes(replayed: DrivenApp) -> None:
    for key in ("escape", "question_mark", "q"):
        await replayed.press("question_mark")
        await replayed.pilot.pause()
        assert isinstance(replayed.uppermost, HelpScreen)
        await replayed.press(key)
        assert isinstance(replayed.uppermost, LiveScreen)


async def test_the_list_of_questions_opens_one_of_them(questions: Recording) -> None:
    async with opened(questions) as screen:
        assert isinstance(screen.uppermost, QuestionsScreen)
        assert "3 of 3 questions" in await screen.text()
        await screen.press("down", "j", "k", "pageup", "end", "home", "pagedown", "enter")
        assert isinstance(screen.uppermost, LiveScreen)
        assert questions.current == 2
        await screen.press("escape")
        assert isinstance(screen.uppermost, QuestionsScreen)
        await screen.pilot.click("#questions", offset=(5, 2))
        await screen.pilot.click("#questions", offset=(5, 3), times=2)
        assert questions.current == 1
