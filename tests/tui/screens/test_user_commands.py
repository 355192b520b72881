"""The keys that steer a live run."""

import pytest

from tests.support.screens import Sent, StillSource, demo_recording, opened


def live(moment: float) -> StillSource:
    """The recorded run at a moment, as if it were live."""
    _recording, player = demo_recording(moment)
    return StillSource(player.watch.view, steerable=True)


@pytest.mark.slow  # draws whole screens
@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        (["plus"], [("tau", None, 0.55)]),
        (["minus", "minus"], [("tau", None, 0.45), ("tau", None, 0.4)]),
        (["p", "p"], [("pin", 0, None), ("unpin", 0, None)]),
        (["f"], [("finish", 0, None)]),
        (["x"], [("stop", 0, None)]),
        (["v"], []),
        (["v", "v"], [("vote", None, None)]),
        (["z", "z"], [("hold", None, None), ("release", None, None)]),
    ],
)
async def test_a_key_becomes_a_command_of_the_user(keys: list[str], sent: list[Sent]) -> None:
    source = live(1.0)
    async with opened(source) as screen:
        await screen.press(*keys)
    assert source.sent == sent


async def test_on_the_trace_screen_commands_are_about_its_trace() -> None:
    source = live(3.0)
    async with opened(source) as screen:
        screen.app.show("trace", 4)
        await screen.text()
        assert "pinned" in await screen.pressed("p")
    assert source.sent == [("pin", 4, None)]


@pytest.mark.slow  # draws whole screens
async def test_a_command_without_an_effect_is_answered_by_a_notice() -> None:
    source = live(3.5)
    async with opened(source) as screen:
        screen.grid.cursor = 1  # has finished
        await screen.press("x")
        source.open(0).view.tau = None
        await screen.press("plus")
        assert screen.notices == ["Trace 1 has ended already.", "This policy has no tau."]
    assert source.sent == []


async def test_after_the_vote_nothing_is_steered() -> None:
    source = live(60.0)
    async with opened(source) as screen:
        await screen.press("plus")
        assert screen.notices == ["The run is over."]
    assert source.sent == []
