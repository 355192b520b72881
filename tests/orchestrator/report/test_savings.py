from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from orchestrator.report.savings import estimate_cost, of_run, saved_so_far
from tests.support.story import Story

STUDENT_2 = 4.302652729911275
"""Student's t for 95 % and two degrees of freedom, from a table."""


def test_is_exact_when_every_trace_finished() -> None:
    cost = estimate_cost([100, 200, 300], [], planned=3, limit=1000)
    assert (cost.tokens, cost.low, cost.high, cost.method) == (600, 600, 600, "observed")
    assert cost.mean_length == 200


def test_is_only_a_lower_bound_when_nothing_finished() -> None:
    cost = estimate_cost([], [10, 20], planned=4, limit=100)
    assert (cost.tokens, cost.low, cost.high, cost.method) == (None, 30, 400, "none")
    assert cost.mean_length is None
    assert estimate_cost([], [10], planned=4, limit=None).high is None


def test_scales_with_the_traces_that_never_started() -> None:
    cost = estimate_cost([2, 4, 6], [], planned=6, limit=None)
    assert cost.tokens == pytest.approx(24)
    # the standard error of a mean of {2, 4, 6} is sqrt(4/3); half of the six are known
    spread = 6 * STUDENT_2 * (4 / 3 * 0.5) ** 0.5
    assert cost.high == pytest.approx(24 + spread)
    assert cost.low == 12  # 24 - 21 is less than what was already spent


def test_a_trace_cut_early_counts_as_one_of_those_that_went_on() -> None:
    # S = 1 until 20, then 1/2, then 0 at 40; the trace cut at 10 tells nothing more
    assert estimate_cost([20, 40], [10], planned=3, limit=None).tokens == pytest.approx(90)


def test_a_trace_cut_between_two_ends_weighs_on_the_later_one() -> None:
    # at risk 3, 2, 1: S = 2/3 from 10, still 2/3 past the cut at 20, 0 from 40
    cost = estimate_cost([10, 40], [20], planned=3, limit=None)
    assert cost.tokens == pytest.approx(3 * (10 + 30 * 2 / 3))


def test_a_trace_cut_where_another_ended_was_still_alive() -> None:
    # both at risk at 10, so S = 1/2 from there; the rest has no length seen
    cost = estimate_cost([10], [10], planned=2, limit=30)
    assert cost.tokens == pytest.approx(20)
    assert (cost.low, cost.high) == (20, 40)


def test_the_unknown_tail_widens_the_interval_upwards() -> None:
    # S = 3/4 from 10 and 1/2 from 20; the two longest were cut at 40 and 50, no trace exceeds 100
    cost = estimate_cost([10, 20], [40, 50], planned=4, limit=100)
    assert cost.tokens == pytest.approx(4 * (10 + 7.5 + 15))
    assert cost.low == 120  # what was spent for certain
    assert cost.high == 10 + 20 + 2 * 100  # as much as is possible


def test_greenwoods_error_by_hand() -> None:
    # S = 4/5 from 10, 3/5 from 20, cut at 25, then 0.3 from 30 and 0 from 40
    cost = estimate_cost([10, 20, 30, 40], [25], planned=5, limit=40)
    assert cost.tokens == pytest.approx(5 * (10 + 8 + 6 + 3))
    greenwood = 17**2 / (5 * 4) + 9**2 / (4 * 3) + 3**2 / (2 * 1)
    error = 5 * 3.182446305284263 * (4 / 3 * greenwood * (1 - 4 / 5)) ** 0.5
    assert cost.low == pytest.approx(max(125, 135 - error))
    assert cost.high == pytest.approx(min(140, 135 + error))


def test_more_finished_traces_narrow_the_interval() -> None:
    lengths = [100 + 37 * n % 90 for n in range(60)]
    widths = []
    for finished in (5, 20, 59):
        cost = estimate_cost(lengths[:finished], [50] * (60 - finished), planned=60, limit=None)
        assert cost.high is not None
        widths.append(cost.high - cost.low)
    assert widths[0] > widths[1] > widths[2]


LENGTHS = st.lists(st.integers(1, 500), max_size=12)


@given(finished=LENGTHS.filter(bool), cut=LENGTHS)
def test_agrees_with_scipys_kaplan_meier(finished: list[int], cut: list[int]) -> None:
    curve = ecdf(CensoredData(uncensored=finished, right=cut)).sf
    knots = [0.0, *curve.quantiles]
    survival = [1.0, *curve.probabilities]
    mean = sum((b - a) * s for a, b, s in zip(knots, knots[1:], survival, strict=False))
    planned = len(finished) + len(cut)
    cost = estimate_cost(finished, cut, planned=planned, limit=None)
    assert cost.tokens == pytest.approx(planned * mean)


@given(finished=LENGTHS, cut=LENGTHS, unstarted=st.integers(0, 20), limit=st.booleans())
def test_never_leaves_what_is_certain(
    finished: list[int], cut: list[int], unstarted: int, limit: bool
) -> None:
    planned = len(finished) + len(cut) + unstarted
    bound = 500 if limit else None
    cost = estimate_cost(finished, cut, planned=planned, limit=bound)
    seen = sum(finished) + sum(cut)
    assert cost.low >= seen
    if cost.tokens is not None:
        assert cost.low <= cost.tokens + 1e-6
        assert cost.high is None or cost.tokens <= cost.high + 1e-6
    if bound is not None:
        assert cost.high is not None
        assert cost.high <= sum(finished) + (planned - len(finished)) * bound + 1e-6


def test_a_run_gives_its_traces_by_their_endings(pruned_story: Any) -> None:
    cost = of_run(pruned_story.view())
    # one end at 100, others cut at 30, 34 and 36: all that ended took 100
    assert (cost.tokens, cost.method, cost.planned) == (400, "kaplan-meier", 4)
    assert (cost.low, cost.high) == (200, None)


def test_saved_so_far_counts_what_cut_traces_will_not_write(story: type[Story]) -> None:
    told = story(4).start(0, 1, 2, 3).tokens(0, 10).tokens(1, 10).tokens(2, 10)
    assert saved_so_far(told.view()) is None
    told.stop(1, 20).finish(0, 100)
    assert saved_so_far(told.view()) == pytest.approx(80 / 400)
    told.finish(2, 100).finish(3, 100)
    assert saved_so_far(told.view()) == pytest.approx(80 / 400)


def test_nothing_is_saved_when_nothing_was_cut(story: type[Story]) -> None:
    assert saved_so_far(story(1).start(0).finish(0, 10).view()) == 0.0


def test_a_run_of_empty_traces_has_no_mean_length(story: type[Story]) -> None:
    view = story(1).start(0).finish(0, 0).view()
    assert of_run(view).tokens == 0
    assert saved_so_far(view) is None
