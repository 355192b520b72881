"""The TUI without a terminal: apps that a test drives, read as plain text, and sources for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip

from orchestrator.core.events import UserCommand, UserCommandReceived
from orchestrator.report.view import RunView
from orchestrator.session.display import PlainLines
from orchestrator.session.state import SessionState
from tui import launcher
from tui.app import DeepPruneApp
from tui.drawing.theme import DARK
from tui.panels.base import Frame
from tui.panels.grid import Grid
from tui.sources.base import Entry, Source, Start
from tui.sources.player import Player
from tui.sources.recording import Recording, demo_run
from tui.state.watch import Watch

__all__ = [
    "DrivenApp",
    "DrivenScreen",
    "Sent",
    "StillSource",
    "demo_recording",
    "driven",
    "frame_of",
    "opened",
    "paused_recording",
    "settled",
    "text_of",
    "text_of_strips",
]

Sent = tuple[UserCommand, int | None, float | None]
"""A user command that a source was sent: its name, trace and tau."""


def text_of(app: App[Any]) -> str:
    """The screen's lines, without trailing blanks."""
    return text_of_strips(app.screen._compositor.render_strips())


def text_of_strips(strips: Iterable[Strip]) -> str:
    """Drawn lines, without trailing blanks."""
    return "\n".join(strip.text.rstrip() for strip in strips)


async def look(app: DeepPruneApp, pilot: Pilot[None]) -> str:
    """The screen's lines after a tick of the app."""
    await pilot.pause()
    app.tick()
    await pilot.pause()
    return text_of(app)


async def settled(app: DeepPruneApp, pilot: Pilot[None]) -> str:
    """The screen's lines once two looks in a row, with a tick of the app between them, are the same."""
    before = None
    while True:
        shown = await look(app, pilot)
        if shown == before:
            return shown
        before = shown


@dataclass(frozen=True, slots=True)
class DrivenApp:
    """A running app and the pilot that drives it."""

    app: DeepPruneApp
    pilot: Pilot[None]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def pressed(self, *keys: str) -> str:
        """The screen's text after some keys."""
        await self.pilot.press(*keys)
        return await self.text()

    async def text(self) -> str:
        """The screen's text once it has settled."""
        return await settled(self.app, self.pilot)

    async def look(self) -> str:
        """The screen's text now; a live run need not settle."""
        return await look(self.app, self.pilot)

    async def until(self, condition: Callable[[], object]) -> None:
        """Lets the app run until `condition` holds."""
        async with asyncio.timeout(60):
            while not condition():
                await self.pilot.pause(0.02)

    @property
    def uppermost(self) -> Screen[object]:
        return self.app.screen

    @property
    def grid(self) -> Grid:
        return self.app.screen.query_one(Grid)

    @property
    def notices(self) -> list[str]:
        return [notice.message for notice in self.app._notifications]


@asynccontextmanager
async def opened(source: Source, size: tuple[int, int] = (120, 40)) -> AsyncIterator[DrivenApp]:
    """The app that shows `source`, once its screen is up."""
    app = DeepPruneApp(source)
    async with app.run_test(size=size) as pilot:
        await look(app, pilot)
        yield DrivenApp(app, pilot)


Drive = Callable[[DrivenApp, SessionState], Awaitable[None]]
"""Uses the screen of a session as a person does; the screen closes when it returns."""


class DrivenScreen(launcher.Screen):
    """The screen of a session without a terminal, driven by a test."""

    def __init__(self, lines: PlainLines, drive: Drive) -> None:
        super().__init__(lines)
        self._drive = drive

    async def show(self, state: SessionState) -> None:
        self._state = state
        await super().show(state)

    async def _run(self, app: DeepPruneApp) -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await self._drive(DrivenApp(app, pilot), self._state)


def driven(drive: Drive) -> Callable[[PlainLines], DrivenScreen]:
    """Makes the screen of a session that `drive` uses."""
    return lambda lines: DrivenScreen(lines, drive)


def demo_recording(moment: float = 4.0) -> tuple[Recording, Player]:
    """The recorded run of the paper's policy, paused at a moment, and its player."""
    return paused_recording(demo_run(), moment)


def paused_recording(run: Path, moment: float) -> tuple[Recording, Player]:
    """A recorded run, paused at a moment, and its player."""
    recording = Recording(run, playing=False)
    recording.open(0)
    player = recording.player
    assert player is not None
    player.seek(moment)
    return recording, player


class StillSource:
    """A run that neither plays nor grows; it applies the user commands that it is sent, and keeps them."""

    planned = 1
    listed = False
    current = 0
    closing = False
    notice = ""
    start: Start | None = None
    player: Player | None = None

    def __init__(self, view: RunView, *, name: str = "q1", steerable: bool = False) -> None:
        self.entries = [Entry(name, "How many?", None, Watch(view))]
        self.steerable = steerable
        self.sent: list[Sent] = []

    def open(self, index: int) -> Watch:
        watch = self.entries[index].watch
        assert watch is not None
        return watch

    def tick(self, seconds: float) -> None:
        pass

    def steer(self, command: UserCommandReceived) -> None:
        assert self.steerable
        self.sent.append((command.command, command.trace, command.tau))
        self.open(0).view.apply(command)


def frame_of(view: RunView, width: int = 60, height: int = 20) -> Frame:
    """A frame of `view` in the dark palette."""
    watch = Watch(view)
    watch.update()
    return Frame(watch, DARK, width, height)
