"""Every key, pressed by a pilot in the recorded run or in a run that can be steered."""

from pathlib import Path
from typing import Never

import pytest

from orchestrator.core.events import TokensArrived
from tests.support.screens import settled
from tests.support.story import Story
from tui.app import DeepPruneApp
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.screens.questions import QuestionsScreen
from tui.screens.trace import TraceScreen
from tui.sources.base import Entry
from tui.sources.recording import Recording, demo_run
from tui.state.watch import Watch


class Steered:
    """A run that goes on and notes what the user does to it."""

    player = None
    planned = 1
    closing = False
    notice = ""
    start = None
    steerable = True
    current = 0

    def __init__(self, view) -> None:
        self.entries = [Entry("q1", "How many?", None, Watch(view))]
        self.user_commands = []

    def open(self, index):
        return self.entries[index].watch

    def tick(self, seconds) -> None:
        pass

    def steer(self, act) -> None:
        self.user_commands.append((act.command, act.trace, act.tau))
        self.entries[0].watch.view.apply(act)


def recording(moment=4.0):
    source = Recording(demo_run(), playing=False)
    source.open(0)
    source.player.seek(moment)
    return source


def steered(moment=4.0):
    source = recording(moment)
    return Steered(source.player.watch.view)


@pytest.fixture
async def replayed():
    app = DeepPruneApp(recording())
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        yield pilot


def player(pilot):
    return pilot.app.screen.source.player


async def test_space_plays_and_pauses(replayed) -> None:
    await replayed.press("space")
    assert player(replayed).playing
    await replayed.press("space")
    assert not player(replayed).playing


async def test_brackets_change_the_speed(replayed) -> None:
    await replayed.press("]", "]")
    assert player(replayed).speed == 4.0
    await replayed.press("[")
    assert player(replayed).speed == 2.0


async def test_comma_and_full_stop_step_through_the_events(replayed) -> None:
    await replayed.press(".")
    later = player(replayed).now
    assert later > 4.0
    await replayed.press(".", ",")
    assert player(replayed).now == later


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("left", lambda now, length: now < 4.0),
        ("right", lambda now, length: 4.0 < now < length),
        ("down", lambda now, length: now < 3.5),
        ("up", lambda now, length: 4.5 < now < length),
        ("home", lambda now, length: now == 0.0),
        ("end", lambda now, length: now == length),
    ],
)
async def test_arrows_seek_on_the_bar(replayed, key, expected) -> None:
    await replayed.press(key)
    assert expected(player(replayed).now, player(replayed).length)


async def test_a_click_on_the_bar_jumps(replayed) -> None:
    await replayed.click("#seek", offset=(5, 0))
    assert player(replayed).now < 0.5


def grid(pilot):
    return pilot.app.screen.query_one("#grid")


async def test_the_cursor_moves_in_the_grid_and_stays_at_the_edges(replayed) -> None:
    await replayed.press("tab")
    assert grid(replayed).has_focus
    await replayed.press("right", "l", "j")
    columns = grid(replayed)._layout.columns
    assert grid(replayed).cursor == 2 + columns
    await replayed.press("left", "h", "k", "k", "up")
    assert grid(replayed).cursor == 0
    await replayed.press("end", "down", "right")
    assert grid(replayed).cursor == 63
    await replayed.press("home")
    assert grid(replayed).cursor == 0


async def test_a_click_chooses_a_trace_and_a_second_one_opens_it(replayed) -> None:
    await replayed.click("#grid", offset=(30, 3))
    chosen = grid(replayed).cursor
    assert chosen > 0
    await replayed.click("#grid", offset=(30, 3), times=2)
    assert isinstance(replayed.app.screen, TraceScreen)
    assert replayed.app.screen.trace == chosen


async def test_a_click_beside_the_traces_does_nothing(replayed) -> None:
    await replayed.click("#grid", offset=(2, 0))
    await replayed.click("#grid", offset=(2, 25))
    assert grid(replayed).cursor == 0


async def test_enter_opens_the_trace_and_escape_closes_it(replayed) -> None:
    await replayed.press("tab", "right", "enter")
    assert isinstance(replayed.app.screen, TraceScreen)
    assert "trace 1" in await settled(replayed)
    await replayed.press("escape")
    assert isinstance(replayed.app.screen, LiveScreen)
    await replayed.press("escape")
    assert isinstance(replayed.app.screen, LiveScreen)


async def test_the_trace_screen_goes_from_trace_to_trace(replayed) -> None:
    replayed.app.show("trace", 0)
    await settled(replayed)
    await replayed.press("left")
    assert "trace 63" in await settled(replayed)
    await replayed.press("right", "right")
    assert "trace 1 " in await settled(replayed)


async def test_c_shows_and_hides_the_representative(replayed) -> None:
    replayed.app.show("trace", 1)
    assert "its representative, trace 21" in await settled(replayed)
    await replayed.press("c")
    assert "its representative" not in await settled(replayed)
    await replayed.press("c")
    assert "its representative" in await settled(replayed)


async def test_a_long_text_scrolls_and_end_follows_again(story: type[Story]) -> None:
    view = story(1).start(0).view()
    text = "".join(f"line {n}\n" for n in range(500)) + "last"
    view.apply(TokensArrived(at=1.0, trace=0, text=text, tokens=500))
    app = DeepPruneApp(Steered(view))
    async with app.run_test(size=(80, 24)) as pilot:
        app.show("trace", 0)
        assert "last" in await settled(pilot)
        await pilot.press("home")
        shown = await settled(pilot)
        assert " line 0\n" in shown
        assert "last" not in shown
        await pilot.press("pagedown", "down", "j", "k", "up")
        assert " line 20\n" in await settled(pilot)
        await pilot.press("pageup")
        assert " line 0\n" in await settled(pilot)
        await pilot.press("end")
        assert "last" in await settled(pilot)
        view.apply(TokensArrived(at=2.0, trace=0, text="\nvery last", tokens=501))
        assert "very last" in await settled(pilot)


async def test_help_opens_over_everything_and_closes(replayed) -> None:
    for key in ("escape", "question_mark", "q"):
        await replayed.press("question_mark")
        await replayed.pause()
        assert isinstance(replayed.app.screen, HelpScreen)
        await replayed.press(key)
        assert isinstance(replayed.app.screen, LiveScreen)


async def test_t_changes_the_theme(replayed) -> None:
    await replayed.press("t")
    assert replayed.app.theme == "deepprune-light"
    await replayed.press("t")
    assert replayed.app.theme == "deepprune-dark"


async def test_s_saves_the_screen_without_references_to_elsewhere(
    replayed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await replayed.press("s")
    (file,) = tmp_path.glob("deepprune-*.svg")
    svg = file.read_text()
    assert "clusters" in svg
    assert "url(" not in svg.replace("url(#", "")


async def test_a_folder_that_takes_no_file_is_told(
    replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments, **more) -> Never:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    await replayed.press("s")
    await replayed.pause()
    (told,) = replayed.app._notifications
    assert "Permission denied" in told.message


async def test_q_and_ctrl_c_leave_a_recording() -> None:
    for key in ("q", "ctrl+c"):
        app = DeepPruneApp(recording())
        async with app.run_test() as pilot:
            await pilot.press(key)
            await pilot.pause()
            assert not app.is_running or app._exit


async def test_ctrl_c_in_a_live_run_is_passed_on() -> None:
    pressed = []
    app = DeepPruneApp(steered(), interrupt=lambda: pressed.append(True))
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
        assert pressed == [True]
        assert app.is_running


async def test_keys_that_steer_do_nothing_in_a_recording(replayed) -> None:
    await replayed.press("plus", "minus", "p", "f", "x", "v", "v", "z")
    assert replayed.app.screen.watched.view.tau == 0.5
    assert "pin" not in (await settled(replayed)).splitlines()[-1]


@pytest.mark.parametrize(
    ("keys", "user_commands"),
    [
        (["plus"], [("tau", None, 0.55)]),
        (["minus", "minus"], [("tau", None, 0.45), ("tau", None, 0.4)]),
        (["p"], [("pin", 0, None)]),
        (["p", "p"], [("pin", 0, None), ("unpin", 0, None)]),
        (["f"], [("finish", 0, None)]),
        (["x"], [("stop", 0, None)]),
        (["v"], []),
        (["v", "v"], [("vote", None, None)]),
        (["z", "z"], [("hold", None, None), ("release", None, None)]),
    ],
)
async def test_a_key_becomes_an_act_of_the_user(keys, user_commands) -> None:
    source = steered(3.0)
    app = DeepPruneApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press(*keys)
        assert source.user_commands == user_commands


async def test_on_the_trace_screen_acts_are_about_its_trace() -> None:
    source = steered(3.0)
    app = DeepPruneApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        app.show("trace", 4)
        await settled(pilot)
        await pilot.press("p")
        assert source.user_commands == [("pin", 4, None)]
        assert "pinned" in await settled(pilot)


async def test_what_cannot_be_steered_any_more_is_told() -> None:
    source = steered(3.5)
    app = DeepPruneApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        grid(pilot).cursor = 5  # has finished
        await pilot.press("x")
        source.entries[0].watch.view.tau = None
        await pilot.press("plus")
        assert source.user_commands == []
        told = [note.message for note in app._notifications]
        assert told == ["Trace 5 has ended already.", "This policy has no tau."]


async def test_after_the_vote_nothing_is_steered() -> None:
    source = steered(60.0)
    app = DeepPruneApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("plus")
        assert source.user_commands == []


async def test_the_list_of_questions_opens_one_of_them(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / f"000{number}-q"
        folder.mkdir()
        for name in ("journal.jsonl", "report.json"):
            (folder / name).write_bytes((demo_run() / name).read_bytes())
    source = Recording(tmp_path, playing=False)
    source.open(0)
    app = DeepPruneApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        assert isinstance(app.screen, QuestionsScreen)
        shown = await settled(pilot)
        assert "3 of 3 questions" in shown
        await pilot.press("down", "j", "k", "pageup", "end", "home", "pagedown")
        await pilot.press("enter")
        assert isinstance(app.screen, LiveScreen)
        assert source.current == 2
        await pilot.press("escape")
        assert isinstance(app.screen, QuestionsScreen)
        await pilot.click("#questions", offset=(5, 2))
        await pilot.click("#questions", offset=(5, 3), times=2)
        assert source.current == 1
        await pilot.press("escape", "space")  # nothing plays behind the list
        assert not source.player.playing


async def commands(source):
    app = DeepPruneApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert type(app.screen).__name__ == "CommandPalette"
        return {command.title: command for command in app.get_system_commands(app.screen_stack[-2])}


async def test_the_palette_offers_what_the_keys_do() -> None:
    assert set(await commands(recording())) == {
        "Theme",
        "Keys",
        "Save",
        "Leave",
        "Play",
        "Faster",
        "Slower",
    }
    source = steered(3.0)
    offered = await commands(source)
    assert len(offered) == 11
    offered["Pin trace 0"].callback()
    offered["Raise tau"].callback()
    offered["Vote now"].callback()
    assert [act for act, _trace, _tau in source.user_commands] == ["pin", "tau", "vote"]


async def test_what_goes_on_shines_through_the_help(replayed) -> None:
    await replayed.press("question_mark")
    await replayed.pause()
    under = replayed.app.screen_stack[-2]
    under.source.player.seek(5.9)
    assert "answer 26" in await settled(replayed)


async def test_the_wheel_moves_the_cursor(replayed) -> None:
    target = grid(replayed)
    target.on_mouse_scroll_down()
    assert target.cursor == target._layout.columns
    target.on_mouse_scroll_up()
    assert target.cursor == 0
