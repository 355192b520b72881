"""Two judges on the same pairs: who is better, how sure that is, and how many questions would settle it."""

import math
from functools import cache

import numpy as np
import pytest

from judge_server.evaluation.comparison import difference_line, difference_of, too_few_questions
from judge_server.evaluation.figures import Figures, figures_of
from judge_server.metrics import ScoredPairs


@cache
def figures(strength: float, *, questions: int = 40, noise: int = 1, each: int = 10) -> Figures:
    """Of a judge whose scores of same-answer pairs are `strength` higher; `noise` seeds its errors."""
    rng = np.random.default_rng(0)
    same = rng.random(questions * each) < 0.7
    errors = np.random.default_rng(noise).normal(size=len(same))
    names = np.repeat([f"q{n}" for n in range(questions)], each)
    return figures_of(ScoredPairs(names, same, same * strength + errors), seed=0)


def test_a_judge_does_not_differ_from_itself() -> None:
    one = figures(1.0)
    found = difference_of("a", one, "b", one)
    for each in (found.auroc, found.auroc_within):
        assert each.value == 0.0
        assert each.interval == (0.0, 0.0)
        assert each.p == 1.0
        assert each.needed == 5


def test_a_much_better_judge_is_told_with_its_sign() -> None:
    found = difference_of("good", figures(1.5), "poor", figures(0.2))
    for each in (found.auroc, found.auroc_within):
        assert each.value > 0.2
        assert 0 < each.interval.low < each.value < each.interval.high
        assert each.p == pytest.approx(2 / 1001)
    opposite = difference_of("poor", figures(0.2), "good", figures(1.5))
    assert opposite.auroc.value == -found.auroc.value
    assert opposite.auroc.interval.high == pytest.approx(-found.auroc.interval.low)


@pytest.mark.slow  # resamples many times
def test_judges_with_the_same_errors_need_fewer_questions_than_unrelated_ones() -> None:
    related = difference_of("a", figures(1.0, noise=1), "b", figures(0.9, noise=1))
    unrelated = difference_of("a", figures(1.0, noise=1), "b", figures(0.9, noise=2))
    assert related.auroc.needed is not None
    assert unrelated.auroc.needed is not None
    assert 4 * related.auroc.needed < unrelated.auroc.needed


@pytest.mark.slow  # resamples many times
def test_the_number_of_questions_does_not_depend_on_how_many_were_measured() -> None:
    few, many = (
        difference_of(
            "a", figures(1.0, questions=n), "b", figures(0.9, questions=n, noise=2)
        ).auroc.needed
        for n in (30, 120)
    )
    assert few is not None
    assert many is not None
    assert 0.5 < few / many < 2.0


def test_too_few_questions_are_named() -> None:
    found = difference_of("a", figures(1.0), "b", figures(0.9, noise=2))
    assert too_few_questions([found], 10_000) == []
    (said,) = too_few_questions([found], 20)
    assert said.startswith(
        "20 questions are too few to tell a difference of 0.05 in AUROC between a and b: "
    )
    assert f"{found.auroc_within.needed:,} within a question are needed." in said
    tiny = difference_of("a", figures(1.0, questions=3), "b", figures(0.5, questions=3))
    assert too_few_questions([tiny], 3) == [
        "3 questions are too few to compare a with b: give at least 5."
    ]


def test_figures_that_do_not_exist_have_no_difference() -> None:
    one_class = figures_of(ScoredPairs.of(["a", "b"], [True, True], [0.1, 0.2]), seed=0)
    found = difference_of("a", one_class, "b", one_class)
    assert math.isnan(found.auroc.p)
    line = difference_line(found)
    assert line["auroc_difference"] is line["auroc_p"] is line["auroc_questions_needed"] is None
