"""The states that traces are displayed in."""

from orchestrator.report.display_state import GLYPHS, ORDER, count_states, display_state
from tests.support.story import Story


def test_every_state_has_a_glyph_of_its_own_and_a_place_in_the_bar() -> None:
    assert len(set(GLYPHS.values())) == len(GLYPHS)
    assert set(ORDER) == set(GLYPHS)


def test_the_finer_states_are_told_from_the_view(story: type[Story]) -> None:
    told = story(9).start(0, 1, 2, 3, 4, 5, 6).checkpoint(1, 9).checkpoint(2, 9)
    told.checkpoint(3, 9).pause(3, 9).open_cluster(3, 0).checkpoint(4, 9).pause(4, 9).join(4, 0)
    told.checkpoint(5, 9).unjudged(5).fail(6, 3)
    view = told.view()
    view.traces[2].asked = True
    states = [display_state(view, view.traces[n]) for n in range(8)]
    assert states == [
        "running",
        "checkpoint",
        "judging",
        "representative",
        "paused",
        "finishing",
        "failed",
        "queued",
    ]
    assert count_states(view)["queued"] == 0  # nobody has asked for the last two


def test_traces_that_never_started_are_told_from_stopped_ones(story: type[Story]) -> None:
    told = story(4).start(0, 1).finish(0, 9).stop(1, 3, "voted").stop(2, 0, "voted")
    assert count_states(told.view()) == {"finished": 1, "stopped": 1, "unstarted": 1}
    over = told.end().view()
    assert count_states(over)["unstarted"] == 1  # nobody asked for trace 3
    assert display_state(over, over.traces[3]) == "unstarted"
