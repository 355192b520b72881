"""Series of rows that differ in one setting."""

from bench.analysis.comparison import compare_policies
from bench.analysis.sweeps import SettingSeries, setting_series
from tests.support.outcomes import FOUR_VOTES, ONE_VOTE, outcomes


def series_of(*policies: tuple[str, int]) -> list[SettingSeries]:
    """Of policies with their tokens, beside two plain votes."""
    flat = [each for policy, tokens in policies for each in outcomes(policy, [1], tokens)]
    return setting_series(compare_policies([*ONE_VOTE, *FOUR_VOTES, *flat], judge_price=1.0))


def test_rows_that_differ_in_one_setting_make_a_series() -> None:
    found = {
        (each.policy, each.setting): each
        for each in series_of(
            ("d@8:tau=0.5", 10), ("d@8:tau=0.25", 20), ("d@16:tau=0.25", 30), ("other:tau=0.1", 30)
        )
    }
    assert {key: list(each.values) for key, each in found.items()} == {
        ("d@8", "tau"): ["0.25", "0.5"],
        ("d:tau=0.25", "traces"): ["8", "16"],
    }
    assert [row.policy for row in found["d@8", "tau"].rows] == ["d@8:tau=0.25", "d@8:tau=0.5"]


def test_values_that_are_words_are_sorted_by_cost() -> None:
    (series,) = series_of(("auto:effort=high", 30), ("auto:effort=low", 10))
    assert list(series.values) == ["low", "high"]


def test_plain_votes_make_no_series() -> None:
    assert series_of() == []
