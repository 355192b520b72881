"""The judge panel without a judge, with one that fails, and its histogram."""

from typing import Any

import msgspec

from tests.support.capabilities import JUDGE
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.clusters import draw_clusters
from tui.panels.judge import draw_judge

JUDGED: dict[str, Any] = {
    "judge": msgspec.structs.replace(JUDGE, endpoint="http://judge:1/v1", model="j")
}


def test_the_judge_panel_tells_that_pruning_is_off(story: type[Story]) -> None:
    text = text_of_strips(draw_judge(frame_of(story(2, **JUDGED).judge_failed(0, 1).view())))
    assert "pruning off since" in text
    recovered = story(2, **JUDGED).judge_failed(0, 1).judged(0, 1)
    assert "1 failed" in text_of_strips(draw_judge(frame_of(recovered.view())))


def test_a_policy_without_a_judge_says_so(story: type[Story]) -> None:
    view = story(2).start(0).view()
    assert "uses no judge" in text_of_strips(draw_judge(frame_of(view)))
    assert "does not cluster" in text_of_strips(draw_clusters(frame_of(view)))


def test_the_histogram_marks_tau_and_its_ends(story: type[Story]) -> None:
    told = story(3, **JUDGED).judged(1, 0, p=0.0).judged(2, 0, 1, p=1.0)
    text = text_of_strips(draw_judge(frame_of(told.view(), 60, 9)))
    assert "tau 0.50" in text
    assert "│" in text
    untold = story(3).judged(1, 0, p=0.3)
    assert "tau" not in text_of_strips(draw_judge(frame_of(untold.view(), 60, 9))).splitlines()[-1]
    assert len(draw_judge(frame_of(told.view(), 60, 3))) == 2
