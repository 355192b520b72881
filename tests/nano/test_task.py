"""The generator: exact, seeded, varied."""

import itertools
from random import Random

import pytest

from nano.task import Operation, Symbol, calculate, make_problem, problems, run_plan


def recompute(operation: Operation) -> int:
    left, right = operation.left, operation.right
    if operation.symbol == "/":
        assert left % right == 0
        return left // right
    return {"+": left + right, "-": left - right, "*": left * right}[operation.symbol]


@pytest.mark.parametrize("seed", range(200))
def test_every_step_is_exact_small_and_whole(seed: int) -> None:
    problem = make_problem(Random(seed))
    value = problem.start
    for step in problem.steps:
        for operation in run_plan(step.reading.plan, value):
            assert operation.result == recompute(operation) >= 0
        value = operation.result
    assert problem.answer == value
    assert 0 < problem.answer < 200


def test_the_same_seed_gives_the_same_problems_and_another_seed_others() -> None:
    first, again, other = (
        [problem.text for problem in itertools.islice(problems(Random(seed)), 50)]
        for seed in (3, 3, 4)
    )
    assert first == again
    assert not set(first) & set(other)


def test_no_problem_comes_twice_or_is_an_excluded_one() -> None:
    excluded = frozenset(problem.text for problem in itertools.islice(problems(Random(5)), 20))
    drawn = [problem.text for problem in itertools.islice(problems(Random(5), excluded), 300)]
    assert len(set(drawn)) == 300
    assert not excluded & set(drawn)


def test_all_kinds_of_steps_occur() -> None:
    drawn = itertools.islice(problems(Random(1)), 500)
    kinds = {step.kind for problem in drawn for step in problem.steps}
    assert kinds == {
        "gain", "gift", "lose", "give", "containers", "daily", "doubles", "triples", "half", "share",
        "total more", "total fewer", "total twice", "difference", "money",
    }  # fmt: skip


def test_the_text_holds_every_number_that_the_plan_needs() -> None:
    for problem in itertools.islice(problems(Random(9)), 100):
        assert str(problem.start) in problem.text
        assert problem.text.endswith("?")
        assert all(step.sentence in problem.text for step in problem.steps)


@pytest.mark.parametrize(
    ("left", "symbol", "right", "result"),
    [(12, "+", 7, 19), (5, "-", 8, 0), (7, "/", 2, 3), (6, "*", 9, 54), (8, "-", 8, 0)],
)
def test_a_slip_downstream_still_calculates(
    left: int, symbol: Symbol, right: int, result: int
) -> None:
    assert calculate(left, symbol, right) == result
