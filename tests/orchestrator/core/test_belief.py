"""Votes and evidence together: by hand, against a brute-force sum, and against votes alone."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.agreement import Count, leader_share, repeat_chance, share_after
from orchestrator.core.belief import (
    expected_shares,
    outcomes_of,
    share_knowing,
    share_with_votes,
)
from orchestrator.core.evidence import Likelihood

CONCENTRATIONS = [2.0**power for power in range(-3, 5)]
FOR_A = Likelihood((0.7,), 0.05)
SILENT = Likelihood((1.0,), 1.0)


def test_one_agreeing_probe_by_hand() -> None:
    # one vote for A; the running trace says A: odds of A are (prior) * 0.7 / 0.05
    prior = sum(1 / (1 + a) for a in CONCENTRATIONS) / 8
    agrees = prior * 0.7 / (prior * 0.7 + (1 - prior) * 0.05)
    assert outcomes_of(FOR_A, Count((1,), 1, 1), ()) == pytest.approx((agrees,))
    after_a, after_other = 2 * repeat_chance(2, 1), repeat_chance(2, 2)
    share = agrees * after_a + (1 - agrees) * after_other
    assert expected_shares(Count((1,), 1, 1), (FOR_A,)) == pytest.approx((share,))


def test_knowing_what_is_nearly_known_brings_nearly_nothing() -> None:
    count = Count((1,), 1, 1)
    now = max(expected_shares(count, (FOR_A, FOR_A)))
    assert share_knowing(count, (), (FOR_A, FOR_A)) == pytest.approx(now)
    surer = share_knowing(count, (FOR_A, FOR_A), ()) - now
    unsure = share_knowing(count, (SILENT, SILENT), ()) - leader_share(count)
    assert 0.0 <= surer < unsure / 10


def test_without_any_vote_every_outcome_is_another_answer() -> None:
    empty = Count((), 0, 0)
    assert expected_shares(empty, ()) == ()
    assert outcomes_of(Likelihood((), 1.0), empty, ()) == ()
    assert share_knowing(empty, (), ()) == 0.0
    assert share_knowing(empty, (Likelihood((), 1.0),), ()) == pytest.approx(share_after(empty, 1))


def test_evidence_on_new_answers_says_what_it_says_of_any_other_answer() -> None:
    # the known trace may found an answer; the unknown one is then as likely there as anywhere else
    count, against = Count((1,), 1, 1), Likelihood((0.1,), 1.0)
    share = share_knowing(count, (SILENT,), (against,))
    assert 0.0 < share < share_knowing(count, (SILENT, against), ()) + 1e-12


VOTES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(
    lambda votes: tuple(sorted(votes, reverse=True))
)
CHANCES = st.floats(0.02, 1.0)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Count, tuple[Likelihood, ...]]:
    votes, blanks = draw(VOTES), draw(st.integers(0, 2))
    likelihoods = draw(
        st.lists(st.builds(Likelihood, st.tuples(*[CHANCES] * len(votes)), CHANCES), max_size=3)
    )
    return Count.of(votes, blanks), tuple(likelihoods)


def brute_force(count: Count, evidence: tuple[Likelihood, ...]) -> tuple[float, ...]:
    """Every outcome of every running trace, one by one, concentrations mixed at the end; no answer is merged."""
    followed = len(count.leading)
    total, shares = 0.0, [0.0] * followed
    for outcome in product(range(followed + len(evidence) + 1), repeat=len(evidence)):
        counts = [*count.leading, *([0] * len(evidence))]
        ended, kinds, weight, opened = count.ended, count.kinds, 1.0, 0
        blanks = count.ended - sum(count.leading)
        for likelihood, answer in zip(evidence, outcome, strict=True):
            repeat = repeat_chance(ended, kinds)
            likely = likelihood.of[answer] if answer < followed else likelihood.other
            if answer == followed + len(evidence):  # one of the blanks again
                weight *= likely * repeat * blanks
                blanks += 1
            elif answer >= followed + opened and counts[answer] == 0:
                weight *= likely * (1.0 - ended * repeat) if answer == followed + opened else 0.0
                opened, kinds = opened + 1, kinds + 1
                counts[answer] = 1
            else:
                weight *= likely * repeat * counts[answer]
                counts[answer] += 1
            ended += 1
        total += weight
        for place in range(followed):
            shares[place] += weight * counts[place] * repeat_chance(ended, kinds)
    return tuple(share / total for share in shares)


@given(situations())
def test_shares_are_those_of_all_outcomes_gone_through_one_by_one(
    situation: tuple[Count, tuple[Likelihood, ...]],
) -> None:
    count, evidence = situation
    if count.ended > sum(count.leading) + 1:
        count = Count(count.leading, sum(count.leading) + 1, count.kinds)
    assert expected_shares(count, evidence) == pytest.approx(brute_force(count, evidence))


@given(VOTES, st.integers(0, 2), st.integers(0, 4), st.integers(0, 3))
def test_without_evidence_all_is_as_votes_alone_say(
    votes: tuple[int, ...], blanks: int, running: int, more: int
) -> None:
    count = Count.of(votes, blanks)
    silent = (Likelihood((1.0,) * len(votes), 1.0),) * running
    assert max(expected_shares(count, silent)) == pytest.approx(leader_share(count))
    assert share_knowing(count, silent, ()) == pytest.approx(share_after(count, running))
    assert share_with_votes(count, silent, more) == pytest.approx(
        share_after(count, running + more)
    )


@given(situations())
def test_knowing_more_never_costs_and_the_order_of_traces_does_not_matter(
    situation: tuple[Count, tuple[Likelihood, ...]],
) -> None:
    count, evidence = situation
    shares = expected_shares(count, evidence)
    assert shares == pytest.approx(expected_shares(count, evidence[::-1]))
    gained = [
        share_knowing(count, evidence[:known], evidence[known:])
        for known in range(len(evidence) + 1)
    ]
    assert gained[0] == pytest.approx(max(shares))
    assert all(more >= less - 1e-9 for less, more in pairwise(gained))
    assert gained[-1] <= 1.0 + 1e-9
    assert share_with_votes(count, evidence, 1) >= gained[-1] - 1e-9


@given(situations(), CHANCES)
def test_a_trace_is_believed_no_more_than_its_evidence_allows(
    situation: tuple[Count, tuple[Likelihood, ...]], other: float
) -> None:
    count, evidence = situation
    own = Likelihood((other,) * len(count.leading), other)
    before = outcomes_of(own, count, evidence)
    told = Likelihood((0.7, *own.of[1:]), other)
    after = outcomes_of(told, count, evidence)
    odds, prior = after[0] / (1 - after[0]), before[0] / (1 - before[0])
    assert odds == pytest.approx(prior * 0.7 / other)
    assert sum(after) <= 1.0 + 1e-9
