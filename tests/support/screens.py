"""What an app shows, as plain text: for tests that read the screen as a person does."""

from typing import Any

from textual.app import App
from textual.pilot import Pilot

from tui.app import DeepPruneApp


def text_of(app: App[Any]) -> str:
    """The screen's lines, without trailing blanks."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def settled(pilot: Pilot[None]) -> str:
    """The screen's lines once two looks in a row, with a tick of the app between them, are the same."""
    app = pilot.app
    assert isinstance(app, DeepPruneApp)
    before = None
    while True:
        await pilot.pause()
        app.tick()
        await pilot.pause()
        shown = text_of(app)
        if shown == before:
            return shown
        before = shown
