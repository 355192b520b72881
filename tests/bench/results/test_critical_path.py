"""The critical path of a run, in tokens."""

from bench.results.trace_stats import CriticalPath
from tests.support.story import Story


def tokens_in_sequence(story: Story) -> int:
    path = CriticalPath()
    for event in story.events:
        path.add(event)
    return path.tokens()


def test_of_traces_side_by_side_the_one_that_ends_last_counts() -> None:
    assert tokens_in_sequence(Story(2).start(0, 1).finish(0, 30).finish(1, 50)) == 50


def test_traces_one_after_the_other_add_up() -> None:
    assert tokens_in_sequence(Story(2).start(0).finish(0, 30).start(1).finish(1, 50)) == 80


def test_the_next_window_waits_for_the_longest_trace() -> None:
    story = Story(3).start(0, 1).finish(0, 10).finish(1, 40).start(2).finish(2, 5)
    assert tokens_in_sequence(story) == 45


def test_a_stopped_trace_counts_with_its_tokens_so_far() -> None:
    assert tokens_in_sequence(Story(2).start(0, 1).finish(0, 30).stop(1, 33)) == 33


def test_a_run_without_traces_has_no_tokens_in_sequence() -> None:
    assert tokens_in_sequence(Story(2)) == 0
