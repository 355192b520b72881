"""The oracle that knows the best value of a setting for each question."""

from collections.abc import Sequence

import pytest

from bench.analysis.comparison import PolicyRow
from bench.reports.render import build_comparison
from bench.results.outcomes import Outcome
from tests.support.outcomes import outcomes


def resampled(policy: str, correct: Sequence[int], tokens: int) -> list[Outcome]:
    """One question with a resampling for each of `correct`."""
    return [
        outcome
        for resample, right in enumerate(correct)
        for outcome in outcomes(policy, [right], tokens, resample=resample)
    ]


def oracle(*groups: Sequence[Outcome]) -> PolicyRow | None:
    flat = [outcome for group in groups for outcome in group]
    (series,) = build_comparison(flat, judge_price=1.0).series
    return series.oracle


def test_the_oracle_takes_the_value_that_was_right_on_the_other_resamplings() -> None:
    found = oracle(resampled("d:tau=0.5", [1, 1, 1], 30), resampled("d:tau=0.9", [0, 0, 1], 10))
    assert found is not None
    assert (found.accuracy, found.tokens) == (1.0, 30)


def test_of_equally_good_values_the_oracle_takes_the_cheapest() -> None:
    found = oracle(resampled("d:tau=0.5", [1, 1, 1], 30), resampled("d:tau=0.9", [1, 1, 1], 10))
    assert found is not None
    assert found.tokens == 10


def test_luck_in_the_measured_resampling_does_not_count() -> None:
    found = oracle(resampled("d:tau=0.5", [1, 0], 10), resampled("d:tau=0.9", [0, 1], 20))
    assert found is not None
    assert found.accuracy == 0.0  # the value that was right in one is wrong in the other


def test_the_oracle_is_compared_with_the_vote_of_equal_cost() -> None:
    votes = (resampled("cons@1", [0, 0], 10), resampled("cons@4", [1, 1], 40))
    swept = (resampled("d:tau=0.5", [1, 1], 25), resampled("d:tau=0.9", [0, 0], 25))
    found = oracle(*votes, *swept)
    assert found is not None
    assert found.rival_votes == pytest.approx(2.5)
    assert found.difference == pytest.approx(0.5)


@pytest.mark.parametrize("other", [[1], [1, 1, 1]])
def test_a_single_resampling_or_unequal_ones_give_no_oracle(other: list[int]) -> None:
    assert oracle(resampled("d:tau=0.5", [1], 10), resampled("d:tau=0.9", other, 10)) is None
