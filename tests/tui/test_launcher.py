"""The console script with its screen: Ctrl-C, the end of the session, and a process that exits at once."""

import asyncio
import io
from pathlib import Path
from typing import cast

import pytest
from textual.driver import Driver

from orchestrator.questions import Question
from orchestrator.session.display import PlainLines
from orchestrator.session.state import SessionState
from tests.support.command import console_script
from tests.support.paced_servers import PacedServers
from tests.support.screens import DrivenApp, DrivenScreen
from tests.support.terminal import on_terminal
from tui.app import DeepPruneApp
from tui.export.doc_images import SHOTS
from tui.export.doc_images import main as take_pictures
from tui.sources.recording import Recording, demo_run

pytestmark = pytest.mark.slow

DOCUMENTS = Path(__file__).parents[2] / "docs"
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


async def test_on_a_terminal_the_screen_is_shown_and_the_answer_is_printed_after_it(
    tmp_path: Path,
) -> None:
    async with PacedServers(words=60, pause=0.01).serving() as servers:
        command = (console_script("deepprune-orchestrate"), "How many?")
        flags = ("--endpoint", servers.reasoner.url, "--policy", "pass1")
        async with on_terminal(*command, *flags, cwd=tmp_path) as terminal:
            await terminal.until(b"the run is over")
            terminal.press(b"q")
            assert await terminal.end() == 0
    on_screen, _, after = terminal.drawn.rpartition(LEAVE_SCREEN)
    assert ENTER_SCREEN in on_screen
    assert b"\n26\r" in after


async def test_a_second_ctrl_c_gives_the_terminal_back_and_exits_without_a_report(
    tmp_path: Path,
) -> None:
    async with PacedServers(words=400, pause=0.05).serving() as servers:
        command = (console_script("deepprune-orchestrate"), "How many?")
        flags = ("--endpoint", servers.reasoner.url, "--policy", "pass1")
        async with on_terminal(*command, *flags, cwd=tmp_path) as terminal:
            await terminal.until(b"How many?")
            async with asyncio.timeout(60):
                while not (journals := list(tmp_path.glob("runs/*/journal.jsonl"))):  # noqa: ASYNC110  another process makes it
                    await asyncio.sleep(0.02)
            await servers.reasoner.until_live(1)
            terminal.press(b"\x03\x03")
            assert await terminal.end() == 130
        await servers.reasoner.until_live(0)
    assert LEAVE_SCREEN in terminal.drawn
    assert not journals[0].with_name("report.json").exists()


def one_question() -> SessionState:
    return SessionState([Question(id="q", question="?")])


async def test_the_screen_stays_until_the_session_closes_it() -> None:
    seen: list[bool] = []

    async def drive(screen: DrivenApp, state: SessionState) -> None:
        for phase in ("over", "closing"):
            state.end(phase)
            screen.app.tick()
            seen.append(screen.app._exit)

    await DrivenScreen(PlainLines(quiet=True), drive).show(one_question())
    assert seen == [False, True]


async def test_ctrl_c_ends_the_run_first_and_then_the_screen() -> None:
    state = one_question()
    calls: list[str] = []
    state.interrupt = lambda: calls.append("interrupt")

    async def drive(screen: DrivenApp, state: SessionState) -> None:
        await screen.press("ctrl+c")
        assert (calls, screen.app._exit) == (["interrupt"], False)
        state.end("over")
        await screen.press("ctrl+c")
        assert (calls, screen.app._exit) == (["interrupt"], True)

    await DrivenScreen(PlainLines(quiet=True), drive).show(state)
    assert state.notes == []


async def test_lines_wait_until_the_screen_has_left_the_terminal() -> None:
    state, stream = one_question(), io.StringIO()

    async def drive(driven: DrivenApp, state: SessionState) -> None:
        screen.write("second", stream)
        assert stream.getvalue() == ""
        assert "?" in await driven.look()

    screen = DrivenScreen(PlainLines(quiet=True), drive)
    screen.write("first", stream)
    state.end("over")
    await screen.show(state)
    screen.write("third", stream)
    assert stream.getvalue().split() == ["first", "second", "third"]


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
