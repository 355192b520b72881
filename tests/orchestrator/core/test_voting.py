import pytest

from orchestrator.core.events import VoteCast
from orchestrator.core.voting import Vote, leader_posterior, majority, weighted_majority


def vote(*answers: str | None, min_ballots: int = 1) -> VoteCast:
    return majority(answers, min_ballots=min_ballots, at=3.0)


def test_the_most_frequent_answer_wins() -> None:
    cast = vote("1", "2", "2", None)
    assert cast.answer == "2"
    assert cast.margin == (2 - 1) / 3


def test_of_equals_the_answer_given_first_wins() -> None:
    assert vote("7", "3", "3", "7").answer == "7"


def test_a_unanimous_vote_has_the_full_margin() -> None:
    assert vote("7", "7").margin == 1.0


def test_no_ballots_give_no_answer() -> None:
    cast = vote(None, None)
    assert (cast.answer, cast.votes, cast.margin) == (None, (), 0.0)


def test_the_floor_counts_ballots_not_traces() -> None:
    assert vote("1", None, None, min_ballots=2).answer is None
    assert vote("1", "1", min_ballots=2).answer == "1"


def test_few_heavy_ballots_outweigh_many_light_ones() -> None:
    ballots = [Vote("1", 2.0), Vote("2", 7.0), Vote("1", 3.0), Vote(None, 99.0)]
    cast = weighted_majority(ballots, min_ballots=3, at=3.0)
    assert [(v.answer, v.count, v.weight) for v in cast.votes] == [("2", 1, 7.0), ("1", 2, 5.0)]
    assert (cast.answer, cast.margin) == ("2", 2 / 12)


def test_ballots_without_weight_still_give_an_answer() -> None:
    cast = weighted_majority([Vote("1", 0.0), Vote("2", 0.0)], min_ballots=1, at=3.0)
    assert (cast.answer, cast.margin) == ("1", 0.0)


def test_the_posterior_of_the_leader_is_the_mass_beyond_a_half() -> None:
    assert leader_posterior([]) is None
    assert leader_posterior([3, 3]) == pytest.approx(0.5)
    assert leader_posterior([1]) == pytest.approx(0.75)  # Beta(2, 1): 1 - 0.5**2
    assert leader_posterior([9, 1]) == pytest.approx(1.0, abs=0.01)
