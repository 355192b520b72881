"""The keys that work on every screen, and the command palette."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.app import SystemCommand

from tests.support.screens import DrivenApp, StillSource, demo_recording, opened
from tui.app import DeepPruneApp
from tui.sources.base import Source


@pytest.fixture
async def replayed() -> AsyncIterator[DrivenApp]:
    """The recorded run at second 4."""
    recording, _player = demo_recording(4.0)
    async with opened(recording) as screen:
        yield screen


async def test_t_changes_the_theme(replayed: DrivenApp) -> None:
    await replayed.press("t")
    assert replayed.app.theme == "deepprune-light"
    await replayed.press("t")
    assert replayed.app.theme == "deepprune-dark"


@pytest.mark.slow  # draws whole screens
async def test_s_saves_the_screen_without_references_to_elsewhere(
    replayed: DrivenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await replayed.press("s")
    (file,) = tmp_path.glob("deepprune-*.svg")
    svg = file.read_text(encoding="utf-8")
    assert "clusters" in svg
    assert "url(" not in svg.replace("url(#", "")
    assert replayed.notices == [f"Saved {file.name}"]


async def test_a_folder_that_has_gone_is_told(
    replayed: DrivenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    await replayed.press("s")
    (notice,) = replayed.notices
    assert notice.endswith("cannot be written: No such file or directory")


@pytest.mark.slow  # draws whole screens
@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_q_and_ctrl_c_leave_a_recording(key: str) -> None:
    recording, _player = demo_recording()
    async with opened(recording) as screen:
        await screen.press(key)
        assert screen.app._exit


async def test_ctrl_c_in_a_live_run_is_passed_on() -> None:
    calls: list[bool] = []
    _recording, player = demo_recording()
    source = StillSource(player.watch.view, steerable=True)
    app = DeepPruneApp(source, interrupt=lambda: calls.append(True))
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
        assert calls == [True]
        assert not app._exit


async def palette(source: Source) -> dict[str, SystemCommand]:
    """The entries of the command palette over the live screen, by title."""
    async with opened(source) as screen:
        await screen.press("ctrl+p")
        await screen.pilot.pause()
        assert type(screen.uppermost).__name__ == "CommandPalette"
        live = screen.app.screen_stack[-2]
        return {entry.title: entry for entry in screen.app.get_system_commands(live)}


EVERYWHERE = {"Theme", "Keys", "Save", "Leave"}


@pytest.mark.slow  # draws whole screens
async def test_the_palette_of_a_recording_offers_what_its_keys_do() -> None:
    recording, _player = demo_recording()
    assert set(await palette(recording)) == EVERYWHERE | {"Play", "Faster", "Slower"}


async def test_the_palette_of_a_live_run_sends_what_its_keys_send() -> None:
    _recording, player = demo_recording(1.0)
    source = StillSource(player.watch.view, steerable=True)
    offered = await palette(source)
    on_trace = {f"{command} trace 0" for command in ("Pin", "Finish", "Stop")}
    on_run = {"Raise tau", "Lower tau", "Pause launching", "Vote now"}
    assert set(offered) == EVERYWHERE | on_trace | on_run
    for title in ("Pin trace 0", "Raise tau", "Vote now"):
        offered[title].callback()
    assert [command for command, _trace, _tau in source.sent] == ["pin", "tau", "vote"]
