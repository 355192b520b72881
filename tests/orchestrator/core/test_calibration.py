import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.core.judging import Isotonic, Temperature

p = st.floats(0.0, 1.0)


def test_temperature_one_changes_nothing() -> None:
    assert Temperature(temperature=1.0).apply(0.3) == pytest.approx(0.3)


def test_a_high_temperature_draws_scores_to_one_half() -> None:
    assert Temperature(temperature=2.0).apply(0.9) == pytest.approx(0.75)


@given(p, p, st.floats(0.1, 10.0))
def test_temperature_keeps_the_order_and_the_ends(
    one: float, two: float, temperature: float
) -> None:
    apply = Temperature(temperature=temperature).apply
    assert (apply(0.0), apply(1.0)) == (0.0, 1.0)
    low, high = apply(min(one, two)), apply(max(one, two))
    assert low <= high or math.isclose(low, high)


def test_isotonic_is_a_line_between_its_points_and_level_outside() -> None:
    apply = Isotonic(scores=(0.2, 0.6), probabilities=(0.1, 0.9)).apply
    assert apply(0.0) == 0.1
    assert apply(0.2) == 0.1
    assert apply(0.4) == pytest.approx(0.5)
    assert apply(0.6) == 0.9
    assert apply(1.0) == 0.9


@pytest.mark.parametrize(
    ("scores", "probabilities", "complaint"),
    [
        ((0.1, 0.2), (0.5,), "equal length"),
        ((0.2, 0.1), (0.1, 0.2), "must rise"),
        ((0.1, 0.2), (0.5, 0.4), "must not fall"),
        ((0.1, 0.2), (0.5, 1.4), "in 0..1"),
    ],
)
def test_a_broken_isotonic_calibration_is_refused(
    scores: tuple[float, ...], probabilities: tuple[float, ...], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Isotonic(scores=scores, probabilities=probabilities)
