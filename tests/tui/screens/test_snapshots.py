"""Whole screens of the recorded run as text, compared with the files in `tests/tui/snapshots/`.

Text instead of SVG: a reviewer can read the difference, and it does not depend on how Textual writes SVG. After an
intended change, `UPDATE_SCREENS=1 pytest tests/tui/screens/test_snapshots.py` rewrites the files.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from tests.support.screens import demo_recording, paused_recording, settled
from tui.app import DeepPruneApp
from tui.sources.recording import auto_run, demo_run

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"


class Shot(NamedTuple):
    """A screen of the recorded run; `size` in cells, `moment` in seconds."""

    size: tuple[int, int]
    moment: float
    screen: Literal["live", "trace", "questions"] = "live"
    trace: int = 0
    run: Callable[[], Path] = demo_run


SHOTS = {
    "live-80x24-begun": Shot((80, 24), 1.0),
    "live-80x24-judging": Shot((80, 24), 3.5),
    "live-120x40-judging": Shot((120, 40), 4.0),
    "live-120x40-over": Shot((120, 40), 60.0),
    "live-200x60-over": Shot((200, 60), 60.0),
    "live-300x80-judging": Shot((300, 80), 4.5),
    "trace-80x24": Shot((80, 24), 60.0, "trace", 3),
    "trace-120x40": Shot((120, 40), 60.0, "trace", 3),
    "questions-120x40": Shot((120, 40), 60.0, "questions"),
    "auto-80x24-waiting": Shot((80, 24), 206.0, run=auto_run),
    "auto-120x40-waiting": Shot((120, 40), 206.0, run=auto_run),
    "auto-120x40-over": Shot((120, 40), 300.0, run=auto_run),
    "auto-200x60-over": Shot((200, 60), 300.0, run=auto_run),
}

QUICK = {"live-80x24-judging", "trace-80x24", "auto-80x24-waiting"}
"""Small ones; the others take up to a second each."""


async def text_of_shot(shot: Shot) -> str:
    recording, _player = paused_recording(shot.run(), shot.moment)
    app = DeepPruneApp(recording)
    async with app.run_test(size=shot.size) as pilot:
        app.show(shot.screen, shot.trace)
        return await settled(app, pilot)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SHOTS]
)
async def test_a_screen_of_the_recorded_run_is_as_recorded(name: str) -> None:
    shown = await text_of_shot(SHOTS[name])
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(shown + "\n", encoding="utf-8")
    assert shown + "\n" == file.read_text(encoding="utf-8")


def test_every_snapshot_is_compared() -> None:
    assert {file.stem for file in SNAPSHOTS.iterdir()} == set(SHOTS)


@pytest.mark.slow  # draws whole screens
@pytest.mark.parametrize("size", [(80, 24), (99, 33), (100, 34), (149, 40), (150, 60), (300, 80)])
async def test_every_panel_is_on_the_screen_at_every_size(size: tuple[int, int]) -> None:
    shown = await text_of_shot(Shot(size, 4.0))
    for panel in ("traces 64", "clusters", "vote", "bill", "judge", "log", "tau 0.50", "full ="):
        assert panel in shown
    lines = shown.splitlines()
    assert len(lines) == size[1]
    assert all(len(line) <= size[0] for line in lines)


@pytest.mark.slow  # draws whole screens
@pytest.mark.parametrize("size", [(80, 24), (100, 34), (150, 60)])
async def test_the_screen_of_auto_has_what_decides_and_nothing_else(size: tuple[int, int]) -> None:
    shown = await text_of_shot(Shot(size, 206.0, run=auto_run))
    for panel in ("traces 8 of up to 32", "answers 4", "leader stays", "decision", "bill", "log"):
        assert panel in shown
    for panel in ("clusters", "judge", "queued", "not started", "─ vote"):
        assert panel not in shown


@pytest.mark.parametrize("size", [(20, 5), (30, 8), (40, 12)])
async def test_a_terminal_too_small_for_everything_shows_what_fits(size: tuple[int, int]) -> None:
    recording, _player = demo_recording(4.0)
    app = DeepPruneApp(recording)
    async with app.run_test(size=size) as pilot:
        for screen in ("live", "trace", "questions"):
            app.show(screen)
            shown = await settled(app, pilot)
            assert shown.strip()
            assert len(shown.splitlines()) <= size[1]
            assert all(len(line) <= size[0] for line in shown.splitlines())
