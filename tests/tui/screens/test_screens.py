"""Whole screens of the recorded run as text, compared with the files in `screens/`.

Text instead of SVG snapshots: a reviewer can read the difference, and it does not move with Textual's way of
writing SVG. After a wanted change, `UPDATE_SCREENS=1 pytest tests/tui/test_screens.py` rewrites the files.
"""

import os
from pathlib import Path

import pytest

from tests.support.screens import settled
from tui.app import DeepPruneApp
from tui.sources.recording import Recording, demo_run

SCREENS = Path(__file__).parents[1] / "snapshots"


async def picture(size, moment, screen="live", trace=0):
    source = Recording(demo_run(), playing=False)
    source.open(0)
    source.player.seek(moment)
    app = DeepPruneApp(source)
    async with app.run_test(size=size) as pilot:
        app.show(screen, trace)
        return await settled(pilot)


@pytest.mark.parametrize(
    ("name", "size", "moment", "more"),
    [
        ("live-80x24-begun", (80, 24), 1.0, {}),
        ("live-80x24-judging", (80, 24), 3.5, {}),
        ("live-120x40-judging", (120, 40), 4.0, {}),
        ("live-120x40-over", (120, 40), 60.0, {}),
        ("live-200x60-over", (200, 60), 60.0, {}),
        ("live-300x80-judging", (300, 80), 4.5, {}),
        ("trace-80x24", (80, 24), 60.0, {"screen": "trace", "trace": 3}),
        ("trace-120x40", (120, 40), 60.0, {"screen": "trace", "trace": 3}),
        ("questions-120x40", (120, 40), 60.0, {"screen": "questions"}),
    ],
)
async def test_a_screen_of_the_recorded_run_is_as_recorded(name, size, moment, more) -> None:
    shown = await picture(size, moment, **more)
    file = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(shown + "\n", encoding="utf-8")
    assert shown + "\n" == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [(80, 24), (99, 33), (100, 34), (149, 40), (150, 60), (300, 80)])
async def test_every_panel_is_on_the_screen_at_every_size(size) -> None:
    shown = await picture(size, 4.0)
    for panel in ("traces 64", "clusters", "vote", "bill", "judge", "log", "tau 0.50", "full ="):
        assert panel in shown
    lines = shown.splitlines()
    assert len(lines) == size[1]
    assert all(len(line) <= size[0] for line in lines)


@pytest.mark.parametrize("size", [(20, 5), (30, 8), (40, 12)])
async def test_a_terminal_too_small_for_it_all_breaks_nothing(size) -> None:
    for screen in ("live", "trace", "questions"):
        shown = await picture(size, 4.0, screen)
        assert len(shown.splitlines()) <= size[1]
