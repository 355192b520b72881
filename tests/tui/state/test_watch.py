"""What a display remembers of a run: verdicts, pace, log, and numbers that are not computed at every look."""

from orchestrator.core.events import PairsJudged, TokensArrived
from orchestrator.report.view import RunView
from tests.support.story import Story
from tui.state.watch import BINS, Digest, Watch


def test_verdicts_are_kept_by_the_new_trace(story: type[Story]) -> None:
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


class Clock:
    """Seconds that pass only when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_numbers_are_computed_at_most_twice_a_second(story: type[Story]) -> None:
    told, clock = story(4).start(0, 1, 2, 3), Clock()
    view = told.view()
    watch = Watch(view, clock=clock)
    assert not watch.stats.tally
    view.apply(story(4).start(0).finish(0, 9).events[-1])
    assert not watch.stats.tally
    clock.now = 0.5
    assert watch.stats.tally == (("42", 1),)


def test_the_numbers_are_exact_after_a_seek_and_at_the_end(story: type[Story]) -> None:
    told = story(2).start(0, 1)
    view = told.view()
    watch = Watch(view, clock=Clock())
    assert not watch.stats.tally
    view.apply(told.finish(0, 9).events[-1])
    watch.invalidate_stats()
    assert watch.stats.tally == (("42", 1),)
    for event in told.finish(1, 9, answer="7").vote("42", a42=2).end().events[-3:]:
        view.apply(event)
    assert watch.stats.tally == (("42", 2),)


def test_seeking_backwards_starts_with_an_empty_digest(story: type[Story]) -> None:
    watch = Watch(story(2).start(0, 1).judged(1, 0).view())
    watch.update()
    assert watch.digest.verdicts
    watch.restart(RunView())
    watch.update()
    assert not watch.digest.verdicts
    assert not watch.digest.log
