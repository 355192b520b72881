import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.agreement import Count, gain, leader_share

COUNTS = st.builds(
    Count.of,
    st.lists(st.integers(1, 6), max_size=6).map(lambda b: tuple(sorted(b, reverse=True))),
    st.integers(0, 5),
)


def share(*ballots: int, blanks: int = 0) -> float:
    return leader_share(Count.of(ballots, blanks))


def test_without_a_ballot_there_is_no_leader() -> None:
    assert share() == 0.0
    assert share(blanks=3) == 0.0


def test_the_first_ballot_is_worth_the_prior_chance_that_two_traces_agree() -> None:
    prior = sum(1 / (1 + 2.0**power) for power in range(-3, 5)) / 8
    assert gain(Count.of((), 0), 1) == pytest.approx(prior)
    assert share(1) == pytest.approx(prior)


def test_a_count_by_hand() -> None:
    # after two equal ballots the odds of concentration a are 1/(1+a); the share is 2/(2+a)
    grid = [2.0**power for power in range(-3, 5)]
    by_hand = sum(2 / ((1 + a) * (2 + a)) for a in grid) / sum(1 / (1 + a) for a in grid)
    assert share(2) == pytest.approx(by_hand)


def test_ballots_that_agree_raise_the_share_and_others_lower_it() -> None:
    assert share(1) < share(2) < share(3) < share(10)
    assert share(2, 1) < share(2)
    assert share(2, 1, 1) < share(2, 1)
    assert share(2, blanks=1) == share(2, 1)


def test_one_ballot_can_settle_a_tie_but_not_overtake_a_lead_of_two() -> None:
    assert gain(Count.of((1, 1), 0), 1) > 0.02
    assert gain(Count.of((2,), 0), 1) == pytest.approx(0.0)
    assert gain(Count.of((9,), 0), 8) == pytest.approx(0.0)


def test_agreement_leaves_little_to_gain() -> None:
    worth = [gain(Count.of(ballots, 0), 4) for ballots in ((1, 1), (1,), (2, 1), (2,), (3,))]
    assert worth == sorted(worth, reverse=True)


def test_where_answers_scatter_a_ballot_brings_ever_less() -> None:
    worth = [gain(Count.of((1,) * n, 0), 2) for n in range(2, 9)]
    assert worth == sorted(worth, reverse=True)
    blank = [gain(Count.of((), n), 2) for n in range(6)]
    assert blank == sorted(blank, reverse=True)


@given(COUNTS, st.integers(1, 4))
def test_a_ballot_never_costs_agreement(count: Count, ballots: int) -> None:
    assert gain(count, ballots) >= -1e-12
    assert gain(count, ballots + 1) >= gain(count, ballots) - 1e-12
    assert 0.0 <= leader_share(count) + gain(count, ballots) <= 1.0 + 1e-12
