from orchestrator.core.events import PairsJudged, TokensArrived
from tests.support.story import Story
from tui.state.watch import BINS, Digest


def test_verdicts_are_kept_by_the_new_trace(demo_entries, story: type[Story]) -> None:
    view = story(3).start(0, 1, 2).judged(1, 0, p=0.9).judged(2, 0, 1, p=1.0).view()
    digest = Digest(view)
    digest.update()
    assert [v.member for v in digest.verdicts[2]] == [0, 1]
    assert digest.histogram[int(0.9 * BINS)] == 1
    assert digest.histogram[BINS - 1] == 2


def test_each_event_is_read_once(story: type[Story]) -> None:
    told = story(2).start(0, 1).judged(1, 0)
    view = told.view()
    digest = Digest(view)
    digest.update()
    digest.update()
    assert sum(digest.histogram) == 1


def test_the_log_leaves_out_text_and_verdicts(story: type[Story]) -> None:
    digest = Digest(story(2).start(0).tokens(0, 5).judged(0, 1).finish(0, 9).view())
    digest.update()
    assert not any(isinstance(event, TokensArrived | PairsJudged) for event in digest.log)
    assert len(digest.log) == 2


def test_the_judges_pace_counts_the_last_seconds_only(story: type[Story]) -> None:
    told = story(2).judged(1, 0)
    digest = Digest(told.view())
    assert digest.pairs_per_second() is None
    digest.update()
    assert digest.pairs_per_second() == 10.0
    for _ in range(100):
        told.tokens(0, 5)
    late = Digest(told.view())
    late.update()
    assert late.pairs_per_second() == 0.0
