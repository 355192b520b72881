"""The keys that play a recorded run."""

from collections.abc import AsyncIterator

import pytest

from tests.support.screens import DrivenApp, demo_recording, opened
from tui.sources.player import SPEEDS, Player
from tui.sources.recording import Recording

pytestmark = pytest.mark.slow  # draws whole screens


@pytest.fixture
async def replay() -> AsyncIterator[tuple[DrivenApp, Player]]:
    """The recorded run at second 4, and its player."""
    recording, player = demo_recording(4.0)
    async with opened(recording) as screen:
        yield screen, player


async def test_space_plays_and_pauses(replay: tuple[DrivenApp, Player]) -> None:
    screen, player = replay
    player.seek(0.0)
    player.speed = SPEEDS[0]  # so that it does not reach its end meanwhile
    await screen.press("space")
    assert player.playing
    await screen.press("space")
    assert not player.playing


async def test_brackets_change_the_speed(replay: tuple[DrivenApp, Player]) -> None:
    screen, player = replay
    await screen.press("]", "]")
    assert player.speed == 4.0
    await screen.press("[")
    assert player.speed == 2.0


async def test_comma_and_full_stop_step_through_the_events(
    replay: tuple[DrivenApp, Player],
) -> None:
    screen, player = replay
    await screen.press(".")
    later = player.now
    assert later > 4.0
    await screen.press(".", ",")
    assert player.now == later


async def test_arrows_seek_on_the_bar(replay: tuple[DrivenApp, Player]) -> None:
    screen, player = replay
    moments = []
    for key in ("left", "right", "down", "up", "home", "end"):
        player.seek(4.0)
        await screen.press(key)
        moments.append(player.now)
    left, right, down, up, home, end = moments
    assert home == 0.0 < down < left < 4.0 < right < up < end == player.length


async def test_a_click_on_the_bar_jumps(replay: tuple[DrivenApp, Player]) -> None:
    screen, player = replay
    await screen.pilot.click("#seek", offset=(5, 0))
    assert player.now < 0.5


async def test_keys_that_steer_do_nothing_in_a_recording(
    replay: tuple[DrivenApp, Player],
) -> None:
    screen, player = replay
    shown = await screen.pressed("plus", "minus", "p", "f", "x", "v", "v", "z")
    assert player.watch.view.tau == 0.5
    assert screen.notices == []
    assert "pin" not in shown.splitlines()[-1]


async def test_what_changes_shows_behind_the_help(replay: tuple[DrivenApp, Player]) -> None:
    screen, player = replay
    assert "answer 26" not in await screen.pressed("question_mark")
    player.seek(5.9)
    assert "answer 26" in await screen.text()


async def test_nothing_plays_while_the_list_of_questions_is_shown(questions: Recording) -> None:
    questions.open(1)
    assert questions.player is not None
    async with opened(questions) as screen:
        await screen.press("space")
        assert not questions.player.playing
