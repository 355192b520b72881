"""Numbers as people read them."""

import pytest

from orchestrator.terminal.numbers import format_rate


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (1234.5, "1,234"),
        (123.4, "123"),
        (12.34, "12"),
        (4.2, "4.2"),
        (0.42, "0.42"),
        (0.00421, "0.0042"),
        (0.0, "0"),
    ],
)
def test_a_slow_rate_is_not_shown_as_zero(rate: float, shown: str) -> None:
    assert format_rate(rate) == shown
