"""Policies against the plain vote of equal cost."""

from collections.abc import Sequence

import pytest

from bench.analysis.comparison import PolicyRow, compare_policies, frontier
from bench.results.outcomes import Outcome
from tests.support.outcomes import FOUR_VOTES, ONE_VOTE, outcomes


def rows(*groups: Sequence[Outcome], judge_price: float = 1.0) -> dict[str, PolicyRow]:
    flat = [outcome for group in groups for outcome in group]
    return {row.policy: row for row in compare_policies(flat, judge_price=judge_price)}


def test_the_equal_cost_vote_is_the_mixture_of_votes_that_costs_the_same() -> None:
    found = rows(FOUR_VOTES, ONE_VOTE, outcomes("mine", [1, 1, 1, 1], 250))
    mine = found["mine"]
    assert mine.rival_votes == pytest.approx(2.5)
    assert mine.difference == pytest.approx(1.0 - 0.5)  # halfway between 1/4 and 3/4
    assert mine.difference_low is not None
    assert mine.difference_low > 0
    assert mine.saved == pytest.approx(1 - 250 / 400)
    assert list(found) == ["cons@1", "mine", "cons@4"]


def test_judge_tokens_count_at_their_price() -> None:
    mine = outcomes("mine", [1, 1, 1, 1], 100, judge_tokens=300)
    assert rows(ONE_VOTE, FOUR_VOTES, mine)["mine"].cost == 400
    cheap = rows(ONE_VOTE, FOUR_VOTES, mine, judge_price=0.5)["mine"]
    assert cheap.rival_votes == pytest.approx(2.5)


def test_beyond_the_measured_votes_there_is_no_equal_cost_vote() -> None:
    mine = rows(ONE_VOTE, FOUR_VOTES, outcomes("mine", [1, 1, 1, 1], 500))["mine"]
    assert (mine.rival_votes, mine.difference, mine.p_value) == (None, None, None)
    assert rows(outcomes("mine", [1], 5))["mine"].saved is None


def test_a_vote_is_not_compared_with_itself() -> None:
    assert rows(ONE_VOTE, FOUR_VOTES)["cons@4"].difference is None


def test_a_policy_on_other_questions_is_not_compared() -> None:
    assert rows(ONE_VOTE, FOUR_VOTES, outcomes("mine", [1, 1], 250))["mine"].difference is None


def test_only_an_improbable_difference_is_significant() -> None:
    right = [1, 0] * 20
    same = rows(
        outcomes("cons@1", right, 100), outcomes("cons@4", right, 400), outcomes("m", right, 200)
    )["m"]
    assert same.p_value == 1.0
    better = rows(
        outcomes("cons@1", [0] * 40, 100),
        outcomes("cons@4", [0] * 40, 400),
        outcomes("m", right, 200),
    )["m"]
    assert better.p_value is not None
    assert better.p_value < 0.01


def test_questions_are_matched_by_their_ids_and_not_by_their_order() -> None:
    votes = outcomes("cons@1", [1, 0], 100), outcomes("cons@4", [1, 0], 400)
    mine = rows(*votes, outcomes("mine", [1, 0], 250)[::-1])["mine"]
    assert (mine.difference_low, mine.difference_high) == (0.0, 0.0)


def test_clusters_are_averaged_over_runs() -> None:
    mine = outcomes("mine", [1], 200, clusters=(3, 1)) + outcomes(
        "mine", [1], 200, clusters=(1, 1, 1, 1), resample=1
    )
    row = rows(mine)["mine"]
    assert (row.clusters, row.largest_cluster) == (3.0, 0.5)


def test_the_front_has_the_rows_that_no_other_beats_in_both_directions() -> None:
    dear = outcomes("dear", [1, 1, 1, 0], 900)
    found = rows(ONE_VOTE, FOUR_VOTES, dear, outcomes("mine", [1, 1, 0, 0], 200))
    assert [row.policy for row in frontier(list(found.values()))] == ["cons@1", "mine", "cons@4"]


RIGHT_HALF = [1, 0] * 20
ALL_WRONG = outcomes("cons@1", [0] * 40, 100), outcomes("cons@4", [0] * 40, 400)
ALL_RIGHT = outcomes("cons@1", [1] * 40, 100), outcomes("cons@4", [1] * 40, 400)
VOTES = ONE_VOTE, FOUR_VOTES


@pytest.mark.parametrize(
    ("votes", "correct", "tokens", "verdict"),
    [
        (ALL_WRONG, RIGHT_HALF, 200, "better"),
        (ALL_RIGHT, RIGHT_HALF, 200, "worse"),
        (VOTES, [1, 1, 0, 0], 200, "level"),
        (VOTES, [1, 1, 1, 1], 500, "costs more than every vote"),
        (VOTES, [1, 1, 1, 1], 50, "no vote to compare with"),
    ],
)
def test_the_verdict_names_a_difference_only_if_it_is_significant(
    votes: Sequence[Sequence[Outcome]], correct: Sequence[int], tokens: int, verdict: str
) -> None:
    assert rows(*votes, outcomes("mine", correct, tokens))["mine"].verdict == verdict


def test_a_vote_has_no_verdict() -> None:
    assert rows(*VOTES)["cons@4"].verdict == ""


def test_latency_is_set_beside_that_of_the_equal_cost_vote_and_of_votes_as_fast() -> None:
    one = outcomes("cons@1", [1, 0, 0, 0], 100, sequential_tokens=100.0, seconds=1.0)
    four = outcomes("cons@4", [1, 1, 1, 0], 400, sequential_tokens=200.0, seconds=3.0)
    mine = outcomes("mine", [1, 1, 1, 1], 250, sequential_tokens=150.0, seconds=1.5)
    row = rows(one, four, mine)["mine"]
    assert row.rival_sequential_tokens == pytest.approx(150.0)
    assert row.rival_seconds == pytest.approx(2.0)
    assert row.sequence_ratio == pytest.approx(1.0)
    assert row.sequence_difference == pytest.approx(1.0 - 0.5)
    assert row.seconds_difference == pytest.approx(1.0 - (0.75 * 0.25 + 0.25 * 0.75))


def test_a_policy_faster_than_every_vote_is_compared_with_the_fastest() -> None:
    one = outcomes("cons@1", [1, 0, 0, 0], 100, sequential_tokens=100.0)
    four = outcomes("cons@4", [1, 1, 1, 0], 400, sequential_tokens=200.0)
    row = rows(one, four, outcomes("mine", [1, 1, 1, 1], 250, sequential_tokens=50.0))["mine"]
    assert row.sequence_difference == pytest.approx(1.0 - 0.25)
    slow = rows(one, four, outcomes("mine", [1, 1, 1, 1], 250, sequential_tokens=500.0))["mine"]
    assert slow.sequence_difference is None


def test_without_tokens_in_sequence_there_is_nothing_to_compare() -> None:
    known = outcomes("cons@1", [1, 0, 0, 0], 100, sequential_tokens=100.0)
    unknown = outcomes("cons@4", [1, 1, 1, 0], 400, sequential_tokens=None)
    row = rows(known, unknown, outcomes("mine", [1, 1, 1, 1], 250, sequential_tokens=None))["mine"]
    assert row.rival_votes == pytest.approx(2.5)
    assert (row.sequence_ratio, row.sequence_difference) == (None, None)
    row = rows(known, unknown, outcomes("mine", [1, 1, 1, 1], 250, sequential_tokens=150.0))["mine"]
    assert (row.rival_sequential_tokens, row.sequence_difference) == (None, None)
