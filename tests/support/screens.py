"""What an app shows, as plain text: for tests that read the screen as a person does."""

from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from orchestrator.session.display import PlainLines
from orchestrator.session.state import SessionState
from tui.app import DeepPruneApp
from tui.launcher import Screen

Drive = Callable[[Pilot[None], SessionState], Awaitable[None]]
"""Uses the screen of a session as a person does; the screen closes when it returns."""


class DrivenScreen(Screen):
    """The screen of a session without a terminal, driven by a test."""

    def __init__(self, lines: PlainLines, drive: Drive) -> None:
        super().__init__(lines)
        self._drive = drive

    async def show(self, state: SessionState) -> None:
        self._state = state
        await super().show(state)

    async def _run(self, app: DeepPruneApp) -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await self._drive(pilot, self._state)


def driven(drive: Drive) -> Callable[[PlainLines], DrivenScreen]:
    """Makes the screen of a session that `drive` uses."""
    return lambda lines: DrivenScreen(lines, drive)


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
