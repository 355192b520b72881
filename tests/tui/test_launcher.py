"""The console script with its screen: Ctrl-C, the end of the session, and a process that exits at once."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from textual.driver import Driver
from textual.pilot import Pilot

from orchestrator.cli import main as cli
from orchestrator.interrupts import Interrupts
from orchestrator.questions import Question
from orchestrator.session.state import SessionState, Show
from tui import launcher
from tui.app import DeepPruneApp
from tui.export.doc_images import SHOTS
from tui.export.doc_images import main as take_pictures
from tui.sources.recording import Recording, demo_run

DOCUMENTS = Path(__file__).parents[2] / "docs"


def test_the_console_script_passes_a_screen_to_the_orchestrator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[tuple[Sequence[str] | None, Show]] = []

    def main(argv: Sequence[str] | None, *, show: Show) -> int:
        passed.append((argv, show))
        return 7

    monkeypatch.setattr(cli, "main", main)
    assert launcher.main(["question"]) == 7
    assert passed == [(["question"], launcher._show)]


class CountedInterrupts:
    """Interrupts that only count the calls."""

    def __init__(self) -> None:
        self.count = 0
        self.before_leaving: Callable[[], None] | None = None

    def interrupt(self) -> None:
        self.count += 1


async def show_headless(
    monkeypatch: pytest.MonkeyPatch,
    session_state: SessionState,
    interrupts: CountedInterrupts,
    drive: Callable[[DeepPruneApp, Pilot[object]], Coroutine[Any, Any, None]],
) -> None:
    """Shows the session as the console script does, without a terminal and driven by `drive`."""
    run_async = DeepPruneApp.run_async

    async def run(app: DeepPruneApp) -> None:
        await run_async(app, headless=True, auto_pilot=lambda pilot: drive(app, pilot))

    monkeypatch.setattr(DeepPruneApp, "run_async", run)
    await launcher._show(session_state, cast("Interrupts", interrupts))


async def test_the_screen_stays_until_the_session_closes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session_state = SessionState([Question(id="q", question="?")])
    interrupts = CountedInterrupts()
    shown: list[DeepPruneApp] = []

    async def drive(app: DeepPruneApp, pilot: Pilot[object]) -> None:
        shown.append(app)
        assert interrupts.before_leaving == app.restore_terminal
        app.tick()
        assert not app._exit
        session_state.closing = True
        app.tick()
        assert app._exit

    await show_headless(monkeypatch, session_state, interrupts, drive)
    (app,) = shown
    assert interrupts.before_leaving != app.restore_terminal


async def test_ctrl_c_ends_the_run_first_and_then_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session_state = SessionState([Question(id="q", question="?")])
    interrupts = CountedInterrupts()

    async def drive(app: DeepPruneApp, pilot: Pilot[object]) -> None:
        await pilot.press("ctrl+c")
        assert interrupts.count == 1
        assert not app._exit
        session_state.over = True
        await pilot.press("ctrl+c")
        assert app._exit

    await show_headless(monkeypatch, session_state, interrupts, drive)
    assert interrupts.count == 1


class RecordingDriver:
    """A driver that notes the calls that give the terminal back."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def stop_application_mode(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


def test_a_process_that_exits_at_once_gives_the_terminal_back_first() -> None:
    recording = Recording(demo_run(), playing=False)
    recording.open(0)
    app = DeepPruneApp(recording)
    app.restore_terminal()  # before the screen is up there is nothing to give back
    driver = RecordingDriver()
    app._driver = cast("Driver", driver)
    app.restore_terminal()
    assert driver.calls == ["stop", "close"]


def test_the_pictures_of_the_documents_can_be_made_again(tmp_path: Path) -> None:
    take_pictures(tmp_path)
    made = {file.name for file in tmp_path.iterdir()}
    assert made == {f"{name}.svg" for name in SHOTS}
    assert made == {file.name for file in (DOCUMENTS / "images").glob("*.svg")}
