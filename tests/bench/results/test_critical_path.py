"""Latency in tokens: which traces of a live run had to wait for each other."""

from bench.results.trace_stats import CriticalPath
from tests.support.story import Story


def tokens_in_sequence(story):
    path = CriticalPath()
    for event in story.events:
        path.add(event)
    return path.tokens()


def test_side_by_side_the_one_that_ends_last_counts() -> None:
    assert tokens_in_sequence(Story(2).start(0, 1).finish(0, 30).finish(1, 50)) == 50


def test_one_after_the_other_they_add_up() -> None:
    assert tokens_in_sequence(Story(2).start(0).finish(0, 30).start(1).finish(1, 50)) == 80


def test_of_a_window_its_longest_trace_was_waited_for() -> None:
    story = Story(3).start(0, 1).finish(0, 10).finish(1, 40).start(2).finish(2, 5)
    assert tokens_in_sequence(story) == 45


def test_a_trace_that_was_stopped_with_the_last_one_counts_as_far_as_it_got() -> None:
    assert tokens_in_sequence(Story(2).start(0, 1).finish(0, 30).stop(1, 33)) == 33


def test_a_run_without_a_trace_took_none() -> None:
    assert tokens_in_sequence(Story(2)) == 0
