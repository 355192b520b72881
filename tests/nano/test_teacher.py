"""Teacher traces: right without slips, consistent with them."""

import re
from random import Random

import pytest

from nano.solver import slip_chance, solve
from nano.task import make_problem
from nano.teacher import CHECKS, write_trace

BOXED = re.compile(r"\\boxed\{(\d+)\}")
EXPRESSION = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)")


@pytest.mark.parametrize("seed", range(100))
def test_without_slips_a_trace_ends_in_the_right_answer(seed: int) -> None:
    rng = Random(seed)
    problem = make_problem(rng)
    trace = write_trace(problem, rng, care=0)
    if trace.answer is None:  # one that checks without end
        assert "</think>" not in trace.text
        return
    assert trace.answer == problem.answer
    assert BOXED.findall(trace.text) == [str(problem.answer)]
    assert BOXED.search(trace.text.split("</think>")[1])


@pytest.mark.parametrize("seed", range(100))
def test_a_trace_has_one_thought_and_boxes_the_answer_it_states(seed: int) -> None:
    rng = Random(seed)
    trace = write_trace(make_problem(rng), rng)
    assert trace.text.startswith("<think>\n")
    assert trace.text.count("<think>") == 1
    if trace.answer is not None:
        assert trace.text.count("</think>") == 1
        assert BOXED.findall(trace.text) == [str(trace.answer)]


def test_without_slips_every_written_calculation_is_right() -> None:
    for seed in range(100):
        rng = Random(seed)
        for left, symbol, right, result in EXPRESSION.findall(
            write_trace(make_problem(rng), rng, care=0).text
        ):
            a, b = int(left), int(right)
            assert int(result) == {"+": a + b, "-": a - b, "*": a * b, "/": a // max(b, 1)}[symbol]


def test_slips_come_in_groups_and_the_right_answer_stays_the_most_frequent() -> None:
    rng = Random(2)
    for _ in range(10):
        problem = make_problem(rng)
        answers = [solve(problem, rng)[-1].value for _ in range(300)]
        assert max(set(answers), key=answers.count) == problem.answer
        assert 1 < len(set(answers)) < 60


def test_a_step_starts_from_the_value_of_the_step_before() -> None:
    rng = Random(4)
    for _ in range(100):
        problem = make_problem(rng)
        value = problem.start
        for solved in solve(problem, rng, care=3):
            assert solved.before == value
            assert 0 <= slip_chance(solved.step, value) < 0.5
            value = solved.value


def test_some_slips_are_found_and_most_are_not() -> None:
    rng = Random(6)
    found = missed = 0
    for _ in range(600):
        trace = write_trace(make_problem(rng), rng, care=2)
        if re.search(r"So the answer is \d+, not \d+\.", trace.text):
            found += 1
        else:
            missed += 1
    assert 0 < found < missed


def test_every_kind_of_check_repeats_a_result_of_the_first_pass() -> None:
    for seed in range(20):
        rng = Random(seed)
        problem = make_problem(rng)
        steps = solve(problem, rng, care=0)
        for check in CHECKS[:-1]:
            assert re.search(rf"\b{steps[-1].value}\b", check(problem, steps, rng))
        one_step = CHECKS[-1](problem, steps, rng)
        assert any(f"={step.value}." in one_step for step in steps)


def test_the_same_generator_writes_the_same_trace() -> None:
    problem = make_problem(Random(1))
    assert write_trace(problem, Random(2)) == write_trace(problem, Random(2))
