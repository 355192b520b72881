"""Plain numbers: every spelling of one number has the same key, and only those."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.answers.quantity import number_key, read_quantity


def spellings(value: Fraction) -> list[str]:
    """A fraction as people and models write it."""
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    whole, rest = divmod(top, bottom)
    found = [
        f"{sign}{top}/{bottom}",
        f"{sign}{top} / {bottom}",
        rf"{sign}\frac{{{top}}}{{{bottom}}}",
        rf"{sign}\dfrac{{{top}}}{{{bottom}}}",
        rf"\frac{{{sign}{top}}}{{{bottom}}}",
        rf"\displaystyle {sign}\frac{{{top}}}{{{bottom}}}",
    ]
    if whole and rest:
        found += [f"{sign}{whole} {rest}/{bottom}", rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}"]
    return found


@given(st.fractions(max_denominator=999, min_value=-5000, max_value=5000))
def test_a_fraction_is_the_same_number_however_it_is_written(value: Fraction) -> None:
    read = {spelling: read_quantity(spelling) for spelling in spellings(value)}
    assert {found and found.key for found in read.values()} == {number_key(value)}, read


@given(
    st.decimals(min_value=-10_000, max_value=10_000, places=4, allow_nan=False),
    st.integers(min_value=0, max_value=12),
)
def test_a_decimal_is_the_same_number_with_a_power_of_ten(value: object, power: int) -> None:
    number = Fraction(str(value))
    for spelling in (f"{value}e{power}", rf"{value}\times 10^{{{power}}}", f"{value} × 10^{power}"):
        found = read_quantity(spelling)
        assert found is not None
        assert found.key == number_key(number * 10**power)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10/3", Fraction(10, 3)),
        ("1 0/3", Fraction(1)),
        ("22/7", Fraction(22, 7)),
        ("1 1/2", Fraction(3, 2)),
        ("½", Fraction(1, 2)),
        ("1½", Fraction(3, 2)),
        ("1,234/2", Fraction(617)),
        ("3.5/2", Fraction(7, 4)),
        ("1/0", None),
        ("1/2/3", None),
        ("1 2", None),
        ("1//2", None),
    ],
)
def test_the_whole_part_of_a_mixed_number_stands_apart(text: str, value: Fraction | None) -> None:
    found = read_quantity(text)
    assert (None if found is None else found.key) == (None if value is None else number_key(value))
