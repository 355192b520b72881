"""Labels come from the same equality as the online votes."""

from collections.abc import Iterator

import pytest

from judge_server.data.labels import AnswerEquality


@pytest.fixture(scope="module")
def equal() -> Iterator[AnswerEquality]:
    with AnswerEquality() as equality:
        yield equality


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (r"\frac{1}{2}", "0.5", True),
        ("0.5", r"\frac{1}{2}", True),
        (r"x + 1", r"1 + x", True),
        (r"\frac{1}{2}", r"\frac{1}{3}", False),
        ("Paris", "pairs", False),
        ("1,000", "1000", True),
    ],
)
def test_answers_are_equal_as_mathematics_or_as_text(
    equal: AnswerEquality, one: str, two: str, same: bool
) -> None:
    assert equal(one, two) is same
    assert equal(two, one) is same


def test_a_pair_of_answers_is_checked_once_in_any_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with AnswerEquality() as equal:
        asked: list[tuple[str, str]] = []

        async def check(one: str, two: str) -> bool:
            asked.append((one, two))
            return False

        monkeypatch.setattr(equal._checker, "verdict", check)
        for one, two in [("b", "a"), ("a", "b"), ("b", "a"), ("a", "a")]:
            equal(one, two)
        assert asked == [("a", "b")]


@pytest.mark.slow  # waits until a check is given up
def test_a_check_that_runs_out_of_time_says_neither_equal_nor_different() -> None:
    with AnswerEquality(timeout_seconds=0.001) as equal:
        assert equal(r"\sqrt{2} + 1", r"1 + \sqrt{2}") is None
        assert equal(r"\sqrt{2} + 1", r"2 + \sqrt{2}") is None
        assert equal("12", "13") is False  # this takes no process
