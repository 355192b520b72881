"""The list of clusters."""

from typing import Any

import msgspec

from tests.support.capabilities import JUDGE
from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.clusters import draw_clusters

JUDGED: dict[str, Any] = {
    "judge": msgspec.structs.replace(JUDGE, endpoint="http://judge:1/v1", model="j")
}


def test_more_clusters_than_fit_are_counted(story: type[Story]) -> None:
    told = story(9, **JUDGED)
    for trace in range(9):
        told.open_cluster(trace, trace)
    lines = text_of_strips(draw_clusters(frame_of(told.view(), 60, 5))).splitlines()
    assert "6 more" in lines[0]
    assert len(lines) == 4
