"""The price of a trace under a budget of tokens, against questions that take what the price says, and others."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.runtime.budget import Budget, budget_of, priced, shared_budget
from orchestrator.settings import Settings
from tests.support.settings_loading import loaded

USUAL = 0.005


def tokens_at(price: float, mean: float, elasticity: float = 0.3) -> int:
    return round(mean * float((price / USUAL) ** -elasticity))


def test_the_first_question_has_the_usual_price() -> None:
    assert Budget(1000, 10, price=USUAL).start(0) == USUAL


def test_a_price_falls_where_tokens_are_left_and_rises_where_they_run_out() -> None:
    rich, poor = (Budget(tokens, 3, price=USUAL) for tokens in (9000, 1800))
    for budget in (rich, poor):
        budget.start(0)
        budget.end(0, 1000)
    assert rich.start(1) < USUAL < poor.start(1)


def test_a_question_that_takes_what_was_expected_leaves_the_price_alone() -> None:
    budget = Budget(4000, 4, price=USUAL)
    for number in range(4):
        assert budget.start(number) == pytest.approx(USUAL)
        budget.end(number, 1000)
    assert budget.left == 0


def test_what_runs_is_kept_back() -> None:
    """Two more questions run: at the usual price they will take 1000 each, and one has taken more already."""
    budget = Budget(5000, 4, price=USUAL)
    budget.start(0)
    budget.start(1)
    budget.start(2)
    budget.end(0, 1000)
    budget.see(1, 2000)
    assert budget.start(3) == pytest.approx(USUAL)


def test_without_tokens_left_the_price_is_the_highest_and_with_too_many_the_lowest() -> None:
    for tokens, factor in ((500, 64.0), (10**9, 1 / 64)):
        budget = Budget(tokens, 2, price=USUAL)
        budget.start(0)
        budget.end(0, 1000)
        assert budget.start(1) == pytest.approx(USUAL * factor)


def test_a_question_that_is_continued_keeps_its_price() -> None:
    budget = Budget(3000, 3, price=USUAL)
    budget.resume(0, 0.02)
    budget.end(0, tokens_at(0.02, 1000))
    assert budget.start(1) < USUAL  # the first one was cheap for its price


@given(
    per_question=st.integers(500, 1800),
    at_once=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_a_file_of_questions_of_unequal_length_ends_near_its_budget(
    per_question: int, at_once: int, seed: int
) -> None:
    """A question takes 1,000 tokens on average at the usual price, between 300 and 1,700."""
    draws, questions = random.Random(seed), 48
    budget = Budget(per_question * questions, questions, price=USUAL)
    running: dict[int, int] = {}
    for number in range(questions):
        price = budget.start(number)
        running[number] = tokens_at(price, draws.uniform(300, 1700))
        if len(running) == at_once:
            first = min(running)
            budget.end(first, running.pop(first))
    for number, tokens in running.items():
        budget.end(number, tokens)
    assert abs(budget.left) < 0.2 * per_question * questions


def test_only_auto_may_have_a_budget() -> None:
    auto = Settings.model_validate({"policy": {"name": "auto", "budget": 100, "effort": "low"}})
    budget = shared_budget(auto, 3, spent=40)
    assert budget is not None
    assert (budget.left, budget.start(0)) == (60, 0.01)
    own = priced(auto, 0.25)
    budget = shared_budget(own, 3)
    assert budget is not None
    assert budget.start(0) == 0.25
    assert (budget_of(own), budget_of(Settings())) == (100, None)
    assert shared_budget(Settings(), 3) is None
    with pytest.raises(ConfigError, match=r"policy\.budget"):
        loaded("policy.name=consensus", "policy.budget=5")
