"""What is worth its price next, where something is known of running traces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.agreement import Count, gain, leader_share
from orchestrator.core.evidence import Likelihood
from orchestrator.core.policies.next_step import (
    HORIZON,
    NextStep,
    Situation,
    best_step,
    worth_of_knowing,
)

SILENT = Likelihood((1.0,), 1.0)
AGREES = Likelihood((0.7,), 0.05)


def situation(
    votes: tuple[int, ...],
    *evidence: Likelihood,
    left: int = 60,
    running_cost: float = 0.5,
    late: bool = True,
) -> Situation:
    answers = tuple("123"[: len(votes)])
    return Situation(answers, Count.of(votes, 0), evidence, left, running_cost, late)


def test_a_vote_that_running_traces_share_is_settled_and_one_that_stands_alone_waits() -> None:
    assert best_step(situation((1,), SILENT, SILENT, AGREES), 0.01).action == "stop"
    assert best_step(situation((1,), SILENT, SILENT, SILENT), 0.01).action == "wait"


def test_a_straggler_is_given_up_when_too_much_is_left_to_pay() -> None:
    waits = best_step(situation((1,), SILENT, SILENT, SILENT), 0.01)
    assert (waits.action, waits.traces) == ("wait", 3)
    assert waits.price == pytest.approx(0.01 * 0.5 * 3)
    given_up = situation((1,), SILENT, SILENT, SILENT, running_cost=3.0)
    assert best_step(given_up, 0.01).action == "stop"


def test_launching_late_costs_more_than_launching_in_time() -> None:
    tie = (1, 1)
    assert best_step(situation(tie, late=False), 0.01).action == "launch"
    assert best_step(situation(tie, late=True), 0.01).action == "stop"
    assert best_step(situation(tie, left=0, late=False), 0.01) == NextStep("stop", 0, 0.0, 0.0)


def test_no_more_is_launched_where_a_horizon_of_traces_runs() -> None:
    crowd = situation((1, 1), *(Likelihood((1.0, 1.0), 1.0),) * HORIZON, late=False)
    assert best_step(crowd, 1e-4).action == "wait"


def test_the_leader_is_the_answer_with_the_larger_share_and_of_equals_the_older() -> None:
    assert situation(()).leader is None
    assert situation(()).lead_share == 0.0
    assert situation((1, 1)).leader == "1"
    assert situation((1, 1), Likelihood((0.05, 0.7), 0.05)).leader == "2"


PRICES = st.sampled_from([0.02, 0.01, 0.005, 0.001])
VOTES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(
    lambda votes: tuple(sorted(votes, reverse=True))
)


@given(VOTES, st.integers(0, 3), st.integers(0, 4), PRICES)
def test_without_evidence_and_in_time_the_step_is_that_of_votes_alone(
    votes: tuple[int, ...], running: int, left: int, price: float
) -> None:
    silent = (Likelihood((1.0,) * len(votes), 1.0),) * running
    step = best_step(situation(votes, *silent, left=left, late=False), price)
    nets = [
        gain(Count.of(votes, 0), ballots)
        - price * (0.5 * min(ballots, running) + max(0, ballots - running))
        for ballots in range(1, min(HORIZON, running + left) + 1)
    ]
    best = max(nets, default=0.0)
    if best <= 1e-12:
        assert step.action == "stop"
    else:
        assert step.worth - step.price == pytest.approx(best)
        assert step.action == ("wait" if nets.index(best) < running else "launch")


@given(VOTES, st.lists(st.sampled_from([0.02, 0.3, 1.0, 7.0]), max_size=4))
def test_knowing_all_for_nothing_is_worth_at_least_any_wait(
    votes: tuple[int, ...], ratios: list[float]
) -> None:
    rest = (1.0,) * (len(votes) - 1)
    known = situation(votes, *(Likelihood((ratio, *rest), 1.0) for ratio in ratios))
    free = best_step(known._replace(left=0), 0.0)
    assert worth_of_knowing(known) >= free.worth - 1e-9
    assert worth_of_knowing(known) >= -1e-9
    assert known.lead_share <= 1.0
    if not ratios:
        assert known.lead_share == pytest.approx(leader_share(Count.of(votes, 0)))
