"""How the screen comes and goes: the console script, Ctrl-C, and a program that ends at once."""

from pathlib import Path

import pytest

from orchestrator.cli import main as cli
from orchestrator.questions import Question
from orchestrator.session.state import SessionState
from tui import launcher as orchestrate
from tui.app import DeepPruneApp
from tui.cli import demo_run
from tui.export.doc_images import SHOTS
from tui.export.doc_images import main as take_pictures
from tui.sources import live
from tui.sources.recording import Recording


def test_the_console_script_hands_the_orchestrator_its_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed = []
    monkeypatch.setattr(cli, "_wants_screen", lambda arguments: True)
    monkeypatch.setattr(cli, "_run", lambda arguments, show: handed.append(show) or 7)
    assert orchestrate.main(["question"]) == 7
    assert callable(handed[0])


class Pressed:
    """Interrupts that only note what was asked of them."""

    def __init__(self) -> None:
        self.count = 0
        self.before_leaving = None

    def interrupt(self) -> None:
        self.count += 1


async def test_the_screen_lasts_until_the_board_is_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    session_state, interrupts = SessionState([Question(id="q", question="?")]), Pressed()
    shown = []

    async def run(app) -> None:
        shown.append(app)
        assert interrupts.before_leaving == app.give_terminal_back
        app._interrupt()
        session_state.over = True
        async with app.run_test() as pilot:
            session_state.closing = True
            app.tick()
            await pilot.pause()
            assert app._exit

    monkeypatch.setattr(DeepPruneApp, "run_async", run)
    await orchestrate._show(session_state, interrupts)
    assert interrupts.count == 1
    assert interrupts.before_leaving != shown[0].give_terminal_back


async def test_after_the_run_ctrl_c_only_leaves_the_screen() -> None:
    session_state, interrupts = SessionState([Question(id="q", question="?")]), Pressed()
    session_state.over = True
    app = DeepPruneApp(live.Live(session_state))
    async with app.run_test():
        live._interrupt(app, session_state, interrupts)
        assert app._exit
    assert interrupts.count == 0


class Driver:
    """Notes in which order it is asked to let go."""

    def __init__(self) -> None:
        self.asked = []

    def stop_application_mode(self) -> None:
        self.asked.append("stop")

    def close(self) -> None:
        self.asked.append("close")


def test_a_program_that_ends_at_once_gives_the_terminal_back_first() -> None:
    recording = Recording(demo_run(), playing=False)
    recording.open(0)
    app = DeepPruneApp(recording)
    app.give_terminal_back()  # before the screen is up there is nothing to give back
    app._driver = driver = Driver()
    app.give_terminal_back()
    assert driver.asked == ["stop", "close"]


def test_the_pictures_of_the_documents_can_be_made_again(tmp_path: Path) -> None:
    take_pictures(tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == set(SHOTS)
